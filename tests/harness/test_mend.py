"""why, retry and cancel on this machine, with the real queue and runs that really fail."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import pytest
from running import heartbeat, wait_for
from test_cli import answer, babelscale
from tiny import finish, start_queue, study_text, submit_here

from harness.launch import queue
from harness.launch.observe import observe
from harness.store import Store, read_json, write_json


@pytest.fixture
def failed(tiny_store: Callable[[str], Store]) -> tuple[Store, str]:
    """A study of one run whose frozen science lacks what training reads."""
    store = tiny_store("mend")
    _, (run,) = submit_here(store, study_text("broken", steps=4))
    path = store.run(run.id) / "run.json"
    described = read_json(path)
    optimizer = described["science"].pop("optimizer")
    write_json(path, described)
    finish(store, "broken")
    write_json(path, described | {"science": described["science"] | {"optimizer": optimizer}})
    return store, run.id


def test_a_failure_is_told_with_its_lines_refused_unchanged_and_taken_when_a_person_says_it_is_mended(
    failed: tuple[Store, str],
) -> None:
    store, run = failed
    (group,) = answer("why", "broken", root=store.root)["groups"]
    assert group["cause"] == "code" and group["runs"] == [run] and not group["again"]
    assert "KeyError: 'optimizer'" in group["error"]
    assert any("KeyError" in line for line in group["lines"]), "the log's own last lines"
    refused = babelscale("retry", "broken", root=store.root)
    assert refused.returncode == 2 and "the same again would fail the same way" in refused.stderr
    assert "Traceback" not in refused.stderr
    assert answer("retry", "broken", "--anyway", root=store.root)["retried"] == [run]
    wait_for(lambda: (store.run(run) / "done.json").exists())
    wait_for(lambda: not queue.queue_state(store, "broken")["alive"])
    assert answer("why", "broken", root=store.root)["groups"] == []
    nothing = babelscale("retry", "broken", root=store.root)
    assert nothing.returncode == 2 and "no run has failed" in nothing.stderr


def test_a_value_that_is_none_is_refused_before_anything_starts(failed: tuple[Store, str]) -> None:
    store, run = failed
    for given, words in (
        (["colour=red"], "execution has no such key"),
        (["zero=7"], "--set zero"),
        (["zero"], "write KEY=VALUE"),
        (["sbatch.nodes=2"], "is the harness's own"),
        (["zero=["], "cannot be read"),
        (["devices=3", "nodes=2"], "do not spread evenly"),
    ):
        values = [word for one in given for word in ("--set", one)]
        ended = babelscale("retry", "broken", "--anyway", *values, root=store.root)
        assert ended.returncode == 2 and words in ended.stderr and ended.stderr.count("\n") == 1
    assert len(list((store.run(run) / "attempts").iterdir())) == 1


def test_cancel_asks_first_then_ends_the_queue_and_its_runs_with_what_they_have_saved(
    tiny_store: Callable[[str], Store],
) -> None:
    store = tiny_store("cancel")
    _, (run,) = submit_here(store, study_text("long", steps=100_000))
    process = start_queue(store, "long")
    folder = store.run(run.id)
    wait_for(lambda: heartbeat(folder).get("step", 0) > 5)
    asked = babelscale("cancel", "long", root=store.root)
    assert asked.returncode == 2 and "of 100000; it saves on its way out" in asked.stdout and "--yes" in asked.stderr
    assert babelscale("cancel", "long", "--yes", root=store.root, seconds=120).returncode == 0
    assert process.wait(30) == 0
    assert read_json(folder / "attempts" / "001" / "exit.json")["state"] == "stopped"
    assert list(folder.glob("checkpoints/step-*/COMMITTED"))
    quiet = babelscale("cancel", "long", "--yes", root=store.root)
    assert quiet.returncode == 0 and "nothing is in flight" in quiet.stdout


def test_logs_are_followed_until_the_run_ends(tiny_store: Callable[[str], Store], tmp_path: Path) -> None:
    store = tiny_store("follow")
    _, (run,) = submit_here(store, study_text("followed", steps=40))
    process = start_queue(store, "followed")
    wait_for(lambda: list(store.run(run.id).glob("attempts/001/*_log.out")))
    began = time.monotonic()
    ended = babelscale("logs", "followed", "--cell", run.id, "-f", root=store.root)
    assert ended.returncode == 0 and "step 40/40" in ended.stdout and "records in" in ended.stdout
    assert time.monotonic() - began < 100
    process.wait(30)
    lost = babelscale("logs", "followed", "--cell", run.id, "--rank", "3", root=store.root)
    assert lost.returncode == 2 and "there are logs of ranks 0" in lost.stderr


def test_a_study_that_is_submitted_anew_tells_of_the_runs_that_are_under_way(
    tiny_store: Callable[[str], Store], tmp_path: Path
) -> None:
    store, path = tiny_store("anew"), tmp_path / "anew.yaml"
    path.write_text(study_text("anew", steps=400), encoding="utf-8")
    assert babelscale("submit", path, root=store.root).returncode == 0
    (run,) = read_json(store.studies / "anew.json")["runs"]
    wait_for(lambda: observe(store, run, ["heldout"]).state == "running")
    again = babelscale("submit", path, root=store.root)
    assert "1 of 1 runs to do (1 of them running already), started" in " ".join(again.stdout.split()), again
    path.write_text(study_text("anew", steps=4), encoding="utf-8")
    changed = babelscale("submit", path, root=store.root)
    assert "1 running runs are of the study as it was before" in changed.stderr and "already" not in changed.stdout
    told = babelscale("watch", "anew", root=store.root)
    assert told.returncode == 0, told.stdout
    wait_for(lambda: (store.run(run) / "done.json").exists())


def test_a_queue_takes_what_is_submitted_while_it_runs(tiny_store: Callable[[str], Store], tmp_path: Path) -> None:
    store, path = tiny_store("wider"), tmp_path / "wider.yaml"
    path.write_text(study_text("wider", "{languages: [[en, de, ru]], seed: [0, 1]}", steps=300), encoding="utf-8")
    assert babelscale("submit", path, "--where", "seed == 0", "--slots", "1", root=store.root).returncode == 0
    first, second = read_json(store.studies / "wider.json")["runs"]
    wait_for(lambda: observe(store, first, ["heldout"]).state == "running")
    assert babelscale("submit", path, root=store.root).returncode == 0
    assert babelscale("watch", "wider", root=store.root).returncode == 0
    for run in (first, second):
        assert (store.run(run) / "done.json").exists() and len(list((store.run(run) / "attempts").iterdir())) == 1
    assert not list(store.studies.glob("*.asked"))


def test_status_by_an_axis_counts_each_of_its_values(tiny_store: Callable[[str], Store]) -> None:
    store = tiny_store("by")
    submit_here(store, study_text("grouped", axes="{languages: [[en, ru], [en, de, ru]], seed: [0, 1]}"))
    groups = answer("status", "grouped", "--by", "K", root=store.root)["groups"]
    assert [(group["K"], group["states"]) for group in groups] == [(2, {"waiting": 2}), (3, {"waiting": 2})]
    wrong = babelscale("status", "grouped", "--by", "colour", root=store.root)
    assert wrong.returncode == 2 and "no axis of that name; they have" in wrong.stderr
