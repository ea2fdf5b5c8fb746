"""How a tokenizer treats each of its languages, counted on a bounded sample of held-out text.

A word is a run of characters between white space that holds a letter or digit; in scripts written without spaces
(Han, kana, Thai, Lao, Khmer, Burmese) each letter counts as one word. So tokens per word compare tokenizers on one
language, and languages only within a kind of script; tokens per byte compare neither alphabets of different width.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import sentencepiece as spm

from harness.corpus.documents import Documents
from harness.corpus.tokenizer_text import drawn_documents

SAMPLE_BYTES = 200_000
"""Of held-out text, for each language; a language with less is counted whole."""

_UNSPACED = "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3005-\u3007\u3040-\u30ff\u31f0-\u31ff\u3400-\u4dbf\u4e00-\u9fff"
_UNSPACED += "\uf900-\ufaff\uff66-\uff9f\U00020000-\U0003ffff"
_CANDIDATE = re.compile(f"[{_UNSPACED}]|[^\\s{_UNSPACED}]+")


@dataclass(frozen=True)
class LanguageStatistics:
    """Counts over one language's sample; `share_of_pieces` is of all pieces of the tokenizer."""

    bytes: int
    words: int
    tokens: int
    tokens_per_byte: float | None
    tokens_per_word: float | None
    unknown_rate: float | None
    """Share of the tokens that are <unk>: text that no piece covers, where there is no byte fallback."""
    byte_rate: float | None
    """Share of the tokens that are single bytes of such text."""
    share_of_pieces: float
    """Distinct pieces that occur, over all pieces."""


def count_words(text: str) -> int:
    """Words as this module defines them."""
    words = 0
    for found in _CANDIDATE.findall(text):
        if len(found) == 1:
            words += unicodedata.category(found)[0] in "LN"
        else:
            words += any(character.isalnum() for character in found)
    return words


def tokenizer_statistics(
    processor: spm.SentencePieceProcessor, heldout: dict[str, Documents], seed: int
) -> dict[str, Any]:
    """Statistics of every language, and the share of pieces that occur in any of the samples."""
    kinds = _Kinds(processor)
    used_anywhere = np.zeros(len(kinds.is_byte), dtype=bool)
    languages: dict[str, Any] = {}
    for language, documents in sorted(heldout.items()):
        statistics, used = _of_language(processor, documents, kinds, language, seed)
        languages[language] = asdict(statistics)
        used_anywhere |= used
    return {
        "sample_bytes": SAMPLE_BYTES,
        "share_of_pieces": float(used_anywhere.sum() / kinds.pieces),
        "languages": languages,
    }


class _Kinds:
    """Which SentencePiece ids are what."""

    def __init__(self, processor: spm.SentencePieceProcessor) -> None:
        size = processor.get_piece_size()
        self.is_byte = np.asarray([processor.is_byte(piece) for piece in range(size)])
        self.unknown: int = processor.unk_id()
        self.pieces = size - sum(processor.is_control(piece) or processor.is_unknown(piece) for piece in range(size))


def _of_language(
    processor: spm.SentencePieceProcessor, documents: Documents, kinds: _Kinds, language: str, seed: int
) -> tuple[LanguageStatistics, npt.NDArray[np.bool_]]:
    texts = list(drawn_documents(documents, SAMPLE_BYTES, seed, language, "statistics"))
    size, words = sum(len(text.encode()) for text in texts), sum(map(count_words, texts))
    encoded = processor.encode(texts, out_type="numpy", num_threads=1)
    ids = np.concatenate([np.empty(0, np.int32), *encoded])
    counts = np.bincount(ids, minlength=len(kinds.is_byte))
    tokens, used = int(counts.sum()), counts > 0
    used[kinds.unknown] = False
    statistics = LanguageStatistics(
        bytes=size,
        words=words,
        tokens=tokens,
        tokens_per_byte=_ratio(tokens, size),
        tokens_per_word=_ratio(tokens, words),
        unknown_rate=_ratio(int(counts[kinds.unknown]), tokens),
        byte_rate=_ratio(int(counts[kinds.is_byte].sum()), tokens),
        share_of_pieces=float(used.sum() / kinds.pieces),
    )
    return statistics, used


def _ratio(part: int, whole: int) -> float | None:
    return part / whole if whole else None
