"""Every language by itself: bits per byte along the study's main axis, one small panel a language, on one scale."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from analysis.axes import Slice, alpha_axis, language_axis
from analysis.figures import lines, style
from analysis.figures.curse import seeds_text
from analysis.records import Completeness, Study
from analysis.statistics import BITS, final

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

NAME, TITLE = "languages", "Every language by itself"
FINDINGS: tuple[str, ...] = ()
_SHARE = 0.86
"""Of a panel's cell that is panel, the rest is gap."""


def data(df: pd.DataFrame, study: Study) -> pd.DataFrame:
    """What is drawn: one row for each (language, x, width), x being K, or alpha in a study of one K; and the groups
    that the language is of. Languages stand in the order of the groups, then of the largest set."""
    part = _part(df)
    rows = final(part.rows, BITS)
    if rows.empty:
        scored = len(final(df, BITS))
        why = "neither the language count nor alpha varies" if scored else "no finished run has a held-out loss"
        return lines.nothing(why)
    points = lines.summarise(rows, ["language", part.axis, "width"]).rename(columns={part.axis: "x"})
    several = points.groupby("language")["x"].nunique()
    if several.max() < 2:
        return lines.nothing(f"no language was measured at two values of {part.axis}")
    largest = max(rows["languages"].unique(), key=lambda text: (text.count(","), text)).split(",")
    named = [c for g in ("high", "low") for c in study.group(g)]
    order = {code: i for i, code in enumerate(dict.fromkeys([*named, *largest, *sorted(set(points["language"]))]))}
    group = {c: "+".join(g for g in ("high", "low", "core") if c in study.group(g)) for c in order}
    points = points.assign(axis=part.axis, group=points["language"].map(group), place=points["language"].map(order))
    points["other"] = rows["alpha"].iloc[0] if part.axis == "K" else rows["K"].iloc[0]
    return points.sort_values(["place", "width", "x"], kind="stable").drop(columns="place").reset_index(drop=True)


def _part(df: pd.DataFrame) -> Slice:
    part = language_axis(df)
    return part if df.empty or part.rows["K"].nunique() > 1 else alpha_axis(df)


def skipped(points: pd.DataFrame) -> str:
    """Why there is nothing to draw, or ""."""
    return lines.reason(points)


def draw(points: pd.DataFrame, df: pd.DataFrame, study: Study, state: Completeness) -> Figure:
    """A grid of small panels drawn on one canvas: a hundred of matplotlib's axes take ten times as long."""
    codes = list(dict.fromkeys(points["language"]))
    down = math.ceil(len(codes) / (6 if len(codes) <= 36 else 10))
    columns = math.ceil(len(codes) / down)  # rows of one length, or nearly
    each = 0.72 if columns > 6 else 1.0 if down > 1 else 1.5
    notes = [*lines.about(df, study, state, _part(df)), *lines.one_seed(points)]
    page = columns > 3
    figure = style.blank(style.PAGE if page else style.COLUMN, 0.85 + each * down, notes)
    axes = figure.subplots()
    grid = _Grid(points, columns, down, tight=columns > 6)
    for number, code in enumerate(codes):
        grid.frame(axes, number, code, str(points.loc[points["language"] == code, "group"].iloc[0]))
    widths = sorted(points["width"].unique())
    for i, width in enumerate(widths):
        grid.series(axes, points[points["width"] == width], codes, style.series(i), f"width {width}", i, len(widths))
    grid.scales(axes, len(codes))
    axes.set_xlabel("languages trained on, K (log scale)" if grid.log else "sampling alpha (0: all languages alike)")
    what = "held-out text, bits per byte" if down > 2 else "bits per byte"
    axes.set_ylabel(f"{what}{' ' if down > 3 else chr(10)}(↓ lower is better)")
    handles, words = axes.get_legend_handles_labels()
    if len(words) > 1:
        figure.legend(handles, words, loc="outside upper center", ncols=min(len(words), 6 if page else 3))
    return figure


class _Grid:
    """Panels of one canvas: each is 1 wide and 1 high with its gap, the first at the top left."""

    def __init__(self, points: pd.DataFrame, columns: int, down: int, tight: bool) -> None:
        self.columns, self.down, self.tight = columns, down, tight
        self.log = points["axis"].iloc[0] == "K"
        self.ticks = sorted(points["x"].unique())
        ends = [self._raw(self.ticks[0]), self._raw(self.ticks[-1])]
        room = 0.1 * (ends[1] - ends[0])
        self.x0, self.x1 = ends[0] - room, ends[1] + room
        self.low, self.high = lines.span(points["points"], points["low"], points["high"])

    def _raw(self, x: float) -> float:
        return math.log2(x) if self.log else float(x)

    def corner(self, number: int) -> tuple[float, float]:
        return number % self.columns, self.down - 1 - number // self.columns

    def across(self, x: float) -> float:
        return _SHARE * (self._raw(x) - self.x0) / (self.x1 - self.x0)

    def up(self, value: float) -> float:
        # The top fifth of a cell is its title's.
        inside = min(max(value, self.low), self.high)
        return 0.8 * (inside - self.low) / (self.high - self.low)

    def frame(self, axes: Axes, number: int, code: str, group: str) -> None:
        x, y = self.corner(number)
        fill = "#f6f6f6" if not group else "#eaf1f7" if "high" in group else "#fbeee4" if "low" in group else "#f0f0e6"
        axes.fill_between([x, x + _SHARE], y, y + 0.8, color=fill, lw=0, zorder=0)
        axes.plot([x, x, x + _SHARE], [y + 0.8, y, y], color="#333333", lw=0.6, zorder=1)
        shown = group.replace("+", ", ")
        space = "" if self.tight else f"  {shown}" if shown else ""
        mark = {"high": " ▲", "low": " ▼"}.get(group.split("+")[0], "") if self.tight else ""
        axes.text(x, y + 0.83, code + mark, fontsize=6.5 if self.tight else 7.5, fontweight="bold", va="bottom")
        if space:
            axes.text(x + _SHARE, y + 0.83, shown, fontsize=6.5, color="#444444", va="bottom", ha="right")

    def series(
        self, axes: Axes, points: pd.DataFrame, codes: list[str], look: style.Series, label: str, i: int, of: int
    ) -> None:
        place = {code: self.corner(number) for number, code in enumerate(codes)}
        aside = 0.018 * (i - (of - 1) / 2)
        xs: list[float] = []
        ys: list[float] = []
        bars: list[tuple[tuple[float, float], tuple[float, float]]] = []
        dots: dict[bool, list[tuple[float, float]]] = {True: [], False: []}
        for code, own in points.groupby("language", sort=False):
            x, y = place[str(code)]
            for row in own.itertuples():
                at = x + self.across(row.x) + aside
                xs.append(at)
                ys.append(y + self.up(row.mean))
                dots[row.seeds > 1].append((at, y + self.up(row.mean)))
                if not math.isnan(row.low):
                    bars.append(((at, y + self.up(row.low)), (at, y + self.up(row.high))))
            xs.append(math.nan)
            ys.append(math.nan)
        lw, ms = (0.8, 2.2) if self.tight else (1.1, 3.2)
        from matplotlib.collections import LineCollection

        axes.add_collection(LineCollection(bars, colors=look.colour, linewidths=0.8, alpha=0.7, zorder=2))
        axes.plot(xs, ys, color=look.colour, linestyle=look.line, lw=lw, zorder=3)
        for several, face in ((True, look.colour), (False, "white")):
            if dots[several]:
                axes.plot(
                    *np.array(dots[several]).T, look.marker, color=look.colour, mfc=face, ms=ms, mew=0.7, zorder=4
                )
        axes.plot([], [], color=look.colour, linestyle=look.line, marker=look.marker, ms=4, label=label)

    def scales(self, axes: Axes, count: int) -> None:
        """Ticks at the left of each row and under the lowest panel of each column; quiet lines at the values."""
        from matplotlib.ticker import MaxNLocator

        steps = 2 if self.tight else 4
        values = [v for v in MaxNLocator(steps).tick_values(self.low, self.high) if self.low <= v <= self.high]
        for number in range(count):
            x, y = self.corner(number)
            axes.hlines([y + self.up(v) for v in values], x, x + _SHARE, color="#dddddd", lw=0.5, zorder=0.5)
        axes.set_yticks(
            [row + self.up(v) for row in range(self.down) for v in values],
            [f"{v:g}" for _ in range(self.down) for v in values], fontsize=6 if self.tight else 7,
        )  # fmt: skip
        shown = self._named()
        for column in range(self.columns):
            lowest = max(n for n in range(count) if n % self.columns == column)
            y = self.corner(lowest)[1]
            for tick in self.ticks:
                at = column + self.across(tick)
                axes.plot([at, at], [y, y - 0.03], color="#333333", lw=0.5, clip_on=False)
                if tick in shown:
                    axes.annotate(
                        f"{tick:g}", (at, y), xytext=(0, -3), textcoords="offset points", ha="center", va="top",
                        fontsize=6 if self.tight else 7, annotation_clip=False,
                    )  # fmt: skip
        axes.set_xticks([])
        axes.set(xlim=(-0.04, self.columns - 1 + _SHARE + 0.02), ylim=(-0.2, self.down + 0.02))
        axes.tick_params(length=0, pad=1)
        axes.grid(visible=False)
        for side in ("left", "bottom"):
            axes.spines[side].set_visible(False)

    def _named(self) -> set[float]:
        """Ticks with room for their name: both ends, and those between that stand clear of them."""
        wide = 0.30 if self.tight else 0.17
        kept = [self.ticks[0], self.ticks[-1]]
        for tick in self.ticks[1:-1]:
            if all(abs(self.across(tick) - self.across(other)) > wide for other in kept):
                kept.append(tick)
        return set(kept)


def caption(points: pd.DataFrame) -> str:
    by_k = points["axis"].iloc[0] == "K"
    other = points["other"].iloc[0]
    at = "" if pd.isna(other) else f" at alpha {other:g}" if by_k else f" at K = {other:g}"
    along = "the number of languages trained on" if by_k else "the sampling alpha"
    words = seeds_text(points).replace(", faint points the seeds", "")
    return (
        f"Held-out bits per byte of each language against {along}{at}, all panels on one scale; {words}. Lower is "
        "better. Blue ground or ▲: the high group; orange ground or ▼: the low group. A language has points where it "
        "is one of those trained on."
    )
