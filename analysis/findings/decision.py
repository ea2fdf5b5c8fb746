"""From paired differences by seed to a verdict.

Every effect is turned so that a positive number speaks FOR the finding. A claim is a paired difference by seed, and its
95 % interval is what is shown. A finding with two claims is supported when both hold, and the smaller one is reported.
Where there are m chances to be wrong, the intervals that decide are of 1 - 0.05 / m (Bonferroni): for a point that was
chosen out of m on the seeds that test it, where one claim of m is enough, and for speaking against a finding of m
claims, of which any may fail it.

Measured on 2000 simulated studies of 3 seeds each (1000 for F6, F8, F9, F10, F12, F13, F14, F17): the interval shown
held a known effect in 93.8 to 96.5 % of them, F15's 90 % interval in 90.4 %. Without any effect a finding was
supported in at most 2.8 % (F8, which takes either sign: 4.2 %; F15 at its margin: 5.1 %), and spoken against in at
most 4.1 %. Where one claim of two held, it was supported in at most 3.3 %. Two cautions: where two interior points are
equally good, the interval of the one chosen held its effect in 97 to 98 %; F8's, the farther of two that are nothing,
in 90 %.

Evidence is kept apart by seed until the end, so that a verdict can be had of some of the seeds (`of_seeds`): what a
study of those alone would have said. Simulations of hundreds of studies rest on this.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

import pandas as pd

from analysis.axes import Slice
from analysis.findings.contrast import worse
from analysis.findings.verdict import CANNOT_TELL, NOT_SUPPORTED, STATEMENTS, SUPPORTED, Absent, Verdict, numbers
from analysis.statistics import Interval, Outcome, final, p_value, seeds_to_settle, t_interval


class Evidence(Protocol):
    """What a rule has found in the records, by seed."""

    def of_seeds(self, seeds: Collection[int]) -> Evidence:
        """The same with those seeds alone; a verdict's details stay those of all seeds."""

    def verdict(self) -> Verdict: ...


@dataclass(frozen=True)
class Claim:
    """A paired difference by seed, positive in the finding's direction, and what it is."""

    differences: pd.Series
    measure: str

    @property
    def interval(self) -> Interval:
        """Of 95 %: what is shown."""
        return t_interval(self.differences)

    def of_seeds(self, seeds: Collection[int]) -> Claim:
        return replace(self, differences=self.differences[self.differences.index.isin(list(seeds))])


@dataclass(frozen=True)
class Contrast:
    """Claims that were fixed before the data. table: group means by seed, of which any must beat guessing.

    either_sign: an effect of any sign speaks for the finding (a dependence), and one claim of several is enough.
    choices: out of how many the claims were chosen on the data.
    """

    finding: str
    outcome: Outcome
    claims: Sequence[Claim]
    note: str
    part: Slice
    details: Mapping[str, Any]
    table: pd.DataFrame
    cautions: tuple[str, ...] = ()
    either_sign: bool = False
    choices: int = 1

    def of_seeds(self, seeds: Collection[int]) -> Contrast:
        claims = [claim.of_seeds(seeds) for claim in self.claims]
        return replace(self, claims=claims, table=self.table[self.table.index.isin(list(seeds))])

    def verdict(self) -> Verdict:
        """Supported where all claims' intervals lie above 0, not supported where one lies below, else cannot tell."""
        shown = [claim.interval for claim in self.claims]
        if any(i.n == 0 for i in shown):
            raise Absent("no seed is finished in both arms of the contrast")
        chances = len(self.claims) if self.either_sign else self.choices
        level = 1 - 0.05 / chances
        intervals = [t_interval(claim.differences, level) for claim in self.claims]
        against = [t_interval(claim.differences, 1 - 0.05 / len(self.claims)).below for claim in self.claims]
        reported = self._reported(intervals, against)
        claim, interval = self.claims[reported], shown[reported]
        verdict, why, settle = self._words(intervals, level, reported, not self.either_sign and any(against))
        if verdict == CANNOT_TELL and chances > 1 and (interval.above or (self.either_sign and interval.below)):
            why += f" (the 95 % one does not, but one of {chances} chances was taken)"
        alpha = self.part.fixed.get("alpha")
        note = self.note
        note += f", alpha {alpha:g}" if isinstance(alpha, float) and not math.isnan(alpha) else ""
        return Verdict(
            finding=self.finding,
            statement=STATEMENTS[self.finding],
            outcome=self.outcome.name,
            verdict=verdict,
            effect=interval.mean,
            low=interval.low,
            high=interval.high,
            unit=self.outcome.unit,
            seeds=min(i.n for i in shown),
            rule=f"Paired by seed, {note}: {why}.",
            settle=settle,
            measure=f"{self.outcome.unit} {claim.measure}",
            digits=self.outcome.digits,
            cautions=self.part.cautions + self.part.averaged + self.cautions,
            details=dict(self.details),
            p=self._p(reported, chances),
        )

    def _reported(self, intervals: Sequence[Interval], against: Sequence[bool]) -> int:
        """The claim that decides. Where one is enough: the one farthest from 0. Where all must hold: one that speaks
        against the finding, else one that is open, else the smallest, not the one with the longest interval, which
        would hold the truth more often than it says."""
        every = range(len(intervals))
        if self.either_sign:
            return max(every, key=lambda i: max(intervals[i].low, -intervals[i].high) if intervals[i].n > 1 else 0.0)
        return min(every, key=lambda i: (not against[i], intervals[i].above, intervals[i].mean))

    def _words(self, intervals: Sequence[Interval], level: float, reported: int, against: bool) -> tuple[str, str, str]:
        """Verdict, why, and what would settle it."""
        floor = _at_chance(self.part, self.outcome, self.table)
        one = f"the {_percent(level)}interval"
        if any(not i.covers_seed_noise for i in intervals):
            why = "one seed cannot show how much seeds differ"
            return CANNOT_TELL, why, "at least two more seeds of the contrasted cells"
        if floor:
            return CANNOT_TELL, floor, "a longer budget or a larger model, until some cell beats guessing"
        if self.either_sign and any(i.above or i.below for i in intervals):
            return SUPPORTED, f"{one} excludes 0", ""
        if not self.either_sign and all(i.above for i in intervals):
            both = f"both {_percent(level)}intervals lie above 0"
            return SUPPORTED, f"{one} lies above 0" if len(intervals) == 1 else both, ""
        if against:
            wide = _percent(1 - 0.05 / len(self.claims))
            return NOT_SUPPORTED, f"the {wide}interval of what was {self.claims[reported].measure} lies below 0", ""
        return CANNOT_TELL, f"{one} includes 0", _more_seeds(self.claims, level, self.either_sign)

    def _p(self, reported: int, chances: int) -> float:
        """Of no effect: of claims that all must hold the largest; else the reported one's, times the chances taken."""
        each = [p_value(claim.differences) for claim in self.claims]
        means = [claim.interval.mean for claim in self.claims]
        if self.either_sign or min(means) <= 0:
            return min(1.0, each[reported] * max(chances, len(each)))
        return min(1.0, max(each) * chances)


@dataclass(frozen=True)
class Peak:
    """A best interior point of an axis that is better than both ends; `table` has one column a point.

    Which point is best is chosen on the seeds that then test it, so the intervals that decide allow for the choice; the
    ones shown are of 95 % for the point that was chosen.
    """

    finding: str
    part: Slice
    outcome: Outcome
    table: pd.DataFrame
    words: str
    note: str
    languages: Sequence[str] = field(default=())

    def of_seeds(self, seeds: Collection[int]) -> Peak:
        return replace(self, table=self.table[self.table.index.isin(list(seeds))])

    def claims_at(self, best: Any) -> list[Claim]:
        """What would be claimed of one interior point: a gain from the first, a loss to the last."""
        axis, table, words, points = self.part.axis, self.table, self.words, sorted(self.table.columns)
        gain, loss = (worse(table, end, best, self.outcome) for end in (points[0], points[-1]))
        return [
            Claim(gain, f"gained from {axis} = {points[0]:g} to {axis} = {best:g}, {words}"),
            Claim(loss, f"lost again from {axis} = {best:g} to {axis} = {points[-1]:g}, {words}"),
        ]

    def verdict(self) -> Verdict:
        axis, table, words = self.part.axis, self.table, self.words
        points = sorted(table.columns)
        if len(points) < 3:
            why = f"a best point between the ends needs three values of {axis}; there are {len(points)}"
            raise Absent(why, f"finished runs at a third value of {axis}")
        first, last = points[0], points[-1]
        whole = table.dropna() if len(table.dropna()) else table
        badness = whole.mean() * self.outcome.worse
        best = min(points[1:-1], key=lambda x: (badness[x] if not math.isnan(badness[x]) else math.inf, x))
        claims = self.claims_at(best)
        details = {
            axis: points,
            f"best interior {axis}": best,
            "languages": list(self.languages),
            "gain": numbers(claims[0].interval),
            "loss": numbers(claims[1].interval),
        }
        choices = len(points) - 2
        chosen = (
            f"the best of {choices} interior {axis} was chosen on the seeds that test it: the verdict rests on "
            f"{100 - 5 / choices:.3g} % intervals, which allow for that"
        )
        told = f"{words} at its best interior {axis} = {best:g} against {axis} = {first:g} and {axis} = {last:g}"
        cautions = (chosen,) if choices > 1 else ()
        return Contrast(
            self.finding, self.outcome, claims, told + self.note, self.part, details, table, cautions, choices=choices
        ).verdict()


def _percent(level: float) -> str:
    return "" if math.isclose(level, 0.95) else f"{100 * level:.3g} % "


def _at_chance(part: Slice, outcome: Outcome, table: pd.DataFrame) -> str:
    """Why accuracy says nothing here: no cell is better than guessing. "" where some cell is, or for bits per byte."""
    if not outcome.zero_shot:
        return ""
    rows = final(part.rows, outcome)
    reference = rows[["chance", "majority"]].max(axis=1).mean() * outcome.scale
    if math.isnan(reference) or table.mean().max() > reference:
        return ""
    return f"no cell beats guessing ({reference:.1f} %), so a difference would mean nothing"


def _more_seeds(claims: Sequence[Claim], level: float, either_sign: bool) -> str:
    open_ = [c for c in claims if not t_interval(c.differences, level).above]
    have = min(c.interval.n for c in claims)
    needs = [seeds_to_settle(list(c.differences.dropna()), level) for c in open_]
    known = [n for n in needs if n is not None]
    enough = any(known) if either_sign else len(known) == len(needs)
    if not enough:
        return "more than 200 seeds at this effect and noise: a larger contrast or budget instead"
    against = not either_sign and any(c.interval.mean < 0 for c in claims)
    number = min(known) if either_sign else max(known)
    turn = ", and then against the finding" if against else ""
    return f"roughly {number - have} more seeds ({number} in all) if effect and noise stay as they are{turn}"
