"""The verdicts: does this table support a finding, speak against it, or leave it open?

Every effect is turned so that a positive number speaks FOR the finding: bits per byte gained as languages are added,
accuracy lost as languages are added. A finding is

    supported       when the paired 95 % interval over seeds lies wholly above 0,
    not supported   when it lies wholly below 0 (the opposite was seen),
    cannot tell     otherwise; the verdict then says what would settle it.

A finding that makes two claims (F2, F6) is supported when both hold, and the weaker one is reported. Statements are
those of paper section 6.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pandas as pd

from analysis.axes import Slice, alpha_axis, language_axis
from analysis.records import Study
from analysis.statistics import (
    ACCURACY,
    BITS,
    ENGLISH,
    Interval,
    Outcome,
    final,
    group_mean,
    paired,
    scored,
    seeds_to_settle,
    t_interval,
)

SUPPORTED, NOT_SUPPORTED, CANNOT_TELL = "supported", "not supported", "cannot tell"

STATEMENTS = {
    "F1": "The core mean gets worse as languages are added at fixed capacity (the curse)",
    "F2": "Low-resource languages first gain from added languages, then lose (the hump)",
    "F4": "A wider model pays a smaller penalty for added languages (capacity lifts the curse)",
    "F6": "A larger sampling alpha helps high-resource and hurts low-resource languages",
}


@dataclass(frozen=True)
class Verdict:
    """One finding judged on one outcome.

    effect, low, high: in `unit`, positive in the finding's direction; NaN where there is none. `measure` says what the
    number is. seeds: how many it rests on. rule: what decided. settle: what would settle it ("" once settled).
    details: further intervals, as plain numbers under readable names.
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


@dataclass(frozen=True)
class _Claim:
    """A paired difference by seed, positive in the finding's direction, and what it is."""

    differences: pd.Series
    measure: str

    @property
    def interval(self) -> Interval:
        return t_interval(self.differences)


class _Absent(Exception):
    """The cells a finding contrasts are not there: why, and what would help."""

    def __init__(self, why: str, settle: str = "finished runs in both arms") -> None:
        super().__init__(why)
        self.settle = settle


def judge(df: pd.DataFrame, study: Study) -> list[Verdict]:
    """Judge the study's findings on the table, in the study's order; each on bits per byte, then, where there are
    records of a downstream task, on zero-shot accuracy (F4 on bits per byte only). Missing cells never raise."""
    rules = {"F1": _curse, "F2": _hump, "F4": _capacity, "F6": _alpha}
    verdicts = []
    for finding in study.findings:
        for outcome in (BITS, ACCURACY):
            if outcome is ACCURACY and (finding == "F4" or final(df, ACCURACY).empty):
                continue
            statement = STATEMENTS.get(finding, "(this version has no rule for this finding)")
            if finding not in rules:
                if outcome is BITS:
                    verdicts.append(_open(finding, statement, outcome, "no rule of this version judges it", "a rule"))
                continue
            part = alpha_axis(df) if finding == "F6" else language_axis(df)
            try:
                verdict = rules[finding](part, study, outcome)
            except _Absent as reason:
                verdict = _open(finding, statement, outcome, str(reason), reason.settle, part.cautions)
            verdicts.append(verdict)
    return verdicts


def verdict_lines(verdicts: Sequence[Verdict]) -> list[str]:
    """One line each for the terminal, columns aligned."""
    lines = []
    for v in verdicts:
        seeds = f"({v.seeds} seed{'' if v.seeds == 1 else 's'})"
        lines.append(f"{v.finding:<4}{v.verdict:<15}{v.outcome:<20}{effect_text(v):<28}{seeds:<10} {v.statement}")
    return lines


def effect_text(v: Verdict) -> str:
    """`+0.312 [0.250, 0.374]`, `+0.312 [no interval]` for one seed, `no effect measured` for none."""
    if math.isnan(v.effect):
        return "no effect measured"
    if math.isnan(v.low):
        return f"{v.effect:+.{v.digits}f} [no interval]"
    return f"{v.effect:+.{v.digits}f} [{v.low:.{v.digits}f}, {v.high:.{v.digits}f}]"


# --- the rules, one a finding ---------------------------------------------------------------------


def _curse(part: Slice, study: Study, outcome: Outcome) -> Verdict:
    """F1: core mean at the largest K against the smallest, averaged over widths inside each seed."""
    table = _table(part, study, "core", outcome)
    first, last = _ends(table, "K")
    mean, widths = _over_widths(table, [first, last])
    lost = "added" if outcome.worse > 0 else "lost"
    claim = _Claim(_worse(mean, last, first, outcome), f"{lost} from K = {first} to K = {last}, core mean")
    per_width = {
        f"width {w}": _numbers(t_interval(_worse(table.xs(w, axis=1, level="width"), last, first, outcome)))
        for w in _widths_with(table, [first, last])
    }
    details = {"K": [first, last], "widths": widths, "languages": _group(part, study, "core", outcome)} | per_width
    note = f"core mean at K = {last} against K = {first}, {_widths_text(widths)}"
    return _decide("F1", outcome, [claim], note, part, details, table)


def _hump(part: Slice, study: Study, outcome: Outcome) -> Verdict:
    """F2: the low group's best interior K against both ends.

    The best K is chosen on the seeds that then test it. In a simulation of worlds with no loss after the first gain, 5
    language counts and 3 or 5 seeds, 5 % were called supported, against the 2.5 % one fixed contrast would give; with
    3 language counts there is no choice and no excess. The verdict cautions where there was a choice.
    """
    table = _table(part, study, "low", outcome)
    first, last = _ends(table, "K")
    counts = sorted(set(table.columns.get_level_values("K")))
    if len(counts) < 3:
        why = f"a hump needs three language counts that all hold the low group; there are {len(counts)}"
        raise _Absent(why, "finished runs at a third language count")
    mean, widths = _over_widths(table, counts)
    whole = mean.dropna() if len(mean.dropna()) else mean
    badness = whole.mean() * outcome.worse
    best = min(counts[1:-1], key=lambda k: (badness[k] if not math.isnan(badness[k]) else math.inf, k))
    claims = [
        _Claim(_worse(mean, first, best, outcome), f"gained from K = {first} to K = {best}, low group"),
        _Claim(_worse(mean, last, best, outcome), f"lost again from K = {best} to K = {last}, low group"),
    ]
    details = {
        "K": counts,
        "best interior K": best,
        "widths": widths,
        "languages": _group(part, study, "low", outcome),
        "gain": _numbers(claims[0].interval),
        "loss": _numbers(claims[1].interval),
    }
    note = f"low group at its best interior K = {best} against K = {first} and K = {last}, {_widths_text(widths)}"
    chosen = (f"the best of {len(counts) - 2} interior K was chosen on the seeds that test it",)
    return _decide("F2", outcome, claims, note, part, details, table, chosen if len(counts) > 3 else ())


def _capacity(part: Slice, study: Study, outcome: Outcome) -> Verdict:
    """F4: the penalty of the narrowest model less the penalty of the widest."""
    table = _table(part, study, "core", outcome)
    first, last = _ends(table, "K")
    widths = _widths_with(table, [first, last])
    if len(widths) < 2:
        why = f"two widths with both K = {first} and K = {last} are needed; there are {len(widths)}"
        raise _Absent(why, "finished runs at a second width")
    narrow, wide = widths[0], widths[-1]
    penalty = {w: _worse(table.xs(w, axis=1, level="width"), last, first, outcome) for w in widths}
    claim = _Claim(
        paired(penalty[narrow], penalty[wide]),
        f"smaller penalty at width {wide} than at {narrow}, K = {first} to {last}",
    )
    widened = outcome.worse * paired(table[(last, narrow)], table[(last, wide)])
    left = outcome.worse * paired(table[(first, narrow)], table[(last, wide)])
    details: dict[str, Any] = {"K": [first, last], "widths": widths}
    details |= {f"penalty at width {w}": _numbers(t_interval(penalty[w])) for w in widths}
    details[f"K = {last}: width {wide} better than width {narrow} by"] = _numbers(t_interval(widened))
    details[f"K = {last} at width {wide} better than K = {first} at width {narrow} by"] = _numbers(t_interval(left))
    note = f"the K = {first} to {last} penalty of width {narrow} less that of width {wide}"
    return _decide("F4", outcome, [claim], note, part, details, table)


def _alpha(part: Slice, study: Study, outcome: Outcome) -> Verdict:
    """F6: from the smallest alpha to the largest, the low group gets worse and the high group better."""
    low_table, high_table = _table(part, study, "low", outcome), _table(part, study, "high", outcome)
    first, last = _ends(low_table, "alpha")
    low, widths = _over_widths(low_table, [first, last])
    high, high_widths = _over_widths(high_table, [first, last])
    claims = [
        _Claim(_worse(low, last, first, outcome), f"lost by the low group from alpha {first:g} to {last:g}"),
        _Claim(_worse(high, first, last, outcome), f"gained by the high group from alpha {first:g} to {last:g}"),
    ]
    details = {
        "K": part.fixed["K"],
        "alpha": sorted(set(low_table.columns.get_level_values("alpha"))),
        "widths": widths,
        "low group loses": _numbers(claims[0].interval),
        "high group gains": _numbers(claims[1].interval),
    }
    note = f"alpha {last:g} against {first:g} at K = {part.fixed['K']} in both groups, {_widths_text(widths)}"
    cautions = () if widths == high_widths else (f"the high group rests on widths {high_widths}",)
    return _decide("F6", outcome, claims, note, part, details, low_table, cautions)


# --- what the rules share -------------------------------------------------------------------------


def _table(part: Slice, study: Study, group: str, outcome: Outcome) -> pd.DataFrame:
    """Group means: one row a seed, one column for each (axis value, width). _Absent where there is nothing."""
    languages = study.group(group)
    if not languages:
        raise _Absent(f"the study names no group {group!r}", "a study with that group")
    if not scored(part.rows, outcome, languages):
        if part.rows.empty:
            alone = "no two finished runs differ in alpha alone"
            raise _Absent(alone if part.axis == "alpha" else "no run is finished")
        if outcome is ACCURACY and set(languages) == {ENGLISH}:
            why = f"the {group} group is the language of fine-tuning alone, which has no zero-shot accuracy"
            raise _Absent(why, f"a {group} group with another language of the task")
        raise _Absent(f"no {outcome.name} was recorded for the {group} group ({', '.join(languages)})")
    means = group_mean(part.rows, outcome, languages)
    if means.empty:
        raise _Absent(f"no finished run holds the whole {group} group ({', '.join(languages)})")
    return means.pivot_table(index="seed", columns=[part.axis, "width"], values="value", aggfunc="mean")


def _group(part: Slice, study: Study, group: str, outcome: Outcome) -> list[str]:
    return list(scored(part.rows, outcome, study.group(group)))


def _ends(table: pd.DataFrame, axis: str) -> tuple[Any, Any]:
    points = sorted(set(table.columns.get_level_values(axis)))
    if len(points) < 2:
        raise _Absent(f"this was measured at {axis} = {points[0]:g} alone; a contrast needs two values of {axis}")
    return points[0], points[-1]


def _widths_with(table: pd.DataFrame, points: Sequence[Any]) -> list[int]:
    """Widths, narrow to wide, at which some seed has every one of the points."""
    widths = sorted(set(table.columns.get_level_values("width")))
    return [
        int(w)
        for w in widths
        if all((p, w) in table.columns for p in points) and len(table[[(p, w) for p in points]].dropna())
    ]


def _over_widths(table: pd.DataFrame, points: Sequence[Any]) -> tuple[pd.DataFrame, list[int]]:
    """Average over widths inside each seed: one row a seed, one column a point; NaN where a width lacks it.

    All seeds are averaged over the same widths. While fewer than three seeds have every point at every width, the
    width with the fewest seeds is dropped (the widest of those) if that frees a seed, so that one unfinished corner
    does not hide the rest: with two seeds an interval is three times as long as with three.
    """
    widths = _widths_with(table, points)
    if not widths:
        shown = ", ".join(f"{table.columns.names[0]} = {p:g}" for p in points)
        raise _Absent(f"no seed is finished at all of {shown} for one width")

    def whole(chosen: Sequence[int]) -> int:
        return len(table[[(p, w) for p in points for w in chosen]].dropna())

    while len(widths) > 1 and whole(widths) < 3:
        fewest = min(widths, key=lambda w: (whole([w]), -w))
        rest = [w for w in widths if w != fewest]
        if whole(rest) <= whole(widths):
            break
        widths = rest
    mean = pd.DataFrame({p: table[[(p, w) for w in widths]].mean(axis=1, skipna=False) for p in points})
    return mean, widths


def _worse(table: pd.DataFrame, arm: Any, baseline: Any, outcome: Outcome) -> pd.Series:
    """How much worse `arm` is than `baseline`, by seed, in the outcome's unit."""
    return outcome.worse * paired(table[arm], table[baseline])


def _decide(
    finding: str,
    outcome: Outcome,
    claims: Sequence[_Claim],
    note: str,
    part: Slice,
    details: Mapping[str, Any],
    table: pd.DataFrame,
    cautions: tuple[str, ...] = (),
) -> Verdict:
    """The rule in the module's head, applied to one or two claims; the weaker claim is the one reported."""
    intervals = [claim.interval for claim in claims]
    if any(i.n == 0 for i in intervals):
        raise _Absent("no seed is finished in both arms of the contrast")
    below = [i.below for i in intervals]
    lowest = [i.low if i.covers_seed_noise else i.mean for i in intervals]
    weakest = min(range(len(claims)), key=lambda i: (not below[i], lowest[i]))
    claim, interval = claims[weakest], intervals[weakest]
    floor = _at_chance(part, outcome, table)
    alpha = part.fixed.get("alpha")
    note += f", alpha {alpha:g}" if isinstance(alpha, float) else ""
    if any(not i.covers_seed_noise for i in intervals):
        verdict, why = CANNOT_TELL, "one seed cannot show how much seeds differ"
        settle = "at least two more seeds of the contrasted cells"
    elif floor:
        verdict, why, settle = CANNOT_TELL, floor, "a longer budget or a larger model, until some cell beats guessing"
    elif all(i.above for i in intervals):
        verdict, settle = SUPPORTED, ""
        why = "the interval lies above 0" if len(claims) == 1 else "both intervals lie above 0"
    elif any(below):
        verdict, why, settle = NOT_SUPPORTED, f"the interval of what was {claim.measure} lies below 0", ""
    else:
        verdict, why, settle = CANNOT_TELL, "the interval includes 0", _more_seeds(claims)
    return Verdict(
        finding=finding,
        statement=STATEMENTS[finding],
        outcome=outcome.name,
        verdict=verdict,
        effect=interval.mean,
        low=interval.low,
        high=interval.high,
        unit=outcome.unit,
        seeds=min(i.n for i in intervals),
        rule=f"Paired by seed, {note}: {why}.",
        settle=settle,
        measure=f"{outcome.unit} {claim.measure}",
        digits=outcome.digits,
        cautions=part.cautions + cautions,
        details=dict(details),
    )


def _at_chance(part: Slice, outcome: Outcome, table: pd.DataFrame) -> str:
    """Why accuracy says nothing here: no cell is better than guessing. "" where some cell is, or for bits per byte."""
    if outcome is not ACCURACY:
        return ""
    rows = final(part.rows, outcome)
    reference = rows[["chance", "majority"]].max(axis=1).mean() * outcome.scale
    if math.isnan(reference) or table.mean().max() > reference:
        return ""
    return f"no cell beats guessing ({reference:.1f} %), so a difference would mean nothing"


def _more_seeds(claims: Sequence[_Claim]) -> str:
    needs = [seeds_to_settle(list(c.differences)) for c in claims if not c.interval.above]
    known = [n for n in needs if n is not None]
    if len(known) < len(needs):
        return "more than 200 seeds at this effect and noise: a larger contrast or budget instead"
    against = any(c.interval.mean < 0 for c in claims)
    return f"roughly {max(known)} seeds at this effect and noise{', and then against the finding' if against else ''}"


def _widths_text(widths: Sequence[int]) -> str:
    if len(widths) == 1:
        return f"at width {widths[0]}"
    return f"averaged over widths {', '.join(map(str, widths))} inside each seed"


def _numbers(interval: Interval) -> dict[str, float]:
    return {"effect": interval.mean, "low": interval.low, "high": interval.high, "seeds": interval.n}


def _open(
    finding: str, statement: str, outcome: Outcome, why: str, settle: str, cautions: tuple[str, ...] = ()
) -> Verdict:
    nan = math.nan
    rule = f"Nothing could be contrasted: {why}."
    return Verdict(
        finding, statement, outcome.name, CANNOT_TELL, nan, nan, nan, outcome.unit, 0, rule, settle, "",
        outcome.digits, cautions,
    )  # fmt: skip
