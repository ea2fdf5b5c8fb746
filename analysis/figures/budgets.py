"""The mean over all languages against alpha, a panel a budget and a line a width, UniMax beside it (finding F8)."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING

import pandas as pd

from analysis.axes import Slice, plane
from analysis.figures import panels, style
from analysis.figures.curse import seeds_text
from analysis.records import Completeness, Study

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

NAME, TITLE = "budgets", "Which alpha is best, by width and length of training"
FINDINGS = ("F8",)


def _part(df: pd.DataFrame) -> Slice:
    return plane(df, ["alpha", "sampling", "width", "steps"])


def data(df: pd.DataFrame, study: Study) -> pd.DataFrame:
    """What is drawn: one row for each (outcome, steps, width, alpha); rows without an alpha are UniMax's, whose `name`
    says after how many passes it leaves a text."""
    part = _part(df)
    unimax = part.rows[part.rows["alpha"].isna() & part.rows["sampling"].str.startswith("unimax")]
    parts = []
    for outcome in panels.families(df):
        whom = panels.whom(part, study, outcome)
        parts.append(panels.measure(part.rows, outcome, whom, ["alpha", "width", "steps"]).assign(name=""))
        levels = panels.measure(unimax, outcome, whom, ["sampling", "width", "steps"])
        parts.append(levels.rename(columns={"sampling": "name"}).assign(alpha=float("nan")))
    parts = [points for points in parts if len(points)]
    if not parts:
        return pd.DataFrame()
    points = pd.concat(parts, ignore_index=True)
    return points.assign(panel=[f"{steps:,} steps" for steps in points["steps"]], K=part.fixed["K"])


def skipped(points: pd.DataFrame) -> str:
    """Why there is nothing to draw, or ""."""
    if points.empty or not panels.several(points.dropna(subset=["alpha"]), "alpha"):
        return "fewer than two alphas are finished, all else equal"
    if points["steps"].nunique() < 2 and points["alpha"].notna().all():
        return "the alphas were run with one budget, and UniMax was not"
    return ""


def draw(points: pd.DataFrame, df: pd.DataFrame, study: Study, state: Completeness) -> Figure:
    """A row an outcome, a panel a number of steps, one line a width; thin: UniMax at that width."""
    by_alpha, unimax = points[points["alpha"].notna()], points[points["alpha"].isna()]
    widths = sorted(by_alpha["width"].unique())
    look = panels.Look(
        panels.Axis("alpha", f"sampling alpha (K = {points['K'].iloc[0]:g})", "linear"), by="width",
        name=lambda width: f"width {width:g}", extra=partial(_levels, unimax, widths),
        titles={panel: panel for panel in points.sort_values("steps")["panel"].unique()},
    )  # fmt: skip
    return panels.draw(panels.whole_panels(by_alpha, "alpha"), df, study, state, _part(df), look)


def _levels(unimax: pd.DataFrame, widths: list[int], axes: Axes, own: pd.DataFrame) -> Sequence[float]:
    """UniMax has no place on the axis of alpha: a level across the panel, in its width's colour, with its interval."""
    here = unimax[(unimax["outcome"] == own["outcome"].iloc[0]) & (unimax["panel"] == own["panel"].iloc[0])]
    seen: list[float] = []
    for row in here[here["width"].isin(widths)].itertuples():
        look = style.series(widths.index(row.width))
        axes.axhline(
            row.mean, color=look.colour, linestyle=(0, (1, 1.2 + 2 * widths.index(row.width))), lw=1.3, zorder=1,
            label=f"UniMax, width {row.width:g}",
        )  # fmt: skip
        if row.low == row.low:
            axes.axhspan(row.low, row.high, color=look.colour, alpha=0.08, lw=0, zorder=0.5)
        seen += [row.mean]
    return seen


def caption(points: pd.DataFrame) -> str:
    names = {name for name in points["name"] if name}
    passes = sorted({f"{float(text):g}" for name in names if (text := name.removeprefix("unimax").strip())})
    until = f" until a text has been passed {' or '.join(passes)} times" if passes else ""
    band = ", with its interval as a band" if points.loc[points["name"] != "", "seeds"].max() > 1 else ""
    level = f" Dotted: UniMax, which draws evenly{until}{band}." if names else ""
    return panels.caption_of(
        points,
        f"Means at K = {points['K'].iloc[0]:g} against the exponent alpha of the language sampling, a panel a number "
        f"of steps; {seeds_text(panels.ours(points))}.{level}",
        "",
    )
