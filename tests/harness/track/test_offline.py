"""W&B's real client without a network: one run for all attempts, every step once, read back from its own files."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from feeding import HELDOUT, STEPS, Attempt, feeders, score, submitted
from running import ended, stop_early, wait_for
from test_online import track
from tiny import finish, start_queue, study_text, submit_here
from wandb_files import only_file, read

from harness.store import Store, read_json, write_json
from harness.track.feeder import seconds_apart

KEY = "5eC7e7" * 8
OFFLINE = {"WANDB_MODE": "offline", "WANDB_API_KEY": KEY}


@pytest.fixture(scope="module")
def scratch(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the attempts put what is temporary."""
    return tmp_path_factory.mktemp("scratch")


@pytest.fixture(scope="module")
def told(tiny_store: Callable[[str], Store], scratch: Path) -> tuple[Store, str, list[str]]:
    """A run whose attempts were killed twice and asked to stop once: from before, at, and behind where they were."""
    store = tiny_store("offline")
    run = submitted(store)
    write_json(store.run(run) / "returns.json", {"schema": 1, "passed_over": [[7, 9]]})
    logs = []
    for number, (first, last, end) in enumerate(
        ((1, 4, "kill"), (3, 6, "stopped"), (7, 8, "kill"), (5, STEPS, "done")), start=1
    ):
        attempt = Attempt(store, run, number, first, last, OFFLINE | {"TMPDIR": str(scratch)})
        if end == "kill":
            wait_for(lambda: list(store.run(run).glob(".wandb.part/wandb/*/*.wandb")))
            attempt.kill()
            wait_for(lambda: not feeders(store))
        else:
            if end == "done":
                score(store, run)
            attempt.end(end)
        logs.append(attempt.said())
    return store, run, logs


def test_a_run_that_was_killed_and_stopped_is_one_run_with_every_step_once(told: tuple[Store, str, list[str]]) -> None:
    store, run, _ = told
    found = read(only_file(store.run(run)))
    assert [row["step"] for row in found.history] == [*range(1, STEPS + 1), STEPS], "and one row of scores"
    assert [row["_step"] for row in found.history] == list(range(1, STEPS + 2))
    assert [row["events/attempt"] for row in found.history[:-1]] == [1, 1, 1, 1, 2, 2, 3, 3, 4, 4, 4, 4]
    assert all(row["tokens"] == row["step"] * 128 for row in found.history)
    assert found.exit_code == 0


def test_a_row_of_training_and_the_row_of_scores_hold_all_that_is_shown(told: tuple[Store, str, list[str]]) -> None:
    store, run, _ = told
    history = read(only_file(store.run(run))).history
    fifth = {name: value for name, value in history[4].items() if not name.startswith("_")}
    assert fifth == {
        "step": 5,
        "tokens": 640,
        "train/loss": 6.0 / 5,
        "train/bits_per_byte": 1.0,
        "train/learning_rate": 0.01,
        "train/gradient_norm": 1.5,
        "speed/tokens_per_second": 2000,
        "speed/mfu": 0.25,
        "speed/memory_gb": 1.25,
        "epochs/en": 0.05,
        "epochs/ru": 0.5,
        "events/attempt": 2,
        "events/spikes": 0,
        "events/rollbacks": 0,
    }
    assert [row["events/spikes"] for row in history[:-1]] == [0] * 5 + [1] * 7
    assert [row["events/rollbacks"] for row in history[:-1]] == [0] * 8 + [1] * 4, (
        "from the step that it went back from"
    )
    scores = {name: value for name, value in history[-1].items() if not name.startswith("_")}
    by_language = {f"heldout/bits_per_byte/{code}": value for code, value in HELDOUT.items()}
    by_group = {
        f"heldout_groups/bits_per_byte/{group}": mean for group, mean in (("high", 2.0), ("low", 3.0), ("core", 2.5))
    }
    assert scores == {"step": STEPS, "tokens": STEPS * 128} | by_language | by_group


def test_group_tags_config_axes_and_summary_are_as_designed(told: tuple[Store, str, list[str]]) -> None:
    store, run, _ = told
    found = read(only_file(store.run(run)))
    assert found.run.run_id == f"shown-{run}-g1" and found.run.display_name == run
    assert (found.run.project, found.run.run_group, found.run.job_type) == ("tested", "shown", "pretrain")
    assert set(found.run.tags) == {"study:shown", "K=3", "modern"}
    axes = read_json(store.run(run) / "run.json")["axes"]
    assert {name: found.config[name] for name in ("K", "alpha", "vocabulary", "width", "layers", "seed")} == {
        name: axes[name] for name in ("K", "alpha", "vocabulary", "width", "layers", "seed")
    }
    assert found.config["languages"] == "en,de,ru" and found.config["science"]["optimizer"]["clip"] == 1.0
    assert found.metrics["*"] == "tokens" and found.metrics["speed/*"] == "step"
    assert {found.summary[f"heldout/bits_per_byte/{code}"] for code in HELDOUT} == set(HELDOUT.values())
    assert found.summary["heldout_groups/bits_per_byte/core"] == 2.5
    assert found.summary["training/epochs/en"] == 0.5 and found.summary["record/state"] == "done"


def test_a_half_written_folder_is_told_once_and_made_again(told: tuple[Store, str, list[str]]) -> None:
    store, run, logs = told
    assert [log.count("was half written") for log in logs] == [0, 1, 0, 1]
    assert not list(store.run(run).glob(".wandb.part"))


def test_a_sync_without_a_network_changes_nothing_of_what_is_whole(told: tuple[Store, str, list[str]]) -> None:
    store, run, _ = told
    before = (only_file(store.run(run)), only_file(store.run(run)).read_bytes())
    again = track(store, OFFLINE, "sync")
    assert again.returncode == 0 and "1 unchanged" in again.stdout and "nothing was sent" in again.stdout, again.stderr
    assert (only_file(store.run(run)), only_file(store.run(run)).read_bytes()) == before
    shutil.rmtree(store.run(run) / "wandb")
    assert "1 sent" in track(store, OFFLINE, "sync").stdout
    assert [row["step"] for row in read(only_file(store.run(run))).history] == [*range(1, STEPS + 1), STEPS]


def test_nothing_lives_on_and_no_file_holds_the_key(told: tuple[Store, str, list[str]], scratch: Path) -> None:
    store, _, _ = told
    wait_for(lambda: not feeders(store))
    assert not list(scratch.iterdir()), "killed ones too take their folders away"
    files = [path for path in store.root.rglob("*") if path.is_file()]
    assert len(files) > 20 and not [path for path in files if KEY.encode() in path.read_bytes()]


def test_without_a_key_one_line_says_how_to_turn_it_on(tiny_store: Callable[[str], Store], tmp_path: Path) -> None:
    store = tiny_store("off")
    attempt = Attempt(store, submitted(store), 1, 1, 2, {"WANDB_MODE": "", "HOME": str(tmp_path)})
    attempt.end("stopped")
    assert attempt.said().splitlines()[0].startswith("W&B: off, no key is configured")
    assert attempt.said().count("W&B") == 1


def test_runs_that_start_at_once_come_to_the_server_one_after_another(tiny_store: Callable[[str], Store]) -> None:
    store = tiny_store("many")
    _, runs = submit_here(store, study_text("many", axes=f"{{languages: [[en, de, ru]], seed: {list(range(700))}}}"))
    waits = [seconds_apart(store, run.id) for run in runs]
    assert waits == sorted(waits) and waits[0] == 0.0 and waits[-1] == 60.0 and len(set(waits[:600])) == 600
    assert seconds_apart(store, "k1-of-no-study") == 0.0


@pytest.mark.slow
def test_real_training_that_is_stopped_three_times_gives_one_run(
    tiny_store: Callable[[str], Store], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in OFFLINE.items():
        monkeypatch.setenv(name, value)
    store = tiny_store("really")
    _, (run,) = submit_here(store, study_text("really", steps=60, execution="{attempts: 1}"))
    folder = store.run(run.id)
    for number in (1, 2, 3):
        process = start_queue(store, "really")
        stop_early(folder, number)
        assert process.wait(120) == 0
    finish(store, "really")
    whole, found = ended(store, run.id), read(only_file(folder))
    assert len(list((folder / "attempts").iterdir())) == 4
    assert [row["step"] for row in found.history] == [*range(1, 61), 60]
    assert [row["train/loss"] for row in found.history[:-1]] == [whole.losses[step] for step in range(1, 61)]
    wait_for(lambda: not feeders(store))
    files = [path for path in store.root.rglob("*") if path.is_file()]
    assert not [path for path in files if KEY.encode() in path.read_bytes()]
