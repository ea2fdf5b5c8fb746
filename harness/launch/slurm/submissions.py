"""Arrays that were sent to the cluster, as folders of the store: which task of which carries which runs.

`<root>/slurm/<name>/plan.json` is written before anything is sent, so a submission that is cut short is found again by
its name, which is the job's name too. Job ids are kept only to be shown.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from harness.launch.slurm.client import Job
from harness.store import SCHEMA, Store, now, read_json, write_json

PLAN, SENT = "plan.json", "sent.json"
Kind = Literal["runs", "prepare"]


@dataclass(frozen=True)
class Submission:
    folder: Path
    study: str
    kind: Kind
    execution: Mapping[str, Any]
    tasks: Sequence[Sequence[str]]
    """Runs of each task of the array: side by side for runs, those that need one tokenizer for a preparation."""
    evaluate: Sequence[str]
    branches: Mapping[str, Any]

    @property
    def name(self) -> str:
        return self.folder.name

    @property
    def runs(self) -> Iterator[str]:
        return (run for task in self.tasks for run in task)

    @property
    def job(self) -> str:
        """Id of the array, "" while it is not known."""
        try:
            return str(read_json(self.folder / SENT)["job"])
        except (OSError, ValueError, KeyError):
            return ""


def folder_of(store: Store) -> Path:
    return store.root / "slurm"


def write_submission(
    store: Store, study: Mapping[str, Any], kind: Kind, execution: Mapping[str, Any], tasks: Sequence[Sequence[str]]
) -> Submission:
    """Freeze what an array's tasks carry, before it is sent."""
    folder = folder_of(store) / f"bs-{study['name']}-{kind}-{uuid.uuid4().hex[:8]}"
    (folder / "logs").mkdir(parents=True)
    held = {run for task in tasks for run in task}
    plan = {
        "schema": SCHEMA,
        "study": study["name"],
        "kind": kind,
        "time": now(),
        "execution": dict(execution),
        "tasks": [list(task) for task in tasks],
        "evaluate": list(study["evaluate"]),
        "branches": {
            run: branch for run, branch in study.get("branches", {}).items() if run in held or branch["trunk"] in held
        },
    }
    write_json(folder / PLAN, plan)
    return open_submission(folder)


def open_submission(folder: Path) -> Submission:
    plan = read_json(folder / PLAN)
    return Submission(
        folder, plan["study"], plan["kind"], plan["execution"], plan["tasks"], plan["evaluate"], plan["branches"]
    )


def submissions(store: Store) -> list[Submission]:
    """All of the store, oldest first."""
    found = []
    for path in folder_of(store).glob(f"bs-*/{PLAN}"):
        try:
            found.append((path.stat().st_mtime, open_submission(path.parent)))
        except (OSError, ValueError, KeyError):
            continue  # half a plan: its jobs were never sent
    return [one for _, one in sorted(found, key=lambda pair: pair[0])]


def runs_preparing(found: Iterable[Submission], jobs: Iterable[Job]) -> dict[str, str]:
    """The array, waiting or running, that makes what a run needs."""
    by_name = {one.name: one for one in found if one.kind == "prepare"}
    made: dict[str, str] = {}
    for job in jobs:
        one = by_name.get(job.name)
        if one is not None and job.index < len(one.tasks):
            made.update(dict.fromkeys(one.tasks[job.index], job.id.partition("_")[0]))
    return made


def runs_in_flight(found: Iterable[Submission], jobs: Iterable[Job]) -> dict[str, Job]:
    """The job that each run waits or runs in."""
    by_name = {one.name: one for one in found if one.kind == "runs"}
    carried: dict[str, Job] = {}
    for job in jobs:
        one = by_name.get(job.name)
        if one is not None and job.index < len(one.tasks):
            for run in one.tasks[job.index]:
                if run not in carried or carried[run].waits:  # one that runs says more than one that waits
                    carried[run] = job
    return carried
