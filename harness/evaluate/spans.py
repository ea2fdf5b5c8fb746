"""F1 over the entities of tagged sentences, as the CoNLL shared tasks score them.

An entity counts when its type and both its ends are right. Where a span begins and ends follows the script of the
shared tasks (`conlleval`), in every scheme that it reads (IOB1, IOB2, IOBES): a change of type ends a span whether or
not a B- says so.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import numpy.typing as npt

Span = tuple[str, int, int]
"""Type, first word, last word."""

_ALONE = ("B", "S", "O")
_ON = ("E", "I")


def spans_of(tags: Sequence[str]) -> list[Span]:
    """Entities of one sentence, in order. A tag without a hyphen other than O is a type of its own prefix: `B` alone
    begins a span without a type."""
    found: list[Span] = []
    before, before_type, first = "O", "", 0
    for index, tag in enumerate([*tags, "O"]):
        letter, kind = _parts(tag)
        if _ends(before, letter, before_type, kind):
            found.append((before_type, first, index - 1))
        if _begins(before, letter, before_type, kind):
            first = index
        before, before_type = letter, kind
    return found


def _parts(tag: str) -> tuple[str, str]:
    """Letter of the scheme, and type (a hyphen in a type stays in it)."""
    letter, _, kind = tag.partition("-")
    return letter, kind or "_"


def _ends(before: str, letter: str, before_type: str, kind: str) -> bool:
    if before in ("E", "S"):
        return True
    if before in ("B", "I") and letter in _ALONE:
        return True
    return before not in ("O", ".") and before_type != kind


def _begins(before: str, letter: str, before_type: str, kind: str) -> bool:
    if letter in ("B", "S"):
        return True
    if before in ("E", "S", "O") and letter in _ON:
        return True
    return letter not in ("O", ".") and before_type != kind


def span_counts(gold: Sequence[Sequence[str]], predicted: Sequence[Sequence[str]]) -> npt.NDArray[np.int64]:
    """Of each sentence: entities right, entities predicted, entities there: (sentences, 3). Raises ValueError when a
    sentence has more tags on one side."""
    return np.array(list(_counts(gold, predicted)), dtype=np.int64).reshape(-1, 3)


def _counts(gold: Sequence[Sequence[str]], predicted: Sequence[Sequence[str]]) -> Iterator[tuple[int, int, int]]:
    for there, said in zip(gold, predicted, strict=True):
        if len(there) != len(said):
            raise ValueError(f"{len(said)} tags for a sentence of {len(there)} words")
        right, found = set(spans_of(there)), set(spans_of(said))
        yield len(right & found), len(found), len(right)


def f1_of_counts(counts: npt.NDArray[np.int64]) -> float:
    """Micro F1, between 0 and 1, of rows (right, predicted, there); 0 where nothing is there or predicted."""
    right, predicted, there = counts.sum(axis=0)
    return float(2 * right / (predicted + there)) if predicted + there else 0.0
