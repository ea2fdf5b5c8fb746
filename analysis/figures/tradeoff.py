"""High group against low group as alpha moves (paper Figure 5, in bits per byte)."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import pandas as pd

from analysis.axes import alpha_axis
from analysis.figures import labels, lines, style
from analysis.figures.curse import seeds_text
from analysis.records import Completeness, Study
from analysis.statistics import BITS, group_mean, scored

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

NAME, TITLE = "tradeoff", "What sampling alpha gives one group and takes from the other"
FINDINGS = ("F6", "F7", "F8")

_AXES = ("low_group", "high_group")


def data(df: pd.DataFrame, study: Study) -> pd.DataFrame:
    """What is drawn: one row for each (width, alpha), both groups side by side."""
    rows = alpha_axis(df).rows
    if not all(scored(rows, BITS, study.group(group)) for group in ("low", "high")):
        return pd.DataFrame()
    by = ["width", "alpha"]
    low, high = (lines.summarise(group_mean(rows, BITS, study.group(g)), by) for g in ("low", "high"))
    both = low.merge(high, on=by, suffixes=("_low_group", "_high_group"))
    return both.assign(seeds=both[["seeds_low_group", "seeds_high_group"]].min(axis=1), K=rows["K"].iloc[0])


def skipped(points: pd.DataFrame) -> str:
    """Why there is nothing to draw, or ""."""
    if points.empty or points["alpha"].nunique() < 2:
        return "fewer than two alphas are finished with both groups, all else equal"
    return ""


def draw(points: pd.DataFrame, df: pd.DataFrame, study: Study, state: Completeness) -> Figure:
    """One panel; one point an alpha, joined in order of alpha, one line a width."""
    part = alpha_axis(df)
    x, y = (lines.span(points[f"points_{g}"], points[f"low_{g}"], points[f"high_{g}"]) for g in _AXES)
    notes = [*lines.about(df, study, state, part), *lines.one_seed(points)]
    if any(
        (points[f"low_{g}"] < ends[0]).any() or (points[f"high_{g}"] > ends[1]).any()
        for g, ends in zip(_AXES, (x, y), strict=True)
    ):
        notes.append("Some intervals run off the panel (few seeds, or seeds far apart).")
    figure, (axes,) = style.sheet(1, height=3.3, notes=notes)
    axes.set(xlim=x, ylim=y)
    axes.locator_params(nbins=5)
    widths = sorted(points["width"].unique())
    for i, width in enumerate(widths):
        look = style.series(i)
        own = points[points["width"] == width].sort_values("alpha")
        axes.plot(own["mean_low_group"], own["mean_high_group"], color=look.colour, linestyle=look.line, zorder=3)
        for row in own.itertuples():
            _cross(axes, row, look)
        axes.plot([], [], color=look.colour, linestyle=look.line, marker=look.marker, label=f"width {width}")
    axes.set_xlabel(f"low-resource: {_names(part.rows, study, 'low')}\nbits per byte (← lower is better)")
    axes.set_ylabel(f"high-resource: {_names(part.rows, study, 'high')}\nbits per byte (↓ lower is better)")
    title = f"sampling alpha (α) at K = {part.fixed['K']}"
    axes.set_title(title if len(widths) > 1 else f"{title}, width {widths[0]}", loc="left")
    if len(widths) > 1:
        figure.legend(loc="outside upper center", ncols=min(len(widths), 3))
    figure.draw_without_rendering()  # places the panel, so that labels can keep clear of each other
    _label(axes, points, widths)
    return figure


def _cross(axes: Axes, row: Any, look: style.Series) -> None:
    """A point with both its intervals; hollow, and without them, where one seed stands."""
    x, y = row.mean_low_group, row.mean_high_group
    if row.seeds > 1:
        axes.errorbar(
            [x], [y], xerr=[[x - row.low_low_group], [row.high_low_group - x]],
            yerr=[[y - row.low_high_group], [row.high_high_group - y]], color=look.colour, elinewidth=0.8, capsize=2,
            capthick=0.8, alpha=0.6, fmt="none", zorder=2,
        )  # fmt: skip
    axes.plot([x], [y], look.marker, color=look.colour, mfc=look.colour if row.seeds > 1 else "white", mew=1, zorder=4)


def _label(axes: Axes, points: pd.DataFrame, widths: list[int]) -> None:
    """Name the alphas; the two ends of each line come first, what lies between follows from the order."""
    names = labels.of_alphas(points, widths)
    joined = [
        list(zip(own["mean_low_group"], own["mean_high_group"], strict=True))
        for _, own in points.sort_values("alpha").groupby("width")
    ]
    labels.place(axes, names, joined)


def _names(rows: pd.DataFrame, study: Study, group: str) -> str:
    return style.named(scored(rows, BITS, study.group(group)), room=28)


def caption(points: pd.DataFrame) -> str:
    alphas = [a for a in sorted(points["alpha"].unique()) if not math.isnan(a)]
    span = ", ".join(f"{a:g}" for a in alphas)
    return (
        f"Bits per byte of both groups at K = {points['K'].iloc[0]} for alpha {span}, joined in that order; "
        f"{seeds_text(points)}. Lower is better on both axes, so the best place is the lower left."
    ).replace(", faint points the seeds", "")
