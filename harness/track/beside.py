"""Rank 0's hold on its feeder: started before training, told how the attempt ended, never waited for long."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
from collections.abc import Mapping
from typing import Any

from harness.store import Store
from harness.track.settings import OFF, is_left_open, seconds_left, surely_off
from harness.train.heartbeat import say

KILL_SECONDS = 3.0
"""After the time that a feeder gives itself."""


class Beside:
    """A feeder, or none where tracking is off."""

    def __init__(self, process: subprocess.Popen[bytes] | None) -> None:
        self._process = process

    @classmethod
    def start(cls, store: Store, run: str, attempt: int, execution: Mapping[str, Any]) -> Beside:
        """Never raises: a run that is not shown is trained all the same."""
        if surely_off(execution):
            if is_left_open(execution):
                say(OFF)
            return cls(None)
        environment = {name: value for name, value in os.environ.items() if name != "GLIBC_TUNABLES"}
        command = [sys.executable, "-m", "harness.track.feeder", str(store.root), run, str(attempt)]
        with contextlib.suppress(OSError):
            return cls(
                subprocess.Popen(
                    command,
                    stdin=subprocess.PIPE,
                    cwd="/",
                    env=environment | {"PYTHONSAFEPATH": "1", "OMP_NUM_THREADS": "1"},
                )
            )
        return cls(None)

    def end(self, state: str) -> None:
        """The attempt ended as `state`; what is not sent in time stays for `babelscale track sync`."""
        process = self._process
        if process is None or process.stdin is None:
            return
        with contextlib.suppress(OSError):
            process.stdin.write(f"{state}\n".encode())
            process.stdin.close()
        try:
            process.wait(seconds_left(state) + KILL_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
