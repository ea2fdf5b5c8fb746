"""Why runs of a study are not done: their last attempts grouped by cause, with the first bad rank's last lines."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness.launch.attempts import EXECUTION, EXIT, attempt_folders, doomed, read_or_empty
from harness.launch.causes import ADVICE, cause_of_state
from harness.launch.freeze import execution_of_run
from harness.launch.looking import failed_preparations
from harness.launch.observe import KILLED, Observed
from harness.launch.slurm import client
from harness.launch.slurm.submissions import submissions
from harness.store import Store

LINES = 8
"""Of a log, from its end."""
_FAILED = ("failed", "killed", "stopped")
_WORDLESS = ("killed", "node", "unknown", "")
"""Causes that say no more than that a process is gone: accounting may know better."""
_BY_CAUSE = list(ADVICE)


@dataclass(frozen=True)
class Failure:
    """One run's last attempt, and why it ended."""

    run: str
    state: str
    cause: str
    error: str
    attempt: str
    rank: int
    host: str
    log: Path | None
    again: bool
    """Whether `submit` takes it up as it is."""


@dataclass(frozen=True)
class Group:
    """Failures that look alike."""

    cause: str
    error: str
    failures: Sequence[Failure]
    lines: Sequence[str]

    def as_json(self, study: str, submit: str) -> dict[str, Any]:
        """`study`: the name that verbs take; `submit`: the command that goes on with it."""
        first, advice = self.failures[0], ADVICE[self.cause]
        return {
            "cause": self.cause,
            "meaning": advice.meaning,
            "error": self.error,
            "todo": advice.todo.format(study=study, submit=submit),
            "again": all(one.again for one in self.failures),
            "runs": [one.run for one in self.failures],
            "hosts": sorted({one.host for one in self.failures if one.host}),
            "first": {"run": first.run, "attempt": first.attempt, "rank": first.rank, "host": first.host},
            "log": str(first.log) if first.log else "",
            "lines": list(self.lines),
        }


def failures_of(store: Store, study: Mapping[str, Any], rows: Sequence[Observed]) -> list[Group]:
    """Groups of what failed, by cause; accounting is asked once at most, for attempts that left no words."""
    found = [_failure(store, study, row) for row in rows if row.state in _FAILED]
    found = _with_accounting(store, found)
    groups: dict[tuple[str, str], list[Failure]] = {}
    for one in found:
        groups.setdefault((one.cause, _alike(one.error)), []).append(one)
    made = [Group(cause, each[0].error, each, _tail(each[0].log)) for (cause, _), each in groups.items()]
    waiting = {row.run for row in rows if row.state == "waiting"}
    unprepared = _preparations(store, waiting)
    made += unprepared
    made += _never_begun(store, waiting - {one.run for group in unprepared for one in group.failures})
    return sorted(made, key=lambda group: (_BY_CAUSE.index(group.cause), -len(group.failures)))


def _failure(store: Store, study: Mapping[str, Any], row: Observed) -> Failure:
    folder = store.run(row.run)
    attempt = attempt_folders(folder)[-1]
    ended, begun = read_or_empty(attempt / EXIT), read_or_empty(attempt / EXECUTION)
    bad = ended.get("first_bad_rank", {})
    cause = ended.get("cause", "") if ended.get("state") == row.state else ""
    if row.state == "stopped" and cause not in ADVICE:
        cause = "cancelled"
    rank = int(bad.get("rank", 0))
    logs = sorted(attempt.glob(f"*_{rank}_log.out"))
    return Failure(
        run=row.run,
        state=row.state,
        cause=cause if cause in ADVICE else "unknown",
        error=row.error or KILLED,
        attempt=attempt.name,
        rank=rank,
        host=str(bad.get("host") or begun.get("host", "")),
        log=logs[-1] if logs else None,
        again=not doomed(folder, execution_of_run(study, row.run)),
    )


def _with_accounting(store: Store, found: list[Failure]) -> list[Failure]:
    jobs: dict[str, str] = {}
    for one in found:
        told = read_or_empty(store.run(one.run) / "attempts" / one.attempt / EXECUTION)
        if one.cause in _WORDLESS and told.get("cluster") == "slurm":
            jobs[one.run] = str(told["job"])
    states = client.ended_states(sorted(set(jobs.values())))
    better = {}
    for run, job in jobs.items():
        cause = cause_of_state(states.get(job, ""))
        if cause != "unknown":
            better[run] = cause
    return [
        one if one.run not in better else Failure(**{**vars(one), "cause": better[one.run]})  # type: ignore[arg-type]
        for one in found
    ]


def _never_begun(store: Store, waiting: set[str]) -> list[Group]:
    """Runs that were sent, and whose job is gone without an attempt."""
    groups: dict[str, list[Failure]] = {}
    seen = set[str]()
    for one in reversed(submissions(store)) if waiting else ():
        if one.kind != "runs" or not one.job:
            continue
        for index, task in enumerate(one.tasks):
            job = f"{one.job}_{index}" if len(one.tasks) > 1 else one.job
            lacking = [run for run in task if run in waiting and run not in seen]
            seen.update(lacking)
            logs = sorted((one.folder / "logs").glob(f"{job}_0_log.out")) if lacking else []
            lines = _tail(logs[-1]) if logs else []
            silent = "the job is gone and printed nothing: what it waited for failed, or it was cancelled"
            error = lines[-1] if lines else silent
            log = logs[-1] if logs else None
            made = [Failure(run, "waiting", "start", error, "", 0, "", log, True) for run in lacking]
            if made:
                groups.setdefault(_alike(error), []).extend(made)
    return [Group("start", each[0].error, each, _tail(each[0].log)) for each in groups.values()]


def _preparations(store: Store, waiting: set[str]) -> list[Group]:
    known = [one for one in submissions(store) if not waiting.isdisjoint(one.runs)] if waiting else []
    made = []
    for one, told, runs in failed_preparations(known, waiting):
        logs = sorted((one.folder / "logs").glob(f"{told.get('job', '*')}_*log.out"))
        log = logs[-1] if logs else None
        host = str(told.get("host", ""))
        each = [Failure(run, "waiting", "prepare", told["error"], "", 0, host, log, True) for run in runs]
        made.append(Group("prepare", told["error"], each, _tail(log)))
    return made


def _alike(error: str) -> str:
    """What an error's sentence has in common with others of its kind: neither who said it nor its numbers."""
    bare = re.sub(r"^rank \d+ on [^ :]+:? ?", "", error)
    return re.sub(r"\d[\d.,]*", "N", bare)


def _tail(log: Path | None) -> list[str]:
    if log is None:
        return []
    try:
        with log.open("rb") as stream:
            stream.seek(max(0, log.stat().st_size - 16_384))
            lines = stream.read().decode("utf-8", "replace").splitlines()
    except OSError:
        return []
    return [line for line in lines if line.strip()][-LINES:]
