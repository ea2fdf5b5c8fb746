"""Where and with what an attempt ran: code, versions, machine. Of the environment, only what is on a list: the rest may
hold secrets."""

from __future__ import annotations

import contextlib
import functools
import hashlib
import importlib.metadata
import os
import platform
import subprocess
from pathlib import Path
from typing import Any

from harness.store import Store, now, write_text

_PACKAGES = ("babelscale", "torch", "deepspeed", "sentencepiece", "submitit", "numpy")
_VARIABLES = (
    "CUDA_VISIBLE_DEVICES",
    "GLIBC_TUNABLES",
    "OMP_NUM_THREADS",
    "SLURMD_NODENAME",
    "SLURM_ARRAY_JOB_ID",
    "SLURM_ARRAY_TASK_ID",
    "SLURM_CLUSTER_NAME",
    "SLURM_CPUS_PER_TASK",
    "SLURM_JOB_ID",
    "SLURM_JOB_NODELIST",
    "SLURM_JOB_PARTITION",
    "SLURM_JOB_QOS",
    "SLURM_NTASKS",
    "SLURM_RESTART_COUNT",
)
_SOURCES = ("harness", "models", "sweeps")
_NOT_IN_RUNS = (("harness", "verbs"), ("harness", "arguments"))
_TOP = Path(__file__).resolve().parents[2]


@functools.cache
def code_digest() -> str:
    """Digest of the sources that a run executes: equal where the code is, with git or without."""
    told = hashlib.sha256()
    for package in _SOURCES:
        for path in sorted((_TOP / package).rglob("*.py")):
            if path.relative_to(_TOP).parts[:2] in _NOT_IN_RUNS:
                continue
            told.update(str(path.relative_to(_TOP)).encode() + b"\0" + path.read_bytes() + b"\0")
    return told.hexdigest()[:12]


def provenance(store: Store | None = None) -> dict[str, Any]:
    """For an attempt's `execution.json`. Changes that git has not seen are kept once under `code/` of the store."""
    versions: dict[str, str] = {}
    for package in _PACKAGES:
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            versions[package] = importlib.metadata.version(package)
    difference = _git("diff", "HEAD", "--", *_SOURCES)
    facts = {
        "host": platform.node(),
        "python": platform.python_version(),
        "packages": versions,
        "git_commit": _git("rev-parse", "HEAD").strip(),
        "code": code_digest(),
        "environment": {name: os.environ[name] for name in _VARIABLES if name in os.environ},
        "started": now(),
    }
    if difference and store is not None:
        kept = store.root / "code" / f"{code_digest()}.diff"
        if not kept.exists():
            kept.parent.mkdir(exist_ok=True)
            write_text(kept, difference)
        facts["git_diff"] = str(kept.relative_to(store.root))
    return facts


@functools.cache
def _git(*arguments: str) -> str:
    """What git says of the sources; "" where there is no git, or the package was installed from a wheel."""
    if not (_TOP / ".git").exists():
        return ""
    with contextlib.suppress(OSError, subprocess.SubprocessError):
        command = ["git", "-C", str(_TOP), *arguments]
        return subprocess.run(
            command, capture_output=True, text=True, encoding="utf-8", errors="replace", timeout=10, check=False
        ).stdout
    return ""
