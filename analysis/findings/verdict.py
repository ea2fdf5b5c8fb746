"""What a finding comes to: a verdict with its effect, its interval, the rule that decided, and what would settle it."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from analysis.statistics import Interval, Outcome

SUPPORTED, NOT_SUPPORTED, CANNOT_TELL = "supported", "not supported", "cannot tell"

STATEMENTS = {
    "F1": "The core mean gets worse as languages are added at fixed capacity (the curse)",
    "F2": "Low-resource languages first gain from added languages, then lose (the hump)",
    "F3": "Part of the curse is less exposure and a shared tokenizer, not lack of capacity",
    "F4": "A wider model pays a smaller penalty for added languages (capacity lifts the curse)",
    "F5": "Holding the loss while languages are added takes more parameters (the iso-loss law)",
    "F6": "A larger sampling alpha helps high-resource and hurts low-resource languages",
    "F7": "An alpha between the ends is best for the mean over all languages",
    "F8": "The best alpha depends on capacity or on the length of training",
    "F9": "At constant total parameters, a vocabulary between the ends is best (inverted U)",
    "F10": "With the body kept, a larger vocabulary helps, the last doubling less than the first",
    "F11": "More languages want a larger vocabulary",
    "F12": "The tokenizer's alpha trades high for low resource as the batches' alpha does",
    "F13": "More text helps, and low-resource languages most",
    "F14": "Longer training and larger batches still help at the end of what was run",
    "F15": "A unigram vocabulary and BPE do equally well",
    "F16": "One model for several languages is worse in each than a model for each",
    "F17": "Script and family predict what a language gains from another, and width lessens interference",
    "F18": "The curse shrinks when every language has more text or training",
}
"""The testable statements of paper section 6."""


@dataclass(frozen=True)
class Verdict:
    """One finding judged on one outcome.

    effect, low, high: in `unit`, positive in the finding's direction; NaN where there is none. `measure` says what the
    number is. seeds: how many it rests on. rule: what decided. settle: what would settle it ("" once settled).
    details: further intervals, as plain numbers under readable names. p: two-sided, of the claim reported; p_holm: the
    same, adjusted for all verdicts of the study (Holm).
    """

    finding: str
    statement: str
    outcome: str
    verdict: str
    effect: float
    low: float
    high: float
    unit: str
    seeds: int
    rule: str
    settle: str
    measure: str = ""
    digits: int = 3
    cautions: tuple[str, ...] = ()
    details: Mapping[str, Any] = field(default_factory=dict)
    p: float = math.nan
    p_holm: float = math.nan
    level: float = 0.95
    """Of the interval low to high."""


class Absent(Exception):
    """The cells a finding contrasts are not there: why, and what would help."""

    def __init__(self, why: str, settle: str = "finished runs in both arms") -> None:
        super().__init__(why)
        self.settle = settle


def open_verdict(finding: str, outcome: Outcome, why: str, settle: str, cautions: tuple[str, ...] = ()) -> Verdict:
    """Cannot tell, for nothing could be contrasted."""
    nan = math.nan
    rule = f"Nothing could be contrasted: {why}."
    statement = STATEMENTS.get(finding, "(this version has no rule for this finding)")
    return Verdict(
        finding, statement, outcome.name, CANNOT_TELL, nan, nan, nan, outcome.unit, 0, rule, settle, "",
        outcome.digits, cautions,
    )  # fmt: skip


def verdict_lines(verdicts: Sequence[Verdict]) -> list[str]:
    """One line each for the terminal, columns aligned; p is adjusted for all verdicts (Holm)."""
    lines = []
    wide = max((len(v.outcome) for v in verdicts), default=0)
    for v in verdicts:
        seeds = f"({v.seeds} seed{'' if v.seeds == 1 else 's'})"
        p = "" if math.isnan(v.p_holm) else f"p {v.p_holm:.3f}"
        shown = f"{v.finding:<4}{v.verdict:<15}{v.outcome:<{max(wide, 18) + 2}}{effect_text(v):<32}{seeds:<10}{p:<8}"
        lines.append(f"{shown} {v.statement}")
    return lines


def effect_text(v: Verdict) -> str:
    """`+0.312 [0.250, 0.374]`, `+0.312 [no interval]` for one seed, `no effect measured` for none; a level other than
    95 % is said."""
    if math.isnan(v.effect):
        return "no effect measured"
    if math.isnan(v.low):
        return f"{v.effect:+.{v.digits}f} [no interval]"
    level = level_text(v)
    said = f" ({level})" if level else ""
    return f"{v.effect:+.{v.digits}f} [{v.low:.{v.digits}f}, {v.high:.{v.digits}f}]{said}"


def level_text(v: Verdict) -> str:
    """The interval's level where it is not 95 %."""
    return "" if math.isclose(v.level, 0.95) else f"{100 * v.level:.3g} %"


def numbers(interval: Interval) -> dict[str, float]:
    """An interval as a verdict's details hold it."""
    return {"effect": interval.mean, "low": interval.low, "high": interval.high, "seeds": interval.n}
