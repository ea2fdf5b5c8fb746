"""The core mean against language count with little and with much text or training (section 6, F18)."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING

import pandas as pd

from analysis.axes import counts_plane
from analysis.figures import panels
from analysis.figures.curse import AXIS, seeds_text
from analysis.records import Completeness, Study

if TYPE_CHECKING:
    from matplotlib.figure import Figure

NAME, TITLE = "enough", "The curse with little and with much text"
FINDINGS = ("F18",)
_AXES = ("text_bytes", "steps")


def data(df: pd.DataFrame, study: Study) -> pd.DataFrame:
    """What is drawn: one row for each (outcome, K, text_bytes, steps). Lines are amounts of text, and panels steps; or
    lines are steps where there is one amount."""
    part = counts_plane(df, _AXES)
    core = panels.groups_of(part, study, ["core"])
    by = ["text_bytes", "steps", "K"]
    parts = [panels.measure(part.rows, outcome, core, by) for outcome in panels.families(df)]
    points = pd.concat(parts, ignore_index=True)
    if points.empty:
        return points
    several = points.groupby(["outcome", "text_bytes", "steps"])["K"].transform("nunique") > 1
    points = points[several].reset_index(drop=True)
    if points["text_bytes"].nunique() > 1:
        return points.assign(line=points["text_bytes"], panel=[_steps(steps) for steps in points["steps"]])
    return points.assign(line=points["steps"].astype(float))


def _steps(steps: float) -> str:
    return f"{steps:,.0f} steps"


def _amount(text: float) -> str:
    return "all text" if math.isinf(text) else f"{panels.size(text)} a language"


def skipped(points: pd.DataFrame) -> str:
    """Why there is nothing to draw, or ""."""
    if points.empty or len(points[["text_bytes", "steps"]].drop_duplicates()) < 2:
        return "two amounts of text or steps, each at two language counts, are needed"
    return ""


def draw(points: pd.DataFrame, df: pd.DataFrame, study: Study, state: Completeness) -> Figure:
    """A row an outcome, a panel a number of steps, one line an amount of text (or a number of steps)."""
    part = counts_plane(df, _AXES)
    cells = set(zip(points["text_bytes"], points["steps"], strict=True))
    here = [cell in cells for cell in zip(part.rows["text_bytes"], part.rows["steps"], strict=True)]
    of_text = points["text_bytes"].nunique() > 1
    titles = {panel: panel for panel in points.sort_values("steps")["panel"].unique()} if of_text else None
    look = panels.Look(AXIS, by="line", name=_amount if of_text else _steps, titles=titles)
    return panels.draw(points, df, study, state, replace(part, rows=part.rows[here]), look)


def caption(points: pd.DataFrame) -> str:
    own = panels.ours(points)
    lines = "an amount of text" if own["text_bytes"].nunique() > 1 else "a number of steps"
    text = f"Core mean against the number of languages trained on, a line {lines}; {seeds_text(own)}."
    return panels.caption_of(points, text, "")
