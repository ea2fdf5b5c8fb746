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
from functools import partial

from rich.table import Table

from harness.launch.queue import visible_gpus
from harness.launch.slurm.client import Refused
from harness.launch.slurm.site import Partition, probe
from harness.store import Store, lease
from harness.verbs.setting import settings_of, with_values
from harness.verbs.show import console, human, stderr
from sweeps.errors import BadInput
from sweeps.execution import ExecutionBlock


@dataclass(frozen=True)
class Check:
    what: str
    state: str
    """ok, missing or bad."""
    detail: str


def doctor(options: Namespace) -> int:
    checks = [_python(), _machine(), _gpus(), *map(_package, ("torch", "deepspeed", "sentencepiece", "submitit"))]
    checks += [_tried("bf16 on this device", _bf16), _tried("root", lambda: _root(options.root))]
    checks += _slurm(wanted=options.cluster == "slurm")
    if options.cluster == "slurm" and not any(check.state == "bad" for check in checks):
        checks += _job(options)
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


def _slurm(*, wanted: bool) -> list[Check]:
    if not shutil.which("sbatch"):
        return [Check("Slurm", "bad" if wanted else "missing", "no sbatch on the path: local runs only")]
    try:
        site = probe()
    except Refused as refused:
        return [Check("Slurm", "bad" if wanted else "missing", f"it gives no answer: {refused}")]
    requeue = "jobs may be queued again" if site.requeues else "jobs are not queued again unless they ask for it"
    checks = [Check("Slurm", "ok", f"{site.version}; arrays of up to {site.array_tasks} tasks; {requeue}")]
    if site.accounting:
        checks.append(Check("accounting", "ok", "why asks it about jobs that left no word"))
    else:
        checks.append(Check("accounting", "missing", "none: status works without; why knows less of lost nodes"))
    return checks + [_partition(one) for one in site.partitions.values()]


def _partition(one: Partition) -> Check:
    limit = "no time limit" if one.minutes == float("inf") else f"up to {one.minutes / 60:.3g} h"
    kinds = "; ".join(
        f"{kind.nodes} nodes of {kind.cpus} CPUs, {kind.memory_gb:.3g} GB"
        + (f", {kind.gpus} GPUs" if kind.gpus else "")
        for kind in one.kinds
    )
    name = f"partition {one.name}" + (" (default)" if one.default else "")
    return Check(name, "ok" if one.up else "missing", f"{limit}; {kinds}" + ("" if one.up else "; it is down"))


def _job(options: Namespace) -> list[Check]:
    """A small job, sent as runs are: with the same flags."""
    from harness.launch.slurm.submit import of_trial
    from harness.launch.slurm.trial import trial

    own = ExecutionBlock(hours=0.25).model_dump(exclude={"rules"})
    execution = with_values(own, settings_of(options))
    tell = partial(stderr.print, highlight=False)
    try:
        found = trial(Store(options.root), of_trial(execution), tell)
        return [Check(what, "ok" if well else "bad", detail) for what, well, detail in found]
    except Refused as refused:
        return [Check("a job", "bad", f"refused: {refused}")]
