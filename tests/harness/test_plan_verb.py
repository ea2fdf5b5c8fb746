"""`babelscale plan` on the command line: every study that ships, budgets, differences, and hours that were measured."""

from __future__ import annotations

import json
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tiny import COUNTS, finish, make_corpus, study_text, submit_here

from harness import cli
from harness.points import calibrated_points, seen_points
from harness.store import Store, read_json, write_json
from sweeps.pace import DEVICES
from sweeps.study import profiles_of, studies_that_ship

SHIPPED = [(name, profile) for name in studies_that_ship() for profile in profiles_of(name)]


@pytest.fixture
def plan(capsys: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, str]]:
    """Exit code and standard output of the verb."""

    def answer(*arguments: object) -> tuple[int, str]:
        code = cli.main(["plan", *map(str, arguments)])
        seen = capsys.readouterr()
        return code, seen.out or seen.err

    return answer


@pytest.mark.parametrize(("name", "profile"), SHIPPED)
def test_every_study_and_profile_that_ships_is_planned_without_its_data(
    plan: Callable[..., tuple[int, str]], tmp_path: Path, name: str, profile: str
) -> None:
    code, text = plan(name, "--profile", profile, "--root", tmp_path / "none")
    assert code == 0 and "cells," in text and "to do:" in text
    assert not (tmp_path / "none").exists(), "a plan writes nothing"
    code, text = plan(name, "--profile", profile, "--root", tmp_path / "none", "--json")
    found = json.loads(text)
    assert sum(len(cell["runs"]) for cell in found["cells"]) == len(found["runs"])
    assert all(cell["micro_rows"] > 0 for cell in found["cells"]), "each fits the device that its profile names"
    if profile not in ("laptop", "smoke", "constant"):
        assert not found["corpus_at_hand"] and "sizes are CC-100's" in " ".join(found["words"])


def test_money_is_the_missing_device_hours_times_the_price(
    plan: Callable[..., tuple[int, str]], tmp_path: Path
) -> None:
    _, text = plan("curse", "--profile", "cluster", "--price", "2.5", "--root", tmp_path, "--json")
    found = json.loads(text)
    assert found["money"] == pytest.approx(2.5 * found["missing_device_hours"])
    assert found["missing_device_hours"] == pytest.approx(sum(cell["device_hours"] for cell in found["cells"]))
    low, high = found["missing_device_hours_range"]
    assert low < found["missing_device_hours"] < high


def test_a_plan_over_budget_ends_with_4_and_names_what_to_trim(
    plan: Callable[..., tuple[int, str]], tmp_path: Path
) -> None:
    code, text = plan("curse", "--profile", "cluster", "--budget", "350", "--root", tmp_path)
    assert code == 4
    assert "over budget: 404 h of device time, 350 h allowed; the cheapest to trim: leaving out set core-" in text
    code, text = plan("curse", "--profile", "cluster", "--budget", "1", "--root", tmp_path, "--json")
    assert code == 4 and "no single value is enough" in " ".join(json.loads(text)["words"])
    assert plan("curse", "--profile", "cluster", "--budget", "500", "--root", tmp_path)[0] == 0


def test_markdown_is_a_table_with_the_words_below(plan: Callable[..., tuple[int, str]], tmp_path: Path) -> None:
    _, text = plan("curse", "--profile", "cluster", "--markdown", "--root", tmp_path)
    rows = [line for line in text.splitlines() if line.startswith("|")]
    assert len(rows) == 2 + 5 and len({row.count("|") for row in rows}) == 1
    assert "| core-100 |" in text and "\n- 5 cells, 15 runs" in text


def test_where_narrows_what_is_priced(plan: Callable[..., tuple[int, str]], tmp_path: Path) -> None:
    where = "policy == 'retrained' and derive.steps.rule == 'equal-updates'"
    _, text = plan("causes", "--profile", "cluster", "--where", where, "--root", tmp_path, "--json")
    assert {cell["axes"]["K"] for cell in json.loads(text)["cells"]} == {7, 30}


def test_a_difference_names_what_of_science_and_execution_is_other(
    plan: Callable[..., tuple[int, str]], tmp_path: Path
) -> None:
    code, text = plan("curse", "--diff", "demo", "--root", tmp_path, "--json")
    found = json.loads(text)
    assert code == 0 and found["shared"] == 9 and found["only"] == [] and len(found["only_other"]) == 15
    assert found["science"]["alpha"] == [[0.3], [0.0, 0.3, 1.0]]
    assert "execution" in found and set(found["science"]) >= {"alpha", "model.width", "learning_rate"}
    _, text = plan("curse", "--profile", "cluster", "--diff", "curse", "--diff-profile", "paper", "--root", tmp_path)
    assert "0 in both" in text and "execution, devices: 8 | 64" in text and "science, steps: 100000 | 1500000" in text
    _, text = plan("curse", "--diff", "curse", "--root", tmp_path)
    assert "science: no difference" in text and "execution: no difference" in text


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["curse", "--diff", "curze"], "did you mean curse?"),
        (["curse", "--diff", "demo", "--diff-profile", "x"], "there is no profile 'x'"),
        (["curse", "--profile", "cluster", "--calibrate"], "the plan is for h100: set --device"),
    ],
)
def test_what_cannot_be_planned_is_answered_in_one_sentence(
    plan: Callable[..., tuple[int, str]], tmp_path: Path, arguments: list[str], words: str
) -> None:
    code, text = plan(*arguments, "--root", tmp_path)
    assert code == 2 and words in text and len(text.strip().splitlines()) == 1


def test_a_corpus_whose_sizes_nobody_knows_is_asked_for(plan: Callable[..., tuple[int, str]], tmp_path: Path) -> None:
    study = tmp_path / "own.yaml"
    study.write_text(study_text().replace("[en, de, ru]", "[en, xx]").replace("de, ru", "xx"), encoding="utf-8")
    text = study.read_text(encoding="utf-8")
    study.write_text(text.split("groups:")[0] + "execution: {}\n", encoding="utf-8")
    code, answer = plan(study, "--root", tmp_path / "root")
    assert code == 2 and "CC-100, with whose sizes a plan reckons then, has no xx" in answer


def test_a_finished_run_is_the_measure_of_its_shape(
    plan: Callable[..., tuple[int, str]], tiny_store: Callable[[str], Store], tmp_path: Path
) -> None:
    store = tiny_store("planned")
    text = study_text("planned", "{languages: [[en, de, ru]], seed: [0, 1], width: [16, 32]}", steps=6)
    study, runs = submit_here(store, text)
    for run in runs[:1]:  # as if it had run here: 6 steps in 3 s, 10 s in all
        attempt = store.run(run.id) / "attempts" / "001"
        attempt.mkdir(parents=True)
        settings = {"execution": study.execution.model_dump(exclude={"rules"}), "slots": 2}
        write_json(
            attempt / "execution.json", settings | {"host": socket.gethostname(), "started": "2026-01-01T10:00:00Z"}
        )
        done = {"tasks": ["heldout"], "train_seconds": 3.0, "finished": "2026-01-01T10:00:10Z", "device": "cpu"}
        write_json(store.run(run.id) / "done.json", done)
    points, overhead = seen_points(store, DEVICES["cpu"])
    assert ([point.seconds for point in points], overhead) == ([0.5], 7.0)
    assert seen_points(store, DEVICES["h100"]) == ([], 0.0)
    folder = store.run(runs[0].id)  # scored on one more task, an hour later
    write_json(folder / "done.json", done | {"finished": "2026-01-01T11:00:10Z"})
    write_json(folder / "attempts" / "001" / "exit.json", {"time": "2026-01-01T10:00:10Z"})
    (folder / "attempts" / "002").mkdir()
    (folder / "metrics.jsonl").write_text('{"attempt": 1, "step": 6}\n', encoding="utf-8")
    again, overhead = seen_points(store, DEVICES["cpu"])
    assert (again, overhead) == (points, 7.0)
    (folder / "metrics.jsonl").write_text('{"attempt": 1, "step": 3}\n{"attempt": 2, "step": 6}\n', encoding="utf-8")
    assert seen_points(store, DEVICES["cpu"]) == ([], 0.0), "two attempts share its seconds"
    (folder / "metrics.jsonl").write_text('{"attempt": 1, "step": 6}\n', encoding="utf-8")
    path = tmp_path / "planned.yaml"
    path.write_text(text.replace("execution: {}", "execution: {slots: 2}"), encoding="utf-8")
    code, shown = plan(path, "--root", store.root, "--json")
    found = {cell["axes"]["width"]: cell for cell in json.loads(shown)["cells"]}
    assert code == 0 and found[16]["states"] == {"done": 1, "waiting": 1}
    assert found[16]["basis"] == "1 seen" and found[16]["hours_per_run"] == pytest.approx(10 / 3600)
    assert found[32]["basis"] == "scaled" and found[32]["hours_per_run"] > 7 / 3600
    assert json.loads(shown)["missing_device_hours"] == pytest.approx(
        found[16]["hours_per_run"] + 2 * found[32]["hours_per_run"]
    )


def test_a_calibration_times_the_shapes_of_the_plan_here_and_is_kept(
    plan: Callable[..., tuple[int, str]], tmp_path: Path
) -> None:
    store = Store(tmp_path / "root")
    make_corpus(store, "tiny", COUNTS)
    path = tmp_path / "tiny.yaml"
    path.write_text(study_text(execution="{slots: 1}"), encoding="utf-8")
    code, shown = plan(path, "--calibrate", "--root", store.root, "--json")
    (cell,) = json.loads(shown)["cells"]
    assert code == 0 and cell["basis"] == "1 seen" and 0 < cell["seconds_per_step"] < 1
    points, start = calibrated_points(store, DEVICES["cpu"])
    assert len(points) == 1 and points[0].seconds == cell["seconds_per_step"] and start > 0.5
    again: Any = json.loads(plan(path, "--root", store.root, "--json")[1])
    assert again["cells"] == [cell], "kept, and read again"


def test_a_run_that_finished_here_tells_its_device_and_pace(tiny_store: Callable[[str], Store]) -> None:
    store = tiny_store("paced")
    study, (run,) = submit_here(store, study_text("paced", steps=4))
    finish(store, study.name)
    assert read_json(store.run(run.id) / "done.json")["device"] == "cpu"
    ((point,), overhead) = seen_points(store, DEVICES["cpu"])
    assert 0 < point.seconds < 5 and 0 <= overhead < 120
    assert point.flops == pytest.approx(run.axes["flops"] / run.axes["steps"])
