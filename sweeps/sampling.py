"""The language distribution: who is drawn how often. Plan, tokenizer and batches all ask here.

p_l is a language's share of the corpus, counted in **bytes of training text**; q_l = p_l^alpha / sum p^alpha (paper
section 3.1, Lample & Conneau's rule). alpha = 1 follows the data, alpha = 0 is uniform, temperature = 1 / alpha. A
study may count tokens or documents instead, or ask for UniMax, which caps the epochs of small languages.

Drawing is *systematic*: global samples come in blocks of `BLOCK`, each block takes evenly spaced points of [0, 1) with
an offset that walks from block to block, and each point falls on the language whose slice of the cumulated q covers
it. So counts stay within one of their expectation in every block, and the number of draws before any block is closed
form: resuming at sample 10^10 costs what resuming at 0 costs.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

BLOCK = 1024
"""Global samples in one block of the systematic draw. Part of every run's meaning: changing it changes batches."""

_MODULUS = 1 << 62
_WALK = int(_MODULUS * ((math.sqrt(5) - 1) / 2)) | 1
"""Offset walk by the golden ratio, in units of 1/_MODULUS: the most even filling of the circle."""


def language_distribution(sizes: Mapping[str, float], alpha: float) -> dict[str, float]:
    """q_l for every language of `sizes` (bytes of training text, each > 0), in the order given; sums to 1."""
    if not sizes:
        raise ValueError("a language distribution needs at least one language")
    if alpha < 0:
        raise ValueError(f"alpha is {alpha}; it must be at least 0 (0 uniform, 1 as the data)")
    bad = [language for language, size in sizes.items() if size <= 0]
    if bad:
        raise ValueError(f"no training text for {', '.join(bad)}")
    total = float(sum(sizes.values()))
    power = {language: (size / total) ** alpha for language, size in sizes.items()}
    norm = sum(power.values())
    return {language: value / norm for language, value in power.items()}


def unimax_distribution(held: Mapping[str, float], *, drawn: float, max_epochs: float) -> dict[str, float]:
    """UniMax (Chung et al. 2023, arXiv 2304.09151): uniform over languages, none expected past `max_epochs` epochs.

    `held` and `drawn` count the same thing (rows, or tokens). From the smallest language up, each takes an even share
    of the budget that is left, or all that its cap allows, so what a small language cannot take goes to the larger
    ones and the whole budget is spent. Order as given; sums to 1. Raises ValueError when all caps together hold less
    than the budget.
    """
    if not held or min(held.values()) <= 0 or drawn <= 0 or max_epochs <= 0:
        raise ValueError("UniMax needs languages with text, a budget above 0 and max_epochs above 0")
    room = max_epochs * float(sum(held.values()))
    if room < drawn:
        raise ValueError(
            f"the run's budget is {drawn / sum(held.values()):.4g} epochs of all its text, more than max_epochs "
            f"({max_epochs:g}): shorten the run, raise recipe.sampling.max_epochs, or bring more text"
        )
    left, taken = float(drawn), {}
    for done, language in enumerate(sorted(held, key=held.__getitem__)):
        taken[language] = min(left / (len(held) - done), max_epochs * held[language])
        left -= taken[language]
    total = sum(taken.values())
    return {language: taken[language] / total for language in held}


@dataclass(frozen=True)
class TextSize:
    """Training text of one language, in every unit that a distribution may count."""

    bytes: int
    tokens: int
    documents: int
    rows: int
    """Full rows of the run's length."""


def run_distribution(science: Mapping[str, Any], held: Mapping[str, TextSize]) -> dict[str, float]:
    """q_l of a run, from its resolved science (`sweeps.grid`) and what its corpus holds. Raises ValueError."""
    block = science.get("sampling", {})
    if block.get("kind") == "unimax":
        rows = {language: float(size.rows) for language, size in held.items()}
        return unimax_distribution(rows, drawn=science["steps"] * science["batch_rows"], max_epochs=block["max_epochs"])
    count = block.get("count", "bytes")
    return language_distribution({code: float(getattr(size, count)) for code, size in held.items()}, science["alpha"])


def epochs_per_language(
    q: Mapping[str, float], *, tokens_drawn: float, tokens_held: Mapping[str, float]
) -> dict[str, float]:
    """How often each language's training text is passed when `tokens_drawn` tokens are drawn by `q`."""
    return {language: q[language] * tokens_drawn / tokens_held[language] for language in q}


@dataclass(frozen=True)
class SystematicDraw:
    """The sequence of languages of a run: language of sample n, and how many draws each language had before a block.

    `edges[l]` is the upper end of language l's slice of [0, BLOCK), in units of 1/_MODULUS (exact integers, so every
    machine and rank count agrees). Build with `systematic_draw`.
    """

    languages: tuple[str, ...]
    edges: tuple[int, ...]
    start: int

    def offset(self, block: int) -> int:
        """Offset of the block's points, in [0, _MODULUS)."""
        return (self.start + block * _WALK) % _MODULUS

    def counts_before(self, block: int) -> list[int]:
        """Draws of each language in blocks 0 .. block - 1, in closed form."""
        below = [self._points_below(edge, block) for edge in self.edges]
        return [high - low for low, high in zip([0, *below[:-1]], below, strict=True)]

    def counts_in(self, block: int) -> list[int]:
        """Draws of each language inside `block`; they sum to BLOCK."""
        offset = self.offset(block)
        below = [min(BLOCK, max(0, -((offset - edge) // _MODULUS))) for edge in self.edges]
        return [high - low for low, high in zip([0, *below[:-1]], below, strict=True)]

    def _points_below(self, edge: int, blocks: int) -> int:
        """Number of points k + offset(b) / _MODULUS, k in [0, BLOCK), b in [0, blocks), that lie below `edge`.

        In one block it is whole(edge) plus one if the block's offset is below the rest, since points are 1 apart.
        """
        whole, rest = divmod(edge, _MODULUS)
        if whole >= BLOCK:
            return BLOCK * blocks
        return whole * blocks + _count_residues_below(blocks, _WALK, self.start, _MODULUS, rest)


def systematic_draw(q: Mapping[str, float], start: float) -> SystematicDraw:
    """`q` sums to 1; `start` in [0, 1) is the first block's offset, drawn by the caller from its named generator."""
    edges: list[int] = []
    cumulated = 0.0
    for share in q.values():
        cumulated += share
        edges.append(round(min(cumulated, 1.0) * BLOCK * _MODULUS))
    edges[-1] = BLOCK * _MODULUS
    return SystematicDraw(tuple(q), tuple(edges), int(start * _MODULUS) % _MODULUS)


def _count_residues_below(count: int, step: int, start: int, modulus: int, limit: int) -> int:
    """#{i in [0, count): (start + i * step) mod modulus < limit}, for 0 <= limit <= modulus.

    x mod m < t exactly when floor(x / m) - floor((x - t) / m) is 1.
    """
    shifted = start - limit + modulus  # kept non-negative; the added modulus is taken off again below
    return _floor_sum(count, modulus, step, start) - (_floor_sum(count, modulus, step, shifted) - count)


def _floor_sum(count: int, modulus: int, step: int, start: int) -> int:
    """Sum over i in [0, count) of floor((step * i + start) / modulus), by Euclid's algorithm: O(log modulus)."""
    total = 0
    while count > 0:
        total += (count - 1) * count // 2 * (step // modulus) + count * (start // modulus)
        step, start = step % modulus, start % modulus
        last = step * count + start
        if last < modulus:
            break
        count, start = divmod(last, modulus)
        modulus, step = step, modulus
    return total
