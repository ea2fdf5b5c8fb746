"""The same contrasts over items and seeds, beside a verdict that rests on seeds alone."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import pandas as pd

from analysis.axes import Slice, alpha_axis, language_axis, plane
from analysis.bootstrap import contrast
from analysis.findings.contrast import group_text
from analysis.findings.verdict import Verdict, numbers
from analysis.records import Study
from analysis.statistics import Interval, Outcome


@dataclass(frozen=True)
class _Arms:
    """Where a finding's two sets of runs are. groups: whose items, and +1 where the axis's far end should be worse."""

    slice: Callable[[pd.DataFrame], Slice]
    groups: Mapping[str, int]
    width_follows: bool = False


_ARMS = {
    "F1": _Arms(language_axis, {"core": 1}),
    "F2": _Arms(language_axis, {"low": 1}),
    "F6": _Arms(alpha_axis, {"low": 1, "high": -1}),
    "F7": _Arms(alpha_axis, {"all": 1}),
    "F9": _Arms(partial(plane, axes=["vocabulary"], follow=["width"]), {"all": 1}, width_follows=True),
    "F10": _Arms(partial(plane, axes=["vocabulary"]), {"all": -1}),
    "F12": _Arms(partial(plane, axes=["tokenizer_alpha"]), {"low": 1, "high": -1}),
    "F13": _Arms(partial(plane, axes=["text_bytes"]), {"low": -1, "high": -1}),
    "F15": _Arms(partial(plane, axes=["tokenizer_algorithm"]), {"all": 1}),
}
"""Findings that hold two sets of runs against each other. Those of differences of differences (F3, F4, F8, F11, F18),
of one language at a time (F16, F17) and of two axes at once (F14) rest on seeds alone."""


def over_items(verdict: Verdict, df: pd.DataFrame, study: Study, outcome: Outcome, root: Path) -> Verdict:
    """The verdict with intervals over items and seeds among its details, at the widest model that has both arms."""
    arms = _ARMS.get(verdict.finding)
    if arms is None:
        return verdict
    part = arms.slice(df)
    runs = part.rows[part.rows["task"] == outcome.task].drop_duplicates("run")
    found: dict[str, Any] = {}
    for group, sign in arms.groups.items():
        languages = group_text(part, study, group, outcome)
        for near, far, turned in _ends(runs[part.axis], verdict, part.axis):
            for at, own in _widths(runs, arms.width_follows):
                sides = [own[own[part.axis] == end] for end in (near, far)]
                if any(side["seed"].duplicated().any() for side in sides):
                    continue  # two runs of one seed: which of them is the pair is not known
                baseline, arm = (dict(zip(side["seed"], side["run"], strict=True)) for side in sides)
                interval = contrast(root, arm, baseline, outcome.task, outcome.metric, languages, study.asks_for)
                if interval is not None:
                    name = f"over items and seeds, {group} group, {part.axis} {_text(near)} to {_text(far)}{at}"
                    found[name] = numbers(_scaled(interval, turned * sign * outcome.worse * outcome.scale))
                    break
    return replace(verdict, details={**verdict.details, **found}) if found else verdict


def _ends(values: pd.Series, verdict: Verdict, axis: str) -> Iterator[tuple[Any, Any, int]]:
    """(near end, far end, sign): of a peak both ends against its best interior point, else the ends themselves."""
    points = sorted(values.dropna().unique())
    best = verdict.details.get(f"best interior {axis}")
    if len(points) < 2:
        return
    if best is None:
        yield points[0], points[-1], 1
    else:
        yield points[0], best, -1
        yield best, points[-1], 1


def _widths(runs: pd.DataFrame, follows: bool) -> Iterator[tuple[str, pd.DataFrame]]:
    if follows:
        yield "", runs
        return
    for width in sorted(runs["width"].unique(), reverse=True):
        yield f", width {width}", runs[runs["width"] == width]


def _scaled(interval: Interval, by: float) -> Interval:
    low, high = sorted((by * interval.low, by * interval.high))
    return Interval(by * interval.mean, low, high, interval.n)


def _text(value: Any) -> str:
    return value if isinstance(value, str) else f"{value:g}"
