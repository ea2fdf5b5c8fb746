"""A cell's recipe, resolved: the encoder it means, its science, its axes, and its id.

A run's **id** is a readable slug and a hash of its *science*: everything that can change its numbers (data, languages,
alpha, tokenizer, model, batch, steps, recipe, seed) and nothing else. Execution (devices, ZeRO stage, micro-batch) is
not in it, so the same run on another machine is the same run.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from models.cost import parameters, training_flops_per_token
from models.sizes import NAMED_SIZES, EncoderConfig, default_feedforward, default_heads, dial
from sweeps.errors import BadInput
from sweeps.rates import LearningRateRule
from sweeps.recipe import MaskSplitBlock, ModelBlock, RecipeBlock, SamplingBlock
from sweeps.study import Study

SCIENCE_VERSION = 1
"""Raised when the same science would give other numbers: every id changes."""


def encoder_config(recipe: RecipeBlock, study: Study) -> EncoderConfig:
    """The encoder of a recipe, derived values filled in. Raises BadInput for sizes that do not fit together."""
    block = recipe.model
    rule = recipe.learning_rate
    mup = rule if isinstance(rule, LearningRateRule) and rule.rule == "mup" else None
    if mup is not None and block.kind != "modern":
        raise BadInput(
            f"{study.at('recipe.learning_rate')}: rule mup is for model kind modern; kind {block.kind} starts from "
            "RoBERTa's 0.02 at every width, which is not its initialisation: write rule: power, or a number"
        )
    try:
        size = _size(block)
        width = size["width"]
        return EncoderConfig(
            kind=block.kind,
            vocabulary=block.vocabulary + 2,
            width=width,
            layers=size["layers"],
            heads=_heads(block, size, mup),
            feedforward=_feedforward(block, width, mup),
            positions=recipe.row_tokens,
            dropout=block.dropout,
            # Learned positions know no rotary base: it must not change the id of a run it cannot change.
            rotary_base=block.rotary_base if block.kind == "modern" else EncoderConfig.rotary_base,
            attention=recipe.attention,
            gated=block.gated,
            output_multiplier=1.0 if mup is None else mup.width / width,
        )
    except ValueError as error:
        raise BadInput(f"{study.at('recipe.model')}: {error}") from error


def _size(block: ModelBlock) -> dict[str, int]:
    """Width, layers and, where the size names them, heads."""
    if block.size is not None:
        return NAMED_SIZES[block.size]
    if block.dial is not None:
        return dial(block.dial)
    assert block.width is not None and block.layers is not None, "ModelBlock asks for one of the three"
    return {"width": block.width, "layers": block.layers}


def _heads(block: ModelBlock, size: Mapping[str, int], mup: LearningRateRule | None) -> int:
    """Number of heads. Under muP a head is as wide as at the base width, so that attention's 1 / sqrt(head width) is
    one constant for all widths (Tensor Programs V asks for 1 / head width where it grows)."""
    width, head_width = size["width"], block.head_width
    if mup is not None and head_width is None:
        heads = block.heads or default_heads(mup.width)
        head_width, rest = divmod(mup.width, heads)
        if rest:
            raise ValueError(f"{heads} heads do not divide {mup.width}, the width of learning_rate's rule mup")
    if head_width is None:
        return block.heads or size.get("heads") or default_heads(width)
    if width % head_width:
        raise ValueError(
            f"width {width} is not a multiple of the head width {head_width}"
            + (", which rule mup keeps at all widths; set head_width" if mup and block.head_width is None else "")
        )
    return width // head_width


def _feedforward(block: ModelBlock, width: int, mup: LearningRateRule | None) -> int:
    """Feed-forward width; one that is given grows with the width under muP, or its matrices would be no square ones
    in the limit, and their rates other than those of the rule."""
    if block.feedforward is None:
        return default_feedforward(width)
    if mup is None:
        return block.feedforward
    grown, rest = divmod(block.feedforward * width, mup.width)
    if rest:
        raise ValueError(
            f"feedforward {block.feedforward} at width {mup.width} (rule mup) is "
            f"{block.feedforward * width}/{mup.width} at width {width}, no whole number; leave it out (4 x width)"
        )
    return grown


@dataclass(frozen=True)
class Resolved:
    """What all runs of one recipe have in common."""

    encoder: EncoderConfig
    science: dict[str, Any]
    """Without corpus, languages and seed; the tokenizer's languages are still to come."""
    axes: dict[str, Any]
    """Without languages and seed."""
    retrained: bool
    """Whether the tokenizer is trained on the cell's languages alone."""


def resolve_recipe(study: Study, recipe: RecipeBlock) -> Resolved:
    """Raises BadInput for values that do not go together."""
    rows, rest = divmod(recipe.budget.batch_tokens, recipe.row_tokens)
    if rest or not rows:
        raise BadInput(
            f"{study.at('recipe.budget.batch_tokens')}: {recipe.budget.batch_tokens} is not a multiple of "
            f"row_tokens ({recipe.row_tokens})"
        )
    masks = max(1, round(recipe.mask_rate * recipe.row_tokens))
    if masks > (recipe.row_tokens - 1) // 2:
        raise BadInput(f"{study.at('recipe.mask_rate')}: {recipe.mask_rate} masks more than half of a row")
    steps = recipe.budget.one
    if (recipe.schedule.warmup_steps or 0) > steps:
        raise BadInput(
            f"{study.at('recipe.schedule.warmup_steps')}: {recipe.schedule.warmup_steps} is more than the run's "
            f"{steps} steps, so the rate would never reach its peak"
        )
    encoder = encoder_config(recipe, study)
    rule = recipe.learning_rate
    rate = rule.at(encoder.width) if isinstance(rule, LearningRateRule) else rule
    # One number twice over: the rate of hidden matrices and the logits both fall with the width (Tensor Programs V).
    hidden_scale = encoder.output_multiplier
    tokenizer = recipe.tokenizer
    science: dict[str, Any] = {
        "version": SCIENCE_VERSION,
        **_sampling_science(recipe.sampling),
        "tokenizer": {
            "vocabulary": recipe.model.vocabulary,
            "alpha": tokenizer.alpha,
            "algorithm": tokenizer.algorithm,
            "byte_fallback": tokenizer.byte_fallback,
            "character_coverage": tokenizer.character_coverage,
            "sample_bytes": tokenizer.sample_bytes,
        },
        "model": _model_science(encoder),
        "row_tokens": recipe.row_tokens,
        "batch_rows": rows,
        "steps": steps,
        "mask_rate": recipe.mask_rate,
        # A key younger than the first runs stands only where it says something, so that their ids stay.
        **({} if recipe.text_bytes is None else {"text_bytes": recipe.text_bytes}),
        **({} if recipe.mask_split == MaskSplitBlock() else {"mask_split": recipe.mask_split.model_dump()}),
        **({"whole_word": True} if recipe.whole_word else {}),
        "learning_rate": rate,
        # muP: the share of the rate at which matrices inside the body train. None at the base width: an ordinary run.
        **({"hidden_rate_scale": hidden_scale} if hidden_scale != 1.0 else {}),
        "schedule": recipe.schedule.science(),
        "optimizer": recipe.optimizer.model_dump(),
        "precision": recipe.precision,
    }
    size = parameters(encoder)
    tokens = recipe.budget.batch_tokens * steps
    flops = training_flops_per_token(encoder, tokens_per_row=recipe.row_tokens, masked_share=masks / recipe.row_tokens)
    axes = {
        "alpha": recipe.sampling.exponent,
        "vocabulary": recipe.model.vocabulary,
        "kind": encoder.kind,
        "width": encoder.width,
        "layers": encoder.layers,
        "body_parameters": size.body,
        "embedding_parameters": size.embedding,
        "batch_tokens": recipe.budget.batch_tokens,
        "steps": steps,
        "tokens": tokens,
        "flops": flops.total * tokens,
        "learning_rate": rate,
    }
    return Resolved(encoder, science, axes, tokenizer.policy == "retrained")


def science_of(
    resolved: Resolved, *, corpus_key: str, languages: tuple[str, ...], superset: tuple[str, ...], seed: int
) -> dict[str, Any]:
    """All that can change a run's numbers, JSON-able. `superset`: all languages of the study, in order."""
    learnt = languages if resolved.retrained else superset
    return {
        **resolved.science,
        "corpus": corpus_key,
        "languages": list(languages),
        "tokenizer": {"languages": list(learnt), **resolved.science["tokenizer"]},
        "seed": seed,
    }


def _model_science(config: EncoderConfig) -> dict[str, Any]:
    """The encoder's fields; one younger than the first runs stands only where it says something."""
    fields = asdict(config)
    for younger in ("attention", "gated", "output_multiplier"):
        if fields[younger] == getattr(EncoderConfig, younger):
            del fields[younger]
    return fields


def _sampling_science(block: SamplingBlock) -> dict[str, Any]:
    """What of the sampling can change numbers, and no second spelling of it: temperature 2 is alpha 0.5, uniform is
    alpha 0, and at alpha 0 it does not matter what is counted."""
    if block.kind == "unimax":
        return {"sampling": {"kind": "unimax", "max_epochs": block.max_epochs}}
    if block.exponent and block.count not in (None, "bytes"):
        return {"alpha": block.exponent, "sampling": {"count": block.count}}
    return {"alpha": block.exponent}


def run_id(science: Mapping[str, Any], axes: Mapping[str, Any]) -> str:
    """Readable slug and ten hexadecimal digits over the whole science."""
    text = json.dumps(science, sort_keys=True, separators=(",", ":"))
    tail = hashlib.sha256(text.encode()).hexdigest()[:10]
    drawn = "unimax" if axes["alpha"] is None else f"a{axes['alpha']:g}"
    slug = f"k{axes['K']}-{drawn}-w{axes['width']}-l{axes['layers']}-v{axes['vocabulary']}-s{axes['seed']}"
    return f"{slug}-{tail}"
