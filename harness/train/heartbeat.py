"""What a run tells while it works (log, heartbeat, metrics), and how it is told to stop (flag).

Telling never ends a run: on a full disk it waits or is left out.
"""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import time
from pathlib import Path
from types import FrameType
from typing import Any

from harness.processes import identity
from harness.store import DISK_FULL, append_lines, write_json
from sweeps.errors import BadInput

BEAT_SECONDS = 1.0
FRESH_SECONDS = 60.0
"""A heartbeat older than this proves nothing."""


def say(text: str) -> None:
    """A line for the attempt's log."""
    with contextlib.suppress(OSError):
        print(text, flush=True)


def clock(seconds: float) -> str:
    """Hours, minutes and seconds as people write them."""
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"


class Heartbeat:
    """Writes `heartbeat.json` at most once a second: phase, step, tokens per second, seconds left."""

    def __init__(self, folder: Path, attempt: int, steps: int) -> None:
        self.path, self.attempt, self.steps = folder / "heartbeat.json", attempt, steps
        self.last = 0.0
        self.problem = ""
        """What is wrong though the run goes on; told with every beat."""
        self.identity = identity(os.getpid())

    def beat(self, step: int, **values: float | None) -> None:
        if time.monotonic() - self.last < BEAT_SECONDS and step < self.steps:
            return
        self.last = time.monotonic()
        self.write("train", step=step, **values)

    def write(self, phase: str, **values: float | None) -> None:
        row = {"phase": phase, "attempt": self.attempt, "steps": self.steps}
        who = {"pid": os.getpid(), "identity": self.identity, "host": socket.gethostname(), "time": time.time()}
        trouble = {"problem": self.problem} if self.problem else {}
        with contextlib.suppress(OSError, BadInput):  # the second is what a full disk is explained as
            write_json(self.path, row | values | trouble | who, durable=False)


class Journal:
    """Appends lines of metrics; on a full disk they wait in memory."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.waiting: list[dict[str, Any]] = []

    def write(self, row: dict[str, Any]) -> None:
        self.waiting.append(row)
        try:
            append_lines(self.path, self.waiting)
        except OSError as error:
            if error.errno not in DISK_FULL:
                raise
        else:
            self.waiting = []


class StopFlag:
    """Raised by SIGTERM, SIGINT or SIGUSR2; read at step boundaries. Handlers only set it."""

    def __init__(self) -> None:
        self.raised = False

    def listen(self) -> None:
        for name in (signal.SIGTERM, signal.SIGINT, signal.SIGUSR2):
            signal.signal(name, self._handle)

    def close(self) -> None:
        """Nothing is left to stop. Python puts the default handlers back as it ends: a signal then would be a death."""
        for name in (signal.SIGTERM, signal.SIGINT, signal.SIGUSR2):
            signal.signal(name, signal.SIG_IGN)

    def _handle(self, _signal: int, _frame: FrameType | None) -> None:
        self.raised = True
