"""Bits per byte against language count, high and low group side by side (paper Figures 2 and 4)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pandas as pd

from analysis.axes import language_axis
from analysis.figures import lines, style
from analysis.plateau import unigram_level
from analysis.records import Completeness, Study
from analysis.statistics import BITS, group_mean, scored

if TYPE_CHECKING:
    from matplotlib.figure import Figure

NAME, TITLE = "curse", "Bits per byte as languages are added"
GROUPS = ("high", "low")
PLATEAU = " Dotted: a unigram model of each language's training text, the plateau that a comparable run has left."


def data(df: pd.DataFrame, study: Study) -> pd.DataFrame:
    """What is drawn: one row for each (group, K, width)."""
    rows = language_axis(df).rows
    parts = []
    for group in GROUPS:
        if scored(rows, BITS, study.group(group)):
            points = lines.summarise(group_mean(rows, BITS, study.group(group)), ["K", "width"])
            level = unigram_level(rows, scored(rows, BITS, study.group(group)))
            parts.append(points.assign(group=group, unigram=level))
    return pd.concat(parts, ignore_index=True).assign(alpha=rows["alpha"].iloc[0]) if parts else pd.DataFrame()


def skipped(points: pd.DataFrame) -> str:
    """Why there is nothing to draw, or ""."""
    if points.empty:
        return "no finished run holds the whole high or low group"
    return "" if points["K"].nunique() > 1 else "only one language count is finished"


def draw(points: pd.DataFrame, df: pd.DataFrame, study: Study, state: Completeness) -> Figure:
    """Two panels (one where a group is absent), one line a width."""
    part = language_axis(df)
    groups = [g for g in GROUPS if (points["group"] == g).any()]
    widths = sorted(points["width"].unique())
    counts = sorted(points["K"].unique())
    cut = [note for g in groups for note in lines.cut_note(points[points["group"] == g])][:1]
    gaps = [f"No {g} mean at K {k}: those runs do not hold the whole group." for g in groups for k in _gaps(points, g)]
    notes = [*lines.unfinished(study, state, part), *lines.one_seed(points), *cut, *gaps]
    figure, panels = style.sheet(len(groups), notes=notes)
    for axes, group in zip(panels, groups, strict=True):
        own = points[points["group"] == group]
        for i, width in enumerate(widths):
            line = own[own["width"] == width].sort_values("K")
            factor = style.dodge(counts, i, len(widths))
            lines.draw_line(axes, line, "K", factor, style.aside(counts), style.series(i), f"width {width}")
        style.language_count_axis(axes, counts)
        lines.frame_values(axes, own)
        level = own["unigram"].iloc[0]
        if pd.notna(level):
            axes.set_ylim(axes.get_ylim()[0], max(axes.get_ylim()[1], level + 0.06 * (level - axes.get_ylim()[0])))
            axes.axhline(
                level, color=style.QUIET, linestyle=":", lw=1, zorder=1, label="unigram model of the same text"
            )
        style.titled(axes, f"{group.capitalize()}-resource", style.named(scored(part.rows, BITS, study.group(group))))
    panels[0].set_ylabel("held-out text, bits per byte\n(↓ lower is better)")
    handles, labels = panels[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside upper center", ncols=min(len(labels), 6))
    return figure


def _gaps(points: pd.DataFrame, group: str) -> list[int]:
    return sorted(set(points["K"]) - set(points.loc[points["group"] == group, "K"]))


def caption(points: pd.DataFrame) -> str:
    return (
        f"Held-out bits per byte against the number of languages trained on{at_alpha(points)}; "
        f"{seeds_text(points)}. Each panel has its "
        "own scale. Lower is better." + PLATEAU * bool(points["unigram"].notna().any())
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
