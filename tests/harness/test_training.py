"""The heart: real DeepSpeed on real gloo ranks, started by the real queue through Submitit.

What a run's numbers may depend on is its science alone: not the number of ranks, the ZeRO stage, the micro-batch, nor
how often it was stopped or killed on the way.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest
import torch
from running import Ended, assert_same_weights, ended, rank_pid, step_of, wait_for
from tiny import finish, start_queue, study_text, submit_here

from harness.launch import queue
from harness.launch.observe import observe
from harness.store import Store, read_json, read_lines

SHORT = {
    "one rank": "{devices: 1, zero: 1}",
    "accumulated": "{devices: 1, zero: 1, micro_rows: 2}",
    "two ranks": "{devices: 2, zero: 1}",
    "zero 0": "{devices: 2, zero: 0}",
    "zero 2": "{devices: 2, zero: 2, micro_rows: 2}",
    "zero 3": "{devices: 2, zero: 3}",
    "activation checkpointing": "{devices: 1, zero: 0, activation_checkpointing: true}",
    "activation checkpointing at zero 3": "{devices: 2, zero: 3, activation_checkpointing: true}",
}
LONG_STEPS = 400


@pytest.fixture(scope="module")
def short(tiny_store: Callable[[str], Store]) -> dict[str, Ended]:
    """One run of 12 steps, executed in eight ways, two at a time."""

    def execute(execution: str) -> Ended:
        store = tiny_store("short")
        _, runs = submit_here(store, study_text(execution=execution))
        finish(store, "tiny")
        return ended(store, runs[0].id)

    with ThreadPoolExecutor(2) as pool:
        return dict(zip(SHORT, pool.map(execute, SHORT.values()), strict=True))


def difference(one: dict[int, float], other: dict[int, float]) -> float:
    assert list(one) == list(other) == list(range(1, 13))
    return max(abs(one[step] - other[step]) for step in one)


@pytest.mark.parametrize(
    ("one", "other", "bound"),
    [
        ("one rank", "two ranks", 1e-5),
        ("one rank", "accumulated", 1e-5),
        ("two ranks", "zero 0", 0.0),
        ("two ranks", "zero 2", 1e-5),  # with accumulation
        ("two ranks", "zero 3", 1e-4),
        ("one rank", "activation checkpointing", 0.0),
        ("zero 3", "activation checkpointing at zero 3", 0.0),
    ],
)
def test_losses_do_not_depend_on_how_a_run_is_executed(
    short: dict[str, Ended], one: str, other: str, bound: float
) -> None:
    assert difference(short[one].losses, short[other].losses) <= bound


def test_a_run_learns(short: dict[str, Ended]) -> None:
    losses = short["one rank"].losses
    assert losses[12] < losses[1] - 0.1


@pytest.mark.parametrize("way", list(SHORT)[1:])
def test_records_do_not_depend_on_how_a_run_is_executed(short: dict[str, Ended], way: str) -> None:
    one, other = short["one rank"], short[way]
    assert one.folder.name == other.folder.name, "the id covers no execution"
    assert {"bits_per_byte", "tokens", "epochs"} <= {row["metric"] for row in one.records}
    for expected, found in zip(one.records, other.records, strict=True):
        value, measured = expected["value"], found["value"]
        assert {**expected, "value": 0, "standard_error": 0} == {**found, "value": 0, "standard_error": 0}
        assert measured == pytest.approx(value, abs=1e-4 if expected["task"] == "heldout" else 0)


def test_tokens_of_all_languages_add_up_to_the_budget(short: dict[str, Ended]) -> None:
    tokens = {row["language"]: row["value"] for row in short["two ranks"].records if row["metric"] == "tokens"}
    assert set(tokens) == {"en", "de", "ru"} and sum(tokens.values()) == 12 * 128


@pytest.mark.parametrize("way", list(SHORT))
def test_final_weights_have_every_parameter_once_and_whole(short: dict[str, Ended], way: str) -> None:
    shapes = {name: tuple(value.shape) for name, value in short["one rank"].weights.items()}
    found = short[way].weights
    assert {name: tuple(value.shape) for name, value in found.items()} == shapes
    assert shapes["encoder.embedding.tokens.weight"] == (342, 16) and "decoder.weight" not in shapes
    for name, value in found.items():
        assert value.dtype == torch.float32
        torch.testing.assert_close(value, short["one rank"].weights[name], atol=2e-3, rtol=0, msg=f"{way}: {name}")


LONG = "{languages: [[en, de, ru]], seed: [0, 1]}"


@pytest.fixture(scope="module")
def undisturbed_and_disturbed(tiny_store: Callable[[str], Store]) -> tuple[list[Ended], list[Ended]]:
    """Two long runs left alone; and the same two, the first told to stop (SIGTERM), the second killed (SIGKILL)."""

    def alone() -> list[Ended]:
        store = tiny_store("alone")
        _, runs = submit_here(store, study_text(axes=LONG, steps=LONG_STEPS))
        finish(store, "tiny")
        return [ended(store, run.id) for run in runs]

    def disturbed() -> list[Ended]:
        store = tiny_store("disturbed")
        text = study_text(axes=LONG, steps=LONG_STEPS, execution="{checkpoint_seconds: 0.1}")
        _, runs = submit_here(store, text)
        process = start_queue(store, "tiny")
        told, killed = (store.run(run.id) for run in runs)
        left = {told, killed}
        while left:  # in whatever order the queue takes them
            now = wait_for(lambda: next((folder for folder in left if 30 < step_of(folder) < LONG_STEPS), None))
            if now is told:
                os.kill(rank_pid(now), signal.SIGTERM)
            else:
                wait_for(lambda: list((killed / "checkpoints").glob("step-*/COMMITTED")))
                os.kill(rank_pid(now), signal.SIGKILL)
            left.remove(now)
        assert process.wait(120) == 0
        return [ended(store, run.id) for run in runs]

    with ThreadPoolExecutor(2) as pool:
        first, second = pool.submit(alone), pool.submit(disturbed)
        return first.result(), second.result()


@pytest.mark.parametrize(("which", "state"), [(0, "stopped"), (1, "killed")])
def test_a_run_that_was_stopped_or_killed_ends_bit_for_bit_as_if_left_alone(
    undisturbed_and_disturbed: tuple[list[Ended], list[Ended]], which: int, state: str
) -> None:
    alone, disturbed = (side[which] for side in undisturbed_and_disturbed)
    exits = [read_json(path)["state"] for path in sorted((disturbed.folder / "attempts").glob("*/exit.json"))]
    assert exits == [state, "done"], "it was not disturbed in the middle: the test shows nothing"
    second = [row["step"] for row in read_lines(disturbed.folder / "metrics.jsonl") if row["attempt"] == 2]
    assert second[0] > 3 and second[-1] == LONG_STEPS, "the second attempt began from nothing"
    assert_same_weights(alone, disturbed)
    assert (alone.folder / "records.jsonl").read_bytes() == (disturbed.folder / "records.jsonl").read_bytes()
    assert alone.losses == disturbed.losses, "a line of metrics is not what it would have been"


def test_a_stopped_queue_saves(tiny_store: Callable[[str], Store]) -> None:
    store = tiny_store("stopped")
    _, (run,) = submit_here(store, study_text(steps=100_000))
    folder = store.run(run.id)
    pid = queue.start(store, "tiny", 1, [])
    wait_for(lambda: step_of(folder) > 0)
    assert queue.stop(store, "tiny", wait_seconds=60)
    wait_for(lambda: os.waitpid(pid, os.WNOHANG) != (0, 0), 10)
    seen = observe(store, run.id, ["heldout"])
    assert (seen.state, seen.attempts) == ("stopped", 1) and seen.error.endswith(", saved")
    assert len(list((folder / "checkpoints").glob("step-*/COMMITTED"))) == 1


def test_a_batch_that_does_not_split_fails_once_with_the_numbers(tiny_store: Callable[[str], Store]) -> None:
    store = tiny_store("split")
    _, (run,) = submit_here(store, study_text(execution="{devices: 1, micro_rows: 3}"))
    finish(store, "tiny")
    seen = observe(store, run.id, ["heldout"])
    assert (seen.state, seen.attempts) == ("failed", 1)
    assert "a global batch of 8 rows does not split over 1 devices in micro-batches of 3 rows" in seen.error


def test_a_run_takes_unimax_whole_words_and_attention_within_documents(tiny_store: Callable[[str], Store]) -> None:
    store = tiny_store("options")
    options = "mask_rate: 0.2\n  whole_word: true\n  attention: document\n  sampling: {kind: unimax, max_epochs: 0.4}"
    text = study_text("options", steps=40).replace("mask_rate: 0.2", options)
    _, (run,) = submit_here(store, text)
    finish(store, "options")
    seen = ended(store, run.id)
    assert seen.losses[40] < seen.losses[1]
    told = {(row["metric"], row["language"]): row["value"] for row in seen.records if row["task"] == "training"}
    for language in ("en", "de", "ru"):
        assert told["epochs", language] == pytest.approx(told["expected_epochs", language], abs=0.05)
        assert told["expected_epochs", language] <= 0.4 + 1e-9
