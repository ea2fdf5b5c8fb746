"""What state a run is in, from its folder alone."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from harness.launch.observe import observe
from harness.processes import identity, lives
from harness.store import Store

RUN = "k3-a0.3-w16-l1-v300-s0-0123456789"


@pytest.fixture
def store(tmp_path: Path) -> Store:
    store = Store(tmp_path)
    write(store, "run.json", {"axes": {"steps": 10, "flops": 1.0}})
    return store


def write(store: Store, name: str, value: dict[str, Any]) -> None:
    path = store.run(RUN) / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(value), encoding="utf-8")


def beat(pid: int, attempt: int = 1, **over: Any) -> dict[str, Any]:
    who = {"pid": pid, "identity": identity(pid), "host": socket.gethostname(), "time": time.time()}
    return {"phase": "train", "attempt": attempt, "step": 4} | who | over


def test_a_finished_run_waits_again_when_a_study_asks_for_one_more_task(store: Store) -> None:
    write(store, "done.json", {"tasks": ["heldout"]})
    write(store, "attempts/001/exit.json", {"state": "done", "error": ""})
    assert observe(store, RUN, ["heldout"]).state == "done"
    assert observe(store, RUN, ["heldout", "intents"]).state == "waiting"


def test_a_living_process_is_running_even_when_a_newer_attempt_was_turned_away(store: Store) -> None:
    write(store, "heartbeat.json", beat(os.getpid(), attempt=1))
    write(store, "attempts/002/exit.json", {"state": "stopped", "error": "another attempt holds this run"})
    assert observe(store, RUN, ["heldout"]).state == "running"


def test_a_heartbeat_of_a_dead_process_is_a_killed_run(store: Store) -> None:
    ended = subprocess.Popen([sys.executable, "-c", ""])
    row = beat(ended.pid, identity="some-boot:1")
    ended.wait()
    write(store, "heartbeat.json", row)
    (store.run(RUN) / "attempts/001").mkdir(parents=True)
    assert observe(store, RUN, ["heldout"]).state == "killed"


def test_another_process_with_the_same_number_is_not_the_run(store: Store) -> None:
    write(store, "heartbeat.json", beat(os.getpid(), identity="earlier-boot:42"))
    (store.run(RUN) / "attempts/001").mkdir(parents=True)
    assert observe(store, RUN, ["heldout"]).state == "killed"


def test_an_ended_process_that_nobody_collected_does_not_live() -> None:
    child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    known = identity(child.pid)
    assert lives(child.pid, known)
    child.kill()
    while identity(child.pid):
        time.sleep(0.01)  # a zombie until wait() below
    assert not lives(child.pid, known)
    child.communicate()
