"""What a run tells while it works (heartbeat), and how it is told to stop (flag)."""

from __future__ import annotations

import os
import signal
import socket
import time
from pathlib import Path
from types import FrameType

from harness.processes import identity
from harness.store import write_json

BEAT_SECONDS = 1.0
FRESH_SECONDS = 60.0
"""A heartbeat older than this proves nothing."""


class Heartbeat:
    """Writes `heartbeat.json` at most once a second: phase, step, tokens per second, seconds left."""

    def __init__(self, folder: Path, attempt: int, steps: int) -> None:
        self.path, self.attempt, self.steps = folder / "heartbeat.json", attempt, steps
        self.last = 0.0
        self.identity = identity(os.getpid())

    def beat(self, step: int, *, loss: float, tokens_per_second: float, steps_done_here: int, seconds: float) -> None:
        if time.monotonic() - self.last < BEAT_SECONDS and step < self.steps:
            return
        self.last = time.monotonic()
        left = seconds / max(1, steps_done_here) * (self.steps - step)
        self.write(
            "train", step=step, loss=loss, tokens_per_second=round(tokens_per_second), seconds_left=round(left, 1)
        )

    def write(self, phase: str, **values: float) -> None:
        row = {"phase": phase, "attempt": self.attempt, "steps": self.steps}
        who = {"pid": os.getpid(), "identity": self.identity, "host": socket.gethostname(), "time": time.time()}
        write_json(self.path, row | values | who, durable=False)


class StopFlag:
    """Raised by SIGTERM, SIGINT or SIGUSR2; read at step boundaries. Handlers only set it."""

    def __init__(self) -> None:
        self.raised = False

    def listen(self) -> None:
        for name in (signal.SIGTERM, signal.SIGINT, signal.SIGUSR2):
            signal.signal(name, self._handle)

    def _handle(self, _signal: int, _frame: FrameType | None) -> None:
        self.raised = True
