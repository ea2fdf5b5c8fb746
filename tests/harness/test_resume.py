"""A run that is taken up again by other ranks, from a damaged checkpoint, or after its disk was full.

Through the real queue: every attempt is a process of its own, and so is every rank.
"""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pytest
from running import Ended, assert_same_weights, committed, ended, log_of, stop_early, wait_for
from tiny import finish, start_queue, study_text, submit_here

from harness.launch.observe import observe
from harness.store import Store, read_json, read_lines

pytestmark = pytest.mark.slow

STEPS = 60
WAYS = (
    "devices: 1, zero: 0",
    "devices: 2, zero: 1",
    "devices: 2, zero: 2, micro_rows: 2",
    "devices: 1, zero: 1",
    "devices: 2, zero: 3",
    "devices: 1, zero: 0",
)
"""How the attempts of one run are executed, one after another."""
STOPS = (1, 10, 20, 21, 30, STEPS)
"""Where they end: several ranks agree at every tenth step."""


def attempt(store: Store, execution: str, *, number: int, stop: bool, steps: int = STEPS, limit: int = 0) -> Path:
    """One attempt at the run, to its end or told to stop at once; `limit`: bytes of the largest file it may write."""
    _, (run,) = submit_here(store, study_text(steps=steps, execution=f"{{attempts: 1, {execution}}}"))
    folder = store.run(run.id)
    process = start_queue(store, "tiny", largest_file=limit)
    if stop:
        stop_early(folder, number)
    assert process.wait(120) == 0
    assert len(list((folder / "attempts").iterdir())) == number
    return folder


@pytest.fixture(scope="module")
def pool() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(1) as pool:
        yield pool


@pytest.fixture(scope="module")
def leaving_alone(tiny_store: Callable[[str], Store], pool: ThreadPoolExecutor) -> Future[Ended]:
    """The same run, never disturbed; made beside the first test that needs it."""

    def alone() -> Ended:
        store = tiny_store("alone")
        _, (run,) = submit_here(store, study_text(steps=STEPS))
        finish(store, "tiny")
        return ended(store, run.id)

    return pool.submit(alone)


def test_attempts_on_other_ranks_and_stages_keep_the_curve(
    tiny_store: Callable[[str], Store], leaving_alone: Future[Ended]
) -> None:
    store = tiny_store("elastic")
    for number, (way, until) in enumerate(zip(WAYS, STOPS, strict=True), start=1):
        folder = attempt(store, way, number=number, stop=until < STEPS)
        exit_record = read_json(folder / "attempts" / f"{number:03d}" / "exit.json")
        assert exit_record["state"] == ("stopped" if until < STEPS else "done"), exit_record
    rows = [(row["attempt"], row["step"]) for row in read_lines(folder / "metrics.jsonl")]
    begins = (0, *STOPS)
    assert rows == [(n, s + 1) for n in range(1, 7) for s in range(begins[n - 1], begins[n])], "no step lost or doubled"

    alone, found = leaving_alone.result(), ended(store, folder.name)
    for step, loss in alone.losses.items():
        assert found.losses[step] == pytest.approx(loss, abs=1e-5 if step <= 21 else 1e-4), step
    for expected, record in zip(alone.records, found.records, strict=True):
        assert record["value"] == pytest.approx(expected["value"], abs=1e-4)


def test_a_flipped_byte_in_the_newest_checkpoint_sends_the_run_back_by_one_and_changes_nothing(
    tiny_store: Callable[[str], Store], leaving_alone: Future[Ended]
) -> None:
    store = tiny_store("flipped")
    for number in (1, 2):
        folder = attempt(store, "devices: 1", number=number, stop=True)
    newest, before = committed(folder)
    (state,) = newest.glob("*.safetensors")
    data = bytearray(state.read_bytes())
    data[len(data) // 2] ^= 1
    state.write_bytes(data)

    attempt(store, "devices: 1", number=3, stop=False)
    sentence = f"the checkpoint {newest} is damaged ({state.name} does not match its sha256): training goes on from "
    assert sentence + before.name in log_of(folder, 3)
    found = ended(store, folder.name)
    steps = [row["step"] for row in read_lines(folder / "metrics.jsonl") if row["attempt"] == 3]
    assert steps == list(range(2, STEPS + 1))
    assert found.losses == leaving_alone.result().losses
    assert_same_weights(found, leaving_alone.result())


def test_a_checkpoint_of_another_run_is_refused_in_one_sentence(tiny_store: Callable[[str], Store]) -> None:
    store = tiny_store("foreign")
    other = attempt(store, "devices: 1", number=1, stop=True, steps=STEPS + 1)
    _, (run,) = submit_here(store, study_text(steps=STEPS))
    (other / "checkpoints").rename(store.run(run.id) / "checkpoints")
    folder = attempt(store, "devices: 1", number=1, stop=False)
    seen = observe(store, folder.name, ["heldout"])
    assert (seen.state, seen.attempts) == ("failed", 1)
    assert f"the checkpoint {folder / 'checkpoints'}" in seen.error and "belongs to another run" in seen.error
    assert "\n" not in seen.error


@contextmanager
def small_disk(folder: Path, size: int) -> Iterator[None]:
    """A file system of `size` bytes at `folder`; skips the test where it may not be mounted."""
    folder.mkdir(parents=True, exist_ok=True)
    mount = ["mount", "-t", "tmpfs", "-o", f"size={size}", "babelscale-test", str(folder)]
    try:
        subprocess.run(mount, check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("this user may not mount a file system; the test of the largest file runs everywhere")
    try:
        yield
    finally:
        subprocess.run(["umount", str(folder)], check=True)


def test_a_disk_that_fills_up_while_saving_does_not_end_the_run(
    tiny_store: Callable[[str], Store], leaving_alone: Future[Ended]
) -> None:
    store, alone = tiny_store("full"), leaving_alone.result()
    _, (run,) = submit_here(store, study_text(steps=STEPS))
    folder = store.run(run.id)
    weights = (alone.folder / "final" / "model.safetensors").stat().st_size
    with small_disk(folder / "checkpoints", weights * 9 // 2 + 40_000):  # one checkpoint, and half of another
        attempt(store, "devices: 1, checkpoint_seconds: 0.000001", number=1, stop=False)
        assert [path.name for path in (folder / "checkpoints").iterdir()] == ["step-000000001"]
    assert_same_weights(ended(store, run.id), alone)
    rows = {row["step"]: row.get("problem", "") for row in read_lines(folder / "metrics.jsonl")}
    assert list(rows) == list(range(1, STEPS + 1)) and not rows[2]
    for step in range(3, STEPS + 1):
        begin, end = rows[step].split(" MB on the disk that holds ")
        assert begin.startswith(f"the checkpoint of step {step - 1} was not written (No space left on device; it needs")
        assert end.startswith(f"{folder / 'checkpoints'}, which has 0.") and end.endswith("the one of step 1 is kept")
        assert rows[step] in log_of(folder, 1)


def test_where_no_file_may_grow_a_stop_says_so_and_the_end_fails_with_the_disk_s_name(
    tiny_store: Callable[[str], Store],
) -> None:
    store = tiny_store("limited")
    saving, small = "devices: 1, checkpoint_seconds: 0.000001", 24_000  # less than the weights, more than the log
    folder = attempt(store, saving, number=1, stop=True, steps=12, limit=small)
    seen = observe(store, folder.name, ["heldout"])
    assert seen.state == "stopped" and seen.error.startswith("stopped at step 1 of 12, the checkpoint of step 1 was ")
    assert "not written (File too large; it needs 0.1 MB" in seen.error and seen.error.endswith("there is none yet")
    assert list((folder / "checkpoints").iterdir()) == []

    attempt(store, saving, number=2, stop=False, steps=12, limit=small)
    seen = observe(store, folder.name, ["heldout"])
    weights = folder / "final" / "model.safetensors"
    assert seen.state == "failed" and list(weights.parent.iterdir()) == []
    assert seen.error.startswith(f"no space left on the disk that holds {weights} (File too large): free some, then")

    attempt(store, saving, number=3, stop=False, steps=12)
    assert ended(store, folder.name).losses.keys() == set(range(1, 13))
    wait_for(lambda: len(committed(folder)) == 2)
