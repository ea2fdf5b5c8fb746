"""The loss watch: what it refuses leaves no trace in the weights, and a run that left its course finds back."""

from __future__ import annotations

import json
import math
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import load_file
from watch_rank import Go

from harness.store import read_json, read_lines
from harness.train.returns import MOST_RETURNS, STEPS_BEFORE, STEPS_IN_A_ROW, Returns
from harness.train.watch import SETTLED_STEPS, LossWatch

STEPS, ONE, MANY = 80, [15, 16], [30, 50]
OFTEN, NEVER = 1e-9, 1e9
"""Seconds between checkpoints."""


def go(name: str, zero: int = 0, **other: Any) -> Go:
    rest = {"steps": STEPS, "bad": [0, 0], "how": "loss", "passed_over": [], "checkpoint_seconds": NEVER}
    return Go(name=name, zero=zero, **(rest | other))  # type: ignore[typeddict-item]


GOES = {
    1: [
        go("clean"),
        go("without 15", passed_over=[ONE]),
        go("nan at 15", bad=ONE),
        go("bad gradient at 15", bad=ONE, how="gradient", checkpoint_seconds=OFTEN),
        go("without 10 to 50", passed_over=[[10, 50]]),
        go("nan 30 to 50, back to a checkpoint", bad=MANY, checkpoint_seconds=OFTEN),
        go("nan 30 to 50, back to the seed", bad=MANY),
        go("nan from 30 on", bad=[30, 300], steps=300, checkpoint_seconds=OFTEN),
        go("spike at 150", bad=[150, 151], how="spike", steps=160),
        go("without 150", passed_over=[[150, 151]], steps=160),
    ],
    2: [
        *(go(f"2 ranks, zero {zero}, without 15", zero, passed_over=[ONE]) for zero in range(4)),
        *(go(f"2 ranks, zero {zero}, nan at 15", zero, bad=ONE) for zero in range(4)),
        *(go(f"2 ranks, zero {zero}, bad gradient at 15", zero, bad=ONE, how="gradient") for zero in range(4)),
        *(go(f"2 ranks, zero {zero}, without 10 to 50", zero, passed_over=[[10, 50]]) for zero in (1, 3)),
        *(go(f"2 ranks, zero {zero}, nan 30 to 50", zero, bad=MANY) for zero in (1, 3)),
    ],
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("watched")
    script = Path(__file__).with_name("watch_rank.py")
    ranks = []
    for world, goes in GOES.items():
        (folder / f"goes-{world}.json").write_text(json.dumps(goes), encoding="utf-8")
        for each in goes:
            (folder / each["name"]).mkdir()
            if each["passed_over"]:
                Returns(folder / each["name"] / "returns.json").add(*map(tuple, each["passed_over"]), write=True)  # type: ignore[arg-type]
        ranks += [subprocess.Popen([sys.executable, script, str(rank), str(world), folder]) for rank in range(world)]
    assert [rank.wait(300) for rank in ranks] == [0] * len(ranks)
    return folder


def skipped(run: Path) -> list[int]:
    """As the metrics count them, line by line."""
    return [row["skipped"] for row in read_lines(run / "metrics.jsonl")]


def assert_same_run(one: Path, other: Path) -> None:
    weights, others = load_file(one / "weights.safetensors"), load_file(other / "weights.safetensors")
    assert weights.keys() == others.keys()
    for name, value in weights.items():
        assert torch.equal(value, others[name]), name
        assert value.isfinite().all(), name


@pytest.mark.parametrize("what", ["nan", "bad gradient"])
@pytest.mark.parametrize("ranks", ["", *(f"2 ranks, zero {zero}, " for zero in range(4))])
def test_a_bad_step_leaves_the_weights_as_if_it_had_not_been(folder: Path, ranks: str, what: str) -> None:
    assert_same_run(folder / f"{ranks}{what} at 15", folder / f"{ranks}without 15")
    assert skipped(folder / f"{ranks}{what} at 15") == [0] * 15 + [1] * (STEPS - 15)


def test_the_line_of_a_refused_step_has_no_loss_and_the_next_one_has(folder: Path) -> None:
    losses = [row["loss"] for row in read_lines(folder / "nan at 15" / "metrics.jsonl")]
    assert [step for step, loss in enumerate(losses) if loss is None] == [15]
    assert losses[:15] == [row["loss"] for row in read_lines(folder / "clean" / "metrics.jsonl")][:15]


def test_a_spike_is_refused_though_it_is_finite(folder: Path) -> None:
    assert_same_run(folder / "spike at 150", folder / "without 150")
    assert skipped(folder / "spike at 150")[-1] == 1


@pytest.mark.parametrize(
    ("run", "like"),
    [
        ("nan 30 to 50, back to a checkpoint", "without 10 to 50"),
        ("nan 30 to 50, back to the seed", "without 10 to 50"),
        ("2 ranks, zero 1, nan 30 to 50", "2 ranks, zero 1, without 10 to 50"),
        ("2 ranks, zero 3, nan 30 to 50", "2 ranks, zero 3, without 10 to 50"),
    ],
)
def test_many_bad_steps_send_the_run_back_to_before_their_cause(folder: Path, run: str, like: str) -> None:
    assert read_json(folder / run / "returns.json")["passed_over"] == [[30 - STEPS_BEFORE, 30 + STEPS_IN_A_ROW]]
    assert_same_run(folder / run, folder / like)
    assert skipped(folder / run)[-1] == 40


def test_a_run_that_cannot_find_back_ends_with_what_to_do(folder: Path) -> None:
    run = folder / "nan from 30 on"
    assert (
        (run / "failed.txt")
        .read_text(encoding="utf-8")
        .endswith(
            f"and going back {MOST_RETURNS} times past what led there did not help: lower recipe.learning_rate, or "
            "lengthen recipe.schedule.warmup"
        )
    )
    assert len(read_json(run / "returns.json")["passed_over"]) == MOST_RETURNS


LOSSES = st.lists(st.floats(0.0, 20.0), min_size=1, max_size=60)
BAD = st.sampled_from([math.nan, math.inf])


@settings(deadline=None, max_examples=60)
@given(LOSSES, st.lists(st.tuples(st.integers(0, 60), BAD), max_size=10))
def test_what_is_refused_does_not_move_what_is_expected(losses: list[float], bad: list[tuple[int, float]]) -> None:
    plain, mixed = LossWatch(torch.device("cpu")), LossWatch(torch.device("cpu"))
    one = torch.ones(())
    for number, loss in enumerate(losses):
        for place, value in bad:
            if place == number:
                assert mixed.judge(torch.tensor(value), one)
        assert not mixed.judge(torch.tensor(loss), one)
        assert not plain.judge(torch.tensor(loss), one)
    state = mixed.state()
    assert state | {"refused": 0.0} == plain.state() | {"refused": 0.0}
    assert mixed.refused == sum(place < len(losses) for place, _ in bad)
    again = LossWatch(torch.device("cpu"))
    again.restore(json.loads(json.dumps(state)))
    assert again.state() == state


def test_an_ordinary_course_is_not_refused_and_a_loss_far_above_it_is() -> None:
    watch, generator = LossWatch(torch.device("cpu")), torch.Generator().manual_seed(0)
    one = torch.ones(())
    for step in range(2000):
        loss = 3.0 + 5.0 * math.exp(-step / 200) + 0.1 * torch.randn((), generator=generator)
        assert not watch.judge(loss, one), step
    assert not watch.judge(torch.tensor(3.2), one)
    assert watch.judge(torch.tensor(4.5), one)
    assert (watch.refused, watch.in_a_row) == (1, 1)
    assert not watch.judge(torch.tensor(3.0), one)
    assert watch.in_a_row == 0


def test_nothing_finite_is_a_spike_before_the_loss_has_settled() -> None:
    watch, one = LossWatch(torch.device("cpu")), torch.ones(())
    for step in range(SETTLED_STEPS):
        assert not watch.judge(torch.tensor(1.0 + 9.0 * (step == SETTLED_STEPS - 1)), one)


@settings(deadline=None)
@given(
    st.integers(1, 200), st.integers(1, 40), st.lists(st.tuples(st.integers(0, 100), st.integers(0, 60)), max_size=2)
)
def test_a_window_holds_the_refused_and_as_many_updates_before_them_as_were_made(
    done: int, in_a_row: int, spans: list[tuple[int, int]]
) -> None:
    returns = Returns(Path("unused"), [(start, start + length) for start, length in spans])
    start, stop = returns.window(done, in_a_row)
    made = [step for step in range(start, stop) if not returns.passes_over(step)]
    assert stop == done
    assert len(made) == in_a_row + STEPS_BEFORE or start == 0
    assert start == 0 or not returns.passes_over(start)


def test_a_checkpoint_from_behind_a_window_that_it_did_not_know_is_not_taken() -> None:
    returns = Returns(Path("unused"), [(10, 50), (60, 90)])
    assert returns.from_before(10, {})
    assert not returns.from_before(11, {})
    assert returns.from_before(60, {"passed_over": [[10, 50]]})
    assert not returns.from_before(61, {"passed_over": [[10, 50]]})
    assert returns.from_before(500, {"passed_over": [[10, 50], [60, 90]]})
