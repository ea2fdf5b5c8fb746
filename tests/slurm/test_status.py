"""Looking at a large study costs one question to Slurm, and accounting changes nothing in the answer."""

from __future__ import annotations

import json
import shutil
import statistics
import time
from pathlib import Path

from driving import Site

from harness.store import write_json

RUNS, DONE, FAILED = 1000, 300, 40
SECONDS = 2.0
HELD = "{devices: 2, hours: 0.2, sbatch: {hold: true}}"


def counting(folder: Path, name: str, body: str) -> None:
    """A program that notes that it was called, and then is what it stands before."""
    program = folder / name
    program.write_text(f"#!/bin/sh\necho {name} >> {folder}/calls\n{body}\n", encoding="utf-8")
    program.chmod(0o755)


def test_status_of_a_thousand_runs_asks_slurm_once_and_says_the_same_without_accounting(site: Site) -> None:
    seeds = list(range(RUNS))
    study = site.study("large", axes=f"{{languages: [[en, de, ru]], seed: {seeds}}}", steps=6, execution=HELD)
    site.babelscale("submit", study, "--cluster", "slurm", seconds=600)
    runs = site.runs("large")
    for number, run in enumerate(runs[: DONE + FAILED]):
        folder = site.store.run(run)
        attempt = folder / "attempts" / "001"
        attempt.mkdir(parents=True)
        write_json(attempt / "execution.json", {"job": "1_1", "cluster": "slurm", "code": "x"}, durable=False)
        ended = {"state": "done"} if number < DONE else {"state": "failed", "error": "planted", "cause": "code"}
        write_json(attempt / "exit.json", ended, durable=False)
        if number < DONE:
            write_json(folder / "done.json", {"tasks": ["heldout"], "train_seconds": 1.0}, durable=False)

    with_it, without = site.folder / "with", site.folder / "without"
    for folder in (with_it, without):
        folder.mkdir()
        squeue = shutil.which("squeue", path=site.environment["PATH"])
        counting(folder, "squeue", f'exec {squeue} "$@"')
    sacct = shutil.which("sacct", path=site.environment["PATH"])
    counting(with_it, "sacct", f'exec {sacct} "$@"')
    counting(without, "sacct", "echo 'Slurm accounting storage is disabled' >&2; exit 1")

    answers, seconds = [], []
    for folder in (with_it, without):
        path = f"{folder}:{site.environment['PATH']}"
        began = time.monotonic()
        ended = site.babelscale("status", study, "--json", code=None, PATH=path)
        seconds.append(time.monotonic() - began)
        answers.append(json.loads(ended.stdout))
        calls = (folder / "calls").read_text(encoding="utf-8").split()
        assert calls.count("squeue") == 1 and calls.count("sacct") <= 1
    assert answers[0] == answers[1]
    states = [row["state"] for row in answers[0]["runs"]]
    assert states.count("done") == DONE and len(states) == RUNS
    assert states.count("queued") == RUNS - DONE, "those whose job is on hold, the failed ones' too"
    by = site.answer("status", study, "--by", "K", code=None)["groups"]
    assert [(group["K"], group["runs"], group["states"]["done"]) for group in by] == [(3, RUNS, DONE)]
    seconds += [timed(site, study) for _ in range(3)]
    assert statistics.median(seconds) < SECONDS, seconds


def timed(site: Site, study: Path) -> float:
    began = time.monotonic()
    site.babelscale("status", study, "--json", code=None)
    return time.monotonic() - began
