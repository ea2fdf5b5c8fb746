"""The machine's memory: how much there is, and what becomes of what was freed."""

from __future__ import annotations

import ctypes
import os
import re
from collections.abc import Iterator, Mapping
from pathlib import Path

_NO_LIMIT = 1 << 60
_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3  # <malloc.h> of glibc
_KEEP_BYTES = 1 << 30
_TUNABLES = "GLIBC_TUNABLES"


def keep_freed_memory() -> bool:
    """Ask the C library to recycle blocks of up to 1 GiB; True when it agreed, False where it is not glibc.

    A CPU step allocates and frees the same few megabytes (logits, their gradient) again and again. By default glibc
    maps each such block anew and the kernel zeroes every page of it: measured on the demo's model of width 32, that
    was a third of the step, 22 ms against 14.
    """
    try:
        library = ctypes.CDLL(None)
        mallopt = library.mallopt
    except (OSError, AttributeError):
        return False
    return bool(mallopt(_M_MMAP_THRESHOLD, _KEEP_BYTES)) and bool(mallopt(_M_TRIM_THRESHOLD, _KEEP_BYTES))


def with_huge_pages(environment: Mapping[str, str]) -> dict[str, str]:
    """The environment for a process that trains: its C library asks the kernel for pages of 2 MiB, where it may.

    Tables and their gradients are tens of megabytes and passed over from end to end. Measured on 2 cores with a
    vocabulary of 32,000, a step takes about a tenth less. A process reads this when it starts; another C library than
    glibc 2.35 or younger never does.
    """
    named = environment.get(_TUNABLES, "")
    if "glibc.malloc.hugetlb" in named:
        return dict(environment)
    return {**environment, _TUNABLES: ":".join(filter(None, (named, "glibc.malloc.hugetlb=1")))}


def release_freed_memory() -> None:
    """Give freed memory back to the system, where the C library can."""
    try:
        ctypes.CDLL(None).malloc_trim(0)
    except (OSError, AttributeError):
        return


def available_bytes() -> int:
    """What processes may still take here: the machine's, or what its groups or its job leave of their limits."""
    return max(0, min(_machine_bytes(), *_group_bytes(), _job_bytes()))


def _machine_bytes() -> int:
    for line in Path("/proc/meminfo").read_text(encoding="ascii").splitlines():
        if line.startswith("MemAvailable:"):
            return int(line.split()[1]) * 1024
    return _NO_LIMIT


def _job_bytes() -> int:
    """What a job of Slurm was promised on this node, less what its tasks hold if each holds as much as this process."""
    promised = os.environ.get("SLURM_MEM_PER_NODE", "")
    if not promised.isdigit() or promised == "0":  # 0: all of the node's
        return _NO_LIMIT
    tasks = re.match(r"\d+", os.environ.get("SLURM_TASKS_PER_NODE", "1"))
    try:
        resident = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except OSError:
        resident = 0
    return int(promised) * 1024 * 1024 - resident * int(tasks[0] if tasks else 1)


def _group_bytes() -> Iterator[int]:
    """For this process's group (version 2) and each above it that has a limit. Cache that can be dropped is free."""
    try:
        groups = Path("/proc/self/cgroup").read_text(encoding="ascii").splitlines()
    except OSError:
        return
    root = Path("/sys/fs/cgroup")
    group = root / next((line[3:].lstrip("/") for line in groups if line.startswith("0::")), "")
    while group.is_relative_to(root):
        try:
            limit = (group / "memory.max").read_text(encoding="ascii").strip()
            if limit != "max":
                used = int((group / "memory.current").read_text(encoding="ascii"))
                stat = (group / "memory.stat").read_text(encoding="ascii").split()
                yield int(limit) - used + int(stat[stat.index("inactive_file") + 1])
        except (OSError, ValueError):
            pass  # the root group has none of these files
        group = group.parent
