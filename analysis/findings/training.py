"""Data, training and the tokenizer's kind: F13, F14, F15 (paper section 6)."""

from __future__ import annotations

import math
from collections.abc import Collection
from dataclasses import dataclass, replace
from typing import Any

import pandas as pd

from analysis.axes import Slice, plane
from analysis.findings.contrast import ends_of, group_text, table_of
from analysis.findings.decision import Claim, Contrast, Evidence
from analysis.findings.verdict import CANNOT_TELL, NOT_SUPPORTED, STATEMENTS, SUPPORTED, Absent, Verdict, numbers
from analysis.records import Study
from analysis.statistics import Interval, Outcome, equivalent, p_value, paired, t_interval

POINTS_MARGIN = 0.5
"""Accuracies closer than this many points are equal (paper section 6, F15)."""
BITS_MARGIN = 0.01
"""Losses closer than this share of their mean are equal: a tenth of what seeds and recipes are usually chosen by."""


def more_text(df: pd.DataFrame, study: Study, outcome: Outcome) -> Evidence:
    """F13: from the least text to the most, the low group gains, and more than the high group."""
    part = plane(df, ["text_bytes"])
    tables = {g: table_of(part, study, g, outcome, ["text_bytes"]) for g in ("low", "high")}
    first, last = ends_of(tables["low"], "text_bytes")
    gain = {g: outcome.worse * paired(t[first], t[last]) for g, t in tables.items()}
    ends = f"from {_bytes(first)} to {_bytes(last)} a language"
    claims = [
        Claim(gain["low"], f"gained by the low group {ends}"),
        Claim(paired(gain["low"], gain["high"]), f"more gained by the low group than by the high {ends}"),
    ]
    details: dict[str, Any] = {
        "text": [_bytes(x) for x in sorted(set(tables["low"].columns))],
        "low group gains": numbers(t_interval(gain["low"])),
        "high group gains": numbers(t_interval(gain["high"])),
    }
    return Contrast("F13", outcome, claims, f"both groups {ends}", part, details, tables["low"])


def longer_training(df: pd.DataFrame, study: Study, outcome: Outcome) -> Evidence:
    """F14: the last lengthening of training at the largest batch, and the largest batch against the smallest at the
    most steps. On a downstream task it is the finding; on bits per byte it says whether the loss itself was flat."""
    part = plane(df, ["batch_tokens", "steps"])
    table = table_of(part, study, "all", outcome, ["batch_tokens", "steps"])
    batches = sorted(set(table.columns.get_level_values("batch_tokens")))
    steps = sorted(s for b, s in table.columns if b == batches[-1])
    if len(steps) < 2:
        raise Absent("two lengths of training at the largest batch are needed", "finished runs of a second length")
    late = outcome.worse * paired(table[(batches[-1], steps[-2])], table[(batches[-1], steps[-1])])
    claims = [Claim(late, f"gained from {steps[-2]} to {steps[-1]} steps at {batches[-1]} tokens a batch")]
    details: dict[str, Any] = {"batch tokens": batches, "steps": steps}
    if len(batches) > 1 and (batches[0], steps[-1]) in table.columns:
        larger = outcome.worse * paired(table[(batches[0], steps[-1])], table[(batches[-1], steps[-1])])
        words = f"gained from {batches[0]} to {batches[-1]} tokens a batch at {steps[-1]} steps"
        claims.append(Claim(larger, words))
    details |= {claim.measure: numbers(claim.interval) for claim in claims}
    details["languages"] = group_text(part, study, "all", outcome)
    return Contrast("F14", outcome, claims, "mean over all languages", part, details, table)


def equal_tokenizers(df: pd.DataFrame, study: Study, outcome: Outcome) -> Evidence:
    """F15: two one-sided tests of unigram against BPE, at 5 % each, with a margin fixed beforehand."""
    part = plane(df, ["tokenizer_algorithm"])
    table = table_of(part, study, "all", outcome, ["tokenizer_algorithm"])
    if not {"unigram", "bpe"} <= set(table.columns):
        raise Absent("unigram and BPE were not both run alike", "finished runs of both")
    return Equivalence(part, outcome, table)


@dataclass(frozen=True)
class Equivalence:
    """Supported where the 90 % interval lies inside the margin, not supported where the 95 % interval lies outside it.
    table: means over all languages by seed, a column for each tokenizer."""

    part: Slice
    outcome: Outcome
    table: pd.DataFrame

    def of_seeds(self, seeds: Collection[int]) -> Equivalence:
        return replace(self, table=self.table[self.table.index.isin(list(seeds))])

    def verdict(self) -> Verdict:
        outcome, table = self.outcome, self.table
        differences = outcome.worse * paired(table["unigram"], table["bpe"])
        margin = BITS_MARGIN * float(table.mean().mean()) if outcome.worse > 0 else POINTS_MARGIN
        interval, inside = equivalent(differences, margin)
        if not interval.n:
            raise Absent("no seed is finished with both tokenizers")
        verdict, why, settle = _equivalence(differences, interval, inside, margin)
        return Verdict(
            finding="F15",
            statement=STATEMENTS["F15"],
            outcome=outcome.name,
            verdict=verdict,
            effect=interval.mean,
            low=interval.low,
            high=interval.high,
            unit=outcome.unit,
            seeds=interval.n,
            rule=f"Two one-sided tests, paired by seed, margin {margin:.{outcome.digits}f} {outcome.unit}: {why}.",
            settle=settle,
            measure=f"{outcome.unit} unigram is worse than BPE",
            level=0.9,
            digits=outcome.digits,
            cautions=self.part.cautions + self.part.averaged,
            details={"margin": margin, "95 % interval": numbers(t_interval(differences))},
            p=max(_one_sided(differences + margin), _one_sided(margin - differences)) if interval.n > 1 else math.nan,
        )


def _equivalence(differences: pd.Series, interval: Interval, inside: bool, margin: float) -> tuple[str, str, str]:
    if not interval.covers_seed_noise:
        return CANNOT_TELL, "one seed cannot show how much seeds differ", "at least two more seeds of both tokenizers"
    wide = t_interval(differences)
    if inside:
        return SUPPORTED, "the 90 % interval lies inside the margin", ""
    if wide.low > margin or wide.high < -margin:
        return NOT_SUPPORTED, "the 95 % interval lies outside the margin", ""
    if abs(interval.mean) >= margin:
        return (
            CANNOT_TELL,
            "the difference is as large as the margin",
            "more seeds, and then perhaps against the finding",
        )
    for seeds in range(interval.n + 1, 201):
        half = interval.half * math.sqrt(interval.n / seeds)
        if abs(interval.mean) + half < margin:
            return CANNOT_TELL, "the 90 % interval reaches beyond the margin", f"roughly {seeds} seeds at this noise"
    return CANNOT_TELL, "the 90 % interval reaches beyond the margin", "more than 200 seeds at this noise"


def _one_sided(values: pd.Series) -> float:
    """p of a mean of at most 0 against one above."""
    two = p_value(values)
    return two / 2 if values.mean() > 0 else 1 - two / 2


def _bytes(number: float) -> str:
    return "all text" if math.isinf(number) else f"{number:.3g} bytes"
