"""A study as a saved workspace and a report of W&B, made with `wandb-workspaces`.

They hold the panels of its findings, its runs grouped by the axes, and its progress.

What is shown is decided here as plain values (`Board`); the rest of the module writes it in W&B's terms. Where they
were saved is kept in `<root>/track/<study>.json`, so the next call changes those, and makes no second ones.
"""

from __future__ import annotations

import contextlib
import importlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness.launch.attempts import read_or_empty
from harness.store import Store, write_json
from harness.track.files import described, records_in
from harness.track.identity import JOB_TYPE, study_tag
from harness.track.rows import RECORD, scored
from harness.track.session import Unavailable, in_one_line
from harness.track.settings import Tracking

AXES = {
    "K": "language count",
    "alpha": "sampling alpha",
    "body_parameters": "body parameters",
    "vocabulary": "vocabulary",
}
"""Axes that findings are about, by the name in a run's config."""
_ON_A_LOG_SCALE = ("K", "body_parameters", "vocabulary")
HEADLINES = {
    "bits_per_byte": "bits per byte",
    "accuracy": "accuracy",
    "f1": "F1",
    "span_f1": "F1 of spans",
    "matthews": "Matthews correlation",
    "pearson": "Pearson correlation",
}
"""Metrics that have panels: those that findings are judged on."""
CURVES = {
    "train/bits_per_byte": ("training bits per byte", "tokens"),
    "train/loss": ("training loss", "tokens"),
    "train/gradient_norm": ("gradient norm", "tokens"),
    "train/learning_rate": ("learning rate", "step"),
    "speed/tokens_per_second": ("tokens per second", "step"),
    "speed/mfu": ("share of the machine's matrix-product rate", "step"),
    "speed/memory_gb": ("peak memory, GiB", "step"),
    "events/spikes": ("updates left out", "step"),
    "events/rollbacks": ("times gone back", "step"),
    "events/attempt": ("attempt", "step"),
}


@dataclass(frozen=True)
class Point:
    """A metric of a group against an axis: a scatter of the runs."""

    title: str
    x: str
    y: str
    log_x: bool


@dataclass(frozen=True)
class Board:
    """What the workspace and the report show."""

    title: str
    question: str
    tag: str
    points: tuple[Point, ...]
    group_by: tuple[str, ...]
    """Axes that the study varies, seed apart."""
    columns: tuple[str, ...]
    """Of the run table: axes and results."""


def board_of(store: Store, study: Mapping[str, Any]) -> Board:
    """From the frozen study and its runs' axes. One panel for each metric, group and axis that the study varies.

    Raises BadInput for a run whose files are not whole.
    """
    axes = [described(store, run)["axes"] for run in study["runs"]]
    varied = [name for name in AXES if len({each[name] for each in axes}) > 1] or ["K"]
    others = sorted(
        name
        for name in {name for each in axes for name in each}
        if name not in (*AXES, "seed", "languages", "set", "embedding_parameters", "flops", "tokens")
        and len({str(each.get(name)) for each in axes}) > 1
    )
    points = [
        Point(
            f"{said}, {group}, against {AXES[axis]}",
            axis,
            f"{task}_groups/{metric}/{group}",
            axis in _ON_A_LOG_SCALE,
        )
        for task, metric, said in _metrics(store, study)
        for group, languages in study["groups"].items()
        if scored(task, languages)
        for axis in varied
    ]
    results = dict.fromkeys(point.y for point in points)
    return Board(
        title=str(study["name"]),
        question=str(study.get("question", "")),
        tag=study_tag(study["name"]),
        points=tuple(points),
        group_by=(*varied, *(name for name in others if name in ("kind", "width", "layers"))),
        columns=(
            *(f"config:{name}.value" for name in [*varied, *others, "seed"]),
            f"summary:{RECORD}progress",
            *(f"summary:{name}" for name in results),
        ),
    )


def _metrics(store: Store, study: Mapping[str, Any]) -> list[tuple[str, str, str]]:
    """Task, metric and its words: bits per byte, and what else the runs were scored in so far."""
    found = {("heldout", "bits_per_byte"): HEADLINES["bits_per_byte"]}
    for run in study["runs"]:
        for record in records_in(store.run(run)):
            task, metric = record["task"], record["metric"]
            if metric in HEADLINES and task not in ("heldout", "training"):
                found[task, metric] = f"{task} {HEADLINES[metric]}"
    return [(task, metric, said) for (task, metric), said in found.items()]


def _module(name: str) -> Any:
    """A module of wandb-workspaces, whose types are not complete; loaded when it is needed, for it loads W&B."""
    return importlib.import_module(f"wandb_workspaces.{name}")


def _panels(board: Board) -> dict[str, list[Any]]:
    """W&B's panels by section."""
    wr = _module("reports.v2")

    scatters = [
        wr.ScatterPlot(
            title=point.title, x=wr.Config(point.x), y=wr.SummaryMetric(point.y), log_x=point.log_x, regression=False
        )
        for point in board.points
    ]
    curves = [
        wr.LinePlot(title=said, x=axis, y=[name], groupby=wr.Config(board.group_by[0]), groupby_rangefunc="minmax")
        for name, (said, axis) in CURVES.items()
    ]
    progress = [wr.BarPlot(title="progress", metrics=[RECORD + "progress"], range_x=(0, 1), max_bars_to_show=100)]
    return {"Findings": scatters, "Progress": progress, "Training": curves}


def _workspace(board: Board, entity: str, project: str) -> Any:
    ws = _module("workspaces")
    expr = _module("expr")

    return ws.Workspace(
        entity=entity,
        project=project,
        name=board.title,
        sections=[ws.Section(name=name, panels=panels, is_open=True) for name, panels in _panels(board).items()],
        settings=ws.WorkspaceSettings(x_axis="tokens", max_runs=100),
        runset_settings=_runset(board, ws, expr),
    )


def _runset(board: Board, ws: Any, expr: Any) -> Any:
    return ws.RunsetSettings(
        filters=[expr.Tags().isin([board.tag]), expr.Metric("JobType") == JOB_TYPE],
        groupby=[expr.Config(name) for name in board.group_by],
        pinned_columns=["run:displayName", *board.columns][:15],
    )


def _report(board: Board, entity: str, project: str) -> Any:
    wr = _module("reports.v2")
    expr = _module("expr")

    def runset() -> Any:
        return wr.Runset(
            entity=entity,
            project=project,
            name=board.title,
            filters=[expr.Tags().isin([board.tag]), expr.Metric("JobType") == JOB_TYPE],
            groupby=[f"config.{name}" for name in board.group_by],
            pinned_columns=["run:displayName", *board.columns][:15],
        )

    blocks: list[Any] = [wr.P(board.question), wr.P(REDRAW.format(study=board.title))]
    for name, panels in _panels(board).items():
        blocks += [wr.H2(name), wr.PanelGrid(runsets=[runset()], panels=panels)]
    return wr.Report(
        entity=entity, project=project, title=f"Babelscale: {board.title}", description=board.question, blocks=blocks
    )


REDRAW = "Kept up to date by `babelscale track dashboard {study}`. Intervals and verdicts: `babelscale report {study}`."


def specification(board: Board, tracking: Tracking) -> dict[str, Any]:
    """What would be sent, as JSON, without a network."""
    # Without names a run set is of the project that the report stands in, and nothing is asked of the server.
    workspace, report = _workspace(board, tracking.entity or "", tracking.project), _report(board, "", "")
    return {
        "workspace": {"name": board.title, "spec": _plain(workspace._to_model().spec)},
        "report": {"title": report.title, "spec": _plain(report._to_model().spec)},
    }


def _plain(spec: Any) -> Any:
    return json.loads(spec.model_dump_json(by_alias=True, exclude_none=True))


def place_of(store: Store, study: str) -> Path:
    """The file that knows where a study's dashboards are."""
    return store.root / "track" / f"{study}.json"


def save(store: Store, board: Board, tracking: Tracking) -> dict[str, str]:
    """Save both under the entity that `tracking` names, over those of an earlier call. Returns their addresses.

    Raises Unavailable.
    """
    path = place_of(store, board.title)
    known = read_or_empty(path)
    here = f"{tracking.entity}/{tracking.project}"
    old: Mapping[str, str] = known.get("dashboards", {}).get(here, {})
    assert tracking.entity is not None
    try:
        # The report comes first: it makes the project where no run has made it yet.
        report = _saved_report(_report(board, tracking.entity, tracking.project), old.get("report", ""))
        workspace = _saved_workspace(_workspace(board, tracking.entity, tracking.project), old.get("workspace", ""))
    except Exception as error:
        raise Unavailable(in_one_line(error)) from error
    saved = {"workspace": str(workspace.url), "report": str(report.url)}
    path.parent.mkdir(exist_ok=True)
    write_json(path, known | {"dashboards": known.get("dashboards", {}) | {here: saved}})
    return saved


def _saved_workspace(fresh: Any, url: str) -> Any:
    ws = _module("workspaces")

    if url:
        try:
            there = ws.Workspace.from_url(url)
        except ValueError:  # a person deleted it
            return fresh.save()
        for part in ("sections", "settings", "runset_settings"):
            setattr(there, part, getattr(fresh, part))
        return there.save()
    return fresh.save()


def _saved_report(fresh: Any, url: str) -> Any:
    wr = _module("reports.v2")

    if url:
        # A server that does not answer ends the call; one that answers without a report says that a person deleted it.
        with contextlib.suppress(TypeError):
            fresh.id = wr.Report.from_url(url).id
    return fresh.save()


def panels_in(spec: Any) -> Sequence[Mapping[str, Any]]:
    """Every panel of a workspace's or report's specification, wherever it is nested."""
    found: list[Mapping[str, Any]] = []
    if isinstance(spec, dict):
        if "viewType" in spec and "config" in spec:
            found.append(spec)
        for value in spec.values():
            found += panels_in(value)
    elif isinstance(spec, list):
        for value in spec:
            found += panels_in(value)
    return found
