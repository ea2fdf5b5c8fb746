"""The same function over many tasks: in this process, over processes of this machine, or over a Submitit array.

Tasks commit their own results, whole or not at all, so nothing is handed back but what went wrong: after the first
failure the rest is called off, and a second try starts only what is missing.
"""

from __future__ import annotations

import ctypes
import multiprocessing
import os
import signal
import sys
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from multiprocessing.sharedctypes import Synchronized
from multiprocessing.synchronize import Event
from pathlib import Path
from typing import Any, Literal, TypeVar

from harness.corpus.streams import Tick
from harness.store import explain
from sweeps.errors import BadInput

Task = TypeVar("Task")
Function = Callable[[Any, Tick], None]

_ALONE_BYTES = 16 << 20
"""Below this, starting processes takes longer than the work."""
_LOOK_SECONDS = 0.2
_ASK_SECONDS = {"local": _LOOK_SECONDS, "slurm": 10.0}
"""Between two questions whether jobs have ended: a cluster's scheduler has other users."""
_MOST_JOBS = 1000
"""Of one array: what Slurm takes unless told otherwise."""
_DIE_WITH_PARENT = 1  # PR_SET_PDEATHSIG of <sys/prctl.h>


@dataclass(frozen=True)
class Place:
    """Where tasks run. `workers` None: a process per core, or none beside this one where there is little to do."""

    workers: int | None = None
    cluster: Literal["", "slurm", "local"] = ""
    """Empty: this machine's processes. Else Submitit's executor of that name."""
    partition: str = ""
    account: str = ""
    hours: float = 12.0
    memory_gb: int = 4


def spread(
    function: Function, tasks: Sequence[Task], weights: Sequence[int], place: Place, tick: Tick, logs: Path
) -> None:
    """Run `function(task, tick)` for each task, heaviest first. `weights` are bytes, and so is what `tick` is told.

    Raises BadInput with the first failing task's sentence. `logs` is where a cluster's jobs write.
    """
    order = sorted(range(len(tasks)), key=lambda i: -weights[i])
    ordered = [tasks[i] for i in order]
    workers = min(place.workers or os.cpu_count() or 1, len(tasks))
    if not tasks:
        return
    if place.cluster:
        _on_cluster(function, ordered, [weights[i] for i in order], workers, place, tick, logs)
    elif workers == 1 or (place.workers is None and sum(weights) < _ALONE_BYTES):
        for task in ordered:
            _raise(_attempt(function, task, tick))
    else:
        _over_processes(function, ordered, workers, tick)


def _attempt(function: Function, task: Any, tick: Tick) -> str:
    """Run one task; the sentence of what a user can mend, empty where all went well."""
    try:
        function(task, tick)
    except BadInput as error:
        return str(error)
    except OSError as error:
        told = explain(error, Path(error.filename or "a file of the corpus"))
        if isinstance(told, BadInput):
            return str(told)
        raise
    return ""


def _raise(sentence: str) -> None:
    if sentence:
        raise BadInput(sentence)


class _CalledOff(Exception):
    """Another task failed, or the user left: what this one has begun is thrown away."""


def _over_processes(function: Function, tasks: list[Any], workers: int, tick: Tick) -> None:
    # Spawned, not forked: a forked child would hold this process's leases after its death.
    context = multiprocessing.get_context("spawn")
    done: Synchronized[int] = context.Value("Q", 0)
    stop = context.Event()
    pool = ProcessPoolExecutor(workers, context, _begin, (done, stop, os.getpid()))
    told = 0
    try:
        pending: set[Future[str]] = {pool.submit(_in_worker, function, task) for task in tasks}
        while pending:
            ended, pending = wait(pending, timeout=_LOOK_SECONDS, return_when=FIRST_COMPLETED)
            told, before = done.value, told
            tick(told - before)
            for future in ended:
                _raise(future.result())
    except BrokenProcessPool as error:
        raise BadInput(
            "a worker process was killed, perhaps for want of memory: run the same command again, with fewer --workers;"
            " it goes on where it was"
        ) from error
    finally:
        stop.set()
        pool.shutdown(cancel_futures=True)


_done: Synchronized[int] | None = None
_stop: Event | None = None


def _begin(done: Synchronized[int], stop: Event, parent: int) -> None:
    """In a new worker: it dies when its parent does, and Ctrl-C is the parent's business."""
    global _done, _stop
    _done, _stop = done, stop
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_DIE_WITH_PARENT, signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(1)


def _in_worker(function: Function, task: Any) -> str:
    assert _done is not None and _stop is not None
    done, stop = _done, _stop

    def tick(count: int) -> None:
        if stop.is_set():
            raise _CalledOff
        with done.get_lock():
            done.value += count

    return _attempt(function, task, tick)


def _on_cluster(
    function: Function, tasks: list[Any], weights: list[int], workers: int, place: Place, tick: Tick, logs: Path
) -> None:
    import submitit

    jobs_wanted = min(len(tasks), _MOST_JOBS if place.cluster == "slurm" else workers)
    shares = [range(number, len(tasks), jobs_wanted) for number in range(jobs_wanted)]
    try:
        executor = submitit.AutoExecutor(folder=logs, cluster=place.cluster)
    except RuntimeError as error:
        raise BadInput(f"no {place.cluster} cluster answers here ({error}): use --cluster local") from error
    slurm = {"slurm_array_parallelism": workers, "slurm_partition": place.partition, "slurm_account": place.account}
    executor.update_parameters(
        name="babelscale-corpus",
        timeout_min=max(1, round(place.hours * 60)),
        cpus_per_task=1,
        mem_gb=place.memory_gb,
        **{name: value for name, value in slurm.items() if value},
    )
    jobs = executor.map_array(_in_job, [function] * jobs_wanted, [[tasks[i] for i in share] for share in shares])
    weight_of = {job.job_id: sum(weights[i] for i in share) for job, share in zip(jobs, shares, strict=True)}
    try:
        for job in submitit.helpers.as_completed(jobs, poll_frequency=_ASK_SECONDS[place.cluster]):
            try:
                sentence = job.result()
            except Exception as error:
                raise BadInput(
                    f"the job {job.job_id} ended without a result ({_last_line(error)}); its logs lie in {logs}: run "
                    f"the same command again, it goes on where it was"
                ) from error
            _raise(sentence)
            tick(weight_of[job.job_id])
    except BaseException:
        for job in jobs:
            job.cancel()
        raise


def _in_job(function: Function, tasks: Iterable[Any]) -> str:
    for task in tasks:
        if sentence := _attempt(function, task, lambda read: None):
            return sentence
    return ""


def _last_line(error: Exception) -> str:
    lines = str(error).strip().splitlines()
    return lines[-1].strip() if lines else type(error).__name__
