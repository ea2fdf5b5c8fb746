"""From a study to its runs: the grid, resolved, each run with an id.

A run's **id** is a readable slug and a hash of its *science*: everything that can change its numbers (data, languages,
alpha, tokenizer, model, batch, steps, recipe, seed) and nothing else. Execution (devices, ZeRO stage, micro-batch) is
not in it, so the same run on another machine is the same run.
"""

from __future__ import annotations

import difflib
import hashlib
import itertools
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

from models.cost import parameters, training_flops_per_token
from models.sizes import NAMED_SIZES, EncoderConfig, default_feedforward, default_heads, dial
from sweeps.budgets import Trunk, budgets, trunk_of
from sweeps.errors import BadInput
from sweeps.languages import LANGUAGE_SETS, language_set
from sweeps.rates import LearningRateRule
from sweeps.study import MaskSplitBlock, ModelBlock, RecipeBlock, SamplingBlock, Study, path_of
from sweeps.where import matches

SCIENCE_VERSION = 1
"""Raised when the same science would give other numbers: every id changes."""

MOST_CELLS = 100_000

_SHORT_AXES = {
    "alpha": "sampling.alpha",
    "kind": "model.kind",
    "size": "model.size",
    "dial": "model.dial",
    "width": "model.width",
    "layers": "model.layers",
    "vocabulary": "model.vocabulary",
    "tokenizer_alpha": "tokenizer.alpha",
    "algorithm": "tokenizer.algorithm",
    "batch_tokens": "budget.batch_tokens",
    "steps": "budget.steps",
    "learning_rate": "learning_rate",
    "mask_rate": "mask_rate",
}
"""Axes with a short name, and what of the recipe each one sets. Any other key of the recipe is named by its path."""

_OWN_AXES = ("languages", "seed")


@dataclass(frozen=True)
class Run:
    """One cell with one seed."""

    id: str
    science: dict[str, Any]
    """Resolved and JSON-able. The harness trains from this and from nothing else."""
    axes: dict[str, Any]
    """What figures and conditions may name: languages, set, K, alpha, width, ... and the run's cost."""
    trunk: Trunk | None = None
    """The run of the study that it may start from; its numbers are the same without."""


def expand(study: Study, corpus_key: str, corpus_languages: Mapping[str, int] | None = None) -> list[Run]:
    """All runs of a study, in the order of its axes (the last axis fastest).

    `corpus_languages` maps the corpus's languages to bytes, where the corpus is at hand: a language it lacks is then
    an error. Raises BadInput.
    """
    axes = dict(study.axes)
    for name in axes:
        if name not in _OWN_AXES and name not in _SHORT_AXES and "." not in name:
            near = difflib.get_close_matches(name, [*_OWN_AXES, *_SHORT_AXES], n=1)
            hint = f"did you mean {near[0]}?" if near else f"axes: {', '.join([*_OWN_AXES, *_SHORT_AXES])}"
            raise BadInput(f"study {study.name}, axes: unknown axis {name}; {hint}")
        if not axes[name]:
            raise BadInput(f"study {study.name}, axes.{name}: the list is empty")
    paths = [_SHORT_AXES.get(name, name) for name in axes]
    for name, path in zip(axes, paths, strict=True):
        if paths.count(path) > 1:
            raise BadInput(f"study {study.name}, axes: {name} sets {path}, and so does another axis; keep one")
    if "languages" not in axes:
        raise BadInput(f"study {study.name}, axes: the axis languages is missing")
    cells = 1
    for values in axes.values():
        cells *= len(values)
    if cells > MOST_CELLS:
        raise BadInput(f"study {study.name}: the grid has {cells:,} points, more than {MOST_CELLS:,}; split the study")
    sets = {_set_name(value): _languages(value, study, corpus_languages) for value in axes["languages"]}
    superset = tuple(dict.fromkeys(language for codes in sets.values() for language in codes))
    for group, members in study.groups.items():
        lacking = [language for language in members if language not in superset]
        if lacking:
            raise BadInput(f"study {study.name}, groups.{group}: no cell of the study has {', '.join(lacking)}")

    runs: dict[str, Run] = {}
    for chosen in itertools.product(*axes.values()):
        point = dict(zip(axes, chosen, strict=True))
        languages = sets[_set_name(point["languages"])]
        family = [
            run
            for recipe in budgets(_with_axes(study, point))
            for run in [_resolve(study, recipe, languages, superset, point, corpus_key)]
            if not any(matches(condition, run.axes) for condition in study.exclude)
        ]
        # Budgets rise, so what is left of a family ends with its trunk.
        for run in family:
            trunk = trunk_of(run.science, family[-1].id) if run is not family[-1] else None
            runs[run.id] = replace(run, trunk=trunk)
    if not runs:
        raise BadInput(f"study {study.name}: the grid is empty, exclude removes every cell")
    return list(runs.values())


def _set_name(value: Any) -> str:
    return "+".join(map(str, value)) if isinstance(value, list) else str(value)


def _languages(value: Any, study: Study, corpus_languages: Mapping[str, int] | None) -> tuple[str, ...]:
    if isinstance(value, str):
        if value not in LANGUAGE_SETS:
            near = difflib.get_close_matches(value, LANGUAGE_SETS, n=1)
            hint = f"did you mean {near[0]}?" if near else f"sets: {', '.join(LANGUAGE_SETS)}; or write a list of codes"
            raise BadInput(f"study {study.name}, axes.languages: there is no language set {value!r}; {hint}")
        codes = language_set(value)
    elif isinstance(value, list) and value:
        codes = tuple(value)
    else:
        raise BadInput(f"study {study.name}, axes.languages: {value!r} is neither a set's name nor a list of codes")
    twice = sorted({code for code in codes if codes.count(code) > 1})
    if twice:
        raise BadInput(f"study {study.name}, axes.languages: {', '.join(twice)} stands twice in {_set_name(value)}")
    if corpus_languages is not None:
        for code in codes:
            if code not in corpus_languages:
                near = difflib.get_close_matches(code, corpus_languages, n=1)
                hint = f"did you mean {near[0]}?" if near else "babelscale corpus stats lists what it has"
                raise BadInput(f"study {study.name}: the corpus {study.corpus} has no language {code!r}; {hint}")
    return codes


def _with_axes(study: Study, point: Mapping[str, Any]) -> RecipeBlock:
    """The recipe with this point's axis values put in, validated again."""
    raw = study.recipe.model_dump()
    for name, value in point.items():
        if name in _OWN_AXES:
            continue
        *blocks, last = _SHORT_AXES.get(name, name).split(".")
        target: Any = raw
        for block in blocks:
            target = target.get(block) if isinstance(target, dict) else None
        if not isinstance(target, dict) or last not in target:
            raise BadInput(f"study {study.name}, axes: {name} is not a key of the recipe")
        target[last] = value
    try:
        return RecipeBlock.model_validate(raw)
    except ValueError as error:
        first = error.errors()[0] if hasattr(error, "errors") else {"loc": (), "msg": str(error)}
        path = path_of(first["loc"])
        raise BadInput(f"study {study.name}, axes: {path or 'recipe'} at {dict(point)}: {first['msg']}") from error


def encoder_config(recipe: RecipeBlock, study: str) -> EncoderConfig:
    """The encoder of a recipe, derived values filled in. Raises BadInput for sizes that do not fit together."""
    block = recipe.model
    rule = recipe.learning_rate
    mup = rule if isinstance(rule, LearningRateRule) and rule.rule == "mup" else None
    if mup is not None and block.kind != "modern":
        raise BadInput(
            f"study {study}, recipe.learning_rate: rule mup is for model kind modern; kind {block.kind} starts from "
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
        raise BadInput(f"study {study}, recipe.model: {error}") from error


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


def _resolve(
    study: Study,
    recipe: RecipeBlock,
    languages: tuple[str, ...],
    superset: tuple[str, ...],
    point: Mapping[str, Any],
    corpus_key: str,
) -> Run:
    seed = point.get("seed", 0)
    if not isinstance(seed, int) or isinstance(seed, bool) or seed < 0:
        raise BadInput(f"study {study.name}, axes.seed: {seed!r} is not a whole number of at least 0")
    rows, rest = divmod(recipe.budget.batch_tokens, recipe.row_tokens)
    if rest or not rows:
        raise BadInput(
            f"study {study.name}, recipe.budget.batch_tokens: {recipe.budget.batch_tokens} is not a multiple of "
            f"row_tokens ({recipe.row_tokens})"
        )
    masks = max(1, round(recipe.mask_rate * recipe.row_tokens))
    if masks > (recipe.row_tokens - 1) // 2:
        raise BadInput(f"study {study.name}, recipe.mask_rate: {recipe.mask_rate} masks more than half of a row")
    steps = recipe.budget.one
    if (recipe.schedule.warmup_steps or 0) > steps:
        raise BadInput(
            f"study {study.name}, recipe.schedule.warmup_steps: {recipe.schedule.warmup_steps} is more than the run's "
            f"{steps} steps, so the rate would never reach its peak"
        )
    encoder = encoder_config(recipe, study.name)
    rule = recipe.learning_rate
    rate = rule.at(encoder.width) if isinstance(rule, LearningRateRule) else rule
    # One number twice over: the rate of hidden matrices and the logits both fall with the width (Tensor Programs V).
    hidden_scale = encoder.output_multiplier
    tokenizer = recipe.tokenizer
    science: dict[str, Any] = {
        "version": SCIENCE_VERSION,
        "corpus": corpus_key,
        "languages": list(languages),
        **_sampling_science(recipe.sampling),
        "tokenizer": {
            "languages": list(superset if tokenizer.policy == "frozen-superset" else languages),
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
        **({} if recipe.mask_split == MaskSplitBlock() else {"mask_split": recipe.mask_split.model_dump()}),
        **({"whole_word": True} if recipe.whole_word else {}),
        "learning_rate": rate,
        # muP: the share of the rate at which matrices inside the body train. None at the base width: an ordinary run.
        **({"hidden_rate_scale": hidden_scale} if hidden_scale != 1.0 else {}),
        "schedule": recipe.schedule.science(),
        "optimizer": recipe.optimizer.model_dump(),
        "precision": recipe.precision,
        "seed": seed,
    }
    size = parameters(encoder)
    tokens = recipe.budget.batch_tokens * steps
    flops = training_flops_per_token(encoder, tokens_per_row=recipe.row_tokens, masked_share=masks / recipe.row_tokens)
    axes = {
        "set": _set_name(point["languages"]),
        "languages": list(languages),
        "K": len(languages),
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
        "seed": seed,
    }
    return Run(run_id(science, axes), science, axes)


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
