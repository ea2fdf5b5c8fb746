"""The demo's whole path, killed again and again, ends with the records of one that was left alone."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from harness.corpus.artefact import Corpus
from harness.store import Store
from sweeps.corpora import DEMO, DEMO_BYTES

COMMAND = Path(sys.executable).with_name("babelscale")
KILLS = 4
SMOKE = ("demo", "--profile", "smoke")

pytestmark = pytest.mark.slow


def start(root: Path) -> subprocess.Popen[bytes]:
    return subprocess.Popen([str(COMMAND), *SMOKE, "--root", str(root)], stdout=subprocess.DEVNULL)


def to_the_end(root: Path) -> None:
    assert start(root).wait(900) == 0


def working_under(root: Path) -> list[int]:
    """Processes whose command line names `root`: the demo, its queue, the jobs and their ranks."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            words = (folder / "cmdline").read_bytes().decode(errors="replace").split("\0")
        except OSError:
            continue
        if int(folder.name) != os.getpid() and any(word.startswith(str(root)) for word in words):
            found.append(int(folder.name))
    return found


def kill_everything(root: Path) -> int:
    """SIGKILL, until nothing is left that could start anything."""
    killed = 0
    while pids := working_under(root):
        for pid in pids:
            try:
                os.kill(pid, signal.SIGKILL)
                killed += 1
            except ProcessLookupError:
                pass
        time.sleep(0.1)
    return killed


def measured(root: Path) -> dict[str, list[dict[str, Any]]]:
    return {
        run.name: [json.loads(line) for line in (run / "records.jsonl").read_text(encoding="utf-8").splitlines()]
        for run in sorted((root / "runs").iterdir())
        if run.is_dir()
    }


def test_a_demo_killed_at_random_moments_ends_with_identical_records(tmp_path: Path) -> None:
    alone, disturbed = tmp_path / "alone", tmp_path / "disturbed"
    began = time.monotonic()
    to_the_end(alone)
    whole = time.monotonic() - began

    moments = random.Random(20).sample(range(10, 95), KILLS)
    for moment in sorted(moments):
        process = start(disturbed)
        time.sleep(whole * moment / 100 / 2)
        killed = kill_everything(disturbed)
        process.wait()
        print(f"after {whole * moment / 200:.1f} s: {killed} processes killed")
    to_the_end(disturbed)

    corpus = Corpus.open(Store(alone), DEMO)
    assert corpus is not None
    assert {code: corpus.train_bytes(code) for code in corpus.languages} == DEMO_BYTES, "what plans reckon with"
    expected, found = measured(alone), measured(disturbed)
    assert len(expected) == 2 and all(expected.values())
    assert found == expected
    assert not working_under(disturbed), "something was left running"
    assert not [path for path in disturbed.rglob("*.tmp") if path.is_dir()], "a half-made artefact was left behind"
