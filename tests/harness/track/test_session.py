"""W&B's own process ends when a command does, also where it does not want to."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

STOPPED = """
import os, signal, sys, time
from pathlib import Path
from harness.track.session import leave, quieten
quieten(Path(sys.argv[1]))
import wandb
wandb.setup()
wandb.sdk.wandb_setup.singleton().ensure_service()
(child,) = (int(one) for task in Path("/proc/self/task").iterdir() for one in (task / "children").read_text().split())
if sys.argv[2] == "hangs":
    os.kill(child, signal.SIGSTOP)
began = time.monotonic()
leave(seconds=2)
print(child, time.monotonic() - began)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="children are found in /proc")
@pytest.mark.parametrize("how", ["ends", "hangs"])
def test_a_process_of_wandb_that_does_not_end_is_not_waited_for(how: str, tmp_path: Path) -> None:
    environment = os.environ | {"WANDB_MODE": "offline"}
    command = [sys.executable, "-c", STOPPED, str(tmp_path), how]
    began = time.monotonic()
    told = subprocess.run(command, capture_output=True, text=True, timeout=60, env=environment, check=True)
    child, seconds = told.stdout.split()
    assert not Path(f"/proc/{child}").exists(), "it outlived the command"
    assert (how == "ends" or float(seconds) >= 2) and not told.stderr, (told.stdout, told.stderr)
    assert time.monotonic() - began < 30, "nothing at exit waits for it either"
