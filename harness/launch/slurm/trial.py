"""A job that does nothing but show what jobs may rely on here: Python, files between machines, locks, signals."""

from __future__ import annotations

import contextlib
import io
import os
import shutil
import signal
import socket
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from harness.launch.slurm import client
from harness.store import Store, lease, read_json, write_json

SECONDS = 180.0
"""How long the job may take to begin, and then to answer."""
_LOOK_SECONDS = 0.5


def answer(folder: str) -> None:
    """What the job does, on its node."""
    here, got = Path(folder), []
    signal.signal(signal.SIGUSR2, lambda *_: got.append(time.time()))
    with lease(here / "held", wait=False) as mine:
        told = {"host": socket.gethostname(), "locks": not mine, "devices": os.environ.get("CUDA_VISIBLE_DEVICES", "")}
    from harness.train.ranks import set_environment  # what a rank loads first

    write_json(here / "begun.json", told | {"loads": set_environment.__module__})
    deadline = time.monotonic() + SECONDS
    while not got and time.monotonic() < deadline:
        time.sleep(_LOOK_SECONDS)
    write_json(here / "ended.json", {"signal": bool(got)})


def trial(store: Store, parameters: Mapping[str, Any], tell: Callable[[str], None]) -> Iterator[tuple[str, bool, str]]:
    """What was tried, whether it is well, and in which words. Raises Refused where the job is not taken."""
    import submitit

    folder = store.root / "slurm" / f"trial-{uuid.uuid4().hex[:8]}"
    folder.mkdir(parents=True)
    executor = submitit.SlurmExecutor(folder)
    executor.update_parameters(job_name="bs-doctor", stderr_to_stdout=True, **parameters)
    try:
        with lease(folder / "held"):
            with contextlib.redirect_stderr(io.StringIO()):  # Submitit prints what it then raises
                job = executor.submit(answer, str(folder))
            tell(f"job {job.job_id} was sent; waiting for it to begin")
            begun = _awaited(folder / "begun.json", str(job.job_id))
            if begun is None:
                yield "a job", False, f"job {job.job_id} told nothing within {SECONDS:.0f} s: {_said(folder)}"
                return
            devices = f", devices {begun['devices']}" if begun["devices"] else ""
            yield "a job", True, f"ran on {begun['host']}{devices} and its files are seen here"
            locks = "a lock held here is seen there"
            yield "locks between machines", begun["locks"], locks if begun["locks"] else f"it is not so: {locks}"
            client.call("scancel", "--signal=USR2", str(job.job_id))
            ended = _awaited(folder / "ended.json", str(job.job_id))
            heard = bool(ended and ended["signal"])
            yield (
                "signals",
                heard,
                "USR2 reaches a job's processes" if heard else "USR2 did not reach the job's process",
            )
    except submitit.core.utils.FailedJobError as error:
        raise client.Refused(" ".join(str(error).splitlines()[-1].split())) from error
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _awaited(path: Path, job: str) -> dict[str, Any] | None:
    deadline = time.monotonic() + SECONDS
    while time.monotonic() < deadline:
        with contextlib.suppress(OSError, ValueError):
            told: dict[str, Any] = read_json(path)
            return told
        time.sleep(_LOOK_SECONDS)
    with contextlib.suppress(client.Refused):
        client.cancel([job])
    return None


def _said(folder: Path) -> str:
    lines = [
        line
        for log in folder.glob("*.out")
        for line in log.read_text(encoding="utf-8", errors="replace").splitlines()
        if line
    ]
    return lines[-1] if lines else "it never began; squeue tells why"
