"""One run, killed fifty times: it ends bit for bit as if left alone, and its curve has every line once."""

from __future__ import annotations

import os
import random
import signal
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from running import Ended, assert_same_weights, ended, heartbeat, rank_pid, step_of, wait_for
from tiny import COUNTS, finish, make_corpus, start_queue, study_text, submit_here

from analysis.records import read_metrics
from harness.store import Store, read_json, read_lines
from harness.train.progress import LINES_PER_RUN

KILLS, STEPS = 50, 16_000
EXECUTION = f"{{devices: 1, zero: 1, checkpoint_seconds: 0.1, attempts: {KILLS + 10}}}"
WAIT_FROM_START, WAIT_FROM_LINE = 8.0, 1.0
"""Seconds at most from an attempt's first word, or its first line of metrics, to its end: half of the kills meet
it while it loads and restores, half while it trains and saves."""
MOST_STEPS = STEPS // (2 * KILLS)
"""An attempt that got so much further is killed at once: on a fast machine the run would else be done too early."""

pytestmark = pytest.mark.slow


def lines_of(folder: Path, attempt: int) -> int:
    return sum(row["attempt"] == attempt for row in read_lines(folder / "metrics.jsonl"))


def submitted(root: Path) -> tuple[Store, str]:
    store = Store(root)
    make_corpus(store, "tiny", COUNTS)
    _, (run,) = submit_here(store, study_text(steps=STEPS, execution=EXECUTION))
    return store, run.id


def sleep_until(deadline: float, or_at: Callable[[], bool]) -> None:
    while time.monotonic() < deadline and not or_at():
        time.sleep(0.02)


def left_alone(root: Path) -> Ended:
    store, run = submitted(root)
    finish(store, "tiny", seconds=900)
    return ended(store, run)


def killed(root: Path) -> Ended:
    store, run = submitted(root)
    folder, moments = store.run(run), random.Random(50)
    queue = start_queue(store, "tiny")
    for attempt in range(1, KILLS + 1):
        wait_for(lambda attempt=attempt: heartbeat(folder).get("attempt") == attempt)
        before = step_of(folder)
        if attempt % 2:
            wait_for(lambda attempt=attempt: lines_of(folder, attempt))
        wait = moments.uniform(0.0, WAIT_FROM_LINE if attempt % 2 else WAIT_FROM_START)
        sleep_until(time.monotonic() + wait, or_at=lambda most=before + MOST_STEPS: step_of(folder) >= most)
        assert not (folder / "done.json").exists(), f"it was done before kill {attempt}: STEPS is too small"
        os.kill(rank_pid(folder), signal.SIGKILL)
    assert queue.wait(900) == 0
    return ended(store, run)


def test_fifty_kills_change_neither_the_weights_nor_the_curve(tmp_path: Path) -> None:
    with ThreadPoolExecutor(1) as beside:
        undisturbed = beside.submit(left_alone, tmp_path / "alone")
        found = killed(tmp_path / "killed")
        expected = undisturbed.result()
    assert read_json(found.folder / "done.json")["attempts"] == KILLS + 1
    assert_same_weights(found, expected)
    assert found.records == expected.records
    curve, whole = read_metrics(found.folder), read_metrics(expected.folder)
    every = STEPS // LINES_PER_RUN
    assert curve["step"].tolist() == whole["step"].tolist() == list(range(every, STEPS + 1, every))
    assert curve["loss"].tolist() == whole["loss"].tolist()
    begun = sum(lines_of(found.folder, attempt) > 0 for attempt in range(1, KILLS + 1))
    print(f"{begun} of {KILLS} kills came after the attempt's first line of metrics")
