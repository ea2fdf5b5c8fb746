"""What a user will see in W&B, drawn here from the same rows and summaries: for a page without a network."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from harness.store import Store
from harness.track.dashboard import Board, Point
from harness.track.record import Record, Source
from harness.track.studies import frozen_studies

_WIDTH, _PANEL = 10.0, 2.3
"""Inches: of the page, and of the height of a panel."""
_ACROSS, _MOST_POINTS = 3, 6


def records_of(store: Store, study: Mapping[str, Any]) -> list[Record]:
    """Of the runs that have begun."""
    studies = frozen_studies(store)
    begun = [run for run in study["runs"] if (store.run(run) / "metrics.jsonl").exists()]
    return [Source.of(store, run, studies).record() for run in begun]


def draw(board: Board, records: Sequence[Record], path: Path) -> None:
    """The findings' panels, a training curve a run and the runs by group, as a PNG."""
    from matplotlib.figure import Figure

    points = board.points[:_MOST_POINTS]
    rows = -(-len(points) // _ACROSS) + 1
    figure = Figure(figsize=(_WIDTH, rows * _PANEL + 0.4), layout="constrained", dpi=110)
    figure.suptitle(f"{board.title}: {board.question}", fontsize=10, x=0.01, ha="left")
    grid = figure.add_gridspec(rows, _ACROSS)
    for number, point in enumerate(points):
        _scatter(figure.add_subplot(grid[number // _ACROSS, number % _ACROSS]), point, records)
    _curves(figure.add_subplot(grid[rows - 1, : _ACROSS - 1]), board.group_by[0], records)
    _progress(figure.add_subplot(grid[rows - 1, _ACROSS - 1]), board.group_by[0], records)
    figure.savefig(path, metadata={"Software": None})


def _scatter(axes: Any, point: Point, records: Sequence[Record]) -> None:
    there = [record for record in records if point.y in record.summary and record.card.config[point.x] is not None]
    axes.scatter([r.card.config[point.x] for r in there], [r.summary[point.y] for r in there], s=12, alpha=0.7)
    if point.log_x and there:
        axes.set_xscale("log", base=2)
        ticks = sorted({record.card.config[point.x] for record in there})
        axes.set_xticks(ticks, [f"{tick:,}" for tick in ticks])
        axes.minorticks_off()
    if not there:
        _empty(axes, "no run is scored yet")
    axes.set_title(point.title, fontsize=8, loc="left")
    _plain(axes)


def _curves(axes: Any, by: str, records: Sequence[Record]) -> None:
    values = _values(by, records)
    for record in records:
        curve = [row.data for row in record.rows if "train/bits_per_byte" in row.data]
        colour = f"C{values.index(record.card.config[by])}"
        tokens = [row["tokens"] for row in curve]
        axes.plot(tokens, [row["train/bits_per_byte"] for row in curve], color=colour, lw=0.7, alpha=0.7)
    for number, value in enumerate(values):
        axes.plot([], [], color=f"C{number}", label=f"{by} = {value}")
    axes.xaxis.set_major_formatter(lambda tokens, _: f"{tokens / 1e6:g} M")
    axes.set_title("training bits per byte over tokens", fontsize=8, loc="left")
    if records:
        axes.legend(fontsize=7, frameon=False)
    else:
        _empty(axes, "no run has begun")
    _plain(axes)


def _progress(axes: Any, by: str, records: Sequence[Record]) -> None:
    shares: dict[Any, list[float]] = {value: [] for value in _values(by, records)}
    for record in records:
        shares[record.card.config[by]].append(float(record.summary["record/progress"]))
    names = [f"{by} = {value} ({len(runs)})" for value, runs in shares.items()]
    axes.barh(names, [sum(runs) / len(runs) for runs in shares.values()], color="0.6")
    axes.set_xlim(0, 1)
    axes.set_xlabel("share of the training that is done", fontsize=7)
    if not records:
        _empty(axes, "no run has begun")
    axes.set_title("progress (runs)", fontsize=8, loc="left")
    _plain(axes)


def _values(by: str, records: Sequence[Record]) -> list[Any]:
    """Of an axis, in order; None (no alpha) last."""
    return sorted({record.card.config[by] for record in records}, key=lambda value: (value is None, value))


def _empty(axes: Any, why: str) -> None:
    axes.set(xticks=[], yticks=[])
    axes.text(0.5, 0.5, why, transform=axes.transAxes, ha="center", va="center", fontsize=8, color="0.4")


def _plain(axes: Any) -> None:
    axes.tick_params(labelsize=7)
    axes.spines[["top", "right"]].set_visible(False)
