"""What a vocabulary is worth: F9, F10, F11 (paper section 6)."""

from __future__ import annotations

import math
from itertools import pairwise
from typing import Any

import pandas as pd

from analysis.axes import counts_plane, plane
from analysis.findings.contrast import ends_of, group_text, slopes, table_of
from analysis.findings.decision import Claim, Contrast, Evidence, Peak
from analysis.findings.verdict import Absent, numbers
from analysis.records import Study
from analysis.statistics import Outcome, paired

TOTAL_TOLERANCE = 0.1
"""Widths are whole numbers, so a constant total is constant within this share."""


def constant_total(df: pd.DataFrame, study: Study, outcome: Outcome) -> Evidence:
    """F9: the best vocabulary between the ends against both, the width following so that the total stays."""
    part = plane(df, ["vocabulary"], follow=["width"])
    table = table_of(part, study, "all", outcome, ["vocabulary"])
    ends_of(table, "vocabulary")
    runs = part.rows.drop_duplicates("run")
    totals = runs["body_parameters"] + runs["embedding_parameters"]
    if totals.max() > totals.min() * (1 + 2 * TOTAL_TOLERANCE):
        why = f"totals differ, {totals.min():.3g} to {totals.max():.3g} parameters"
        raise Absent(why, "a study that derives the width from a constant total")
    note = f", {totals.median():.3g} parameters in all"
    return Peak("F9", part, outcome, table, "mean over all", note, group_text(part, study, "all", outcome))


def constant_body(df: pd.DataFrame, study: Study, outcome: Outcome) -> Evidence:
    """F10: the largest vocabulary against the smallest, and the first doubling's gain against the last's."""
    part = plane(df, ["vocabulary"])
    table = table_of(part, study, "all", outcome, ["vocabulary"])
    first, last = ends_of(table, "vocabulary")
    sizes = sorted(table.columns)
    gain = {(a, b): outcome.worse * paired(table[a], table[b]) / math.log2(b / a) for a, b in pairwise(sizes)}
    claims = [Claim(outcome.worse * paired(table[first], table[last]), f"gained from V = {first} to V = {last}")]
    steps = list(gain)
    if len(steps) > 1:
        falls = paired(gain[steps[0]], gain[steps[-1]])
        claims.append(Claim(falls, f"more for a doubling of V at {first} than at {steps[-1][0]}"))
    details: dict[str, Any] = {"vocabulary": sizes, "languages": group_text(part, study, "all", outcome)}
    details |= {f"a doubling between {a} and {b} gains": numbers(Claim(s, "").interval) for (a, b), s in gain.items()}
    note = f"mean over all languages at V = {first} to V = {last}, width {part.fixed.get('width')}"
    return Contrast("F10", outcome, claims, note, part, details, table)


def vocabulary_and_languages(df: pd.DataFrame, study: Study, outcome: Outcome) -> Evidence:
    """F11: by seed, how fast the core mean falls with log2 V at the largest K less how fast at the smallest.

    A best V that moves to the right as K grows is a slope over log V that falls as K grows.
    """
    part = counts_plane(df, ["vocabulary"])
    table = table_of(part, study, "core", outcome, ["K", "vocabulary"])
    first, last = ends_of(table, "K")
    sizes = sorted({v for k, v in table.columns if k == first} & {v for k, v in table.columns if k == last})
    if len(sizes) < 2:
        why = f"two vocabularies at both K = {first} and K = {last} are needed; there are {len(sizes)}"
        raise Absent(why, "finished runs of a second vocabulary at both ends of K")
    logs = [math.log2(v) for v in sizes]
    slope, best = {}, {}
    for k in sorted(set(table.columns.get_level_values("K"))):
        here = table[[(k, v) for v in sizes if (k, v) in table.columns]]
        if here.shape[1] == len(sizes):
            best[k] = sizes[int((here.mean() * outcome.worse).to_numpy().argmin())]
            here = here.copy()
            here.columns = pd.Index(logs)
            slope[k] = slopes(here, logs) * outcome.worse
    claim = Claim(
        paired(slope[first], slope[last]), f"more for a doubling of V at K = {last} than at K = {first}, core mean"
    )
    details: dict[str, Any] = {"vocabulary": sizes}
    details |= {f"best V at K = {k}": v for k, v in best.items()}
    details |= {f"a doubling of V at K = {k} gains": numbers(Claim(-s, "").interval) for k, s in slope.items()}
    note = f"the slope of the core mean over log V at K = {last} less that at K = {first}"
    return Contrast("F11", outcome, [claim], note, part, details, table)
