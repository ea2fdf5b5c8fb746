"""What the drawings share: points with intervals per series, and the words for what is not finished."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

import pandas as pd

from analysis.axes import Slice, words
from analysis.figures import style
from analysis.records import Completeness, Study
from analysis.statistics import t_interval

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_T = TypeVar("_T")


def summarise(means: pd.DataFrame, by: Sequence[str]) -> pd.DataFrame:
    """Interval over seeds for each combination of `by`: columns by, mean, low, high, seeds, and points (the seeds' own
    values, a tuple in seed order). Several values of one seed are averaged first: they are no more seeds."""
    keys = [*by, "seed"]
    if means.duplicated(keys).any():
        means = means.groupby(keys, as_index=False)["value"].mean()
    rows = []
    for key, part in means.groupby(list(by), sort=True):
        values = part.sort_values("seed")["value"].tolist()
        i = t_interval(values)
        named = dict(zip(by, key if isinstance(key, tuple) else (key,), strict=True))
        rows.append(named | {"mean": i.mean, "low": i.low, "high": i.high, "seeds": i.n, "points": tuple(values)})
    return pd.DataFrame(rows, columns=[*by, "mean", "low", "high", "seeds", "points"])


def draw_at(
    axes: Axes, points: pd.DataFrame, at: Sequence[float], beside: Sequence[float], look: style.Series, label: str
) -> None:
    """One series: a line through the means, 95 % intervals, faint points of the seeds; hollow where one seed stands.

    at, beside: places on the axis of the means and of their seeds.
    """
    axes.plot(at, points["mean"], color=look.colour, linestyle=look.line, zorder=3)
    rows = list(zip(at, beside, points.itertuples(), strict=True))
    seeds = [(left, value) for _, left, row in rows if row.seeds > 1 for value in row.points]
    if seeds:
        axes.plot(*zip(*seeds, strict=True), look.marker, color=look.colour, alpha=0.45, ms=3, mew=0, zorder=2)
    bars = [(place, row.mean, row.mean - row.low, row.high - row.mean) for place, _, row in rows if row.low == row.low]
    if bars:
        xs, ys, down, up = zip(*bars, strict=True)
        axes.errorbar(
            xs, ys, yerr=[down, up], color=look.colour, capsize=2, elinewidth=0.9, capthick=0.9, fmt="none", zorder=3
        )
    for several, face in ((True, look.colour), (False, "white")):
        means = [(place, row.mean) for place, _, row in rows if (row.seeds > 1) == several]
        if means:
            axes.plot(*zip(*means, strict=True), look.marker, color=look.colour, mfc=face, mew=1, zorder=4)
    axes.plot([], [], color=look.colour, linestyle=look.line, marker=look.marker, label=label)


def cut(points: pd.DataFrame, limits: tuple[float, float]) -> int:
    """How many intervals run off a panel with these limits of its axis."""
    return int(((points["low"] < limits[0]) | (points["high"] > limits[1])).sum())


def cut_note(count: int) -> list[str]:
    """A note for the figure's foot when some interval is longer than its panel."""
    return [f"Intervals that run off their panel (few seeds, or seeds far apart): {count}."] if count else []


def span(points: Iterable[Sequence[float]], lows: Iterable[float], highs: Iterable[float]) -> tuple[float, float]:
    """Limits of an axis: all seeds, and intervals as far as three quarters of the seeds' spread to either side."""
    seen = [v for row in points for v in row]
    low, high = min(seen), max(seen)
    reach = 0.75 * max(high - low, 1e-3 * abs(high), 1e-6)
    bottom = max(min([low, *(v for v in lows if not math.isnan(v))]), low - reach)
    top = min(max([high, *(v for v in highs if not math.isnan(v))]), high + reach)
    short = 2e-3 * max(abs(high), abs(low), 1e-3) - (top - bottom)  # equal values have no scale of their own
    bottom, top = bottom - max(short, 0) / 2, top + max(short, 0) / 2
    room = 0.06 * (top - bottom)
    return bottom - room, top + room


def unfinished(study: Study, state: Completeness, part: Slice, most: int = 3) -> list[str]:
    """A note for the figure's foot naming the unfinished cells that belong on this axis; none when all are there."""
    if state.whole:
        return []
    seeds: dict[tuple[Any, int], list[int]] = {}
    elsewhere = 0
    for run in state.missing:
        axes: dict[str, Any] | None = study.planned.get(run)
        if axes is None or any(not _same(axes[name], value) for name, value in {**part.fixed, **part.arm}.items()):
            elsewhere += 1
            continue
        seeds.setdefault((axes[part.axis], axes["width"]), []).append(axes["seed"])
    cells = []
    for (value, width), which in sorted(seeds.items()):
        at = value if isinstance(value, str) else f"{value:g}"
        place = f"{words(part.axis)} {at}, width {width}"
        cells.append(f"{place} (seed {', '.join(map(str, sorted(set(which))))})")
    more = len(cells) - most
    shown = "; ".join(cells[:most]) + (f"; and {more} more cell{'s' * (more > 1)}" if more > 0 else "")
    total = f"{len(state.missing)} of the study's {state.expected} runs"
    here = f"; here: {shown}" if cells else f"; {elsewhere} of them off this axis or not begun"
    return [f"Not finished: {total}{here}."]


def about(df: pd.DataFrame, study: Study, state: Completeness, part: Slice) -> list[str]:
    """Notes for the foot of a figure of one slice: what is not finished, and what the slice leaves out."""
    return [*unfinished(study, state, part), *map(said, [*drawn(df, [part]), *part.cautions])]


def said(caution: str, panel: str = "") -> str:
    """A caution as a sentence; after the title of its panel where that is one among several."""
    return f"{panel}: {caution}." if panel else f"{caution[:1].upper()}{caution[1:]}."


def spread(values: Sequence[_T], most: int) -> list[_T]:
    """At most `most` of the values: the ends, and what lies evenly between."""
    if len(values) <= most:
        return list(values)
    return [values[round(i * (len(values) - 1) / (most - 1))] for i in range(most)]


def drawn(df: pd.DataFrame, parts: Sequence[Slice]) -> list[str]:
    """A caution on how many runs a figure of these slices holds, where it leaves out more than their cautions tell."""
    every = df["run"].nunique()
    held = len(set().union(*(part.rows["run"].unique() for part in parts)))
    return [f"drawn here: {held} of {every} runs"] if every - held > sum(part.out for part in parts) else []


def one_seed(points: pd.DataFrame) -> list[str]:
    """A note when some point rests on one seed."""
    return ["Hollow markers: one seed, no interval."] if (points["seeds"] < 2).any() else []


def _same(one: Any, other: Any) -> bool:
    return bool(one == other or (pd.isna(one) and pd.isna(other)))


def nothing(why: str) -> pd.DataFrame:
    """The table of a figure that cannot be drawn, with the reason (`reason`)."""
    empty = pd.DataFrame()
    empty.attrs["why"] = why
    return empty


def reason(points: pd.DataFrame) -> str:
    """Why `nothing` is there to draw; "" for a table that holds something."""
    return str(points.attrs.get("why", "nothing to draw")) if points.empty else ""
