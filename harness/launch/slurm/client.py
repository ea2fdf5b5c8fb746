"""What is asked of Slurm, by its own commands: few calls, each for many jobs, never a shell."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from sweeps.errors import BadInput

PATIENCE_SECONDS = 60.0
_AT_ONCE = 200
"""Job ids of one scancel: a command line has an end."""


class Refused(Exception):
    """The cluster said no, in its own words."""


@dataclass(frozen=True)
class Job:
    """A job that waits or runs, or one task of an array."""

    id: str
    """12345, or 12345_6 for a task of an array."""
    name: str
    state: str
    reason: str
    ends: str
    """When its time is over, as the cluster writes it; N/A while it waits."""

    @property
    def index(self) -> int:
        """Number of the task in its array; 0 for a job alone."""
        _, _, task = self.id.partition("_")
        return int(task) if task.isdigit() else 0

    @property
    def waits(self) -> bool:
        return self.state in ("PENDING", "REQUEUED", "REQUEUE_HOLD", "SPECIAL_EXIT")


def require() -> None:
    """Raises BadInput where this machine has no Slurm."""
    if missing := [name for name in ("sbatch", "squeue", "scontrol", "srun") if not shutil.which(name)]:
        raise BadInput(
            f"{missing[0]} is not on the path, so no Slurm cluster can be asked from here: run this on the cluster's "
            "login node, or take --cluster local"
        )


def call(*command: str) -> str:
    """Standard output of one command of Slurm. Raises Refused with the last line of what it says."""
    try:
        ended = subprocess.run(
            command,
            capture_output=True,
            text=True,
            encoding="utf-8",
            errors="replace",
            timeout=PATIENCE_SECONDS,
            check=False,
            # Users' own defaults would narrow what squeue shows.
            env={name: value for name, value in os.environ.items() if not name.startswith(("SQUEUE_", "SACCT_"))},
        )
    except FileNotFoundError as error:
        raise Refused(f"{command[0]} is not on the path") from error
    except subprocess.TimeoutExpired as error:
        raise Refused(f"{command[0]} gave no answer within {PATIENCE_SECONDS:.0f} s") from error
    if ended.returncode:
        lines = (ended.stderr.strip() or ended.stdout.strip()).splitlines()
        raise Refused(f"{command[0]}: {lines[-1].strip() if lines else f'exit status {ended.returncode}'}")
    return ended.stdout


def jobs_named(names: Iterable[str]) -> list[Job]:
    """Jobs of these names that wait or run, array tasks one by one: one call, whoever submitted them."""
    wanted = ",".join(sorted(names))
    if not wanted:
        return []
    lines = call("squeue", "--noheader", "--array", "--all", f"--name={wanted}", "--format=%i|%j|%T|%r|%e").splitlines()
    rows = (line.split("|") for line in lines if line.count("|") == 4)
    return [Job(*map(str.strip, row)) for row in rows]


def ended_states(jobs: Sequence[str]) -> dict[str, str]:
    """What accounting says of jobs by id, `NODE_FAIL` for one; empty where the cluster keeps none. One call."""
    if not jobs or not shutil.which("sacct"):
        return {}
    try:
        told = call("sacct", "--noheader", "--parsable2", "--allocations", "--format=JobID,State", "-j", ",".join(jobs))
    except Refused:
        return {}
    rows = (line.split("|") for line in told.splitlines() if line.count("|") == 1)
    return {job: state.split()[0] for job, state in rows if state}


def still_runs(job: str) -> bool:
    """Whether a job goes on, rather than being on its way out; False where nobody can tell."""
    try:
        return call("squeue", "--noheader", f"--jobs={job}", "--format=%T").split() == ["RUNNING"]
    except Refused:
        return False


def cancel(jobs: Sequence[str]) -> None:
    """Raises Refused where Slurm does; jobs that have ended meanwhile are none of its business."""
    for first in range(0, len(jobs), _AT_ONCE):
        call("scancel", "--quiet", *jobs[first : first + _AT_ONCE])


def requeue(job: str) -> None:
    """Send a job back to the queue. An array's task by `array_task`: one bare number means the whole array."""
    call("scontrol", "requeue", job)
