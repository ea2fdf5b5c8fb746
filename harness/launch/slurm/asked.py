"""What a job is asked by signals, or by the clock: to save and go back to the queue, or to save and end."""

from __future__ import annotations

import os
import signal
import time
from types import FrameType

from harness.launch.slurm import client


class Asked:
    """What signals ask of this supervisor: "" nothing, "requeue", or "end"."""

    def __init__(self, ends: float) -> None:
        self._wish, self._ends = "", ends
        signal.signal(signal.SIGUSR2, self._requeue)
        signal.signal(signal.SIGTERM, self._end)
        signal.signal(signal.SIGINT, self._end)
        signal.signal(signal.SIGCONT, signal.SIG_DFL)

    def _requeue(self, _signal: int, _frame: FrameType | None) -> None:
        self._wish = self._wish or "requeue"

    def _end(self, _signal: int, _frame: FrameType | None) -> None:
        self._wish = "end"

    @property
    def wish(self) -> str:
        if not self._wish and time.time() >= self._ends:
            self._wish = "requeue"
        return self._wish


def end_of_job(job: str, hours: float) -> float:
    """The time (seconds of the epoch) at which to begin to save, by the clock: no signal need come."""
    from harness.launch.slurm.submit import warning_seconds

    stamp = os.environ.get("SLURM_JOB_END_TIME", "")
    if stamp.isdigit():
        return int(stamp) - warning_seconds(hours * 3600)
    try:
        text = client.call("squeue", "--noheader", f"--jobs={job}", "--format=%e").strip().splitlines()[-1]
        return time.mktime(time.strptime(text, "%Y-%m-%dT%H:%M:%S")) - warning_seconds(hours * 3600)
    except (client.Refused, ValueError, IndexError):
        return float("inf")
