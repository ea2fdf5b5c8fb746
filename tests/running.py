"""Runs under the real queue, watched and disturbed by tests."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file
from tiny import last_exit

from harness.branches import WEIGHTS
from harness.launch.observe import observe
from harness.store import Store, read_json, read_lines


@dataclass(frozen=True)
class Ended:
    """One finished run: its losses by step, records and weights."""

    folder: Path
    losses: dict[int, float]
    records: list[dict[str, Any]]
    weights: dict[str, torch.Tensor]


def ended(store: Store, run: str) -> Ended:
    folder = store.run(run)
    assert observe(store, run, ["heldout"]).state == "done", last_exit(store, run)
    losses = {row["step"]: row["loss"] for row in read_lines(folder / "metrics.jsonl")}
    return Ended(folder, losses, read_lines(folder / "records.jsonl"), load_file(folder / WEIGHTS))


def assert_same_weights(one: Ended, other: Ended) -> None:
    """Bit for bit, but that a negative zero is a zero."""
    assert one.weights.keys() == other.weights.keys()
    for name, value in one.weights.items():
        assert torch.equal(value, other.weights[name]), name


def wait_for(what: Callable[[], Any], seconds: float = 90.0) -> Any:
    deadline = time.monotonic() + seconds
    while not (value := what()):
        assert time.monotonic() < deadline, "it never came"
        time.sleep(0.02)
    return value


def heartbeat(folder: Path) -> dict[str, Any]:
    """What the run last told; empty before its first attempt."""
    path = folder / "heartbeat.json"
    return read_json(path) if path.exists() else {}


def rank_pid(folder: Path) -> int:
    """The process of rank 0."""
    return int(read_json(folder / "heartbeat.json")["pid"])


def step_of(folder: Path) -> int:
    rows = read_lines(folder / "metrics.jsonl")
    return int(rows[-1]["step"]) if rows else 0


def stop_early(folder: Path, attempt: int) -> None:
    """SIGTERM as soon as the attempt listens: it stops at the first step where its ranks agree on it."""
    wait_for(lambda: heartbeat(folder).get("attempt") == attempt)
    os.kill(rank_pid(folder), signal.SIGTERM)


def committed(folder: Path) -> list[Path]:
    """The run's checkpoints, newest first."""
    return sorted((path.parent for path in (folder / "checkpoints").glob("step-*/COMMITTED")), reverse=True)


def log_of(folder: Path, attempt: int) -> str:
    """What all ranks of an attempt printed."""
    return "".join(
        path.read_text(encoding="utf-8", errors="replace")
        for path in sorted((folder / "attempts" / f"{attempt:03d}").glob("*_log.out"))
    )
