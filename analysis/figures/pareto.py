"""The Pareto front of high group against low group over alpha, and how sure it is (paper findings F6 and F7)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import pandas as pd

from analysis.axes import alpha_axis
from analysis.figures import labels, lines, style
from analysis.figures.curse import seeds_text
from analysis.records import Completeness, Study
from analysis.statistics import BITS, group_mean, scored

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

NAME, TITLE = "pareto", "Which alphas no other beats in both groups"
FINDINGS = ("F6", "F7")
RESAMPLES = 2000
_GROUPS = ("low_group", "high_group")
_Array = npt.NDArray[np.float64]


def data(df: pd.DataFrame, study: Study) -> pd.DataFrame:
    """What is drawn: one row for each (width, alpha), both groups; `front`, whether no alpha of this width is as good
    in both groups and better in one; `share`, in how many of `RESAMPLES` draws of the seeds that is so (NaN where fewer
    than two seeds have every alpha)."""
    rows = alpha_axis(df).rows
    if not all(scored(rows, BITS, study.group(group)) for group in ("low", "high")):
        return pd.DataFrame()
    means = {g: group_mean(rows, BITS, study.group(g)) for g in ("low", "high")}
    low, high = (lines.summarise(means[g], ["width", "alpha"]) for g in ("low", "high"))
    both = low.merge(high, on=["width", "alpha"], suffixes=("_low_group", "_high_group"))
    parts = []
    for width, own in both.groupby("width"):
        own = own.sort_values("alpha").reset_index(drop=True)
        place = own[["mean_low_group", "mean_high_group"]].to_numpy(float)
        own["front"] = undominated(place[None])[0]
        own["share"], own["shared_seeds"] = _shares(means, width, list(own["alpha"]))
        parts.append(own)
    if not parts:
        return pd.DataFrame()
    table = pd.concat(parts, ignore_index=True)
    seeds = table[["seeds_low_group", "seeds_high_group"]].min(axis=1)
    return table.assign(seeds=seeds, K=rows["K"].iloc[0])


def undominated(places: _Array) -> npt.NDArray[np.bool_]:
    """(draws, points, 2), smaller is better -> (draws, points): no other point is as good in both and better in one."""
    other, own = places[:, None, :, :], places[:, :, None, :]
    beaten = (other <= own).all(axis=-1) & (other < own).any(axis=-1)
    return np.asarray(~beaten.any(axis=-1))


def _shares(means: dict[str, pd.DataFrame], width: object, alphas: list[float]) -> tuple[_Array, int]:
    """By alpha, the share of draws in which it is on the front; seeds are drawn jointly for alphas and groups."""
    tables = []
    for table in means.values():
        own = table[(table["width"] == width) & table["alpha"].isin(alphas)]
        tables.append(own.pivot_table(index="seed", columns="alpha", values="value")[alphas].dropna())
    seeds = sorted(set(tables[0].index) & set(tables[1].index))
    if len(seeds) < 2:
        return np.full(len(alphas), np.nan), len(seeds)
    values = np.stack([table.loc[seeds].to_numpy(float) for table in tables], axis=-1)  # seeds, alphas, groups
    draw = np.random.default_rng([0, 0x706172])
    chosen = draw.integers(len(seeds), size=(RESAMPLES, len(seeds)))
    return np.asarray(undominated(values[chosen].mean(axis=1)).mean(axis=0)), len(seeds)


def skipped(points: pd.DataFrame) -> str:
    """Why there is nothing to draw, or ""."""
    if points.empty or points["alpha"].nunique() < 2:
        return "fewer than two alphas are finished with both groups, all else equal"
    return ""


def draw(points: pd.DataFrame, df: pd.DataFrame, study: Study, state: Completeness) -> Figure:
    """Left, the groups' means with the front as steps; right, how often a draw of the seeds has an alpha on the front.
    One colour a width."""
    part = alpha_axis(df)
    widths = sorted(points["width"].unique())
    notes = lines.about(df, study, state, part)
    lacking = sorted(points.loc[points["share"].isna(), "width"].unique())
    shares = points["share"].notna().any()
    if lacking:
        notes.append(f"Fewer than two seeds have every alpha at width {', '.join(map(str, lacking))}: no share there.")
    reach = {g: lines.span(points[f"points_{g}"], points[f"low_{g}"], points[f"high_{g}"]) for g in _GROUPS}
    off = [(points[f"low_{g}"] < reach[g][0]) | (points[f"high_{g}"] > reach[g][1]) for g in _GROUPS]
    if (off[0] | off[1]).any():
        notes.append("Some intervals run off the panel (few seeds, or seeds far apart).")
    figure, (left, *others) = style.sheet(2 if shares else 1, height=3.1, notes=notes)
    left.set(xlim=reach[_GROUPS[0]], ylim=reach[_GROUPS[1]])
    _plane(left, points, widths)
    names = {g: style.named(scored(part.rows, BITS, study.group(g)), room=22) for g in ("low", "high")}
    left.set_xlabel(f"low-resource ({names['low']})\nbits per byte (← lower is better)")
    left.set_ylabel(f"high-resource ({names['high']})\nbits per byte (↓ lower is better)")
    left.set_title(f"Both groups at K = {part.fixed['K']}", loc="left")
    for right in others:
        _share(right, points, widths)
    handles, words = left.get_legend_handles_labels()
    figure.legend(handles, words, loc="outside upper center", ncols=min(len(words), 5))
    figure.draw_without_rendering()  # places the panel, so that labels can keep clear of each other
    named = labels.of_alphas(points, widths)
    labels.place(left, named)
    return figure


def _plane(axes: Axes, points: pd.DataFrame, widths: list[int]) -> None:
    axes.locator_params(nbins=5)
    for i, width in enumerate(widths):
        look = style.series(i)
        own = points[points["width"] == width]
        several = own[own["seeds"] > 1]
        if len(several):
            low, high = several["mean_low_group"], several["mean_high_group"]
            axes.errorbar(
                low, high,
                xerr=[low - several["low_low_group"], several["high_low_group"] - low],
                yerr=[high - several["low_high_group"], several["high_high_group"] - high],
                color=look.colour, elinewidth=0.7, capsize=1.5, capthick=0.7, alpha=0.5, fmt="none", zorder=2,
            )  # fmt: skip
        front = own[own["front"]].sort_values(["mean_low_group", "mean_high_group"])
        across = [front["mean_low_group"].iloc[0], *front["mean_low_group"], axes.get_xlim()[1]]
        up = [axes.get_ylim()[1], *front["mean_high_group"], front["mean_high_group"].iloc[-1]]
        axes.step(across, up, where="post", color=look.colour, linestyle=look.line, lw=1.1, zorder=3)
        axes.plot(
            front["mean_low_group"], front["mean_high_group"], look.marker, color=look.colour, ms=5.5, zorder=4,
            label=f"width {width}",
        )  # fmt: skip
        beaten = own[~own["front"]]
        if len(beaten):
            axes.plot(
                beaten["mean_low_group"], beaten["mean_high_group"], look.marker, color=look.colour, mfc="white", ms=4,
                mew=0.9, zorder=4,
            )  # fmt: skip
    if not points["front"].all():
        axes.plot([], [], "o", color=style.QUIET, mfc="white", ms=4, mew=0.9, label="hollow: off the front")


def _share(axes: Axes, points: pd.DataFrame, widths: list[int]) -> None:
    alphas = sorted(points["alpha"].unique())
    span = (alphas[-1] - alphas[0]) or 1.0
    apart = min(0.014 * span, 0.5 * min(np.diff(alphas)) / len(widths))
    for i, width in enumerate(widths):
        look = style.series(i)
        own = points[(points["width"] == width) & points["share"].notna()].sort_values("alpha")
        off = apart * (i - (len(widths) - 1) / 2)
        axes.plot(own["alpha"] + off, 100 * own["share"], look.marker, color=look.colour, linestyle=look.line)
    axes.set_ylim(-4, 104)
    axes.set_yticks([0, 25, 50, 75, 100])
    axes.set_xticks(alphas, [f"{a:g}" for a in alphas])
    axes.set_xlim(alphas[0] - 0.08 * span, alphas[-1] + 0.08 * span)
    axes.set_xlabel("sampling alpha (0: all languages alike, 1: by size)")
    axes.set_ylabel("α on the front, % of draws")
    axes.set_title("How sure the front is", loc="left")


def caption(points: pd.DataFrame) -> str:
    words = seeds_text(points).replace(", faint points the seeds", "")
    least = int(points["shared_seeds"].min())
    few = " With so few seeds the shares look surer than they are." if least < 5 else ""
    shares = (
        f" Right: how often an alpha is on the front when the seeds are drawn again, {RESAMPLES} times.{few}"
        if points["share"].notna().any() else ""
    )  # fmt: skip
    return (
        f"{'Left: mean' if shares else 'Mean'} bits per byte of both groups at K = {points['K'].iloc[0]} by alpha; "
        f"{words}. The steps are the front: alphas that no other alpha of the same width equals in both groups and "
        f"beats in one.{shares}"
    )
