"""A SentencePiece model as the files that transformers' `AutoTokenizer` loads: same text, same ids."""

from __future__ import annotations

import base64
import unicodedata
from pathlib import Path
from typing import Any

from models.sizes import EncoderConfig

_SPECIAL = ("<s>", "<pad>", "</s>", "<unk>")


def tokenizer_config(config: EncoderConfig) -> dict[str, Any]:
    names = {"bos_token": "<s>", "cls_token": "<s>", "pad_token": "<pad>", "eos_token": "</s>", "sep_token": "</s>"}
    names |= {"unk_token": "<unk>", "mask_token": "<mask>"}
    return {"tokenizer_class": "PreTrainedTokenizerFast", "model_max_length": config.positions} | names


def tokenizer_json(sentencepiece_model: Path) -> dict[str, Any]:
    """The SentencePiece model as a `tokenizers` file: same normaliser, same pieces, XLM-R's ids, <s> ... </s> around.

    Raises ValueError for a BPE model, whose merges SentencePiece does not store.
    """
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
            {"type": "Replace", "pattern": {"String": apart}, "content": together} for apart, together in _voiced_kana()
        ]
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


def _voiced_kana() -> list[tuple[str, str]]:
    """Kana and a combining voicing mark, and the letter that the two make: 58 pairs.

    SentencePiece composes them, `tokenizers` maps characters one by one where they take six bytes or more, which
    half-width katakana with a mark do. NFC would compose all scripts, and reorder the marks of Hebrew and Arabic, which
    SentencePiece leaves as they stand. Conjoining jamo have the same gap and too many pairs to list.
    """
    letters = map(chr, range(0x3041, 0x3100))
    apart = ((unicodedata.normalize("NFD", letter), letter) for letter in letters)
    return [(pair, letter) for pair, letter in apart if len(pair) == 2]
