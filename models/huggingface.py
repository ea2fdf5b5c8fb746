"""To and from transformers: an encoder as the folder that `AutoModelForMaskedLM` and `AutoTokenizer` load, and back.

Kind `xlm-r` is XLMRobertaForMaskedLM. Kind `modern` is EsmForMaskedLM with every bias at zero: pre-LayerNorm, rotary
positions, a LayerNorm at the end, RoBERTa's head (transformers 5.17 or newer; older ones know one rotary base only).
The folder is made of data files only (safetensors, JSON, the SentencePiece model).
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

from models.encoder import LAYER_NORM_EPS
from models.heads import MaskedLM
from models.huggingface_weights import load_transformers_weights, transformers_weights
from models.sizes import END_ID, PAD_ID, EncoderConfig
from models.tokenizer_json import tokenizer_config, tokenizer_json

_AS_IN_XLM_R: dict[str, tuple[Any, Any]] = {
    "hidden_act": ("gelu", "gelu"),
    "layer_norm_eps": (LAYER_NORM_EPS, 1e-12),
    "position_embedding_type": ("absolute", "absolute"),
    "type_vocab_size": (1, 2),
    "tie_word_embeddings": (True, True),
    "pad_token_id": (PAD_ID, 1),
    "bos_token_id": (0, 0),
    "eos_token_id": (END_ID, 2),
    "is_decoder": (False, False),
    "add_cross_attention": (False, False),
}
"""Fields of XLMRobertaConfig that have one legal value here, and the value that leaving them out means there."""


def export_folder(model: MaskedLM, sentencepiece_model: Path, folder: Path) -> None:
    """Write config, weights and tokenizer to `folder`, whole or not at all.

    A model whose attention stops at documents is written as one that sees its whole row: there, give it one document.
    Raises ValueError for a gated model, which transformers has no exact counterpart of, and for a BPE tokenizer.
    """
    config = model.encoder.config
    fields = transformers_config(config)
    beside = folder.with_name(f".{folder.name}.tmp")
    shutil.rmtree(beside, ignore_errors=True)
    beside.mkdir(parents=True)
    try:
        _write_json(beside / "config.json", fields)
        save_file(transformers_weights(model), beside / "model.safetensors", metadata={"format": "pt"})
        shutil.copyfile(sentencepiece_model, beside / "sentencepiece.bpe.model")
        _write_json(beside / "tokenizer.json", tokenizer_json(sentencepiece_model))
        _write_json(beside / "tokenizer_config.json", tokenizer_config(config))
        beside.rename(folder)
    finally:
        shutil.rmtree(beside, ignore_errors=True)


def import_folder(folder: Path) -> MaskedLM:
    """The model of a folder that holds an XLMRobertaForMaskedLM, in fp32 on the CPU; the tokenizer is not read.

    Raises ValueError for a folder without config.json or model.safetensors, and as `encoder_config` and
    `load_transformers_weights` do.
    """
    for name in ("config.json", "model.safetensors"):
        if not (folder / name).is_file():
            raise ValueError(f"{folder} has no {name}; a model is read from config.json and one model.safetensors")
    try:
        fields = json.loads((folder / "config.json").read_text(encoding="utf-8"))
        weights = load_file(folder / "model.safetensors")
    except (ValueError, SafetensorError) as error:
        raise ValueError(f"{folder} cannot be read: {error}") from error
    if not isinstance(fields, dict):
        raise ValueError(f"{folder / 'config.json'} holds no mapping of fields")
    model = MaskedLM(encoder_config(fields))
    load_transformers_weights(model, weights)
    return model


def transformers_config(config: EncoderConfig) -> dict[str, Any]:
    """The fields of transformers' XLMRobertaConfig, or for kind `modern` of its EsmConfig.

    Raises ValueError for a gated model.
    """
    if config.gated:
        raise ValueError(
            "its feed-forward is gated; the nearest in transformers, ModernBERT, normalises the token embeddings and "
            "has no attention norm in its first layer, so its residual stream starts from other values and no choice "
            "of weights makes the two equal; models that are not gated are exported"
        )
    fields = {
        "vocab_size": config.vocabulary,
        "hidden_size": config.width,
        "num_hidden_layers": config.layers,
        "num_attention_heads": config.heads,
        "intermediate_size": config.feedforward,
        "hidden_dropout_prob": config.dropout,
        "attention_probs_dropout_prob": config.dropout,
        "layer_norm_eps": LAYER_NORM_EPS,  # the class default there is 1e-12
        "pad_token_id": PAD_ID,
        "bos_token_id": 0,
        "eos_token_id": END_ID,
        "tie_word_embeddings": True,
        "torch_dtype": "float32",
    }
    if config.kind == "xlm-r":
        return fields | {
            "architectures": ["XLMRobertaForMaskedLM"],
            "model_type": "xlm-roberta",
            "max_position_embeddings": config.positions + PAD_ID + 1,
            "hidden_act": "gelu",
            "type_vocab_size": 1,
        }
    return fields | {
        "architectures": ["EsmForMaskedLM"],
        "model_type": "esm",
        "max_position_embeddings": config.positions,
        "position_embedding_type": "rotary",
        "rope_theta": config.rotary_base,
        "mask_token_id": config.vocabulary - 1,
        "emb_layer_norm_before": False,
        "token_dropout": False,
    }


def encoder_config(fields: Mapping[str, Any]) -> EncoderConfig:
    """The encoder that a config.json of transformers' XLM-R describes.

    Raises ValueError, with field and value, where it is another kind of model or has no equal here.
    """
    kind = fields.get("model_type")
    if kind != "xlm-roberta":
        raise ValueError(f"its model_type is {kind!r}; only xlm-roberta is read")
    for name, (ours, left_out) in _AS_IN_XLM_R.items():
        value = fields.get(name, left_out)
        if value != ours:
            raise ValueError(f"its {name} is {value!r}; an encoder of kind xlm-r has {ours!r}")
    defaults = {"hidden_dropout_prob": 0.1, "attention_probs_dropout_prob": 0.1} | {
        "vocab_size": 30522,
        "hidden_size": 768,
        "num_hidden_layers": 12,
        "num_attention_heads": 12,
        "intermediate_size": 3072,
        "max_position_embeddings": 512,
    }
    numbers = {name: fields.get(name, default) for name, default in defaults.items()}
    for name, value in numbers.items():
        if isinstance(value, bool) or not isinstance(value, int | float if name.endswith("_prob") else int):
            raise ValueError(f"its {name} is {value!r}, which is no number of that sort")
    if numbers["hidden_dropout_prob"] != numbers["attention_probs_dropout_prob"]:
        raise ValueError(
            f"its hidden_dropout_prob is {numbers['hidden_dropout_prob']} and its attention_probs_dropout_prob is "
            f"{numbers['attention_probs_dropout_prob']}; an encoder here has one dropout for both"
        )
    return EncoderConfig(
        kind="xlm-r",
        vocabulary=int(numbers["vocab_size"]),
        width=int(numbers["hidden_size"]),
        layers=int(numbers["num_hidden_layers"]),
        heads=int(numbers["num_attention_heads"]),
        feedforward=int(numbers["intermediate_size"]),
        positions=int(numbers["max_position_embeddings"]) - PAD_ID - 1,
        dropout=numbers["hidden_dropout_prob"],
    )


def _write_json(path: Path, value: Any) -> None:
    path.write_text(json.dumps(value, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
