"""A study as it is now: its folders first, then one question to Slurm where jobs of it may be there.

What the folders say stands: a finished run is done whatever a queue says of it. Slurm is asked at most once in a
while, however often somebody looks; where it gives no answer, a run that may be in its hands is `unknown`, never lost.
"""

from __future__ import annotations

import time
from collections import Counter
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from harness.launch import queue
from harness.launch.attempts import EXECUTION, attempt_folders, read_or_empty
from harness.launch.freeze import frozen_study
from harness.launch.observe import Observed, observe
from harness.launch.slurm import client
from harness.launch.slurm.submissions import Submission, runs_in_flight, submissions
from harness.store import Store

ASK_SECONDS = 15.0
"""Between two questions to Slurm."""

REASONS = {
    "BeginTime": "queued again; Slurm lets it wait two minutes",
    "Dependency": "waits for the preparation, or for an array before it",
    "JobArrayTaskLimit": "the throttle",
    "Priority": "other jobs go first",
    "Resources": "no room yet",
    "ReqNodeNotAvail": "its nodes are down or reserved",
    "JobHeldUser": "held by its owner: scontrol release",
    "JobHeldAdmin": "held by the site",
    "launch failed requeued held": "its node could not start it: scontrol release",
}
"""What Slurm's commonest reasons to wait mean."""


@dataclass(frozen=True)
class Look:
    rows: list[Observed]
    state: dict[str, Any]
    """Of whatever works through the runs: `alive`, `phase`, `cluster`, and what else it says."""
    notes: list[str]
    """What a user should know besides, a sentence each."""
    jobs: dict[str, client.Job]
    """Slurm's job of each run in its hands."""


class Lookout:
    """Looks at one study again and again. Raises BadInput when it was never submitted."""

    def __init__(self, store: Store, name: str) -> None:
        self.store, self.name = store, name
        self._asked = -ASK_SECONDS
        self._known: list[Submission] = []
        self._jobs: list[client.Job] = []
        self._problem = ""

    def look(self) -> Look:
        study = frozen_study(self.store, self.name)
        rows = [observe(self.store, run, study["evaluate"]) for run in study["runs"]]
        state = queue.queue_state(self.store, self.name) | {"cluster": "local"}
        open_runs = {row.run for row in rows if row.state != "done"}
        self._ask(open_runs)
        notes: list[str] = []
        if not self._known:
            return Look(rows, state, notes + _drift(self.store, rows), {})
        carried = {run: job for run, job in runs_in_flight(self._known, self._jobs).items() if run in open_runs}
        sent = {run for one in self._known if one.kind == "runs" for run in one.runs}
        rows = [_with_job(row, carried.get(row.run), bool(self._problem) and row.run in sent) for row in rows]
        if self._problem:
            notes.append(f"Slurm could not be asked ({self._problem}): what is said here is what the files say")
        notes += preparations_that_failed(self._known, open_runs)
        if not state["alive"]:
            state = {"alive": bool(self._jobs), "cluster": "slurm", "phase": self._phase()}
        return Look(rows, state, notes + _drift(self.store, rows), carried)

    def _ask(self, open_runs: set[str]) -> None:
        if time.monotonic() - self._asked < ASK_SECONDS:
            return
        self._known = [one for one in submissions(self.store) if not open_runs.isdisjoint(one.runs)]
        try:
            self._jobs, self._problem = client.jobs_named(one.name for one in self._known), ""
        except client.Refused as refused:
            self._problem = str(refused)
        self._asked = time.monotonic()

    def _phase(self) -> str:
        if self._problem:
            return "unknown"
        if not self._jobs:
            return "no jobs in Slurm"
        counts = Counter("wait" if job.waits else "run" for job in self._jobs)
        return "jobs in Slurm: " + ", ".join(f"{count} {what}" for what, count in sorted(counts.items()))


def _with_job(row: Observed, job: client.Job | None, may_be_there: bool) -> Observed:
    """The row with what Slurm knows: a job that waits or has just begun; or that nobody could tell."""
    if row.state in ("done", "running"):
        return row
    if job is None:
        return replace(row, state="unknown", error="Slurm could not be asked") if may_be_there else row
    if not job.waits:
        return replace(row, state="running", phase="starting", error="")
    return replace(row, state="queued", error=REASONS.get(job.reason, job.reason))


def preparations_that_failed(known: list[Submission], open_runs: set[str]) -> list[str]:
    """A sentence for each tokenizer or shard that could not be made, and that runs still lack."""
    return [f"preparation failed: {told['error']}" for _, told, _ in failed_preparations(known, open_runs)]


def failed_preparations(
    known: list[Submission], open_runs: set[str]
) -> list[tuple[Submission, dict[str, Any], list[str]]]:
    """Submission, what its task told, and the runs that wait for it; the newest word on each run."""
    found, seen = [], set[str]()
    for one in reversed(known):
        if one.kind != "prepare":
            continue
        for index, task in enumerate(one.tasks):
            lacking = [run for run in task if run in open_runs and run not in seen]
            seen.update(task)
            told = read_or_empty(one.folder / f"prepare-{index:05d}.json")
            if lacking and told.get("state") == "failed":
                found.append((one, told, lacking))
    return found


def _drift(store: Store, rows: list[Observed]) -> list[str]:
    """Whether runs of one study were made by different code."""
    versions: Counter[str] = Counter()
    for row in rows:
        folders = attempt_folders(store.run(row.run)) if row.attempts else []
        if folders:
            versions[_version(folders[-1])] += 1
    if len(versions) < 2:
        return []
    said = "; ".join(f"{runs} by {version}" for version, runs in versions.most_common(4))
    return [f"the code changed between runs ({said}): their numbers may differ for that reason"]


def _version(attempt: Path) -> str:
    told = read_or_empty(attempt / EXECUTION)
    commit = str(told.get("git_commit", ""))[:10]
    changed = ", changed" if "git_diff" in told else ""
    return f"{told.get('code', '?')}" + (f" (commit {commit}{changed})" if commit else "")
