"""The paper's own points (arXiv 1911.02116 v2, section 5.1, Figures 2 to 7 and Table 5): XNLI accuracy in points.

Table 5 is printed, its group means are exact; the figures print no numbers, so bar heights are read off, good to about
one point (`Source.READ_OFF`). The paper states no number of seeds and no interval for any of them. Its figures do not
share one recipe: only points of one figure may be compared with each other.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any

import pandas as pd

from analysis.statistics import Outcome
from sweeps.languages import HIGH, LOW, XLM_7

TASK = "xnli"
"""The task of every point: zero-shot from English, English itself in the means."""
GROUPS: Mapping[str, tuple[str, ...]] = {"high": HIGH, "low": LOW, "core": XLM_7}
ROW_TOKENS = 512
"""Tokens in a row of the paper's batches. Not printed; its authors' code has 512."""


class Source(StrEnum):
    """How a point is known."""

    READ_OFF = "read off"
    PRINTED = "printed"
    DERIVED = "mean of printed"


@dataclass(frozen=True)
class Curve:
    """One curve of one figure. place: the values of the swept axis, or the languages of Table 5's row."""

    figure: str
    """As in the paper: "2" to "7", or "table 5"."""
    series: str
    place: tuple[Any, ...]
    points: tuple[float, ...]
    source: Source = Source.READ_OFF
    group: str = "core"
    """Whom the points are a mean over; the paper's "all" is the mean over its seven languages."""


_COUNTS = (7, 15, 30, 60, 100)
_ALPHAS = (0.01, 0.3, 0.7, 1.0)
_SIZES = (32_000, 64_000, 128_000, 256_000, 512_000)
_BATCHES = (2048, 4096, 8192)
FIXED, WIDENED = "width 768", "widened (960, 1152)"
WIDTHS = {(FIXED, 7): 768, (FIXED, 30): 768, (FIXED, 100): 768, (WIDENED, 30): 960, (WIDENED, 100): 1152}
"""Of Figure 4, by curve and language count."""
TOTAL, BODY = "constant total", "constant body"
WIKIPEDIA, COMMONCRAWL = "Wikipedia", "CommonCrawl"
MONOLINGUAL, ZERO_SHOT, TRANSLATED = "monolingual", "XLM-7, zero-shot", "XLM-7, translate-train-all"

_TABLE_5 = {
    (MONOLINGUAL, WIKIPEDIA): (84.5, 78.6, 80.0, 75.5, 77.7, 60.1, 57.3),
    (MONOLINGUAL, COMMONCRAWL): (86.7, 81.2, 81.2, 78.2, 79.5, 70.8, 65.1),
    (ZERO_SHOT, WIKIPEDIA): (82.3, 76.8, 74.7, 72.5, 73.1, 60.8, 62.3),
    (ZERO_SHOT, COMMONCRAWL): (85.7, 78.6, 79.5, 76.4, 74.8, 71.2, 66.9),
    (TRANSLATED, WIKIPEDIA): (84.6, 80.1, 80.2, 75.7, 78.0, 68.7, 66.7),
    (TRANSLATED, COMMONCRAWL): (87.2, 82.5, 82.9, 79.7, 80.4, 75.7, 71.5),
}
PRINTED_MEANS = {
    (MONOLINGUAL, WIKIPEDIA): 73.4,
    (MONOLINGUAL, COMMONCRAWL): 77.5,
    (ZERO_SHOT, WIKIPEDIA): 71.8,
    (ZERO_SHOT, COMMONCRAWL): 76.2,
    (TRANSLATED, WIKIPEDIA): 76.3,
    (TRANSLATED, COMMONCRAWL): 80.0,
}
"""Table 5's last column, to check the cells against."""
CURVES: tuple[Curve, ...] = (
    Curve("2", "", _COUNTS, (63, 65, 64, 61, 58), group="low"),
    Curve("2", "", _COUNTS, (80, 79, 78, 77, 74), group="high"),
    Curve("2", "", _COUNTS, (72, 72, 71, 69, 67)),
    # Figure 3 shows the two models of Table 5's zero-shot rows, so its bars are known exactly.
    Curve("3", "", (WIKIPEDIA, COMMONCRAWL), (61.55, 69.05), Source.DERIVED, "low"),
    Curve("3", "", (WIKIPEDIA, COMMONCRAWL), (79.55, 82.15), Source.DERIVED, "high"),
    Curve("3", "", (WIKIPEDIA, COMMONCRAWL), (71.8, 76.2), Source.PRINTED),
    Curve("4", FIXED, (7, 30, 100), (72.8, 71.8, 67.5)),
    Curve("4", WIDENED, (30, 100), (72.4, 69.7)),
    Curve("5", "", _ALPHAS, (58, 57, 52, 49), group="low"),
    Curve("5", "", _ALPHAS, (72, 74, 75, 75), group="high"),
    Curve("5", "", _ALPHAS, (65, 66, 65, 64)),
    Curve("6", TOTAL, _SIZES, (61.9, 62.5, 63.6, 64.7, 63.3)),
    Curve("6", BODY, _SIZES[2:], (63.6, 66.6, 67.7)),
    Curve("7", "batch", tuple(rows * ROW_TOKENS for rows in _BATCHES), (64.7, 65.5, 67.0)),
    Curve("7", "tokenizer", ("unigram", "bpe"), (63.8, 64.0)),
    *(
        Curve("table 5", f"{model}, {corpus}", XLM_7, row, Source.PRINTED)
        for (model, corpus), row in _TABLE_5.items()
    ),
)  # fmt: skip


def curves(figure: str) -> list[Curve]:
    """The curves of one figure, or Table 5's rows."""
    return [curve for curve in CURVES if curve.figure == figure]


def as_paper(outcome: Outcome) -> Outcome:
    """The outcome as the paper averages it: English, on which the models were fine-tuned, stands in XNLI's means.

    Verdicts leave English out, for its score is no zero-shot one; only so are figures comparable with the paper's.
    """
    return replace(outcome, zero_shot=False) if outcome.task == TASK else outcome


def comparable(outcome: Outcome, languages: tuple[str, ...], group: str) -> bool:
    """Whether a mean over `languages` is what the paper's points of the group are: XNLI, the same languages."""
    return outcome.task == TASK and set(languages) == set(GROUPS.get(group, ()))


def overlay(
    figure: str, axis: str, outcome: Outcome, languages: tuple[str, ...], group: str, series: str = ""
) -> pd.DataFrame:
    """The paper's points to lay under means over `languages`: columns `axis`, mean, series; empty where the two are
    not comparable. series: one curve of the figure, or "" for all."""
    rows = [
        {axis: place, "mean": float(value), "series": curve.series}
        for curve in curves(figure)
        if curve.group == group and series in ("", curve.series) and comparable(outcome, languages, group)
        for place, value in zip(curve.place, curve.points, strict=True)
    ]
    return pd.DataFrame(rows, columns=[axis, "mean", "series"])
