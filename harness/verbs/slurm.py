"""submit --cluster slurm: what the study lacks goes to the cluster, and the prompt comes back."""

from __future__ import annotations

import json
from argparse import Namespace
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from harness.launch import queue
from harness.launch.freeze import frozen_study
from harness.launch.slurm import client
from harness.launch.slurm.site import probe
from harness.launch.slurm.submissions import runs_in_flight, submissions
from harness.launch.slurm.submit import Sent, Sorting, check_all, submit
from harness.store import Store
from harness.verbs.show import console, stderr
from harness.verbs.studies import frozen, resolve
from sweeps.errors import BadInput
from sweeps.study import load_study


def submit_to_slurm(options: Namespace) -> int:
    if options.slots:
        raise BadInput("--slots is for --cluster local; on Slurm, --throttle says how many jobs go at the same time")
    client.require()
    store = Store(options.root)
    name = load_study(options.study, options.profile).name
    _not_both(store, name)
    study, runs = resolve(store, options)
    site = probe()
    known = _study_before(store, name)
    check_all(store, site, study, runs, known.get("overrides", {}))  # before anything is written
    before = set(known.get("runs", ()))
    study, runs, every = frozen(store, options, cluster="slurm")
    dropped = still_there(store, before - {run.id for run in every})
    sorting, sent = send(store, frozen_study(store, name), [run.id for run in runs], options.throttle, options.json)
    if options.json:
        told = {"study": name, "runs": len(runs), "to_do": len(sorting.to_do), "done": len(sorting.done)}
        told |= {"in_flight": len(sorting.in_flight), "failed": sorting.failed, "no_longer_wanted": dropped}
        print(json.dumps(told | {"sent": [asdict(one) for one in sent]}))
        return int(bool(sorting.failed))
    if dropped:
        say(
            f"{len(dropped)} runs of the study as it was are still in flight: they keep the science they were sent "
            f"with, and the study no longer wants them; scancel ends them ({', '.join(dropped[:4])}, ...)"
        )
    say(_summary(name, sorting, len(runs)))
    return int(bool(sorting.failed))


def send(
    store: Store, study: Mapping[str, Any], wanted: Sequence[str], throttle: int | None, quiet: bool
) -> tuple[Sorting, list[Sent]]:
    """Submit, telling of each array as it goes; a cluster that refuses half-way leaves the others sent."""
    sent: list[Sent] = []

    def tell(one: Sent) -> None:
        sent.append(one)
        what = f"{one.runs} runs" if one.kind == "runs" else f"tokenizer and shards for {one.runs} runs"
        (stderr if quiet else console).print(
            f"{study['name']}: job {one.job}: {one.tasks} tasks, {what}", highlight=False, soft_wrap=True
        )

    return submit(store, study, wanted, probe(), throttle=throttle, tell=tell), sent


def say(text: str) -> None:
    console.print(text, highlight=False, soft_wrap=True)


def _not_both(store: Store, name: str) -> None:
    if queue.queue_state(store, name)["alive"]:
        raise BadInput(
            f"the runs of {name} are being worked through on this machine: babelscale cancel {name} first, then submit "
            "to the cluster"
        )


def _study_before(store: Store, name: str) -> dict[str, Any]:
    """The study as it was frozen last, empty where it never was."""
    try:
        return frozen_study(store, name)
    except BadInput:
        return {}


def still_there(store: Store, runs: set[str]) -> list[str]:
    """Those of `runs` that a job carries. Nothing is asked where none could."""
    known = [one for one in submissions(store) if not runs.isdisjoint(one.runs)]
    if not known:
        return []
    return sorted(runs & runs_in_flight(known, client.jobs_named(one.name for one in known)).keys())


def _summary(name: str, sorting: Sorting, runs: int) -> str:
    parts = [
        f"{len(group)} {what}"
        for what, group in (
            ("sent", sorting.to_do),
            ("in flight", sorting.in_flight),
            ("done", sorting.done),
            ("would fail again", sorting.failed),
        )
        if group
    ]
    after = f"babelscale watch {name}"
    if sorting.failed:
        after = f"babelscale why {name}"
    elif len(sorting.done) == runs:
        after = f"babelscale report {name}"
    return f"{name}: of {runs} runs {', '.join(parts)}; {after}"
