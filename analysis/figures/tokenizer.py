"""Every outcome against the tokenizer's own sampling alpha, a line an alpha of the batches (paper section 5.1 claims a
"similar trend" and shows none)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pandas as pd

from analysis.axes import plane
from analysis.figures import panels
from analysis.figures.curse import seeds_text
from analysis.records import Completeness, Study

if TYPE_CHECKING:
    from matplotlib.figure import Figure

NAME, TITLE = "tokenizer", "What the tokenizer's alpha gives to whom"
FINDINGS = ("F12",)
AXIS = panels.Axis("tokenizer_alpha", "the tokenizer's alpha", "linear")
_PLANE = ("tokenizer_alpha", "alpha")


def data(df: pd.DataFrame, study: Study) -> pd.DataFrame:
    """What is drawn: one row for each (outcome, panel, tokenizer_alpha, alpha)."""
    part = plane(df, _PLANE)
    if part.rows["tokenizer_alpha"].nunique() < 2:
        return pd.DataFrame()
    groups = panels.groups_of(part, study)
    parts = [panels.measure(part.rows, outcome, groups, _PLANE) for outcome in panels.families(df)]
    return pd.concat(parts, ignore_index=True)


def skipped(points: pd.DataFrame) -> str:
    """Why there is nothing to draw, or ""."""
    several = panels.several(points, "tokenizer_alpha")
    return "" if several else "only one alpha of the tokenizer is finished, all else equal"


def draw(points: pd.DataFrame, df: pd.DataFrame, study: Study, state: Completeness) -> Figure:
    """A row an outcome, a panel a group, one line an alpha of the batches."""
    look = panels.Look(AXIS, by="alpha", name=lambda alpha: f"batches: alpha {alpha:g}")
    return panels.draw(panels.whole_panels(points, "tokenizer_alpha"), df, study, state, plane(df, _PLANE), look)


def caption(points: pd.DataFrame) -> str:
    text = (
        "Group means against the exponent alpha with which the tokenizer's own text was sampled, a line an alpha of the"
    )
    return panels.caption_of(points, f"{text} batches; {seeds_text(panels.ours(points))}.", "")
