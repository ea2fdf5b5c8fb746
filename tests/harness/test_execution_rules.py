"""A rule of the study reaches the run it is for: real runs, on one rank and on two."""

from __future__ import annotations

from collections.abc import Callable

from tiny import finish, study_text, submit_here

from harness.store import Store, read_json


def test_each_run_is_executed_as_its_rule_says(tiny_store: Callable[[str], Store]) -> None:
    store = tiny_store("rules")
    axes = "{languages: [[en, de, ru]], width: [16, 32]}"
    rules = "{zero: 0, rules: [{when: width == 32, devices: 2, zero: 2}]}"
    study, runs = submit_here(store, study_text("rules", axes, steps=4, execution=rules))
    finish(store, study.name)
    for run in runs:
        attempt = store.run(run.id) / "attempts" / "001"
        execution = read_json(attempt / "execution.json")["execution"]
        wide = run.axes["width"] == 32
        assert (execution["devices"], execution["zero"]) == ((2, 2) if wide else (1, 0))
        assert len(list(attempt.glob("*_log.out"))) == (2 if wide else 1), "a log for each rank"
        assert (store.run(run.id) / "done.json").exists()
