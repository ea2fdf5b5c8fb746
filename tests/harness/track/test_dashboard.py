"""The dashboard of a study: what the server was sent, read back, holds every panel and grouping; or lies in a file."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from feeding import score, submitted
from test_online import environment, track
from tiny import study_text, submit_here
from wandb_server import serving

from harness.launch.freeze import frozen_study
from harness.store import Store, read_json, write_json
from harness.track.dashboard import CURVES, board_of, panels_in
from harness.track.record import Source

AXES = "{languages: [[en, ru], [en, de, ru]], alpha: [0.3, 1.0], width: [16, 32], vocabulary: [340, 400], seed: [0, 1]}"
SHOWN = [
    f"bits per byte, {group}, against {axis}"
    for group in ("high", "low", "core")
    for axis in ("language count", "sampling alpha", "body parameters", "vocabulary")
]


def grid(store: Store) -> None:
    submit_here(store, study_text("grid", axes=AXES, execution="{track: {project: tested}}"))


def titles(spec: Any) -> list[str]:
    return [str(panel["config"].get("chartTitle") or panel["config"].get("title")) for panel in panels_in(spec)]


def assert_whole(workspace: Any, report: Any) -> None:
    for spec in (workspace, report):
        found = titles(spec)
        assert set(SHOWN) <= set(found) and {said for said, _ in CURVES.values()} <= set(found), found
        assert "progress" in found and len(found) == len(set(found)) == len(SHOWN) + len(CURVES) + 1
        text = json.dumps(spec)
        assert "study:grid" in text
        for axis in ("K", "alpha", "body_parameters", "vocabulary"):
            assert any(axis in json.dumps(keys) for keys in groupings(spec)), (axis, groupings(spec))


def groupings(spec: Any) -> list[Any]:
    """The grouping of every set of runs."""
    if isinstance(spec, dict):
        own = [spec["grouping"]] if "grouping" in spec else []
        return own + [found for value in spec.values() for found in groupings(value)]
    return [found for value in spec for found in groupings(value)] if isinstance(spec, list) else []


def test_the_workspace_and_the_report_hold_every_panel_and_are_updated_not_doubled(
    tiny_store: Callable[[str], Store],
) -> None:
    store = tiny_store("board")
    grid(store)
    with serving() as wandb:
        first = track(store, environment(wandb), "dashboard", "grid")
        assert first.returncode == 0 and "workspace: http" in first.stdout and "report: http" in first.stdout, first
        views = {view["type"]: json.loads(view["spec"]) for view in wandb.views.values()}
        assert len(wandb.views) == 2
        assert_whole(views["project-view"], views["runs"])
        study = store.studies / "grid.json"
        write_json(study, read_json(study) | {"groups": {"high": ["en"]}})
        again = track(store, environment(wandb), "dashboard", "grid")
        assert again.stdout == first.stdout and len(wandb.views) == 2 and not wandb.unknown
        views = {view["type"]: json.loads(view["spec"]) for view in wandb.views.values()}
        assert all(len(titles(spec)) == 4 + len(CURVES) + 1 for spec in views.values())


def test_without_a_network_what_would_be_sent_lies_in_a_file(tiny_store: Callable[[str], Store]) -> None:
    store = tiny_store("unsent")
    grid(store)
    told = track(store, {"WANDB_MODE": "offline"}, "dashboard", "grid")
    assert told.returncode == 0 and "W&B is offline: what would be sent is in" in told.stdout, told.stderr
    written = read_json(store.root / "track" / "grid.dashboard.json")
    assert_whole(written["workspace"]["spec"], written["report"]["spec"])


def test_one_that_a_person_deleted_is_made_again_and_an_outage_makes_no_second(
    tiny_store: Callable[[str], Store],
) -> None:
    store = tiny_store("lost")
    grid(store)
    with serving() as wandb:
        assert track(store, environment(wandb), "dashboard", "grid").returncode == 0
        before = dict(wandb.views)
        wandb.down = True
        unsent = track(store, environment(wandb), "dashboard", "grid")
        assert unsent.returncode == 1 and "what would be sent is in" in unsent.stdout and wandb.views == before
        wandb.down = False
        assert track(store, environment(wandb), "dashboard", "grid").returncode == 0
        assert set(wandb.views) == set(before)
        wandb.views.clear()
        again = track(store, environment(wandb), "dashboard", "grid")
        assert again.returncode == 0 and {view["type"] for view in wandb.views.values()} == {"project-view", "runs"}
        assert not set(wandb.views) & set(before) and not wandb.unknown


def test_panels_columns_and_groupings_name_what_runs_are_sent(tiny_store: Callable[[str], Store]) -> None:
    store = tiny_store("named")
    run = submitted(store)
    score(store, run)
    study = frozen_study(store, "shown")
    board = board_of(store, study)
    record = Source.of(store, run, [study]).record()
    assert len(board.points) == 3
    for point in board.points:
        assert point.x in record.card.config and point.y in record.summary, point
    assert set(board.group_by) <= set(record.card.config)
    sent = {f"config:{name}.value" for name in record.card.config} | {f"summary:{name}" for name in record.summary}
    assert set(board.columns) <= sent, set(board.columns) - sent
    assert set(record.card.tags) >= {board.tag}
