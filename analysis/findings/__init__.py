"""The verdicts: does this table support a finding, speak against it, or leave it open?

Every effect is turned so that a positive number speaks FOR the finding: bits per byte gained as languages are added,
accuracy lost as languages are added. A finding is

    supported       when the paired 95 % interval over seeds lies wholly above 0,
    not supported   when it lies wholly below 0 (the opposite was seen),
    cannot tell     otherwise; the verdict then says what would settle it.

A finding that makes two claims (F2, F6, ...) is supported when both hold, and the weaker one is reported; F5 rests on a
fitted law, F8 takes an effect of either sign, F15 is an equivalence. Statements are those of paper section 6.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pandas as pd

from analysis.findings.curse import capacity, causes, curse, enough_text, hump
from analysis.findings.decision import Evidence
from analysis.findings.isoloss import iso_loss
from analysis.findings.items import over_items
from analysis.findings.sampling import alpha_and_scale, interior_alpha, tokenizer_alpha, trade
from analysis.findings.training import equal_tokenizers, longer_training, more_text
from analysis.findings.transfer import against_monolingual, transfer
from analysis.findings.verdict import (
    CANNOT_TELL,
    NOT_SUPPORTED,
    STATEMENTS,
    SUPPORTED,
    Absent,
    Verdict,
    effect_text,
    level_text,
    open_verdict,
    verdict_lines,
)
from analysis.findings.vocabulary import constant_body, constant_total, vocabulary_and_languages
from analysis.records import Study
from analysis.statistics import BITS, Outcome, holm, outcomes

__all__ = [
    "CANNOT_TELL", "EVIDENCE", "NOT_SUPPORTED", "RULES", "STATEMENTS", "SUPPORTED", "Verdict", "effect_text", "judge",
    "level_text", "verdict_lines",
]  # fmt: skip

Rule = Callable[[pd.DataFrame, Study, Outcome], Verdict]
EVIDENCE: dict[str, Callable[[pd.DataFrame, Study, Outcome], Evidence]] = {
    "F1": curse,
    "F2": hump,
    "F3": causes,
    "F4": capacity,
    "F6": trade,
    "F7": interior_alpha,
    "F8": alpha_and_scale,
    "F9": constant_total,
    "F10": constant_body,
    "F11": vocabulary_and_languages,
    "F12": tokenizer_alpha,
    "F13": more_text,
    "F14": longer_training,
    "F15": equal_tokenizers,
    "F16": against_monolingual,
    "F17": transfer,
    "F18": enough_text,
}
"""Finding -> from records, study and outcome to its evidence by seed; raises Absent where the cells are not there."""


def _judged(rule: Callable[[pd.DataFrame, Study, Outcome], Evidence]) -> Rule:
    return lambda df, study, outcome: rule(df, study, outcome).verdict()


_BY_SEED = {finding: _judged(rule) for finding, rule in EVIDENCE.items()}
RULES: dict[str, Rule] = {name: _BY_SEED.get(name, iso_loss) for name in STATEMENTS}
"""Finding -> from records, study and outcome to a verdict. F5 rests on a law over runs, all others on seeds."""

_LOSS_ONLY = ("F5",)
"""Laws are fitted to losses."""


def judge(df: pd.DataFrame, study: Study, root: Path | None = None) -> list[Verdict]:
    """Judge the study's findings on the table, in the study's order; each on bits per byte, then on every downstream
    task that was recorded. Missing cells never raise. p-values are adjusted for all verdicts together (Holm).

    With `root`, the store, findings on tasks whose items were kept also get intervals over items and seeds.
    """
    found = outcomes(df)
    verdicts = []
    for finding in study.findings:
        if finding not in RULES:
            verdicts.append(open_verdict(finding, BITS, "no rule of this version judges it", "a rule"))
            continue
        for outcome in found[:1] if finding in _LOSS_ONLY else found:
            try:
                verdict = RULES[finding](df, study, outcome)
                if root is not None and outcome.zero_shot:
                    verdict = over_items(verdict, df, study, outcome, root)
                verdicts.append(verdict)
            except Absent as reason:
                verdicts.append(open_verdict(finding, outcome, str(reason), reason.settle))
    adjusted = holm([verdict.p for verdict in verdicts])
    return [_among(verdict, p, len(verdicts)) for verdict, p in zip(verdicts, adjusted, strict=True)]


def _among(verdict: Verdict, p_holm: float, number: int) -> Verdict:
    """The verdict with its adjusted p, and a caution where it would not stand among so many."""
    told = verdict.cautions
    if verdict.verdict != CANNOT_TELL and p_holm >= 0.05:
        told = (
            *told,
            f"found alone, not among the {number} verdicts of this study: adjusted for all of them (Holm), p is "
            f"{p_holm:.2f}",
        )
    return replace(verdict, p_holm=p_holm, cautions=told)
