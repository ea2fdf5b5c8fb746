"""Bringing text in, killed again and again, ends with the bytes of an add that was left alone; and in little memory."""

from __future__ import annotations

import contextlib
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from synthetic_cc100 import write_tree

COMMAND = Path(sys.executable).with_name("babelscale")
KILLS = 20
MOST_MEMORY = 400 << 20
"""Of the whole process tree, with two workers."""

pytestmark = pytest.mark.slow


def start(source: Path, root: Path) -> subprocess.Popen[bytes]:
    """The command, in a session of its own, so that everything it starts can be found by it."""
    words = ["corpus", "add", "mine", str(source), "--root", str(root), "--workers", "2", "--skip-small"]
    return subprocess.Popen([str(COMMAND), *words], stdout=subprocess.DEVNULL, start_new_session=True)


def of_session(session: int) -> list[int]:
    """Living processes of a session."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            fields = (folder / "stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()
        except OSError:
            continue
        if int(fields[3]) == session and fields[0] not in "ZX":
            found.append(int(folder.name))
    return found


def contents(root: Path) -> dict[str, bytes]:
    """Every file under the corpora but the locks."""
    files = (path for path in (root / "corpora").rglob("*") if path.is_file() and path.suffix != ".lock")
    return {str(path.relative_to(root)): path.read_bytes() for path in files}


def test_an_add_killed_at_random_moments_ends_with_identical_bytes(tmp_path: Path) -> None:
    source = tmp_path / "texts"
    write_tree(source, 24_000_000)
    began = time.monotonic()
    assert start(source, tmp_path / "alone").wait(600) == 0
    whole = time.monotonic() - began
    expected = contents(tmp_path / "alone")
    assert sum(name.endswith(".txt") for name in expected) >= 100

    draw = random.Random(3)
    hit = 0
    for number in range(2 * KILLS):
        if hit == KILLS:
            break
        root = tmp_path / f"killed{number}"
        process = start(source, root)
        time.sleep(whole * draw.uniform(0.05, 0.95))
        if process.poll() is not None:
            whole *= 0.8  # the machine was slower when it was timed
            continue
        hit += 1
        if number % 2:
            with contextlib.suppress(ProcessLookupError):  # it has just ended
                os.killpg(process.pid, signal.SIGKILL)  # all of them at once, as a machine that goes down
        else:
            process.kill()  # the parent alone: its workers must not live on
        process.wait()
        give_up = time.monotonic() + 30
        while of_session(process.pid):
            assert time.monotonic() < give_up, "a worker outlived the command"
            time.sleep(0.02)
        assert start(source, root).wait(600) == 0
        assert contents(root) == expected
    assert hit == KILLS, "too few of the kills met a living process"


def memory(session: int) -> int:
    """Bytes that the processes of a session hold, pages that they share counted once."""
    total = 0
    for pid in of_session(session):
        try:
            text = Path(f"/proc/{pid}/smaps_rollup").read_text(encoding="utf-8")
        except OSError:
            continue
        total += sum(int(line.split()[1]) << 10 for line in text.splitlines() if line.startswith("Pss:"))
    return total


def test_memory_stays_bounded_on_an_input_several_times_larger(tmp_path: Path) -> None:
    source = tmp_path / "texts"
    assert sum(write_tree(source, 5 * MOST_MEMORY // 2).values()) > 2 * MOST_MEMORY
    process = start(source, tmp_path / "root")
    peak = 0
    while process.poll() is None:
        peak = max(peak, memory(process.pid))
        time.sleep(0.05)
    assert process.returncode == 0
    print(f"peak memory of the process tree: {peak / 2**20:.0f} MiB")
    assert 0 < peak < MOST_MEMORY
