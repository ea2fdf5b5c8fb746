"""What the rules share: tables of group means by seed and cell, and paired differences between their columns."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pandas as pd

from analysis.axes import Slice
from analysis.findings.verdict import Absent
from analysis.records import Study
from analysis.statistics import ENGLISH, Outcome, group_mean, paired, scored


def table_of(
    part: Slice, study: Study, group: str, outcome: Outcome, columns: Sequence[str] | None = None
) -> pd.DataFrame:
    """Group means: one row a seed, one column for each cell of `columns` (the axis and width). Absent where there is
    nothing. Group `all` is every language that all runs of the slice hold, unless the study names one so."""
    languages = members(part, study, group)
    if not languages:
        raise Absent(f"the study names no group {group!r}", "a study with that group")
    if not scored(part.rows, outcome, languages):
        if part.rows.empty:
            alone = "no two finished runs differ in alpha alone"
            raise Absent(alone if part.axis == "alpha" else "no run is finished")
        if outcome.zero_shot and set(languages) == {ENGLISH}:
            why = f"the {group} group is the language of fine-tuning alone, which has no zero-shot accuracy"
            raise Absent(why, f"a {group} group with another language of the task")
        raise Absent(f"no {outcome.name} was recorded for the {group} group ({', '.join(languages)})")
    means = group_mean(part.rows, outcome, languages)
    if means.empty:
        raise Absent(f"no finished run holds the whole {group} group ({', '.join(languages)})")
    return by_seed(means, list(columns or (part.axis, "width")))


def by_seed(means: pd.DataFrame, columns: list[str]) -> pd.DataFrame:
    """Rows: seeds; columns: what `columns` hold, sorted; what several cells share of them is averaged."""
    keys = ["seed", *columns]
    values = means.set_index(keys)["value"]
    if not values.index.is_unique:
        values = values.groupby(level=keys).mean()
    return values.unstack(columns).sort_index(axis=0).sort_index(axis=1)


def members(part: Slice, study: Study, group: str) -> tuple[str, ...]:
    """The languages of a group; of `all`, where the study names none, those that every run of the slice holds."""
    named = study.group(group)
    if named or group != "all" or part.rows.empty:
        return named
    sets = [set(text.split(",")) for text in part.rows["languages"].unique()]
    return tuple(sorted(set.intersection(*sets)))


def group_text(part: Slice, study: Study, group: str, outcome: Outcome) -> list[str]:
    """Those languages of the group that a mean of the outcome is over."""
    return list(scored(part.rows, outcome, members(part, study, group)))


def ends_of(table: pd.DataFrame, axis: str) -> tuple[Any, Any]:
    """The smallest and the largest value of an axis in a table's columns. Absent where there is one alone."""
    points = sorted(set(table.columns.get_level_values(axis)))
    if len(points) < 2:
        raise Absent(f"this was measured at {axis} = {points[0]:g} alone; a contrast needs two values of {axis}")
    return points[0], points[-1]


def widths_with(table: pd.DataFrame, points: Sequence[Any]) -> list[int]:
    """Widths, narrow to wide, at which some seed has every one of the points."""
    widths = sorted(set(table.columns.get_level_values("width")))
    return [
        int(w)
        for w in widths
        if all((p, w) in table.columns for p in points) and len(table[[(p, w) for p in points]].dropna())
    ]


def over_widths(table: pd.DataFrame, points: Sequence[Any]) -> tuple[pd.DataFrame, list[int]]:
    """Average over widths inside each seed: one row a seed, one column a point; NaN where a width lacks it.

    All seeds are averaged over the same widths. While fewer than three seeds have every point at every width, the
    width with the fewest seeds is dropped (the widest of those) if that frees a seed, so that one unfinished corner
    does not hide the rest: with two seeds an interval is three times as long as with three.
    """
    widths = widths_with(table, points)
    if not widths:
        shown = ", ".join(f"{table.columns.names[0]} = {p:g}" for p in points)
        raise Absent(f"no seed is finished at all of {shown} for one width")

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


def worse(table: pd.DataFrame, arm: Any, baseline: Any, outcome: Outcome) -> pd.Series:
    """How much worse `arm` is than `baseline`, by seed, in the outcome's unit."""
    return outcome.worse * paired(table[arm], table[baseline])


def slopes(table: pd.DataFrame, points: Sequence[float]) -> pd.Series:
    """By seed, the least-squares slope of the columns `points` of a table over their values; seeds that lack one of
    the points have none."""
    chosen = table[list(points)].dropna()
    x = pd.Series([float(p) for p in points], index=chosen.columns)
    x = x - x.mean()
    return (chosen * x).sum(axis=1) / float((x**2).sum())


def widths_text(widths: Sequence[int]) -> str:
    """What a mean over these widths is called."""
    if len(widths) == 1:
        return f"at width {widths[0]}"
    return f"averaged over widths {', '.join(map(str, widths))} inside each seed"
