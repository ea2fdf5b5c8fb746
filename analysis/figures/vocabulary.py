"""What a larger vocabulary is worth, at a constant total and at a constant body (paper Figure 6)."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pandas as pd

from analysis.axes import Slice, counts_plane, plane
from analysis.figures import panels
from analysis.figures.curse import seeds_text
from analysis.findings.vocabulary import TOTAL_TOLERANCE
from analysis.paper import BODY, TOTAL
from analysis.records import Completeness, Study
from analysis.statistics import Outcome

if TYPE_CHECKING:
    from matplotlib.figure import Figure

NAME, TITLE = "vocabulary", "What a larger vocabulary is worth"
FINDINGS = ("F9", "F10", "F11")
AXIS = panels.Axis("vocabulary", "pieces in the vocabulary (log scale)", "log", panels.short)
_TITLES = {TOTAL: "Constant total", BODY: "Constant body"}


def _slices(df: pd.DataFrame) -> dict[str, Slice]:
    """The runs of each panel: those whose widths keep the total, and those of one width at any K."""
    found = {}
    total = plane(df, ["vocabulary"], follow=["width"])
    runs = total.rows.drop_duplicates("run")
    parameters = runs["body_parameters"] + runs["embedding_parameters"]
    if runs["width"].nunique() > 1 and parameters.max() <= parameters.min() * (1 + 2 * TOTAL_TOLERANCE):
        found[TOTAL] = total
    body = counts_plane(df, ["vocabulary"])
    counts = body.rows.groupby("K")["vocabulary"].transform("nunique")
    body = replace(body, rows=body.rows[counts > 1])
    if len(body.rows):
        found[BODY] = body
    return found


def data(df: pd.DataFrame, study: Study) -> pd.DataFrame:
    """What is drawn: one row for each (outcome, panel, vocabulary, K); the panel is what stays constant."""
    parts, slices = [], _slices(df)
    for outcome in panels.families(df) if slices else []:
        for panel, part in slices.items():
            for name, group in _whom(part, study, outcome).items():
                points = panels.measure(part.rows, outcome, {panel: group}, ["vocabulary", "K"])
                parts.append(panels.with_paper(points, "6", "vocabulary", outcome, group=name, series=panel))
    return pd.concat(parts, ignore_index=True) if parts else pd.DataFrame()


def _whom(part: Slice, study: Study, outcome: Outcome) -> dict[str, tuple[str, ...]]:
    """The core where several language counts are drawn, as F11 judges; else everything, as F9 and F10 do."""
    if part.rows["K"].nunique() > 1 and study.group("core"):
        return {"core": study.group("core")}
    return panels.whom(part, study, outcome)


def skipped(points: pd.DataFrame) -> str:
    """Why there is nothing to draw, or ""."""
    return "" if panels.several(points, "vocabulary") else "only one vocabulary is finished, all else equal"


def draw(points: pd.DataFrame, df: pd.DataFrame, study: Study, state: Completeness) -> Figure:
    """A row an outcome, a panel a design, one line a language count."""
    drawn = panels.whole_panels(points, "vocabulary")
    used = {panel: part for panel, part in _slices(df).items() if (drawn["panel"] == panel).any()}
    look = panels.Look(AXIS, by="K", name=lambda k: f"K = {k:g}", titles=_TITLES)
    return panels.draw(drawn, df, study, state, used, look)


def caption(points: pd.DataFrame) -> str:
    own = panels.ours(points)
    designs = {TOTAL: "the width shrinks so that the total stays", BODY: "the body stays as it is"}
    said = "; ".join(f"{_TITLES[panel].lower()}: {designs[panel]}" for panel in own["panel"].unique())
    return panels.caption_of(points, f"Means against the size of the vocabulary ({said}); {seeds_text(own)}.", "6")
