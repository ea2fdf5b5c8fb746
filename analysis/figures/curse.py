"""Bits per byte against language count: high and low group and core side by side, a line a width (paper Figure 2)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import pandas as pd

from analysis.axes import language_axis
from analysis.figures import panels, style
from analysis.plateau import unigram_level
from analysis.records import Completeness, Study
from analysis.statistics import BITS

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

NAME, TITLE = "curse", "Bits per byte as languages are added"
FINDINGS = ("F1", "F2", "F4")
AXIS = panels.Axis("K", "languages, K (log scale)", "log")
PLATEAU = " Dotted: a unigram model of each language's training text, the plateau that a comparable run has left."


def data(df: pd.DataFrame, study: Study) -> pd.DataFrame:
    """What is drawn: one row for each (panel, K, width)."""
    part = language_axis(df)
    points = panels.measure(part.rows, BITS, panels.groups_of(part, study), ["K", "width"])
    if points.empty:
        return points
    levels = {codes: unigram_level(part.rows, tuple(codes.split(","))) for codes in points["languages"].unique()}
    return points.assign(unigram=points["languages"].map(levels), alpha=part.rows["alpha"].iloc[0])


def skipped(points: pd.DataFrame) -> str:
    """Why there is nothing to draw, or ""."""
    if points.empty:
        return "no finished run holds the whole high or low group"
    return "" if points["K"].nunique() > 1 else "only one language count is finished"


def draw(points: pd.DataFrame, df: pd.DataFrame, study: Study, state: Completeness) -> Figure:
    """A panel a group, one line a width."""
    look = panels.Look(AXIS, by="width", name=lambda width: f"width {width:g}", extra=_plateau)
    return panels.draw(points, df, study, state, language_axis(df), look)


def _plateau(axes: Axes, own: pd.DataFrame) -> Sequence[float]:
    level = own["unigram"].iloc[0]
    if pd.isna(level):
        return ()
    axes.axhline(level, color=style.QUIET, linestyle=":", lw=1, zorder=1, label="unigram model of the same text")
    return (level,)


def caption(points: pd.DataFrame) -> str:
    return panels.caption_of(
        points,
        f"Held-out bits per byte against the number of languages trained on{at_alpha(points)}; "
        f"{seeds_text(points)}. Lower is better." + PLATEAU * bool(points["unigram"].notna().any()),
        "2",
    )


def at_alpha(points: pd.DataFrame) -> str:
    """At which sampling alpha, where one is known."""
    alpha = points["alpha"].iloc[0]
    return "" if pd.isna(alpha) else f", at alpha {alpha:g}"


def seeds_text(points: pd.DataFrame) -> str:
    """How many seeds stand behind the points, and what the bars are."""
    fewest, most = int(points["seeds"].min()), int(points["seeds"].max())
    span = f"{most}" if fewest == most else f"{fewest} to {most}"
    bars = "bars are 95 % Student-t intervals over seeds, faint points the seeds" if most > 1 else "no interval"
    return f"{span} seed{'' if most == 1 else 's'} a point; {bars}"
