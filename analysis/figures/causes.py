"""What the penalty of added languages is made of: tokenizer, exposure, and the rest, capacity (paper finding F3)."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import pandas as pd

from analysis.figures import lines, style
from analysis.findings.curse import causes, cells_of_causes
from analysis.findings.verdict import Absent
from analysis.records import Completeness, Study
from analysis.statistics import BITS, outcomes

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

NAME, TITLE = "causes", "What the penalty of added languages is made of"
FINDINGS = ("F3",)
PARTS = {
    "tokenizer": ("shared tokenizer", style.COLOURS[0], "///"),
    "exposure": ("less exposure", style.COLOURS[1], ""),
    "capacity (the rest)": ("capacity (the rest)", style.COLOURS[2], "..."),
    "penalty in all": ("penalty in all", "#9a9a9a", ""),
}
"""Detail of the finding's verdict: words, colour, hatch."""
_MOST = 3


def data(df: pd.DataFrame, study: Study) -> pd.DataFrame:
    """What is drawn: a row for each (outcome, part): `start` and `mean` of its bar, low and high, share in percent."""
    rows, why = [], ""
    for outcome in outcomes(df)[:_MOST]:
        try:
            details = causes(df, study, outcome).verdict().details
        except Absent as absent:
            why = why or str(absent)
            continue
        start, total = 0.0, details["penalty in all"]["effect"]
        for part in PARTS:
            own = details[part]
            row = {"outcome": outcome.name, "unit": outcome.unit, "part": part, "start": start, "mean": own["effect"]}
            if part == "penalty in all":
                row["start"] = 0.0
            start += own["effect"]
            row |= {"low": own["low"], "high": own["high"], "seeds": int(own["seeds"])}
            row["share"] = 100 * own["effect"] / total if total > 0 else math.nan
            ends = {"K_first": details["K"][0], "K_last": details["K"][1]}
            rows.append(row | ends | {"steps": details["steps"][0], "steps_given_back": details["steps"][1]})
    return pd.DataFrame(rows) if rows else lines.nothing(why or "nothing was measured")


def skipped(points: pd.DataFrame) -> str:
    """Why there is nothing to draw, or ""."""
    return lines.reason(points)


def draw(points: pd.DataFrame, df: pd.DataFrame, study: Study, state: Completeness) -> Figure:
    """A panel an outcome: the parts as bars one behind the other, each with its interval, and the whole below."""
    names = list(dict.fromkeys(points["outcome"]))
    notes = lines.about(df, study, state, cells_of_causes(df))
    if (points["seeds"] < 2).any():
        notes.append("One seed: no interval.")
    if any(_limits(points[points["outcome"] == name])[2] for name in names):
        notes.append("Some intervals run off the panel (few seeds, or seeds far apart).")
    figure, panels = style.sheet(len(names), height=2.5, notes=notes)
    for number, (axes, name) in enumerate(zip(panels, names, strict=True)):
        own = points[points["outcome"] == name].reset_index(drop=True)
        _bars(axes, own, names=number == 0)
        axes.set_title(name[:1].upper() + name[1:], loc="left")
        sign = "added" if name == BITS.name else "lost"
        axes.set_xlabel(f"{own['unit'].iloc[0]} {sign}, K {own['K_first'].iloc[0]} to {own['K_last'].iloc[0]}")
    return figure


def _limits(own: pd.DataFrame) -> tuple[float, float, bool]:
    """Ends of the axis by the bars, and intervals as far as three quarters of them; whether an interval runs off."""
    seen = [0.0, *(own["start"] + own["mean"])]
    low, high = (own["start"] + own["low"]).dropna(), (own["start"] + own["high"]).dropna()
    reach = 0.75 * max(max(seen) - min(seen), 1e-6)
    left = max(min([*seen, *low]), min(seen) - reach)
    right = min(max([*seen, *high]), max(seen) + reach)
    return left, right, bool((low < left).any() or (high > right).any())


def _bars(axes: Axes, own: pd.DataFrame, names: bool) -> None:
    ends = own["start"] + own["mean"]
    left, right, _ = _limits(own)
    for i, row in own.iterrows():
        _, colour, hatch = PARTS[row["part"]]
        axes.barh(
            [i], [row["mean"]], left=[row["start"]], height=0.55, color=colour, hatch=hatch,
            edgecolor="white", linewidth=0, alpha=0.85, zorder=2,
        )  # fmt: skip
        if not math.isnan(row["low"]):
            axes.errorbar(
                [ends[i]], [i], xerr=[[row["mean"] - row["low"]], [row["high"] - row["mean"]]], color="#222222",
                capsize=2.5, elinewidth=1, capthick=1, fmt="none", zorder=4,
            )  # fmt: skip
    for i in range(len(own) - 2):
        axes.plot([ends[i], ends[i]], [i + 0.28, i + 0.72], color=style.QUIET, lw=0.7, zorder=1)
    axes.axvline(0, color="#222222", lw=0.8, zorder=3)
    room = 0.06 * (right - left)
    axes.set_xlim(left - room, right + room)
    axes.set_ylim(len(own) - 0.55, -0.45)
    axes.set_yticks(range(len(own)), [_words(row, names) for _, row in own.iterrows()])
    axes.tick_params(axis="y", length=0)
    axes.grid(visible=False, axis="y")
    axes.locator_params(axis="x", nbins=5)


def _words(row: pd.Series, name: bool) -> str:
    whole = math.isnan(row["share"]) or row["part"] == "penalty in all"
    value = f"{row['mean']:+.3f}" if row["outcome"] == BITS.name else f"{row['mean']:+.1f}"
    value += "" if whole else f" ({row['share']:.0f} %)"
    return f"{PARTS[row['part']][0]}\n{value}" if name else value


def caption(points: pd.DataFrame) -> str:
    first = points.iloc[0]
    seeds = int(points["seeds"].min())
    bars = "bars are 95 % Student-t intervals over seeds" if seeds > 1 else "one seed, so no interval"
    return (
        f"The core mean's penalty from K = {first['K_first']} to K = {first['K_last']}, split: what a tokenizer "
        f"of all languages costs at K = {first['K_first']}; what goes when the core has its tokens back at K = "
        f"{first['K_last']} ({first['steps_given_back']} steps for {first['steps']}); and the rest. Paired by seed "
        f"({seeds} seed{'' if seeds == 1 else 's'}); {bars}; in brackets, shares of the whole."
    )
