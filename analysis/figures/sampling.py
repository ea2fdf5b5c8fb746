"""Every outcome against the sampling alpha, a panel a group (paper Figure 5)."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pandas as pd

from analysis.axes import alpha_axis
from analysis.figures import panels
from analysis.figures.curse import seeds_text
from analysis.records import Completeness, Study

if TYPE_CHECKING:
    from matplotlib.figure import Figure

NAME, TITLE = "sampling", "What the sampling alpha gives to whom"
FINDINGS = ("F6", "F7", "F8")
AXIS = panels.Axis("alpha", "sampling alpha", "linear")


def data(df: pd.DataFrame, study: Study) -> pd.DataFrame:
    """What is drawn: one row for each (outcome, panel, alpha, width)."""
    part = alpha_axis(df)
    if part.rows.empty:
        return pd.DataFrame()
    groups = panels.groups_of(part, study)
    parts = []
    for outcome in panels.families(df):
        points = panels.measure(part.rows, outcome, groups, ["alpha", "width"])
        parts.append(panels.with_paper(points, "5", "alpha", outcome))
    points = pd.concat(parts, ignore_index=True)
    return points if points.empty else points.assign(K=part.fixed["K"])


def skipped(points: pd.DataFrame) -> str:
    """Why there is nothing to draw, or ""."""
    return "" if panels.several(points, "alpha") else "fewer than two alphas are finished, all else equal"


def draw(points: pd.DataFrame, df: pd.DataFrame, study: Study, state: Completeness) -> Figure:
    """A row an outcome, a panel a group, one line a width."""
    axis = replace(AXIS, label=f"{AXIS.label} (K = {points['K'].iloc[0]:g})")
    look = panels.Look(axis, by="width", name=lambda width: f"width {width:g}")
    return panels.draw(panels.whole_panels(points, "alpha"), df, study, state, alpha_axis(df), look)


def caption(points: pd.DataFrame) -> str:
    return panels.caption_of(
        points,
        f"Group means at K = {points['K'].iloc[0]:g} against the exponent alpha of the language sampling; "
        f"{seeds_text(panels.ours(points))}.",
        "5",
    )
