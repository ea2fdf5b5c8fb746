"""Zero-shot accuracy against language count, beside chance and supervised English."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import pandas as pd

from analysis.axes import language_axis
from analysis.figures import lines, style
from analysis.figures.curse import at_alpha, seeds_text
from analysis.records import Completeness, Study
from analysis.statistics import ACCURACY, ENGLISH, final, group_mean, scored

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

NAME, TITLE = "zeroshot", "Zero-shot accuracy as languages are added"
_PANELS = 4


def data(df: pd.DataFrame, study: Study) -> pd.DataFrame:
    """What is drawn: one row for each (panel, K, width); panel "supervised" holds English.

    Panels are the high and low groups; where neither has a zero-shot language, the languages of the smallest set.
    """
    rows = language_axis(df).rows
    measured = final(rows, ACCURACY)
    if measured.empty:
        return pd.DataFrame()
    parts = []
    for panel, languages in _panels(rows, study).items():
        means = group_mean(rows, ACCURACY, languages)
        title = f"{panel}: {style.named(scored(rows, ACCURACY, languages))}"
        parts.append(lines.summarise(means, ["K", "width"]).assign(panel=title))
    english = measured[measured["language"] == ENGLISH].assign(value=lambda d: d["value"] * ACCURACY.scale)
    if parts and not english.empty:
        parts.append(lines.summarise(english, ["K", "width"]).assign(panel="supervised"))
    if not parts:
        return pd.DataFrame()
    guesses = measured[["chance", "majority"]].mean() * ACCURACY.scale
    return pd.concat(parts, ignore_index=True).assign(
        chance=guesses["chance"], majority=guesses["majority"], alpha=rows["alpha"].iloc[0]
    )


def skipped(points: pd.DataFrame) -> str:
    """Why there is nothing to draw, or ""."""
    if points.empty:
        return "no zero-shot accuracy is recorded"
    return "" if points["K"].nunique() > 1 else "only one language count is finished"


def draw(points: pd.DataFrame, df: pd.DataFrame, study: Study, state: Completeness) -> Figure:
    """One panel a group, on one scale; one line a width; grey: English; dotted: guessing."""
    part = language_axis(df)
    titles = [t for t in dict.fromkeys(points["panel"]) if t != "supervised"]
    supervised = points[points["panel"] == "supervised"]
    widths, counts = sorted(points["width"].unique()), sorted(points["K"].unique())
    notes = [*lines.unfinished(study, state, part), *lines.one_seed(points), *lines.cut_note(points)]
    figure, panels = style.sheet(len(titles), notes=notes, height=2.9 if len(titles) > 1 else 3.2)
    for axes, title in zip(panels, titles, strict=True):
        own = points[points["panel"] == title]
        for i, width in enumerate(widths):
            line = own[own["width"] == width].sort_values("K")
            factor = style.dodge(counts, i, len(widths))
            lines.draw_line(axes, line, "K", factor, style.aside(counts), style.series(i), f"width {width}")
        _references(axes, supervised, points)
        style.language_count_axis(axes, counts)
        lines.frame_values(axes, points)
        bottom, top = axes.get_ylim()
        axes.set_ylim(max(0.0, min(bottom, _lowest(points) - 0.05 * (top - bottom))), min(100.0, top))
        style.titled(axes, *title.split(": ", 1))
    panels[0].set_ylabel("accuracy, % of sentences\n(↑ higher is better)")
    handles, labels = panels[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside upper center", ncols=min(len(labels), 4 if len(titles) > 1 else 2))
    return figure


def _references(axes: Axes, supervised: pd.DataFrame, points: pd.DataFrame) -> None:
    if not supervised.empty:
        mean = supervised.groupby("K")["mean"].mean()
        axes.plot(mean.index, mean, color=style.QUIET, lw=1.1, marker=".", ms=4, zorder=1, label="English, supervised")
    looks = (("chance", ":", "guessing evenly"), ("majority", "-.", "commonest class"))
    for name, look, label in looks:
        level = points[name].iloc[0]
        if not math.isnan(level):
            axes.axhline(level, color=style.QUIET, linestyle=look, lw=1, zorder=1, label=f"{label} ({level:.0f} %)")


def _lowest(points: pd.DataFrame) -> float:
    return float(points[["chance", "majority", "mean"]].min().min())


def _panels(rows: pd.DataFrame, study: Study) -> dict[str, tuple[str, ...]]:
    groups = {}
    for group in ("high", "low"):
        if scored(rows, ACCURACY, study.group(group)) and not group_mean(rows, ACCURACY, study.group(group)).empty:
            groups[f"{group.capitalize()}-resource"] = study.group(group)
    if groups:
        return groups
    smallest = rows.sort_values(["K", "languages"])["languages"].iloc[0].split(",")
    return {f"Zero-shot {i}": (code,) for i, code in enumerate(scored(rows, ACCURACY, smallest)[:_PANELS], start=1)}


def caption(points: pd.DataFrame) -> str:
    own = points[points["panel"] != "supervised"]
    english = (
        " The grey line is English itself, which is supervised (mean over widths)." if len(own) < len(points) else ""
    )
    return (
        "Intent accuracy after fine-tuning on English alone, against the number of languages trained on"
        f"{at_alpha(own)}; {seeds_text(own)}. Higher is better.{english}"
    )
