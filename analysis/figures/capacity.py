"""What width gives back: the core mean against language count, a line a width, and the width that grows with K
(paper Figure 4)."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING

import pandas as pd

from analysis.axes import language_axis
from analysis.figures import panels
from analysis.figures.curse import AXIS, at_alpha, seeds_text
from analysis.records import Completeness, Study

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

NAME, TITLE = "capacity", "The core mean at fixed and at growing width"
FINDINGS = ("F4",)


def data(df: pd.DataFrame, study: Study) -> pd.DataFrame:
    """What is drawn: one row for each (outcome, K, width); `widened` where it lies on the path of growing width."""
    part = language_axis(df)
    core = panels.groups_of(part, study, ["core"])
    parts = []
    for outcome in panels.families(df):
        points = panels.measure(part.rows, outcome, core, ["K", "width"])
        if len(points):
            path = _path(points)
            points["widened"] = [cell in path for cell in zip(points["K"], points["width"], strict=True)]
            parts.append(panels.with_paper(points, "4", "K", outcome))
    if not parts:
        return pd.DataFrame()
    points = pd.concat(parts, ignore_index=True)
    points["widened"] = points["widened"].eq(True)
    return points.assign(alpha=part.rows["alpha"].iloc[0])


def _path(points: pd.DataFrame) -> set[tuple[int, int]]:
    """From the narrowest model at the smallest K to the widest at the largest: as far along the widths as along the K.

    Where a cell is missing, the widest below it that is there.
    """
    counts, widths = sorted(points["K"].unique()), sorted(points["width"].unique())
    path = set()
    for i, k in enumerate(counts):
        target = widths[round(i * (len(widths) - 1) / max(1, len(counts) - 1))]
        there = points.loc[(points["K"] == k) & (points["width"] <= target), "width"]
        if len(there):
            path.add((int(k), int(there.max())))
    return path


def skipped(points: pd.DataFrame) -> str:
    """Why there is nothing to draw, or ""."""
    own = panels.ours(points)
    if points.empty or own["K"].nunique() < 2:
        return "fewer than two finished language counts hold the core"
    return "" if own["width"].nunique() > 1 else "only one width is finished"


def draw(points: pd.DataFrame, df: pd.DataFrame, study: Study, state: Completeness) -> Figure:
    """A panel an outcome."""
    widths = sorted(panels.ours(points)["width"].unique())
    look = panels.Look(AXIS, by="width", name=lambda width: f"width {width:g}", extra=partial(_widened, widths))
    return panels.draw(points, df, study, state, language_axis(df), look)


def _widened(widths: Sequence[int], axes: Axes, own: pd.DataFrame) -> Sequence[float]:
    """The path, as a broad pale line beneath the others."""
    path = own[own["widened"]].sort_values("K")
    if path["width"].nunique() > 1:
        places = AXIS.places(own["K"])
        at = [places[k] for k in path["K"]]
        axes.plot(at, path["mean"], color="#cfcfcf", lw=5, zorder=1, solid_capstyle="round", label="width grows with K")
    return ()


def caption(points: pd.DataFrame) -> str:
    return panels.caption_of(
        points,
        f"Core mean against the number of languages trained on{at_alpha(points)}, a line a width; broad and pale: the "
        f"width that grows with the languages. {_sentence(seeds_text(panels.ours(points)))}.",
        "4",
    )


def _sentence(text: str) -> str:
    return text[:1].upper() + text[1:]
