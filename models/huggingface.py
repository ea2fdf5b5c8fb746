"""To transformers: an `xlm-r` encoder as the folder that `AutoModelForMaskedLM` and `AutoTokenizer` load.

Weights are renamed, the fused query-key-value matrix is split; nothing is computed. `modern` has no counterpart there
and is refused by name. The folder is made of data files only (safetensors, JSON, the SentencePiece model).
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from torch import Tensor

from models.encoder import LAYER_NORM_EPS
from models.heads import MaskedLM
from models.sizes import PAD_ID, EncoderConfig

_SPECIAL = ("<s>", "<pad>", "</s>", "<unk>")


def export_folder(model: MaskedLM, sentencepiece_model: Path, folder: Path) -> None:
    """Write config, weights and tokenizer to `folder`, whole or not at all.

    Raises ValueError for a `modern` model: transformers has no encoder that is pre-LayerNorm, rotary and without
    biases with XLM-R's tied head.
    """
    config = model.encoder.config
    if config.kind != "xlm-r":
        raise ValueError(
            f"its kind is {config.kind}, and transformers has no encoder of that form (pre-LayerNorm, rotary, "
            "no biases); only kind xlm-r is exported"
        )
    beside = folder.with_name(f".{folder.name}.tmp")
    shutil.rmtree(beside, ignore_errors=True)
    beside.mkdir(parents=True)
    try:
        _write_json(beside / "config.json", transformers_config(config))
        save_file(transformers_weights(model), beside / "model.safetensors", metadata={"format": "pt"})
        shutil.copyfile(sentencepiece_model, beside / "sentencepiece.bpe.model")
        _write_json(beside / "tokenizer.json", tokenizer_json(sentencepiece_model))
        _write_json(beside / "tokenizer_config.json", tokenizer_config(config))
        beside.rename(folder)
    finally:
        shutil.rmtree(beside, ignore_errors=True)


def transformers_config(config: EncoderConfig) -> dict[str, Any]:
    """The fields of transformers' XLMRobertaConfig."""
    return {
        "architectures": ["XLMRobertaForMaskedLM"],
        "model_type": "xlm-roberta",
        "vocab_size": config.vocabulary,
        "hidden_size": config.width,
        "num_hidden_layers": config.layers,
        "num_attention_heads": config.heads,
        "intermediate_size": config.feedforward,
        "max_position_embeddings": config.positions + PAD_ID + 1,
        "hidden_act": "gelu",
        "hidden_dropout_prob": config.dropout,
        "attention_probs_dropout_prob": config.dropout,
        "layer_norm_eps": LAYER_NORM_EPS,  # the class default there is 1e-12
        "type_vocab_size": 1,
        "pad_token_id": PAD_ID,
        "bos_token_id": 0,
        "eos_token_id": 2,
        "tie_word_embeddings": True,
        "torch_dtype": "float32",
    }


def transformers_weights(model: MaskedLM) -> dict[str, Tensor]:
    """Our weights under transformers' names; the tied decoder is left out, as there."""
    ours = {name: value.detach().contiguous().clone() for name, value in model.state_dict().items()}
    table = {
        "encoder.embedding.tokens.weight": "roberta.embeddings.word_embeddings.weight",
        "encoder.embedding.positions.weight": "roberta.embeddings.position_embeddings.weight",
        "encoder.embedding.token_type.weight": "roberta.embeddings.token_type_embeddings.weight",
        "encoder.embedding.norm": "roberta.embeddings.LayerNorm",
        "dense": "lm_head.dense",
        "norm": "lm_head.layer_norm",
    }
    theirs: dict[str, Tensor] = {"lm_head.bias": ours.pop("decoder.bias")}
    ours.pop("decoder.weight")
    for here, there in table.items():
        if here in ours:
            theirs[there] = ours.pop(here)
        else:
            for part in ("weight", "bias"):
                theirs[f"{there}.{part}"] = ours.pop(f"{here}.{part}")
    for layer in range(model.encoder.config.layers):
        here, there = f"encoder.blocks.{layer}", f"roberta.encoder.layer.{layer}"
        for part in ("weight", "bias"):
            split = torch.chunk(ours.pop(f"{here}.qkv.{part}"), 3)
            for name, value in zip(("query", "key", "value"), split, strict=True):
                theirs[f"{there}.attention.self.{name}.{part}"] = value.contiguous().clone()
            theirs[f"{there}.attention.output.dense.{part}"] = ours.pop(f"{here}.out.{part}")
            theirs[f"{there}.attention.output.LayerNorm.{part}"] = ours.pop(f"{here}.attention_norm.{part}")
            theirs[f"{there}.intermediate.dense.{part}"] = ours.pop(f"{here}.up.{part}")
            theirs[f"{there}.output.dense.{part}"] = ours.pop(f"{here}.down.{part}")
            theirs[f"{there}.output.LayerNorm.{part}"] = ours.pop(f"{here}.feedforward_norm.{part}")
    assert not ours, f"weights without a name in transformers: {sorted(ours)}"
    return theirs


def tokenizer_config(config: EncoderConfig) -> dict[str, Any]:
    names = {"bos_token": "<s>", "cls_token": "<s>", "pad_token": "<pad>", "eos_token": "</s>", "sep_token": "</s>"}
    names |= {"unk_token": "<unk>", "mask_token": "<mask>"}
    return {"tokenizer_class": "PreTrainedTokenizerFast", "model_max_length": config.positions} | names


def tokenizer_json(sentencepiece_model: Path) -> dict[str, Any]:
    """The SentencePiece model as a `tokenizers` file: same normaliser, same pieces, XLM-R's ids, <s> ... </s> around.

    Raises ValueError for a BPE model, whose merges SentencePiece does not store.
    """
    import base64

    import sentencepiece as spm
    from sentencepiece import sentencepiece_model_pb2

    proto: Any = sentencepiece_model_pb2.ModelProto()  # type: ignore[attr-defined]
    proto.ParseFromString(sentencepiece_model.read_bytes())
    if proto.trainer_spec.model_type != 1:
        raise ValueError("its tokenizer is BPE; only unigram tokenizers are exported so far")
    processor = spm.SentencePieceProcessor(model_file=str(sentencepiece_model))
    pieces = [[processor.id_to_piece(index), processor.get_score(index)] for index in range(processor.get_piece_size())]
    vocabulary = [["<s>", 0.0], ["<pad>", 0.0], ["</s>", 0.0], ["<unk>", 0.0], *pieces[3:], ["<mask>", 0.0]]
    mask = len(vocabulary) - 1

    def special(index: int, content: str) -> dict[str, Any]:
        lstrip = content == "<mask>"
        flags = {"single_word": False, "lstrip": lstrip, "rstrip": False, "normalized": False, "special": True}
        return {"id": index, "content": content} | flags

    normalizers: list[dict[str, Any]] = []
    if proto.normalizer_spec.precompiled_charsmap:
        charsmap = base64.b64encode(proto.normalizer_spec.precompiled_charsmap).decode()
        normalizers.append({"type": "Precompiled", "precompiled_charsmap": charsmap})
    normalizers += [
        {"type": "Strip", "strip_left": True, "strip_right": True},
        {"type": "Replace", "pattern": {"Regex": " {2,}"}, "content": " "},
    ]
    metaspace = {"type": "Metaspace", "replacement": "▁", "prepend_scheme": "always", "split": False}
    around = [{"SpecialToken": {"id": "<s>", "type_id": 0}}, {"Sequence": {"id": "A", "type_id": 0}}]
    end = {"SpecialToken": {"id": "</s>", "type_id": 0}}
    second = [end, {"Sequence": {"id": "B", "type_id": 0}}, end]
    return {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": [*(special(index, content) for index, content in enumerate(_SPECIAL)), special(mask, "<mask>")],
        "normalizer": {"type": "Sequence", "normalizers": normalizers},
        "pre_tokenizer": metaspace,
        "post_processor": {
            "type": "TemplateProcessing",
            "single": [*around, end],
            "pair": [*around, end, *second],
            "special_tokens": {
                "<s>": {"id": "<s>", "ids": [0], "tokens": ["<s>"]},
                "</s>": {"id": "</s>", "ids": [2], "tokens": ["</s>"]},
            },
        },
        "decoder": {
            "type": "Sequence",
            "decoders": [
                {"type": "ByteFallback"},
                {"type": "Fuse"},
                {"type": "Replace", "pattern": {"String": "▁"}, "content": " "},
                {"type": "Strip", "content": " ", "start": 1, "stop": 0},
            ],
        },
        "model": {
            "type": "Unigram",
            "unk_id": 3,
            "vocab": vocabulary,
            "byte_fallback": bool(proto.trainer_spec.byte_fallback),
        },
    }


def _write_json(path: Path, value: Any) -> None:
    path.write_text(json.dumps(value, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
