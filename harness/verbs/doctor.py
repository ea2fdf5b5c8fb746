"""babelscale doctor: what this machine can do, checked by doing it."""

from __future__ import annotations

import importlib.metadata
import json
import os
import platform
import shutil
from argparse import Namespace
from collections.abc import Callable
from dataclasses import asdict, dataclass

from rich.table import Table

from harness.launch.queue import visible_gpus
from harness.store import Store, lease
from harness.verbs.show import console, human
from sweeps.errors import BadInput


@dataclass(frozen=True)
class Check:
    what: str
    state: str
    """ok, missing or bad."""
    detail: str


def doctor(options: Namespace) -> int:
    checks = [_python(), _machine(), _gpus(), *map(_package, ("torch", "deepspeed", "sentencepiece", "submitit"))]
    checks += [_tried("bf16 on this device", _bf16), _tried("root", lambda: _root(options.root)), _slurm()]
    if options.json:
        print(json.dumps([asdict(check) for check in checks], indent=1))
    else:
        table = Table("what", "state", "detail")
        for check in checks:
            colour = {"ok": "green", "missing": "yellow", "bad": "red"}[check.state]
            table.add_row(check.what, f"[{colour}]{check.state}[/{colour}]", check.detail)
        console.print(table)
    return 2 if any(check.state == "bad" for check in checks) else 0


def _python() -> Check:
    return Check("Python", "ok", platform.python_version())


def _machine() -> Check:
    return Check("processor", "ok", f"{os.cpu_count()} cores, {platform.machine()}, {platform.system()}")


def _gpus() -> Check:
    found = len(visible_gpus())
    return Check("GPUs", "ok" if found else "missing", f"{found} NVIDIA devices" if found else "none: runs use the CPU")


def _package(name: str) -> Check:
    try:
        return Check(name, "ok", importlib.metadata.version(name))
    except importlib.metadata.PackageNotFoundError:
        return Check(name, "bad", f"not installed: pip install {name}")


def _tried(what: str, check: Callable[[], str]) -> Check:
    try:
        return Check(what, "ok", check())
    except BadInput as error:
        return Check(what, "bad", str(error))
    except ImportError as error:
        return Check(what, "bad", f"could not be tried: {error}")


def _bf16() -> str:
    import time

    import torch

    device = "cuda" if torch.cuda.is_available() else "cpu"
    times = {}
    for dtype in (torch.float32, torch.bfloat16):
        left = torch.randn(512, 512, device=device, dtype=dtype)
        left @ left
        began = time.perf_counter()
        for _ in range(8):
            left @ left
        if device == "cuda":
            torch.cuda.synchronize()
        times[dtype] = time.perf_counter() - began
    return f"a 512 x 512 product takes {times[torch.bfloat16] / times[torch.float32]:.2f} of its fp32 time"


def _root(root: str | None) -> str:
    store = Store(root)
    with lease(store.root / "doctor", wait=False) as held:
        locks = "file locks work" if held else "a file lock is held by another doctor"
    free = shutil.disk_usage(store.root).free
    return f"{store.root} can be written, {locks}, {human(free)}B free"


def _slurm() -> Check:
    found = shutil.which("sbatch")
    return Check(
        "Slurm", "ok" if found else "missing", "sbatch is on the path" if found else "no sbatch: local runs only"
    )
