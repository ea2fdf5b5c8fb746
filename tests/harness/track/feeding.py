"""Attempts at a run whose training is a stand-in and whose feeder is the real one."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from running import wait_for
from tiny import study_text, submit_here
from trainer import line

from harness.launch.attempts import EXECUTION
from harness.launch.freeze import frozen_study
from harness.launch.provenance import provenance
from harness.store import Store, append_lines, now, write_json
from harness.train.heartbeat import Journal

TRAINER = Path(__file__).with_name("trainer.py")
STEPS = 12
HELDOUT = {"en": 2.0, "de": 2.5, "ru": 3.0}


class Attempt:
    """One, from its start to its end; leaves nothing behind it."""

    def __init__(self, store: Store, run: str, number: int, first: int, last: int, environment: dict[str, str]) -> None:
        folder = store.run(run) / "attempts" / f"{number:03d}"
        folder.mkdir(parents=True)
        execution = frozen_study(store, "shown")["execution"]
        write_json(folder / EXECUTION, {"execution": execution} | provenance(store))
        self.log = folder / "1_0_log.out"
        with self.log.open("wb") as stream:
            self.process = subprocess.Popen(
                [sys.executable, str(TRAINER), str(store.root), run, *map(str, (number, first, last))],
                stdin=subprocess.PIPE,
                stdout=stream,
                stderr=stream,
                env=os.environ | environment | {"PYTHONPATH": os.pathsep.join(sys.path)},
            )
        wait_for(lambda: "written" in self.said())

    def said(self) -> str:
        return self.log.read_text(encoding="utf-8")

    def write(self, step: int) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(f"write {step}\n".encode())
        self.process.stdin.flush()

    def end(self, state: str) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(f"{state}\n".encode())
        self.process.stdin.close()
        assert self.process.wait(60) == 0, self.said()

    def kill(self) -> None:
        self.process.kill()
        self.process.wait(10)
        assert self.process.stdin is not None
        self.process.stdin.close()


def feeders(store: Store) -> list[int]:
    """Processes of our feeders, and of the W&B processes that they started, that live; not those of the tests that
    another worker runs beside these."""
    found = []
    worker = f"PYTEST_XDIST_WORKER={os.environ['PYTEST_XDIST_WORKER']}" if "PYTEST_XDIST_WORKER" in os.environ else ""
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            words = path.read_bytes().split(b"\0")
            inherited = path.with_name("environ").read_bytes().split(b"\0")
        except OSError:
            continue
        mine = b"harness.track.feeder" in words and str(store.root).encode() in words
        if mine or (b"wandb-core" in words[0] and (not worker or worker.encode() in inherited)):
            found.append(int(path.parent.name))
    return found


def submitted(store: Store) -> str:
    """The run of the study `shown`."""
    _, (run,) = submit_here(store, study_text("shown", steps=STEPS, execution="{track: {project: tested}}"))
    return run.id


def trained_pair(store: Store, axes: str) -> list[str]:
    """The runs of the study `pair`, trained, as their files say, and not scored."""
    _, runs = submit_here(store, study_text("pair", axes, STEPS, "{track: {project: tested}}"))
    for run in runs:
        journal = Journal(store.run(run.id) / "metrics.jsonl")
        for step in range(1, STEPS + 1):
            journal.write(line(1, step))
    return [run.id for run in runs]


def score(store: Store, run: str) -> None:
    """What rank 0 writes after the last step."""
    head = {"schema": 1, "run": run, "step": STEPS, "standard_error": None, "details": {}, "n": 100}
    rows = [
        head | {"task": "heldout", "split": "heldout", "language": code, "metric": "bits_per_byte", "value": value}
        for code, value in HELDOUT.items()
    ]
    rows.append(head | {"task": "training", "split": "train", "language": "en", "metric": "epochs", "value": 0.5})
    append_lines(store.run(run) / "records.jsonl", rows)
    done = {"schema": 1, "finished": now(), "tasks": ["heldout"], "attempts": 1, "device": "cpu", "train_seconds": 3.5}
    write_json(store.run(run) / "done.json", done)
