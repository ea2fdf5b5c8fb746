"""What is known of this machine's pace: steps of finished runs, and calibrations, as points for `sweeps.pace`.

Read without torch. A finished run tells its pace where one attempt made all its steps.
"""

from __future__ import annotations

import calendar
import os
import re
import socket
import statistics
import time
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

from harness.store import SCHEMA, Store, read_json, write_json
from models.cost import training_flops_per_token
from models.sizes import EncoderConfig
from sweeps.pace import Device, Point, Shape, shape_of

_ATTEMPT = re.compile(rb'"attempt": ?(\d+)')
MOST_RUNS = 400
"""Newest finished runs that are read: more say no more."""


def seen_points(store: Store, device: Device) -> tuple[list[Point], float]:
    """(points, seconds that a run takes outside its steps) of finished runs on such a device, this machine's if it is a
    CPU; 0 seconds where no run tells."""
    points, beside_steps = [], list[float]()
    for _, folder, done in sorted(_finished(store), key=lambda item: item[0], reverse=True)[:MOST_RUNS]:
        entry = _point(folder, done, device)
        if entry is not None:
            points.append(entry[0])
            beside_steps.append(entry[1])
    return points, statistics.median(beside_steps) if beside_steps else 0.0


def _finished(store: Store) -> Iterator[tuple[float, Path, dict[str, Any]]]:
    if not store.runs.is_dir():
        return
    for entry in os.scandir(store.runs):
        path = Path(entry.path) / "done.json"
        try:
            yield path.stat().st_mtime, Path(entry.path), read_json(path)
        except (OSError, ValueError):
            continue


def _point(folder: Path, done: dict[str, Any], device: Device) -> tuple[Point, float] | None:
    try:
        attempts = sorted((folder / "attempts").glob("[0-9]*"))
        settings = read_json(attempts[0] / "execution.json")
        run = read_json(folder / "run.json")
        if not done["train_seconds"] or (len(attempts) > 1 and _trained(folder) != {int(attempts[0].name)}):
            return None
        on = str(done.get("device", "cpu")).lower()
        if device.name not in on or (device.name == "cpu" and settings["host"] != socket.gethostname()):
            return None
        science, axes = run["science"], run["axes"]
        steps = axes["steps"] - done.get("branch", {}).get("step", 0)
        shape = shape_of(science, settings["execution"], settings.get("slots", 1))
        config = EncoderConfig(**science["model"])
        parameters = axes["body_parameters"] + axes["embedding_parameters"]
        point = Point(shape, step_flops(config, science), parameters, done["train_seconds"] / steps)
        # Scored on one more task, a run is done anew, long after.
        ended = done["finished"] if len(attempts) == 1 else read_json(attempts[0] / "exit.json")["time"]
        whole = _seconds(ended) - _seconds(settings["started"])
    except (OSError, ValueError, KeyError, IndexError, TypeError, ZeroDivisionError):
        return None  # an older record, or one that is not whole: it tells nothing
    return point, max(0.0, whole - done["train_seconds"])


def _trained(folder: Path) -> set[int]:
    """The attempts that made steps: a later one may only have scored."""
    return set(map(int, _ATTEMPT.findall((folder / "metrics.jsonl").read_bytes())))


def step_flops(config: EncoderConfig, science: dict[str, Any]) -> float:
    """Of one update, over all devices."""
    tokens = science["row_tokens"]
    masked = max(1, round(science["mask_rate"] * tokens)) / tokens
    each = training_flops_per_token(config, tokens_per_row=tokens, masked_share=masked)
    return each.total * science["batch_rows"] * tokens


def _seconds(stamp: str) -> float:
    return calendar.timegm(time.strptime(stamp, "%Y-%m-%dT%H:%M:%SZ"))


def _calibration(store: Store, device: Device) -> Path:
    where = socket.gethostname() if device.name == "cpu" else device.name
    return store.root / "calibration" / f"{where}.json"


def calibrated_points(store: Store, device: Device) -> tuple[list[Point], float]:
    """(points, seconds outside the steps) of the calibration of this device; none where there was none."""
    path = _calibration(store, device)
    try:
        record = read_json(path)
        points = [
            Point(
                Shape(**entry["shape"] | {"model": tuple(map(tuple, entry["shape"]["model"]))}),
                entry["flops"],
                entry["parameters"],
                entry["seconds"],
                entry["spread"],
            )
            for entry in record["points"]
        ]
        return points, float(record["overhead_seconds"])
    except (OSError, ValueError, KeyError, TypeError):
        return [], 0.0


def keep_calibration(store: Store, device: Device, points: list[Point], overhead_seconds: float) -> None:
    """Write the points of a calibration beside older ones of other shapes."""
    old, _ = calibrated_points(store, device)
    new = {point.shape for point in points}
    kept = [point for point in old if point.shape not in new]
    path = _calibration(store, device)
    path.parent.mkdir(parents=True, exist_ok=True)
    record = {"points": [asdict(point) for point in [*kept, *points]], "overhead_seconds": overhead_seconds}
    write_json(path, {"schema": SCHEMA} | record)
