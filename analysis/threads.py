"""Linear algebra on one thread, and how many processes a large drawing is worth."""

from __future__ import annotations

import os
from contextlib import AbstractContextManager
from typing import Any

LARGE = 20_000
"""Rows of a table from which a further process, which takes a second to start, is worth it."""


def one_thread() -> AbstractContextManager[Any]:
    """Linear algebra on one thread: a law's matrices are so small that threads only wait for each other, on a busy
    machine for twenty times as long as the work takes."""
    import scipy.optimize  # noqa: F401  (what is not loaded yet cannot be limited)
    from threadpoolctl import threadpool_limits

    return threadpool_limits(1)


def processes_for(rows: int) -> int:
    """One for a small table; else as many as there are cores for this process, four at most."""
    if rows < LARGE:
        return 1
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, min(4, cores))
