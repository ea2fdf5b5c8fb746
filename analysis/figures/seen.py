"""How much text of each language the runs trained on: one line an alpha, or one a language count (paper Figure 1)."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING

import pandas as pd

from analysis.axes import Slice, alpha_axis, language_axis
from analysis.figures import lines, panels, style
from analysis.records import Completeness, Study
from analysis.statistics import Outcome, final

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

NAME, TITLE = "seen", "Text that each language was given"
FINDINGS: tuple[str, ...] = ()
_TOKENS = Outcome("tokens", "training", "train", "tokens", +1, 1.0, "tokens", 0)
_MOST_CODES, _MOST_LINES = 50, 5
_LEAST_RANGE = 3.0
"""An axis spans at least this factor to either side of the middle."""


def _part(df: pd.DataFrame) -> Slice:
    """Alphas at one K where several were run, else language counts at one alpha; the narrowest width alone, for what a
    language is given does not hang on it."""
    part = alpha_axis(df)
    part = part if part.rows["alpha"].nunique() > 1 else language_axis(df)
    if part.rows.empty:
        return part
    rows = part.rows[part.rows["width"] == part.rows["width"].min()]
    return replace(part, rows=rows)


def data(df: pd.DataFrame, study: Study) -> pd.DataFrame:
    """What is drawn: one row for each (line, language); a line is an alpha, or a language count."""
    part = _part(df)
    rows = final(part.rows, _TOKENS)
    rows = rows[rows["language"] != "all"].dropna(subset=["value"])
    if rows.empty:
        return pd.DataFrame()
    points = lines.summarise(rows, [part.axis, "language"]).rename(columns={part.axis: "line"})
    return points.assign(axis=part.axis, K=part.fixed.get("K"))


def skipped(points: pd.DataFrame) -> str:
    """Why there is nothing to draw, or ""."""
    return "" if len(points) and (points["mean"] > 0).any() else "no tokens by language are recorded"


def draw(points: pd.DataFrame, df: pd.DataFrame, study: Study, state: Completeness) -> Figure:
    """Languages from the one with most text to the one with least; in rows where they are many."""
    part = _part(df)
    every = sorted(points["line"].unique())
    kept = lines.spread(every, _MOST_LINES)
    points = points[points["line"].isin(kept)]
    order = _order(points)
    down = max(1, math.ceil(len(order) / _MOST_CODES))
    length = math.ceil(len(order) / down)
    notes = lines.about(df, study, state, part)
    if len(kept) < len(every):
        what = "alphas" if part.axis == "alpha" else "language counts"
        notes.append(f"{len(kept)} of {len(every)} {what} are drawn; the CSV has all.")
    never = sorted(set(points.loc[points["mean"] <= 0, "language"]))
    notes += [f"Never drawn in some run, so on no log axis: {style.named(never)}."] if never else []
    figure = style.blank(style.PAGE if len(order) > 12 else style.COLUMN, 0.7 + 1.9 * down, notes)
    rows = list(figure.subplots(down, 1, squeeze=False, sharey=True).flat)
    for number, axes in enumerate(rows):
        _row(axes, points[points["mean"] > 0], order[number * length : (number + 1) * length], length)
        axes.set_ylabel("training tokens\n(log scale)")
    rows[-1].set_xlabel("language, most text first")
    style.legend(figure, 2 if len(order) > 12 else 1)
    return figure


def _order(points: pd.DataFrame) -> list[str]:
    """By what a language got in the line that follows sizes closest: the largest alpha, or the largest K."""
    last = points[points["line"] == points["line"].max()].set_index("language")["mean"]
    rest = points.groupby("language")["mean"].mean()
    size = {code: float(last.get(code, 0.0)) for code in rest.index}
    return sorted(size, key=lambda code: (-size[code], -rest[code], code))


def _row(axes: Axes, points: pd.DataFrame, codes: list[str], room: int) -> None:
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

    for i, line in enumerate(sorted(points["line"].unique())):
        own = points[points["line"] == line].set_index("language")["mean"]
        at = [n for n, code in enumerate(codes) if code in own.index]
        look = style.series(i)
        label = f"alpha {line:g}" if points["axis"].iloc[0] == "alpha" else f"K = {line:g}"
        axes.plot(
            at, [own[codes[n]] for n in at], color=look.colour, marker=look.marker, linestyle=look.line,
            lw=0.8, ms=3.5, mew=0, label=label,
        )  # fmt: skip
    axes.set_yscale("log")
    low, high = points["mean"].min(), points["mean"].max()
    if high < _LEAST_RANGE**2 * low:  # all but equal: a scale of its own would make much of nothing
        middle = math.sqrt(low * high)
        axes.set_ylim(middle / _LEAST_RANGE, middle * _LEAST_RANGE)
    wide = high >= 100 * low  # below two decades there would be two ticks
    axes.yaxis.set_major_locator(LogLocator(base=10, subs=(1,) if wide else (1, 2, 5), numticks=8))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: panels.short(value)))
    axes.yaxis.set_minor_formatter(NullFormatter())
    axes.set_xticks(range(len(codes)), codes, rotation=90 if room > 12 else 0, fontsize=7 if room <= 30 else 6)
    axes.set_xlim(-0.6, max(room, 2) - 0.4)
    axes.grid(visible=False, axis="x")


def caption(points: pd.DataFrame) -> str:
    by = "a line an alpha" if points["axis"].iloc[0] == "alpha" else "a line a number of languages"
    at = "" if points["K"].isna().iloc[0] else f" at K = {points['K'].iloc[0]:g}"
    return f"Tokens of each language trained on{at}, {by}, as the runs recorded it, mean over seeds."
