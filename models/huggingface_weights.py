"""Weights under transformers' names, and back: renamed, the fused query-key-value matrix split; nothing is computed.

Kind `xlm-r` is XLMRobertaForMaskedLM, kind `modern` EsmForMaskedLM (see `models.huggingface`).
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from models.heads import MaskedLM
from models.sizes import EncoderConfig

_TABLE = "embeddings.word_embeddings.weight"
_SAME_WEIGHT = {"lm_head.decoder.weight": f"roberta.{_TABLE}", "lm_head.decoder.bias": "lm_head.bias"}
"""Second names that transformers has for a tied weight; a file may hold either, or both."""

_NO_PART_OF_IT = ("roberta.pooler.", "roberta.embeddings.position_ids", "roberta.embeddings.token_type_ids")
"""What files of XLM-R hold beside the masked-LM model: buffers that follow from the configuration, and a pooler."""


def transformers_weights(model: MaskedLM) -> dict[str, Tensor]:
    """Our weights under transformers' names; the tied decoder is left out, as there."""
    config = model.encoder.config
    ours = {name: value.detach() for name, value in model.named_parameters()}  # names the tied table once
    theirs: dict[str, Tensor] = {}
    for here, there in _names(config).items():
        value = ours.pop(here)
        for name, part in zip(there, torch.chunk(value, len(there)), strict=True):
            theirs[name] = part.contiguous().clone()
    assert not ours, f"weights without a name in transformers: {sorted(ours)}"
    if config.output_multiplier != 1.0:
        # transformers multiplies nothing between the head's norm and the table: the norm's gain, which has no bias
        # beside it here, carries the factor.
        theirs["lm_head.layer_norm.weight"] *= config.output_multiplier
    return theirs if config.kind == "xlm-r" else theirs | _only_in_esm(model, theirs)


def load_transformers_weights(model: MaskedLM, weights: Mapping[str, Tensor]) -> None:
    """Put the weights of an XLMRobertaForMaskedLM into a model of kind `xlm-r`, in its own precision and place.

    Raises ValueError for a weight that is missing, has another shape or no place here, and for a decoder that is not
    tied to the token table; the model is then as it was.
    """
    theirs = {name: value for name, value in weights.items() if not name.startswith(_NO_PART_OF_IT)}
    for second, first in _SAME_WEIGHT.items():
        value = theirs.pop(second, None)
        if value is not None and not torch.equal(value, theirs.setdefault(first, value)):
            raise ValueError(f"its {second} is not its {first}; here the two are tied")
    ours = dict(model.named_parameters())
    loaded: dict[str, Tensor] = {}
    names = _names(model.encoder.config)
    missing = [name for there in names.values() for name in there if name not in theirs]
    if missing:
        raise ValueError(f"its weights lack {_some(missing)}")
    for here, there in names.items():
        shape = torch.Size((ours[here].shape[0] // len(there), *ours[here].shape[1:]))
        parts = [theirs.pop(name) for name in there]
        for name, part in zip(there, parts, strict=True):
            if part.shape != shape:
                raise ValueError(f"its {name} has shape {tuple(part.shape)}; the configuration asks for {tuple(shape)}")
        loaded[here] = torch.cat(parts)
    if theirs:
        raise ValueError(f"its weights hold {_some(sorted(theirs))}, which an encoder of kind xlm-r has no place for")
    with torch.no_grad():
        for name, value in loaded.items():
            ours[name].copy_(value)


def _names(config: EncoderConfig) -> dict[str, tuple[str, ...]]:
    """Each weight of ours with its name there; the fused query-key-value has three, in that order."""
    roberta = config.kind == "xlm-r"
    stem = "roberta" if roberta else "esm"
    names: dict[str, tuple[str, ...]] = {"encoder.embedding.tokens.weight": (f"{stem}.{_TABLE}",)}
    modules: dict[str, tuple[str, ...]] = {"dense": ("lm_head.dense",), "norm": ("lm_head.layer_norm",)}
    if roberta:
        names["encoder.embedding.positions.weight"] = ("roberta.embeddings.position_embeddings.weight",)
        names["encoder.embedding.token_type.weight"] = ("roberta.embeddings.token_type_embeddings.weight",)
        modules["encoder.embedding.norm"] = ("roberta.embeddings.LayerNorm",)
    else:
        modules["encoder.final_norm"] = ("esm.encoder.emb_layer_norm_after",)
    for layer in range(config.layers):
        here, there = f"encoder.blocks.{layer}", f"{stem}.encoder.layer.{layer}"
        # Where a LayerNorm stands is in its name there: behind a sub-layer's output, or before the sub-layer.
        modules |= {
            f"{here}.qkv": tuple(f"{there}.attention.self.{name}" for name in ("query", "key", "value")),
            f"{here}.out": (f"{there}.attention.output.dense",),
            f"{here}.attention_norm": (f"{there}.attention.{'output.' if roberta else ''}LayerNorm",),
            f"{here}.up": (f"{there}.intermediate.dense",),
            f"{here}.down": (f"{there}.output.dense",),
            f"{here}.feedforward_norm": (f"{there}.{'output.' if roberta else ''}LayerNorm",),
        }
    for part in ("weight", "bias") if roberta else ("weight",):
        names |= {f"{our}.{part}": tuple(f"{name}.{part}" for name in their) for our, their in modules.items()}
    return names | {"decoder.bias": ("lm_head.bias",)}


def _only_in_esm(model: MaskedLM, named: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """What EsmForMaskedLM holds and we do not: biases, all zero, rotary frequencies, an unused head for proteins."""
    config = model.encoder.config
    biases = {
        name.removesuffix("weight") + "bias": value.new_zeros(value.shape[0])
        for name, value in named.items()
        if name.endswith("weight") and not name.endswith(_TABLE)
    }
    exponent = torch.arange(0, config.head_width, 2, dtype=torch.float) / config.head_width
    return biases | {
        "esm.rotary_embeddings.inv_freq": 1.0 / config.rotary_base**exponent,
        "esm.contact_head.regression.weight": torch.zeros(1, config.layers * config.heads),
        "esm.contact_head.regression.bias": torch.zeros(1),
    }


def _some(names: list[str]) -> str:
    """The first names, and how many more there are."""
    return ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")
