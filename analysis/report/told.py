"""What reports found, as JSON for scripts. JSON has no NaN: what was not measured is null."""

from __future__ import annotations

import math
from typing import Any

from analysis.findings import Verdict
from analysis.laws import LawSummary
from analysis.report.build import ReportPaths
from analysis.report.overview import Overview


def report(one: ReportPaths) -> dict[str, Any]:
    """Of one study."""
    return {
        "study": one.name,
        "report": str(one.report),
        "latex": str(one.latex),
        "cautions": one.cautions,
        "verdicts": [_verdict(v) for v in one.verdicts],
        "laws": [_law(law) for law in one.laws],
        "plateau": one.plateau,
    }


def overview(one: Overview) -> dict[str, Any]:
    """Of several studies; p_holm over all of them."""
    return {"overview": str(one.path), "verdicts": [{"study": name} | _verdict(v) for name, v in one.verdicts]}


def _verdict(v: Verdict) -> dict[str, Any]:
    return {
        "finding": v.finding,
        "outcome": v.outcome,
        "verdict": v.verdict,
        "effect": _number(v.effect),
        "low": _number(v.low),
        "high": _number(v.high),
        "level": v.level,
        "unit": v.unit,
        "measure": v.measure,
        "p": _number(v.p),
        "p_holm": _number(v.p_holm),
        "seeds": v.seeds,
        "rule": v.rule,
        "settle": v.settle,
        "cautions": v.cautions,
    }


def _law(law: LawSummary) -> dict[str, Any]:
    numbers = {
        name: {"value": _number(one.mean), "low": _number(one.low), "high": _number(one.high)}
        for name, one in law.numbers
    }
    return {"law": law.name, "formula": law.formula, "absent": law.absent, "numbers": numbers}


def _number(value: float) -> float | None:
    """JSON has no NaN."""
    return value if math.isfinite(value) else None
