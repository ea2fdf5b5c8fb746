"""From a frozen study to arrays on the cluster: what is wanted, less what is done, less what is in flight.

All of it under one lease of the store, so two people who submit at the same moment, even two studies that share runs,
send each run once.
"""

from __future__ import annotations

import contextlib
import io
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from harness.launch.attempts import doomed
from harness.launch.freeze import execution_of_run
from harness.launch.observe import observe
from harness.launch.slurm import client, lane
from harness.launch.slurm.site import Site, check, check_preparation, wants_gpu
from harness.launch.slurm.submissions import (
    SENT,
    Submission,
    folder_of,
    runs_in_flight,
    runs_preparing,
    submissions,
    write_submission,
)
from harness.prepare import is_prepared, tokenizer_spec
from harness.store import Store, digest, lease, now, read_json, write_json, write_text
from sweeps.execution import execution_of
from sweeps.grid import Run
from sweeps.study import Study

_SHORTEST_WARNING, _LONGEST_WARNING = 10, 300
"""Seconds before the time limit at which a job is told."""
_UNBOUNDED = 10**6


@dataclass
class Sorting:
    """A study's runs, each in one list."""

    done: list[str] = field(default_factory=list)
    in_flight: list[str] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)
    """Would fail again unchanged: `babelscale retry`."""
    to_do: list[str] = field(default_factory=list)
    carried: dict[str, client.Job] = field(default_factory=dict)
    """Slurm's job of each run in flight."""
    preparing: dict[str, str] = field(default_factory=dict)
    """The job that makes a run's tokenizer and shards at this moment."""


@dataclass(frozen=True)
class Sent:
    """One array as the cluster has it."""

    name: str
    kind: str
    job: str
    tasks: int
    runs: int


def sort_runs(store: Store, study: Mapping[str, Any], wanted: Iterable[str]) -> Sorting:
    """Asks the store, then Slurm once."""
    sorting = Sorting()
    states = {run: observe(store, run, study["evaluate"]).state for run in wanted}
    open_runs = {run for run, state in states.items() if state != "done"}
    known = [one for one in submissions(store) if not open_runs.isdisjoint(one.runs)]
    jobs = client.jobs_named(one.name for one in known)
    carried = sorting.carried = runs_in_flight(known, jobs)
    sorting.preparing = runs_preparing(known, jobs)
    for run, state in states.items():
        if state == "done":
            sorting.done.append(run)
        elif run in carried or state == "running":
            sorting.in_flight.append(run)
        elif doomed(store.run(run), execution_of_run(study, run)) and not _lacks_artefacts(store, run):
            sorting.failed.append(run)
        else:
            sorting.to_do.append(run)
    return sorting


def _lacks_artefacts(store: Store, run: str) -> bool:
    """Whether the run may have failed for want of a tokenizer or shards, which a submission makes."""
    return not is_prepared(store, read_json(store.run(run) / "run.json")["science"])


def check_all(
    store: Store, site: Site, study: Study, runs: Iterable[Run], overrides: Mapping[str, Mapping[str, Any]]
) -> None:
    """Raises BadInput when the cluster can never take one of these runs; nothing need be written for it."""
    each = [
        (run, execution_of(study.execution, run.axes).model_dump(exclude={"rules"}) | dict(overrides.get(run.id, {})))
        for run in runs
    ]
    where = f"study {study.name}: execution"
    for execution in {digest(own): own for _, own in each}.values():
        check(site, execution, where)
    one_each = {str(run.science["tokenizer"]): run for run, _ in each}
    if not all(is_prepared(store, run.science) for run in one_each.values()):
        check_preparation(site, each[0][1], where)


def submit(
    store: Store,
    study: Mapping[str, Any],
    wanted: Sequence[str],
    site: Site,
    *,
    throttle: int | None = None,
    tell: Callable[[Sent], None] = lambda sent: None,
) -> Sorting:
    """Send what is neither done nor in flight; `tell` hears of each array as it is sent.

    Raises BadInput before anything is sent when the cluster can never run it, Refused when it says no: what was sent
    by then stays sent, and the same command sends the rest.
    """
    for execution in {digest(own): own for own in (execution_of_run(study, run) for run in wanted)}.values():
        check(site, execution, f"study {study['name']}: execution")
    folder_of(store).mkdir(parents=True, exist_ok=True)
    with lease(folder_of(store) / "submit"):
        sorting = sort_runs(store, study, wanted)
        if not sorting.to_do:
            return sorting
        ready = _prepare(store, study, sorting, site, tell)
        sent_trunks = {run: job.id.partition("_")[0] for run, job in sorting.carried.items()}
        branches = study.get("branches", {})
        trunks = [run for run in sorting.to_do if run not in branches]
        for wave in (trunks, [run for run in sorting.to_do if run in branches]):
            for shape, runs in _by_shape(study, wave).items():
                _send_shape(store, study, shape, runs, site, throttle, ready, sent_trunks, tell)
    return sorting


def _by_shape(study: Mapping[str, Any], runs: Iterable[str]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for run in runs:
        found.setdefault(digest(execution_of_run(study, run)), []).append(run)
    return found


def _send_shape(
    store: Store,
    study: Mapping[str, Any],
    shape: str,
    runs: list[str],
    site: Site,
    throttle: int | None,
    ready: Mapping[str, str],
    sent: dict[str, str],
    tell: Callable[[Sent], None],
) -> None:
    """Runs of one resource shape, the longest first, in as many arrays as the cluster's limit makes of them.

    `ready`: the preparation that a run waits for. `sent`: the array of each run sent so far, of which a branch waits
    for its trunk's.
    """
    execution = execution_of_run(study, runs[0])
    most, pack = throttle or execution["throttle"], int(execution["pack"])
    ordered = sorted(runs, key=lambda run: -_cost(store, run))
    tasks = [ordered[first : first + pack] for first in range(0, len(ordered), pack)]
    before = ""
    for first in range(0, len(tasks), site.array_tasks):
        chunk = tasks[first : first + site.array_tasks]
        held = [run for task in chunk for run in task]
        trunks = {study.get("branches", {})[run]["trunk"] for run in held if run in study.get("branches", {})}
        needs = [f"afterok:{job}" for job in sorted({ready[run] for run in held if run in ready})]
        after = {sent[trunk] for trunk in trunks if trunk in sent} | ({before} if before and most else set())
        needs += [f"afterany:{job}" for job in sorted(after)]
        one = write_submission(store, study, "runs", execution, chunk)
        before = _send(store, one, _of_runs(execution, most, needs))
        sent.update(dict.fromkeys(held, before))
        tell(Sent(one.name, one.kind, before, len(chunk), len(held)))


def _cost(store: Store, run: str) -> float:
    return float(read_json(store.run(run) / "run.json")["axes"]["flops"])


def _prepare(
    store: Store, study: Mapping[str, Any], sorting: Sorting, site: Site, tell: Callable[[Sent], None]
) -> dict[str, str]:
    """Send what makes missing tokenizers and shards; returns the job that each run waits for."""
    waits = {run: job for run, job in sorting.preparing.items() if run in sorting.to_do}
    runs = [run for run in sorting.to_do if run not in waits]
    lacking: dict[str, list[str]] = {}
    known: dict[str, bool] = {}
    for run in runs:
        science = read_json(store.run(run) / "run.json")["science"]
        key = digest([science["corpus"], vars(tokenizer_spec(science))])
        needs = f"{key} {science['languages']}"
        if needs not in known:
            known[needs] = is_prepared(store, science)
        if not known[needs]:
            lacking.setdefault(key, []).append(run)
    if not lacking:
        return waits
    execution = execution_of_run(study, runs[0])
    wanted = dict(execution["prepare"])
    check_preparation(site, execution, f"study {study['name']}: execution")
    groups = list(lacking.values())
    for first in range(0, len(groups), site.array_tasks):
        chunk = groups[first : first + site.array_tasks]
        one = write_submission(store, study, "prepare", execution | {"prepare": wanted}, chunk)
        job = _send(store, one, _of_preparation(execution, wanted))
        for group in chunk:
            waits.update(dict.fromkeys(group, job))
        tell(Sent(one.name, one.kind, job, len(chunk), sum(map(len, chunk))))
    return waits


def _send(store: Store, one: Submission, parameters: dict[str, Any]) -> str:
    """Hand one array to Submitit; returns its job id. Raises Refused."""
    import submitit

    executor = submitit.SlurmExecutor(one.folder / "logs", max_num_timeout=_UNBOUNDED, python=one.execution["python"])
    executor.update_parameters(job_name=one.name, stderr_to_stdout=True, **parameters)
    count = len(one.tasks)
    function = lane.main if one.kind == "runs" else lane.prepare
    try:
        # Submitit prints what sbatch complains of before it raises the same words.
        with contextlib.redirect_stderr(io.StringIO()), _outside_of_jobs():
            jobs = executor.map_array(function, [str(store.root)] * count, [one.name] * count, list(range(count)))
    except submitit.core.utils.FailedJobError as error:
        (one.folder / "plan.json").unlink(missing_ok=True)  # nothing of it was sent
        said = [line for line in str(error).splitlines() if line.strip()]
        raise client.Refused(" ".join(said[-1].split()) if said else "sbatch failed") from error
    except submitit.core.utils.FailedSubmissionError as error:
        answer = " ".join(str(error).split())[:200]
        raise client.Refused(f"sbatch answered without a job id ({answer}): squeue tells whether it took it") from error
    job = str(jobs[0].job_id).partition("_")[0]
    write_json(one.folder / SENT, {"job": job, "time": now()})
    _keep_text(one.folder)
    return job


@contextlib.contextmanager
def _outside_of_jobs() -> Iterator[None]:
    """Without what a job that we may be in, or a user's defaults, would put into the new one."""
    inherited = {
        name: os.environ.pop(name)
        for name in list(os.environ)
        if name.startswith(("SLURM_", "SBATCH_")) and name != "SLURM_CONF"
    }
    try:
        yield
    finally:
        os.environ.update(inherited)


def _keep_text(folder: Path) -> None:
    """The sbatch text as it was sent, for the record."""
    for path in (
        sorted((folder / "logs").glob("submission_file_*.sh"))[:1]
        or sorted((folder / "logs").glob("*_submission.sh"))[:1]
    ):
        write_text(folder / "sbatch.sh", path.read_text(encoding="utf-8"))


def _common(execution: Mapping[str, Any], hours: float, cpus: int) -> dict[str, Any]:
    minutes = max(1, -(-int(hours * 3600) // 60))
    flags = {name.lstrip("-"): value for name, value in execution["sbatch"].items() if value is not False}
    return {
        "time": minutes,
        "signal_delay_s": warning_seconds(minutes * 60),
        "setup": list(execution["setup"]) or None,
        # srun takes over neither sbatch's CPUs of a task (since 22.05) nor patience with tasks that end apart.
        "srun_args": ["--kill-on-bad-exit=1", "--wait=0", f"--cpus-per-task={cpus}", *execution["srun"]],
        # A cancelled preparation takes the runs that wait for it along, instead of leaving them pending for ever.
        "additional_parameters": {"requeue": True, "kill-on-invalid-dep": "yes", **flags},
    }


def warning_seconds(limit_seconds: float) -> int:
    """How long before its limit a job is told to save: a fifth of it, in bounds."""
    return int(min(_LONGEST_WARNING, max(_SHORTEST_WARNING, limit_seconds / 5)))


def _of_runs(execution: Mapping[str, Any], throttle: int | None, needs: Sequence[str]) -> dict[str, Any]:
    nodes, pack, devices = int(execution["nodes"]), int(execution["pack"]), int(execution["devices"])
    a_node = devices // nodes * pack
    wanted: dict[str, Any] = _common(execution, float(execution["hours"]), int(execution["threads"])) | {
        "nodes": nodes,
        "ntasks_per_node": a_node,
        "cpus_per_task": int(execution["threads"]),
        "partition": execution["partition"],
        "dependency": ",".join(needs) or None,
        "array_parallelism": throttle or _UNBOUNDED,
    }
    # For the node, not for each task: a task that sees one GPU only cannot reach its neighbours'.
    if wants_gpu(execution) and not {"gres", "gpus"} & set(execution["sbatch"]):
        wanted["gpus_per_node"] = a_node
    if execution["memory_gb"]:
        wanted["mem"] = f"{round(float(execution['memory_gb']) * pack * 1024)}M"
    return {name: value for name, value in wanted.items() if value is not None}


def _of_preparation(execution: Mapping[str, Any], wanted: Mapping[str, Any]) -> dict[str, Any]:
    flags = {name: value for name, value in execution["sbatch"].items() if name not in ("gres", "gpus", "exclusive")}
    made: dict[str, Any] = _common({**execution, "sbatch": flags}, float(wanted["hours"]), int(wanted["cpus"])) | {
        "nodes": 1,
        "ntasks_per_node": 1,
        "cpus_per_task": int(wanted["cpus"]),
        "mem": f"{round(float(wanted['memory_gb']) * 1024)}M",
        "partition": wanted["partition"] or execution["partition"],
    }
    return {name: value for name, value in made.items() if value is not None}


def of_trial(execution: Mapping[str, Any]) -> dict[str, Any]:
    """What a job that only shows that jobs work asks for."""
    return _of_preparation(execution, {"cpus": 1, "memory_gb": 1.0, "hours": 0.1, "partition": None})
