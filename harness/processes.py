"""Whether a process of this machine still lives: the same process, not another that was given its number."""

from __future__ import annotations

import os
from pathlib import Path

_GONE = ("Z", "X")
"""States of a process that has ended and that nobody has collected yet."""


def identity(pid: int) -> str:
    """Boot and start time of a living process; "" for one that has ended. "unknown" where /proc does not exist."""
    if not Path("/proc/self/stat").exists():
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return ""
        except PermissionError:  # it lives, and is somebody else's
            return "unknown"
        return "unknown"
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
        boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="utf-8").strip()
    except OSError:
        return ""
    fields = stat.rpartition(")")[2].split()  # the name before it may hold spaces and brackets
    return "" if fields[0] in _GONE else f"{boot}:{fields[19]}"


def lives(pid: int, known: str) -> bool:
    """Whether process `pid` is the one that `identity` named `known`, and still lives."""
    return known != "" and identity(pid) == known
