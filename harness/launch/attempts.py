"""Goes at a run: their folders, how far they came, and when there have been enough of them.

An attempt's number is that of its folder, never a job's: a job that is queued again keeps its id, and one run may be
tried by several jobs.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from harness.branches import WEIGHTS
from harness.launch.causes import DETERMINISTIC, MENDS
from harness.launch.provenance import code_digest
from harness.store import now, read_json, write_json

EXECUTION, EXIT = "execution.json", "exit.json"
_FORGIVEN = "forgiven.json"


def attempt_folders(run_folder: Path) -> list[Path]:
    """Attempts of a run, oldest first."""
    return sorted(path for path in (run_folder / "attempts").glob("[0-9]*") if path.is_dir())


def counted_attempts(run_folder: Path) -> list[Path]:
    """Attempts since the last `forgive`, oldest first."""
    try:
        before = int(read_json(run_folder / _FORGIVEN)["attempts"])
    except (OSError, ValueError, KeyError):
        before = 0
    return [path for path in attempt_folders(run_folder) if int(path.name) > before]


def forgive(run_folder: Path, why: str) -> None:
    """Count a run's attempts anew."""
    folders = attempt_folders(run_folder)
    if folders:
        write_json(run_folder / _FORGIVEN, {"attempts": int(folders[-1].name), "why": why, "time": now()})


def newest_step(run_folder: Path) -> int:
    """Steps of the newest committed checkpoint; one more than any for a run whose training is over."""
    if (run_folder / WEIGHTS).exists():
        return 1 << 62
    steps = [path.parent.name.removeprefix("step-") for path in (run_folder / "checkpoints").glob("step-*/COMMITTED")]
    return max((int(step) for step in steps if step.isdigit()), default=0)


def in_vain(run_folder: Path) -> int:
    """Attempts at the end of the list that brought the run no further than where it stands now."""
    here, count = newest_step(run_folder), 0
    for path in reversed(counted_attempts(run_folder)):
        begun = read_or_empty(path / EXECUTION).get("from_step")
        if begun != here or not (path / EXIT).exists():
            break
        count += 1
    return count


def doomed(run_folder: Path, execution: Mapping[str, Any]) -> bool:
    """Whether another go with this execution and this code would only fail again, or too many did already."""
    counted = counted_attempts(run_folder)
    if not counted:
        return False
    ended, before = read_or_empty(counted[-1] / EXIT), read_or_empty(counted[-1] / EXECUTION)
    if ended.get("state") in ("done", "running", None):
        return False
    was = before.get("execution", {})
    if cause := ended.get("cause") if ended.get("cause") in DETERMINISTIC else "":
        changed = any(was.get(key) != execution.get(key) for key in MENDS[cause])
        return not changed and (cause != "code" or before.get("code") == code_digest())
    return was == dict(execution) and in_vain(run_folder) >= int(execution["attempts"])


def read_or_empty(path: Path) -> dict[str, Any]:
    """A small JSON file that holds an object; empty where it is not there, or is none."""
    try:
        value = read_json(path)
    except (OSError, ValueError):
        return {}
    return value if isinstance(value, dict) else {}
