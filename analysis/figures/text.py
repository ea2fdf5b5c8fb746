"""Every outcome against the text a language may have, a panel a group (in the place of paper Figure 3)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pandas as pd

from analysis.axes import plane
from analysis.figures import panels
from analysis.figures.curse import seeds_text
from analysis.records import Completeness, Study

if TYPE_CHECKING:
    from matplotlib.figure import Figure

NAME, TITLE = "data", "What more text gives to whom"
FINDINGS = ("F13",)


AXIS = panels.Axis("text_bytes", "text of each language (log)", "log", panels.size)


def data(df: pd.DataFrame, study: Study) -> pd.DataFrame:
    """What is drawn: one row for each (outcome, panel, text_bytes); an infinite text_bytes is all text there is."""
    part = plane(df, ["text_bytes"])
    if part.rows["text_bytes"].nunique() < 2:
        return pd.DataFrame()
    groups = panels.groups_of(part, study)
    parts = [panels.measure(part.rows, outcome, groups, ["text_bytes"]) for outcome in panels.families(df)]
    points = pd.concat(parts, ignore_index=True)
    return points if points.empty else points.assign(K=part.fixed["K"])


def skipped(points: pd.DataFrame) -> str:
    """Why there is nothing to draw, or ""."""
    return "" if panels.several(points, "text_bytes") else "only one amount of text is finished, all else equal"


def draw(points: pd.DataFrame, df: pd.DataFrame, study: Study, state: Completeness) -> Figure:
    """A row an outcome, a panel a group."""
    drawn = panels.whole_panels(points, "text_bytes")
    return panels.draw(drawn, df, study, state, plane(df, ["text_bytes"]), panels.Look(AXIS))


def caption(points: pd.DataFrame) -> str:
    return panels.caption_of(
        points,
        f"Group means at K = {points['K'].iloc[0]} against the text of each language; {seeds_text(points)}. The "
        "paper's Figure 3 sets one source against another, Wikipedia against CommonCrawl, so its bars have no place "
        "on this axis.",
        "3",
    )
