"""What the runs' folders say of how each run was made: its attempts, their code and versions, steps, time, devices.

Files as `harness` writes them: `attempts/<n>/execution.json` and `exit.json`, `metrics.jsonl`, `heartbeat.json`,
`done.json`. One that is missing or torn is passed over, for it is a witness and no record: what it would have said
stays unknown.
"""

from __future__ import annotations

import calendar
import json
import math
import re
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from analysis.records import Study

_STEPS = re.compile(rb'"attempt": ?(\d+), ?"step": ?(\d+)')
_SKIPPED = re.compile(rb'"skipped": ?(\d+)')


@dataclass(frozen=True)
class Attempt:
    """One go at a run. hours: from its start to its end, NaN where it left no word of its end."""

    number: int
    state: str
    cause: str
    started: str
    hours: float
    commit: str
    changed: bool
    """Whether the sources differed from the commit."""
    code: str
    """Digest of the sources that a run executes."""
    versions: Mapping[str, str]
    """Of Python and the packages."""
    execution: Mapping[str, Any]
    cluster: str

    @property
    def devices(self) -> int:
        return int(_number(self.execution.get("devices"), 1))


@dataclass(frozen=True)
class Made:
    """How one run was made. steps: how far its training came. again: steps that were done a second time, at least."""

    run: str
    done: bool
    device: str
    attempts: tuple[Attempt, ...] = ()
    steps: int = 0
    again: int = 0
    taken: int = 0
    """Steps that were not trained but taken from another run's checkpoint."""
    skipped: int = 0
    """Updates refused or batches passed over."""
    train_seconds: float = math.nan
    """That the steps of the last attempt took."""
    science: Mapping[str, Any] = field(default_factory=dict)

    @property
    def device_hours(self) -> float:
        """Of all attempts whose end is known, waiting and scoring included."""
        known = [one.hours * one.devices for one in self.attempts if not math.isnan(one.hours)]
        return math.fsum(known) if known else math.nan

    @property
    def untimed(self) -> int:
        """Attempts that ended without a word."""
        return sum(math.isnan(one.hours) for one in self.attempts)


def made(root: Path, study: Study, tell: Callable[[int, int], None] = lambda done, of: None) -> list[Made]:
    """Of every run of the study that was described, in the study's order."""
    found = []
    for i, run in enumerate(study.runs):
        tell(i, len(study.runs))
        if run in study.planned:
            found.append(_made(root / "runs" / run, run, int(study.planned[run]["steps"])))
    return found


def _made(folder: Path, run: str, steps: int) -> Made:
    done = witness(folder / "done.json")
    paths = sorted(path for path in (folder / "attempts").glob("[0-9]*") if path.is_dir())
    beat = witness(folder / "heartbeat.json")
    attempts = [_attempt(path, beat) for path in paths]
    seen = _steps(folder / "metrics.jsonl")
    reached = max((last for _, last in seen.values()), default=steps if done else int(_number(beat.get("step"), 0)))
    taken = int(_number(_object(done.get("branch")).get("step"), 0))
    return Made(
        run=run,
        done=bool(done),
        device=str(done.get("device", "")),
        attempts=tuple(attempts),
        steps=reached,
        again=_again(paths, seen),
        taken=taken,
        skipped=_last_skipped(folder / "metrics.jsonl"),
        train_seconds=_number(done.get("train_seconds"), math.nan) or math.nan,
        science=_object(witness(folder / "run.json").get("science")),
    )


def _attempt(path: Path, beat: Mapping[str, Any]) -> Attempt:
    begun, ended = witness(path / "execution.json"), witness(path / "exit.json")
    started = str(begun.get("started", ""))
    until = seconds(str(ended.get("time", "")))
    if not ended and beat.get("attempt") == int(path.name):
        until = _number(beat.get("time"), math.nan)
    return Attempt(
        number=int(path.name),
        state=str(ended.get("state", "no word of its end")),
        cause=str(ended.get("cause", "")),
        started=started,
        hours=max(0.0, until - seconds(started)) / 3600 if not math.isnan(until - seconds(started)) else math.nan,
        commit=str(begun.get("git_commit", "")),
        changed="git_diff" in begun,
        code=str(begun.get("code", "")),
        versions={"python": str(begun.get("python", "")), **_object(begun.get("packages"))},
        execution=_object(begun.get("execution")),
        cluster=str(begun.get("cluster", "")),
    )


def _steps(path: Path) -> dict[int, tuple[int, int]]:
    """Attempt -> its first and last step with a line of metrics."""
    found: dict[int, tuple[int, int]] = {}
    for attempt, step in _STEPS.findall(_bytes(path)):
        low, high = found.get(int(attempt), (int(step), int(step)))
        found[int(attempt)] = (min(low, int(step)), max(high, int(step)))
    return found


def _again(paths: list[Path], seen: Mapping[int, tuple[int, int]]) -> int:
    """Steps that a later attempt did anew because the one before had not saved them."""
    again, furthest = 0, 0
    for path in paths:
        number = int(path.name)
        if number not in seen:
            continue
        first, last = seen[number]
        begun = witness(path / "execution.json").get("from_step")
        begin = first if begun is None else int(begun)
        again += max(0, min(furthest, last) - begin) if furthest else 0
        furthest = max(furthest, last)
    return again


def _last_skipped(path: Path) -> int:
    found = _SKIPPED.findall(_bytes(path)[-65536:])
    return int(found[-1]) if found else 0


def _bytes(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError:
        return b""


def witness(path: Path) -> dict[str, Any]:
    """A small JSON object; empty where it is not there or torn."""
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return _object(value)


def _object(value: object) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _number(value: object, otherwise: float) -> float:
    return float(value) if isinstance(value, int | float) and math.isfinite(value) else otherwise


def seconds(stamp: str) -> float:
    """Seconds since 1970 of a time as records write it; NaN where there is none."""
    try:
        return float(calendar.timegm(time.strptime(stamp, "%Y-%m-%dT%H:%M:%SZ")))
    except ValueError:
        return math.nan
