"""Exact match and F1 of extracted answers: SQuAD v1.1's, and MLQA's with the languages' own articles and words.

Both compare normalised texts, and take the best of the gold answers. SQuAD lowers the case, drops ASCII punctuation and
the English articles. MLQA (section 4 of its paper) drops every mark that Unicode calls punctuation and the articles of
the language, and counts each Chinese character as a word.
"""

from __future__ import annotations

import functools
import re
import string
import sys
import unicodedata
from collections import Counter
from collections.abc import Callable, Sequence

Normalise = Callable[[str], list[str]]
"""From a text to the words that are compared."""

_ARTICLES = {
    "en": r"\b(a|an|the)\b",
    "es": r"\b(un|una|unos|unas|el|la|los|las)\b",
    "vi": r"\b(của|là|cái|chiếc|những)\b",
    "de": r"\b(ein|eine|einen|einem|eines|einer|der|die|das|den|dem|des)\b",
    "ar": r"\sال^|ال",
}
_BY_CHARACTER = ("zh",)
_HAN = re.compile("[\u4e00-\u9fa5]")
_ASCII_MARKS = frozenset(string.punctuation)


@functools.cache
def _marks() -> frozenset[str]:
    every = (chr(point) for point in range(sys.maxunicode))
    return frozenset(mark for mark in every if unicodedata.category(mark).startswith("P")) | _ASCII_MARKS


def squad_words(text: str) -> list[str]:
    """SQuAD v1.1's normalisation, for every language (as XQuAD is scored)."""
    bare = "".join(mark for mark in text.lower() if mark not in _ASCII_MARKS)
    return re.sub(_ARTICLES["en"], " ", bare).split()


def mlqa_words(language: str) -> Normalise:
    """MLQA's normalisation for a language; one that it does not have loses no articles."""

    def normalise(text: str) -> list[str]:
        bare = "".join(mark for mark in text.lower() if mark not in _marks())
        if language in _ARTICLES:
            bare = re.sub(_ARTICLES[language], " ", bare)
        return _by_character(bare) if language in _BY_CHARACTER else bare.split()

    return normalise


def _by_character(text: str) -> list[str]:
    """Han characters one by one, what stands between them by blanks."""
    words: list[str] = []
    other = ""
    for character in text:
        if _HAN.match(character) or character in _marks():
            words += [*other.split(), character]
            other = ""
        else:
            other += character
    return words + other.split()


def exact(said: str, gold: Sequence[str], normalise: Normalise) -> float:
    """1 when a gold answer has the same words, else 0."""
    words = normalise(said)
    return float(any(words == normalise(answer) for answer in gold))


def f1(said: str, gold: Sequence[str], normalise: Normalise) -> float:
    """Harmonic mean of the shares of words in common, the best over the gold answers."""
    return max(_f1(normalise(said), normalise(answer)) for answer in gold)


def _f1(said: list[str], there: list[str]) -> float:
    common = sum((Counter(said) & Counter(there)).values())
    if not common:
        return 0.0
    precision, recall = common / len(said), common / len(there)
    return 2 * precision * recall / (precision + recall)
