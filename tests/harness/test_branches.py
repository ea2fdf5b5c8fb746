"""Runs that branch from a trunk: bit for bit what they are alone, whatever happens to the trunk or to them.

Real runs through the real queue. Shared by most tests: three budgets trained as branches, and each trained alone.
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from tiny import finish, start_queue, study_text, submit_here

from harness.branches import TAKEN, WEIGHTS, is_kept, kept_folder, release, steps_to_keep
from harness.launch.freeze import frozen_study
from harness.launch.observe import observe
from harness.launch.queue import Queue
from harness.store import Store, read_json, read_lines, write_json
from sweeps.grid import Run

STEPS = [12, 24, 48]
SCHEDULE = "schedule: {kind: wsd, warmup: 0.25, decay: 0.25}"


def branching(steps: Any = STEPS, schedule: str = SCHEDULE, execution: str = "{}", axes: str = "") -> str:
    axes = axes or "{languages: [[en, de, ru]], seed: [0]}"
    text = study_text(execution=execution, axes=axes).replace("steps: 12", f"steps: {steps}")
    return text.replace("precision: fp32", f"{schedule}\n  precision: fp32")


def alone(steps: int) -> str:
    """The study that trains one of the budgets and knows nothing of the others."""
    schedule = SCHEDULE if steps == STEPS[0] else SCHEDULE.replace("warmup: 0.25", "warmup_steps: 3")
    return branching(steps, schedule).replace("name: tiny", f"name: alone-{steps}")


def weights(store: Store, run: str) -> dict[str, torch.Tensor]:
    assert observe(store, run, ["heldout"]).state == "done"
    return load_file(store.run(run) / WEIGHTS)


def same(one: tuple[Store, str], other: tuple[Store, str]) -> bool:
    """Whether two stores hold a run with the same bits: weights, and every record."""
    left, right = (weights(store, run) for store, run in (one, other))
    records = [(store.run(run) / "records.jsonl").read_bytes() for store, run in (one, other)]
    equal = left.keys() == right.keys() and all(torch.equal(value, right[name]) for name, value in left.items())
    return equal and records[0] == records[1]


@pytest.fixture(scope="module")
def references(tiny_store: Callable[[str], Store]) -> Store:
    """Each budget trained alone."""
    store = tiny_store("references")
    for steps in STEPS:
        submit_here(store, alone(steps))
        finish(store, f"alone-{steps}")
    return store


@pytest.fixture(scope="module")
def branched(tiny_store: Callable[[str], Store]) -> tuple[Store, list[Run]]:
    store = tiny_store("branched")
    _, runs = submit_here(store, branching())
    finish(store, "tiny")
    return store, runs


def test_a_branch_ends_with_the_bits_of_the_run_trained_alone(
    branched: tuple[Store, list[Run]], references: Store
) -> None:
    store, runs = branched
    assert [run.axes["steps"] for run in runs] == STEPS
    for run in runs:
        assert same((store, run.id), (references, run.id)), run.id


def test_a_branch_does_only_its_own_steps_and_says_what_it_shared(branched: tuple[Store, list[Run]]) -> None:
    store, runs = branched
    for run in runs:
        first = read_lines(store.run(run.id) / "metrics.jsonl")[0]["step"]
        done = read_json(store.run(run.id) / "done.json")
        if run.trunk is None:
            assert first == 1 and "branch" not in done
            continue
        assert first == run.trunk.step + 1
        assert (done["branch"]["trunk"], done["branch"]["step"]) == (run.trunk.run, run.trunk.step)
        assert done["branch"]["tokens"] == run.trunk.step * 128
        assert read_lines(store.run(run.id) / "metrics.jsonl")[-1]["tokens"] == run.axes["tokens"]


def test_what_a_trunk_keeps_is_gone_when_its_branches_are_trained(branched: tuple[Store, list[Run]]) -> None:
    store, runs = branched
    assert not list((store.run(runs[-1].id) / "branches").glob("*"))


def test_ranks_branch_together(tiny_store: Callable[[str], Store], references: Store) -> None:
    store = tiny_store("ranks")
    _, runs = submit_here(store, branching(STEPS[:2], execution="{devices: 2, zero: 2}"))
    finish(store, "tiny")
    assert read_json(store.run(runs[0].id) / "done.json")["branch"]["step"] == 9
    ours, one_rank = weights(store, runs[0].id), weights(references, runs[0].id)
    for name, value in ours.items():
        torch.testing.assert_close(value, one_rank[name], atol=2e-3, rtol=0, msg=name)


def test_without_its_trunk_a_branch_trains_alone(tiny_store: Callable[[str], Store], references: Store) -> None:
    store = tiny_store("orphan")
    _, (short, *_) = submit_here(store, branching())
    process = start_queue(store, "tiny", 1, [short.id])
    assert process.wait(240) == 0
    assert same((store, short.id), (references, short.id))
    assert not (store.run(short.id) / TAKEN).exists()
    assert read_lines(store.run(short.id) / "metrics.jsonl")[0]["step"] == 1


def test_a_trunk_and_a_branch_killed_on_the_way_change_nothing(
    tiny_store: Callable[[str], Store],
) -> None:
    text = branching([400, 800], execution="{checkpoint_seconds: 0.1}")
    left_alone, disturbed = tiny_store("left-alone"), tiny_store("disturbed")
    _, runs = submit_here(left_alone, text)
    finish(left_alone, "tiny")

    submit_here(disturbed, text)
    branch, trunk = (disturbed.run(run.id) for run in runs)
    process = start_queue(disturbed, "tiny")
    for folder, beyond in ((trunk, 310), (branch, 310)):
        deadline = time.monotonic() + 120
        while not (beyond < _step(folder) < 390 + 300 * (folder is trunk)):
            assert time.monotonic() < deadline, "it was never in the middle"
            time.sleep(0.01)
        os.kill(int(read_json(folder / "heartbeat.json")["pid"]), signal.SIGKILL)
        if folder is trunk:
            assert is_kept(trunk, 300)
    assert process.wait(240) == 0
    for run in runs:
        exits = [read_json(path)["state"] for path in sorted(disturbed.run(run.id).glob("attempts/*/exit.json"))]
        assert exits == ["killed", "done"]
        assert same((disturbed, run.id), (left_alone, run.id)), run.id


def _step(folder: Path) -> int:
    rows = read_lines(folder / "metrics.jsonl")
    return int(rows[-1]["step"]) if rows else 0


def test_a_damaged_state_of_the_trunk_costs_time_and_nothing_else(
    tiny_store: Callable[[str], Store], references: Store
) -> None:
    store = tiny_store("damaged")
    _, runs = submit_here(store, branching())
    trunk = runs[-1].id
    assert start_queue(store, "tiny", 1, [trunk]).wait(240) == 0
    assert [is_kept(store.run(trunk), step) for step in (9, 18)] == [True, True]
    for path in kept_folder(store.run(trunk), 18).rglob("*"):
        if path.is_file() and path.stat().st_size > 10_000:
            path.write_bytes(path.read_bytes()[:-1])
    finish(store, "tiny")
    assert read_json(store.run(runs[1].id) / "done.json")["branch"]["step"] == 9, "the one before it is whole"
    assert same((store, runs[1].id), (references, runs[1].id))


@pytest.fixture
def waiting(tiny_store: Callable[[str], Store]) -> tuple[Store, Queue, list[str]]:
    """A queue over three budgets of which nothing has run; it launches nothing here."""
    store = tiny_store("waiting")
    _, runs = submit_here(store, branching())
    return store, Queue(store, frozen_study(store, "tiny"), 2, []), [run.id for run in runs]


def keep(store: Store, trunk: str, step: int) -> None:
    folder = kept_folder(store.run(trunk), step) / f"step-{step:09d}"
    folder.mkdir(parents=True)
    (folder / "COMMITTED").touch()


def test_the_trunk_goes_first_and_its_branches_wait_for_it(waiting: tuple[Store, Queue, list[str]]) -> None:
    store, queue, (short, middle, trunk) = waiting
    assert [queue._held(run) for run in (short, middle, trunk)] == [True, True, False]
    assert queue._next() == trunk
    queue.todo.append(trunk)  # as if it were to be tried again
    keep(store, trunk, 9)
    assert [queue._held(run) for run in (short, middle)] == [False, True]


def test_branches_are_let_go_when_the_trunk_has_failed_for_good(waiting: tuple[Store, Queue, list[str]]) -> None:
    _, queue, (short, middle, trunk) = waiting
    queue.todo.remove(trunk)
    assert not queue._held(short) and not queue._held(middle)
    assert {queue._next(), queue._next()} == {short, middle}


def test_a_branch_with_steps_of_its_own_waits_for_nobody(waiting: tuple[Store, Queue, list[str]]) -> None:
    store, queue, (short, _, _) = waiting
    (store.run(short) / "checkpoints" / "step-000000004").mkdir(parents=True)
    assert not queue._held(short)


def test_a_trunk_that_passed_without_keeping_anything_is_not_waited_for(
    waiting: tuple[Store, Queue, list[str]],
) -> None:
    """It was begun by a study that asked for no branches."""
    store, queue, (short, middle, trunk) = waiting
    (store.run(trunk) / "attempts" / "001").mkdir(parents=True)
    beat = {"pid": 0, "host": "elsewhere", "time": 0, "attempt": 1, "step": 15, "phase": "train"}
    write_json(store.run(trunk) / "heartbeat.json", beat)
    assert [queue._held(run) for run in (short, middle)] == [False, True]


def test_a_trunk_keeps_for_those_that_are_not_trained_yet(waiting: tuple[Store, Queue, list[str]]) -> None:
    store, queue, (short, _, trunk) = waiting
    branches = queue.branches
    assert steps_to_keep(store, branches, trunk) == [9, 18] and steps_to_keep(store, branches, short) == []
    keep(store, trunk, 9)
    keep(store, trunk, 18)
    (store.run(short) / WEIGHTS).parent.mkdir()
    (store.run(short) / WEIGHTS).touch()
    release(store, branches)
    assert [is_kept(store.run(trunk), step) for step in (9, 18)] == [False, True]
    assert steps_to_keep(store, branches, trunk) == [18]
