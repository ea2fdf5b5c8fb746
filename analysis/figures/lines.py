"""What the drawings share: points with intervals per series, and the words for what is not finished."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

import pandas as pd

from analysis.axes import Slice
from analysis.figures import style
from analysis.records import Completeness, Study
from analysis.statistics import t_interval

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def summarise(means: pd.DataFrame, by: Sequence[str]) -> pd.DataFrame:
    """Interval over seeds for each combination of `by`: columns by, mean, low, high, seeds, and points (the seeds' own
    values, a tuple in seed order)."""
    rows = []
    for key, part in means.groupby(list(by), sort=True):
        values = part.sort_values("seed")["value"].tolist()
        i = t_interval(values)
        named = dict(zip(by, key if isinstance(key, tuple) else (key,), strict=True))
        rows.append(named | {"mean": i.mean, "low": i.low, "high": i.high, "seeds": i.n, "points": tuple(values)})
    return pd.DataFrame(rows, columns=[*by, "mean", "low", "high", "seeds", "points"])


def draw_line(
    axes: Axes, points: pd.DataFrame, x: str, factor: float, aside: float, look: style.Series, label: str
) -> None:
    """One series: a line through the means, 95 % intervals, faint points of the seeds; hollow where one seed stands.

    factor moves the series, and aside its seeds from their mean, along a log axis.
    """
    at = points[x] * factor
    axes.plot(at, points["mean"], color=look.colour, linestyle=look.line, zorder=3)
    for place, row in zip(at, points.itertuples(), strict=True):
        if row.seeds > 1:
            left = [place / aside] * len(row.points)
            axes.plot(left, row.points, look.marker, color=look.colour, alpha=0.45, ms=3, mew=0, zorder=2)
        if not math.isnan(row.low):
            axes.errorbar(
                [place], [row.mean], yerr=[[row.mean - row.low], [row.high - row.mean]], color=look.colour,
                capsize=2, elinewidth=0.9, capthick=0.9, fmt="none", zorder=3,
            )  # fmt: skip
        face = look.colour if row.seeds > 1 else "white"
        axes.plot([place], [row.mean], look.marker, color=look.colour, mfc=face, mew=1, zorder=4)
    axes.plot([], [], color=look.colour, linestyle=look.line, marker=look.marker, label=label)


def frame_values(axes: Axes, points: pd.DataFrame) -> None:
    """Set the value axis by means and seeds, not by intervals: with two seeds an interval may be ten times as long as
    everything there is to see. `cut_note` says when one runs off the panel."""
    axes.set_ylim(span(points["points"], points["low"], points["high"]))


def cut_note(points: pd.DataFrame) -> list[str]:
    """A note for the figure's foot when some interval is longer than its panel."""
    if points.empty:
        return []
    low, high = span(points["points"], points["low"], points["high"])
    cut = int(((points["low"] < low) | (points["high"] > high)).sum())
    return [f"Intervals that run off the panel (few seeds, or seeds far apart): {cut}."] if cut else []


def span(points: Iterable[Sequence[float]], lows: Iterable[float], highs: Iterable[float]) -> tuple[float, float]:
    """Limits of an axis: all seeds, and intervals as far as three quarters of the seeds' spread to either side."""
    seen = [v for row in points for v in row]
    low, high = min(seen), max(seen)
    reach = 0.75 * max(high - low, 1e-3 * abs(high), 1e-6)
    bottom = max(min([low, *(v for v in lows if not math.isnan(v))]), low - reach)
    top = min(max([high, *(v for v in highs if not math.isnan(v))]), high + reach)
    room = 0.06 * max(top - bottom, 1e-6)
    return bottom - room, top + room


def unfinished(study: Study, state: Completeness, part: Slice, most: int = 3) -> list[str]:
    """A note for the figure's foot naming the unfinished cells that belong on this axis; none when all are there."""
    if state.whole:
        return []
    seeds: dict[tuple[int, int, float], list[int]] = {}
    elsewhere = 0
    for run in state.missing:
        axes: dict[str, Any] | None = study.planned.get(run)
        if axes is None or any(not _same(axes[name], value) for name, value in part.fixed.items()):
            elsewhere += 1
            continue
        seeds.setdefault((axes["K"], axes["width"], axes["alpha"]), []).append(axes["seed"])
    cells = []
    for (k, width, alpha), which in sorted(seeds.items()):
        place = f"K {k}, width {width}" if part.axis == "K" else f"alpha {alpha:g}, width {width}"
        cells.append(f"{place} (seed {', '.join(map(str, sorted(which)))})")
    shown = "; ".join(cells[:most]) + (f"; and {len(cells) - most} more cells" if len(cells) > most else "")
    total = f"{len(state.missing)} of the study's {state.expected} runs"
    here = f"; here: {shown}" if cells else f"; {elsewhere} of them off this axis or not begun"
    return [f"Not finished: {total}{here}."]


def one_seed(points: pd.DataFrame) -> list[str]:
    """A note when some point rests on one seed."""
    return ["Hollow markers: one seed, no interval."] if (points["seeds"] < 2).any() else []


def _same(one: Any, other: object) -> bool:
    if other is None:
        return bool(math.isnan(one))
    return bool(one == other)
