"""One attempt at one run, as it happens inside the job: prepare, train, score, done.

Every stage asks the disk first, so an attempt starts where the last one ended. This module imports nothing heavy at
its top: the thread counts must be set before torch and NumPy load.
"""

from __future__ import annotations

import gc
import json
import os
import socket
import sys
import time
import traceback
from pathlib import Path
from typing import Any

from harness.branches import TAKEN, WEIGHTS
from harness.launch.causes import DETERMINISTIC, cause_of
from harness.store import (
    SCHEMA,
    Store,
    explain,
    lease,
    now,
    read_json,
    read_lines,
    sync_folder,
    write_json,
    write_text,
)
from harness.track.beside import Beside
from harness.train.heartbeat import Heartbeat, StopFlag
from sweeps.errors import BadInput
from sweeps.tasks import BUILT_IN


def main(root: str, run_id: str, attempt: int) -> None:
    """Entry point of a task of Submitit's local executor; every rank runs it."""
    import submitit

    environment = submitit.JobEnvironment()
    perform(Store(root), run_id, attempt, environment.global_rank, environment.num_tasks, environment.local_rank)


def perform(
    store: Store, run_id: str, attempt: int, rank: int, world: int, local_rank: int, *, held: bool = False
) -> None:
    """One rank's part in an attempt. Ends by writing `exit.json` (rank 0) or by raising.

    `held`: the process that started this one holds the run's lease. A rank that fails says why in `rank-<n>.json`.
    """
    stop = StopFlag()
    stop.listen()  # before anything heavy is loaded: a signal that comes then must not be lost
    folder = store.run(run_id)
    attempt_folder = folder / "attempts" / f"{attempt:03d}"
    settings = read_json(attempt_folder / "execution.json")
    os.environ["OMP_NUM_THREADS"] = str(settings["execution"]["threads"])

    beside: Beside | None = None
    how = "failed"

    def ended(state: str, error: str = "", deterministic: bool = False, cause: str = "") -> None:
        nonlocal how
        how = state
        if rank == 0:
            record = {"state": state, "error": error, "deterministic": deterministic, "cause": cause, "time": now()}
            write_json(attempt_folder / "exit.json", record)

    def failed(error: Exception, sentence: str) -> None:
        cause = cause_of(error)
        ended("failed", sentence, cause in DETERMINISTIC, cause)
        told = {"rank": rank, "error": sentence, "cause": cause, "time": time.time(), "host": socket.gethostname()}
        write_json(attempt_folder / f"rank-{rank:05d}.json", told)

    with lease(folder / "run", wait=False) if rank == 0 and not held else _Nothing() as mine:
        if not mine:
            ended("stopped", "another attempt holds this run")
            return
        if rank == 0:
            beside = Beside.start(store, run_id, attempt, settings["execution"])
        from harness.train.errors import Stopped, TrainingFailed

        try:
            _attempt(store, run_id, settings, attempt, rank, world, local_rank, stop)
        except Stopped as stopped:
            ended("stopped", str(stopped))
        except (BadInput, TrainingFailed) as error:
            failed(error, str(error))
            raise
        except Exception as error:
            last = traceback.extract_tb(error.__traceback__)[-1]
            place = f"{Path(last.filename).name}:{last.lineno}"
            failed(error, f"{type(error).__name__}: {error} ({place})")
            raise
        else:
            ended("done")
        finally:
            stop.close()
            if beside is not None:
                beside.end(how)


class _Nothing:
    """Stands where rank 0 holds the lease: other ranks follow rank 0."""

    def __enter__(self) -> bool:
        return True

    def __exit__(self, *_: object) -> None:
        return None


def _attempt(
    store: Store,
    run_id: str,
    settings: dict[str, Any],
    attempt: int,
    rank: int,
    world: int,
    local_rank: int,
    stop: StopFlag,
) -> None:
    import torch

    from harness.memory import keep_freed_memory
    from harness.train.errors import Stopped
    from harness.train.ranks import first_alone, joined

    execution, tasks = settings["execution"], settings["tasks"]
    torch.set_num_threads(execution["threads"])
    keep_freed_memory()
    folder = store.run(run_id)
    science = read_json(folder / "run.json")["science"]
    heartbeat = Heartbeat(folder, attempt, science["steps"])
    if rank == 0:
        heartbeat.write("prepare")
    seconds = 0.0
    benchmarks = [task for task in tasks if task not in BUILT_IN]
    trains = not (folder / WEIGHTS).exists()
    if trains or benchmarks:
        rendezvous = folder / "attempts" / f"{attempt:03d}" / "rendezvous"
        asked: Stopped | None = None
        with joined(rank, world, local_rank, rendezvous, settings.get("address", "127.0.0.1")) as ranks:
            try:
                if trains:
                    seconds = _train(store, folder, run_id, science, settings, attempt, ranks, stop)
                if benchmarks:  # what can fail by a user's file comes last
                    first_alone(lambda: _score_built_in(store, folder, run_id, science, tasks, heartbeat, stop), ranks)
                for stage in benchmarks:
                    _score_together(store, folder, run_id, science, stage, execution, ranks, heartbeat, stop)
            except Stopped as stopped:  # all ranks agreed on it, so they leave the group together, in order
                asked = stopped
        if asked is not None:
            raise asked
    if rank != 0:
        return
    _score_built_in(store, folder, run_id, science, tasks, heartbeat, stop)
    if stop.raised and not all(_has(folder, task) for task in tasks):
        raise Stopped("stopped before all was scored; the training is done")
    done = read_json(folder / "done.json") if (folder / "done.json").exists() else {"tasks": []}
    finished = sorted({*done["tasks"], *tasks})
    record = {"schema": SCHEMA, "finished": now(), "tasks": finished, "attempts": attempt}
    device = torch.cuda.get_device_name() if torch.cuda.is_available() else "cpu"
    record["device"] = done.get("device", device)
    if (folder / TAKEN).exists():  # part of the training was another run's
        record["branch"] = read_json(folder / TAKEN)
    write_json(folder / "done.json", record | {"train_seconds": done.get("train_seconds") or round(seconds, 3)})


def _train(
    store: Store,
    folder: Path,
    run_id: str,
    science: dict[str, Any],
    settings: dict[str, Any],
    attempt: int,
    ranks: Any,
    stop: StopFlag,
) -> float:
    """Train to the last step and commit the weights; seconds that the steps took. Called by all ranks."""
    from harness.prepare import open_stream
    from harness.train.loop import train

    branch = settings.get("branch")
    trained = train(
        science,
        settings["execution"],
        open_stream(store, science),
        ranks,
        folder=folder,
        attempt=attempt,
        stop=stop,
        trunk=(store.run(branch["trunk"]), branch["step"]) if branch else None,
        keep=settings.get("keep", ()),
        beside=settings.get("slots", 1),
    )
    if ranks.first:
        _commit_training(folder, run_id, science, trained)
    gc.unfreeze()
    return float(trained.seconds)


def _score_built_in(
    store: Store,
    folder: Path,
    run_id: str,
    science: dict[str, Any],
    tasks: list[str],
    heartbeat: Heartbeat,
    stop: StopFlag,
) -> None:
    """Heldout and intents, rank 0's work; those that are asked for and not there, until it is asked to stop."""
    from harness.evaluate.score import score_built_in

    for task in tasks:
        if task not in BUILT_IN or _has(folder, task) or stop.raised:
            continue
        heartbeat.write(f"score {task}", step=science["steps"])
        began = time.monotonic()
        _record(folder, run_id, task, science["steps"], score_built_in(store, folder, science, task), began)


def _score_together(
    store: Store,
    folder: Path,
    run_id: str,
    science: dict[str, Any],
    stage: str,
    execution: dict[str, Any],
    ranks: Any,
    heartbeat: Heartbeat,
    stop: StopFlag,
) -> None:
    """A benchmark: fine-tuned and scored by all ranks. Raises Stopped with what is done kept."""
    from harness.evaluate.driven import Means
    from harness.evaluate.score import score_benchmark
    from harness.train.errors import Stopped
    from harness.train.heartbeat import say
    from harness.train.ranks import gathered

    gc.collect()  # an engine that has had its day goes before the next one comes
    there = gathered((_has(folder, stage) if ranks.first else False, stop.raised), ranks)
    if there[0][0]:
        return
    if any(raised for _, raised in there):
        raise Stopped(f"stopped before scoring {stage}; the training is done")
    means = Means(
        ranks,
        zero=execution["zero"],
        bf16=science["precision"] == "bf16",
        activation_checkpointing=execution.get("activation_checkpointing", False),
        checkpoint_seconds=execution["checkpoint_seconds"],
        stop=stop,
    )

    def told(text: str) -> None:
        if ranks.first:
            heartbeat.write(f"score {stage.partition('@')[0]}", step=science["steps"])
            say(f"{stage}: {text}")

    began = time.monotonic()
    told("begins")
    rows = score_benchmark(store, folder, science, stage, means, told)
    if ranks.first:
        _record(folder, run_id, stage, science["steps"], rows, began)


def _commit_training(folder: Path, run_id: str, science: dict[str, Any], trained: Any) -> None:
    """The canonical weights (fp32, by parameter name), and the records that training itself yields."""
    from harness.train.pieces import write_tensors

    final = folder / WEIGHTS
    final.parent.mkdir(exist_ok=True)
    rows = [
        {"task": "training", "split": "train", "language": language, "metric": metric, "value": float(value), "n": 0}
        for metric, values in (
            ("epochs", trained.epochs),
            ("expected_epochs", trained.expected_epochs),
            ("tokens", trained.tokens),
        )
        for language, value in values.items()
    ]
    _record(folder, run_id, "training", science["steps"], rows)
    beside = final.with_name(".model.tmp")
    try:
        write_tensors(beside, trained.weights)
        beside.replace(final)
        sync_folder(final.parent)
    except OSError as error:
        beside.unlink(missing_ok=True)  # it may be what fills the disk
        raise explain(error, final) from error


def _record(
    folder: Path, run_id: str, task: str, step: int, rows: list[dict[str, Any]], began: float | None = None
) -> None:
    """Put a task's records into `records.jsonl`, all of them at once."""
    if began is not None:
        print(f"{task}: {len(rows)} records in {time.monotonic() - began:.1f} s", flush=True)
    kept = [row for row in read_lines(folder / "records.jsonl") if _stage(row) != task]
    head = {"schema": SCHEMA, "run": run_id, "step": step}
    full = [head | {"standard_error": None, "details": {}} | row for row in rows]
    text = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in [*kept, *full])
    write_text(folder / "records.jsonl", text)


def _stage(row: dict[str, Any]) -> str:
    """The stage that a record is of: a benchmark's holds what was asked of it, others are their task."""
    return str((row.get("details") or {}).get("stage", row["task"]))


def _has(folder: Path, task: str) -> bool:
    return any(_stage(row) == task for row in read_lines(folder / "records.jsonl"))


if __name__ == "__main__":  # one rank of a run in a cluster's job, started by `harness.launch.slurm.lane`
    _root, _run, *_numbers = sys.argv[1:]
    _attempt_number, _rank, _world, _local_rank = map(int, _numbers)
    perform(Store(_root), _run, _attempt_number, _rank, _world, _local_rank, held=True)
