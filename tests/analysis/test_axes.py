"""What tells cells apart is named once, in words that a reader knows."""

from __future__ import annotations

import math

import pandas as pd
import pytest

from analysis.axes import plane, telling, words
from analysis.laws.report import number_text
from analysis.records import AXES
from analysis.report.tables import named
from analysis.statistics import Interval


def cells(*rows: dict[str, object]) -> pd.DataFrame:
    same: dict[str, object] = dict.fromkeys(AXES, 1) | {"languages": "en,de"}
    return pd.DataFrame([same | row for row in rows], columns=AXES)


@pytest.fixture
def paired() -> pd.DataFrame:
    """Two alphas, and UniMax at another width."""
    rows = [
        {"alpha": 0.3, "sampling": "alpha", "width": 1},
        {"alpha": 0.7, "sampling": "alpha", "width": 1},
        {"alpha": math.nan, "sampling": "unimax 4", "width": 2},
    ]
    return cells(*rows).assign(run=["a", "b", "c"], seed=0)


def test_what_follows_the_language_count_is_not_named_beside_it() -> None:
    two, three = {"K": 2, "languages": "en,de"}, {"K": 3, "languages": "en,de,fr"}
    retrained = cells(two | {"tokenizer_languages": 2}, three | {"tokenizer_languages": 3})
    assert telling(retrained) == ["K"]
    both = cells(two | {"tokenizer_languages": 2}, two | {"tokenizer_languages": 3}, three | {"tokenizer_languages": 3})
    assert telling(both) == ["K", "tokenizer_languages"]
    assert telling(cells(two, {"K": 2, "languages": "en,fr"})) == ["languages"]
    assert telling(cells({"alpha": 0.3}, {"alpha": math.nan})) == ["alpha"], "UniMax has no alpha"
    assert telling(cells()) == [] and telling(cells(two)) == []


def test_of_alphas_and_unimax_only_unimax_says_how_it_draws(paired: pd.DataFrame) -> None:
    part = plane(paired, ["alpha"])
    assert part.cautions == ("runs that differ elsewhere are left out here (1); kept: width 1",)
    assert named(paired[AXES])[0] == ["K 1", "α 0.3", "width 1"]
    assert named(paired[AXES])[-1] == ["K 1", "α none", "width 2", "drawn by unimax 4"]


def test_axes_are_called_what_a_reader_calls_them() -> None:
    said = {"tokenizer_algorithm": "tokenizer", "kind": "architecture", "text_bytes": "text bytes", "K": "K"}
    assert {name: words(name) for name in said} == said


@pytest.mark.parametrize(
    ("mean", "low", "high", "text"),
    [
        (12000.0, 8589.4, 12000.0, "12000 [8589, 12000]"),
        (0.24312, 0.21, 0.276, "0.2431 [0.21, 0.276]"),
        (1.2345e8, math.nan, math.nan, "1.234e+08 [no interval]"),
        (9999.7, 2.0, 1e6, "10000 [2, 1000000]"),
    ],
)
def test_numbers_of_laws_are_written_out_while_that_can_be_read(
    mean: float, low: float, high: float, text: str
) -> None:
    assert number_text(Interval(mean, low, high, 9)) == text
