"""Every downstream task against language count, zero-shot, beside chance and supervised English (paper Figure 2)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING

import pandas as pd

from analysis.axes import Slice, language_axis
from analysis.figures import lines, panels, style
from analysis.figures.curse import AXIS, at_alpha, seeds_text
from analysis.records import Completeness, Study
from analysis.statistics import BITS, ENGLISH, Outcome, final, scored

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

NAME, TITLE = "zeroshot", "Zero-shot accuracy as languages are added"
FINDINGS = ("F1", "F2", "F4")
SUPERVISED = "supervised English"
_PANELS = 3
_REACH = 15.0
"""Points. What lies further from a task's lines is written at the foot: on the axis it would press them flat."""


def data(df: pd.DataFrame, study: Study) -> pd.DataFrame:
    """What is drawn: one row for each (outcome, panel, K, width); panel "supervised English" holds its references.

    Panels are the study's groups; where none has a zero-shot language, the languages of the smallest set.
    """
    part = language_axis(df)
    parts = []
    for outcome in panels.families(df):
        if outcome.task != BITS.task:
            parts.append(_of_task(part, study, outcome))
    parts = [points for points in parts if len(points)]
    return pd.concat(parts, ignore_index=True) if parts else pd.DataFrame()


def _of_task(part: Slice, study: Study, outcome: Outcome) -> pd.DataFrame:
    rows = final(part.rows, outcome)
    points = panels.measure(rows, outcome, panels.groups_of(part, study), ["K", "width"])
    if points.empty and len(rows):
        points = panels.measure(rows, outcome, _singles(rows, outcome), ["K", "width"])
    if points.empty:
        return points
    points = panels.with_paper(points, "2", "K", outcome)
    english = rows[rows["language"] == ENGLISH].assign(value=lambda d: d["value"] * outcome.scale)
    if outcome.zero_shot and not english.empty:
        own = lines.summarise(english, ["K", "width"])
        own = own.assign(outcome=outcome.name, panel=SUPERVISED, languages=ENGLISH, absent="", source=panels.OURS)
        points = pd.concat([points, own], ignore_index=True)
    guesses = rows[["chance", "majority"]].mean() * outcome.scale
    return points.assign(chance=guesses["chance"], majority=guesses["majority"], alpha=rows["alpha"].iloc[0])


def _singles(rows: pd.DataFrame, outcome: Outcome) -> dict[str, tuple[str, ...]]:
    smallest = rows.sort_values(["K", "languages"])["languages"].iloc[0].split(",")
    return {f"Zero-shot {i}": (code,) for i, code in enumerate(scored(rows, outcome, smallest)[:_PANELS], start=1)}


def skipped(points: pd.DataFrame) -> str:
    """Why there is nothing to draw, or ""."""
    if points.empty:
        return "no zero-shot accuracy is recorded"
    return "" if panels.ours(points)["K"].nunique() > 1 else "only one language count is finished"


def draw(points: pd.DataFrame, df: pd.DataFrame, study: Study, state: Completeness) -> Figure:
    """A row a task and a panel a group, one line a width; grey: English; dotted: guessing."""
    supervised = points[points["panel"] == SUPERVISED]
    groups = points[points["panel"] != SUPERVISED]
    look = panels.Look(
        AXIS, by="width", name=lambda width: f"width {width:g}", extra=partial(_references, groups, supervised),
        notes=_far(groups, supervised),
    )  # fmt: skip
    return panels.draw(groups, df, study, state, language_axis(df), look)


def _references(groups: pd.DataFrame, supervised: pd.DataFrame, axes: Axes, own: pd.DataFrame) -> Sequence[float]:
    kept: list[float] = []
    every = panels.ours(groups)
    every = every[every["outcome"] == own["outcome"].iloc[0]]
    here = supervised[supervised["outcome"] == own["outcome"].iloc[0]]
    mean = here.groupby("K")["mean"].mean()
    if len(mean) and _near(mean.min(), every):
        places = AXIS.places(own["K"])
        at = [places[k] for k in mean.index if k in places]
        shown = [value for k, value in mean.items() if k in places]
        axes.plot(at, shown, color=style.QUIET, lw=1.1, marker=".", ms=4, zorder=1, label="English, supervised")
        kept += shown
    for name, look, label in (("chance", ":", "guessing evenly"), ("majority", "-.", "commonest class")):
        level = own[name].iloc[0]
        if not math.isnan(level) and _near(level, every):
            axes.axhline(level, color=style.QUIET, linestyle=look, lw=1, zorder=1, label=f"{label} ({_percent(level)})")
            kept.append(level)
    return kept


def _percent(level: float) -> str:
    return f"{level:.0f} %" if level >= 1 else f"{level:.1g} %"


def _near(level: float, own: pd.DataFrame) -> bool:
    return bool(own["mean"].min() - _REACH < level < own["mean"].max() + _REACH)


def _far(groups: pd.DataFrame, supervised: pd.DataFrame) -> list[str]:
    """References that lie off the axis, in words."""
    notes = []
    for name, rows in panels.ours(groups).groupby("outcome", sort=False):
        english = supervised[supervised["outcome"] == name]["mean"]
        said = []
        if len(english) and not _near(english.min(), rows):
            said.append(f"English, supervised, {english.min():.1f} to {english.max():.1f} %")
        for column, words in (("chance", "guessing evenly"), ("majority", "commonest class")):
            level = rows[column].iloc[0]
            if not math.isnan(level) and not _near(level, rows):
                said.append(f"{words} {_percent(level)}")
        if said:
            notes.append(f"Off the scale ({name}): {'; '.join(said)}.")
    return notes


def caption(points: pd.DataFrame) -> str:
    own = points[points["panel"] != SUPERVISED]
    english = " English itself is supervised and stands apart (mean over widths)." if len(own) < len(points) else ""
    return panels.caption_of(
        own,
        "Downstream scores after fine-tuning on English alone, against the number of languages trained on"
        f"{at_alpha(own)}; {seeds_text(panels.ours(own))}. Higher is better.{english}",
        "2",
    )
