"""What state a run is in, read from its folder alone.

`done` beats a fresh heartbeat, which beats the last attempt's exit record. An attempt that left no exit record and no
fresh heartbeat was killed.
"""

from __future__ import annotations

import socket
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from harness.launch.attempts import attempt_folders
from harness.processes import lives
from harness.store import Store, read_json
from harness.train.heartbeat import FRESH_SECONDS

STARTING_SECONDS = 20.0
"""How long a new attempt may take to write its first heartbeat before it counts as killed."""

KILLED = "the attempt ended without a word (killed?)"

State = Literal["done", "running", "queued", "waiting", "stopped", "killed", "failed", "unknown"]
"""`queued` and `unknown` are what `looking` adds: in Slurm's queue; or in its hands, and it cannot be asked."""


@dataclass(frozen=True)
class Observed:
    run: str
    state: State
    axes: dict[str, Any]
    attempts: int = 0
    steps: int = 0
    step: int = 0
    phase: str = ""
    tokens_per_second: float | None = None
    seconds_left: float | None = None
    loss: float | None = None
    error: str = ""
    seconds: float | None = field(default=None)
    """Training seconds of a finished run."""

    def as_json(self) -> dict[str, Any]:
        return {name: value for name, value in vars(self).items() if name != "axes"} | {
            "axes": {name: value for name, value in self.axes.items() if name != "languages"}
        }


def observe(store: Store, run_id: str, tasks: Sequence[str]) -> Observed:
    """State of one run, for a study that asks for these evaluation tasks."""
    folder = store.run(run_id)
    description = _read(folder / "run.json") or {}
    axes = description.get("axes", {})
    attempts = attempt_folders(folder)
    steps = int(axes.get("steps", 0))
    done = _read(folder / "done.json")
    if done is not None and set(tasks) <= set(done["tasks"]):
        seconds = done.get("train_seconds")
        return Observed(run_id, "done", axes, len(attempts), steps, steps, "done", seconds=seconds)
    if not attempts:
        return Observed(run_id, "waiting", axes, 0, steps)
    ended = _read(attempts[-1] / "exit.json")
    beat = _read(folder / "heartbeat.json") or {}
    mine = beat.get("attempt") == int(attempts[-1].name)
    common = {
        "attempts": len(attempts),
        "steps": steps,
        "step": int(beat.get("step", 0)),
        "phase": beat.get("phase", ""),
    }
    # A living process beats an exit record: the attempt that holds the run may not be the newest one.
    if beat and _fresh(beat) and (ended is None or not mine):
        return Observed(
            run_id,
            "running",
            axes,
            **common,
            tokens_per_second=beat.get("tokens_per_second"),
            seconds_left=beat.get("seconds_left"),
            loss=beat.get("loss"),
        )
    if ended is not None and ended["state"] == "done":  # trained and scored, for a study that asked for less
        return Observed(run_id, "waiting", axes, **common)
    if ended is not None:
        return Observed(run_id, ended["state"], axes, **common, error=ended.get("error", ""))
    if not mine and time.time() - attempts[-1].stat().st_mtime < STARTING_SECONDS:
        return Observed(run_id, "running", axes, **common | {"phase": "starting"})
    return Observed(run_id, "killed", axes, **common, error=KILLED)


def _fresh(beat: dict[str, Any]) -> bool:
    if beat.get("host") == socket.gethostname():
        return lives(int(beat["pid"]), beat.get("identity", ""))
    return time.time() - float(beat.get("time", 0)) < FRESH_SECONDS


def _read(path: Path) -> dict[str, Any] | None:
    try:
        value: dict[str, Any] = read_json(path)
    except (FileNotFoundError, ValueError):
        return None
    return value
