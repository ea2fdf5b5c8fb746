"""Batch size and steps, and the tokenizer's algorithm (paper Figure 7)."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pandas as pd

from analysis.axes import Slice, plane
from analysis.figures import panels
from analysis.figures.curse import seeds_text
from analysis.paper import ROW_TOKENS
from analysis.records import Completeness, Study

if TYPE_CHECKING:
    from matplotlib.figure import Figure

NAME, TITLE = "training", "Batch size, steps and the tokenizer's algorithm"
FINDINGS = ("F14", "F15")
BATCH, STEPS, TOKENIZER = "batch", "steps", "tokenizer"
_TITLES = {BATCH: "Batch size", STEPS: "Length of training", TOKENIZER: "Tokenizer"}
_AXES = {
    BATCH: panels.Axis("place", "tokens in a batch (log scale)", "log", lambda v: panels.short(float(v))),
    STEPS: panels.Axis("place", "steps (log scale)", "log", lambda v: panels.short(float(v))),
    TOKENIZER: panels.Axis("place", "algorithm", "category", lambda v: {"bpe": "BPE"}.get(v, v)),
}
_COLUMNS = {BATCH: "batch_tokens", STEPS: "steps", TOKENIZER: "tokenizer_algorithm"}


def _slices(df: pd.DataFrame) -> dict[str, Slice]:
    """The runs of each panel; steps stand on the axis only where there is one batch size."""
    found = {}
    part = plane(df, ["batch_tokens", "steps"])
    if part.rows["batch_tokens"].nunique() > 1:
        found[BATCH] = part
    elif part.rows["steps"].nunique() > 1:
        found[STEPS] = replace(part, axis="steps")
    part = plane(df, ["tokenizer_algorithm"])
    if part.rows["tokenizer_algorithm"].nunique() > 1:
        found[TOKENIZER] = part
    return found


def data(df: pd.DataFrame, study: Study) -> pd.DataFrame:
    """What is drawn: one row for each (outcome, panel, place, steps); `place` is the value of the panel's own axis."""
    parts, slices = [], _slices(df)
    for outcome in panels.families(df) if slices else []:
        for panel, part in slices.items():
            column = _COLUMNS[panel]
            for name, group in panels.whom(part, study, outcome).items():
                by = [column, *(["steps"] if panel == BATCH else [])]
                points = panels.measure(part.rows, outcome, {panel: group}, by).rename(columns={column: "place"})
                parts.append(panels.with_paper(points, "7", "place", outcome, group=name, series=panel))
    parts = [points.astype({"place": object}) for points in parts if len(points)]
    if not parts:
        return pd.DataFrame()
    points = pd.concat(parts, ignore_index=True)
    return points if "steps" in points else points.assign(steps=float("nan"))


def skipped(points: pd.DataFrame) -> str:
    """Why there is nothing to draw, or ""."""
    return "" if panels.several(points, "place") else "one batch size, length and tokenizer alone are finished"


def draw(points: pd.DataFrame, df: pd.DataFrame, study: Study, state: Completeness) -> Figure:
    """A row an outcome; a panel what was varied; one line a number of steps."""
    drawn = panels.whole_panels(points, "place")
    parts = {panel: part for panel, part in _slices(df).items() if (drawn["panel"] == panel).any()}
    look = panels.Look(_AXES, by="steps", name=lambda steps: f"{panels.short(steps)} steps", titles=_TITLES)
    return panels.draw(drawn, df, study, state, parts, look)


def caption(points: pd.DataFrame) -> str:
    rows = f" The paper's batches are taken as rows of {ROW_TOKENS} tokens, which it does not print."
    grey = rows if (points["source"] == panels.PAPER).any() and (points["panel"] == BATCH).any() else ""
    text = f"Means by batch size, length of training and tokenizer; {seeds_text(panels.ours(points))}."
    return panels.caption_of(points, text, "7") + grey
