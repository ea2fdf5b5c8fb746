"""The local queue: a detached process that takes a study's runs through Submitit's local executor, a few at once.

Started by `start` (detached, so the prompt comes back), it prepares what the runs share (tokenizers, shards), then
keeps `slots` runs going until none is left that may still succeed. It holds a lease on its study, so a second one ends
at once; `ask` tells the one that runs that the study was submitted anew. SIGTERM asks it to stop: the runs save and
end, then so does it. Killed, it loses nothing: runs go on, and the next queue takes up what is left.
"""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness.branches import has_begun, is_kept, release, steps_to_keep
from harness.launch.attempts import attempt_folders
from harness.launch.freeze import execution_of_run, frozen_study
from harness.launch.observe import KILLED, observe
from harness.launch.provenance import provenance
from harness.memory import with_huge_pages
from harness.processes import identity, lives
from harness.store import Store, lease, now, read_json, write_json
from sweeps.errors import BadInput

POLL_SECONDS = 0.5
_HEARD_SECONDS = 5.0
"""Within which a queue that ends has ended, or one that goes on has heard; a longer one is at its preparation."""


class _AskedToStop(Exception):
    """Leaves the preparation, which the next queue takes up where it stopped."""


@dataclass(frozen=True)
class Active:
    run: str
    job: Any
    slot: int
    folder: Path


def queue_path(store: Store, study: str) -> Path:
    return store.studies / f"{study}.queue.json"


def queue_state(store: Store, study: str) -> dict[str, Any]:
    """What the study's queue says of itself; `alive` tells whether its process is there."""
    try:
        state: dict[str, Any] = read_json(queue_path(store, study))
    except (FileNotFoundError, ValueError):
        return {"alive": False, "phase": "none"}
    same_host = state.get("host") == socket.gethostname()
    state["alive"] = state["phase"] != "ended" and same_host and lives(int(state["pid"]), state.get("identity", ""))
    return state


def start(store: Store, study: str, slots: int | None, only: list[str]) -> int:
    """Start the queue detached; returns its process id."""
    _asked_path(store, study).unlink(missing_ok=True)  # of a queue that was killed before it heard
    log = store.studies / f"{study}.queue.log"
    command = [sys.executable, "-m", "harness.launch.queue", str(store.root), study, str(slots or 0), *only]
    with log.open("ab") as stream:
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=stream,
            stderr=stream,
            start_new_session=True,
            cwd="/",
            # Neither the queue nor its jobs may import a folder that happens to be called models.
            env=with_huge_pages(os.environ) | {"PYTHONSAFEPATH": "1"},
        )
    who = {"pid": process.pid, "identity": identity(process.pid), "host": socket.gethostname()}
    write_json(queue_path(store, study), who | {"phase": "starting"})
    return process.pid


def _asked_path(store: Store, study: str) -> Path:
    return store.studies / f"{study}.queue.asked"


def ask(store: Store, study: str, slots: int | None, only: list[str]) -> None:
    """Have the queue that runs take the study's runs as they are frozen now; where it has just ended, start one."""
    path = _asked_path(store, study)
    write_json(path, {"only": only})
    deadline = time.monotonic() + _HEARD_SECONDS
    while path.exists() and time.monotonic() < deadline:
        if not queue_state(store, study)["alive"]:
            start(store, study, slots, only)
            return
        time.sleep(POLL_SECONDS / 5)


def stop(store: Store, study: str, *, wait_seconds: float = 60.0) -> bool:
    """Ask the queue and its runs to save and end; True when they did within the time."""
    deadline = time.monotonic() + wait_seconds
    while (state := queue_state(store, study))["alive"] and time.monotonic() < deadline:
        with contextlib.suppress(ProcessLookupError):
            os.kill(int(state["pid"]), signal.SIGTERM)
        time.sleep(POLL_SECONDS)
    return not queue_state(store, study)["alive"]


def default_slots(study: Mapping[str, Any]) -> int:
    """Runs that this machine holds at once, whichever they are: by GPUs where there are any, else by cores."""
    each = [study["execution"], *study.get("executions", {}).values()]
    each += [execution_of_run(study, run) for run in study.get("overrides", {})]
    gpus = visible_gpus()
    if gpus:
        return max(1, len(gpus) // max(int(execution["devices"]) for execution in each))
    cores = max(int(execution["devices"]) * int(execution["threads"]) for execution in each)
    return max(1, (os.cpu_count() or 1) // cores)


def visible_gpus() -> list[int]:
    """NVIDIA devices of this machine, without loading torch."""
    return sorted(int(path.name.removeprefix("nvidia")) for path in Path("/dev").glob("nvidia[0-9]*"))


class Queue:
    """One study's queue. `only` restricts it to some runs."""

    def __init__(self, store: Store, study: dict[str, Any], slots: int, only: list[str]) -> None:
        self.store, self.study, self.slots = store, study, slots
        self.execution: dict[str, Any] = study["execution"]
        self.branches: dict[str, Any] = study.get("branches", {})
        wanted = [run for run in study["runs"] if not only or run in only]
        # Long runs first: the slots then end together.
        self.todo: list[str] = sorted(wanted, key=self._cost, reverse=True)
        self.active: list[Active] = []
        self.tries: dict[str, int] = {}
        self.stopping = False
        self.identity = identity(os.getpid())
        self.widest = self._widest()

    def _widest(self) -> int:
        """Devices of the run that takes most: those of a slot."""
        return max(int(execution_of_run(self.study, run)["devices"]) for run in self.study["runs"])

    def renewed(self) -> bool:
        """Whether the study was submitted anew: what it wants now is to do then, and what is under way goes on."""
        path = _asked_path(self.store, self.study["name"])
        if self.stopping or not path.exists():
            return False
        only = read_json(path)["only"]
        path.unlink()
        self.study = frozen_study(self.store, self.study["name"])
        self.execution, self.branches = self.study["execution"], self.study.get("branches", {})
        going = {entry.run for entry in self.active}
        wanted = {run for run in self.study["runs"] if not only or run in only or run in self.todo} - going
        self.todo = sorted(wanted, key=self._cost, reverse=True)
        if visible_gpus():
            self.widest = max(self.widest, self._widest())  # a slot keeps the devices that it has
            self.slots = min(self.slots, max(1, len(visible_gpus()) // self.widest))
        return True

    def _cost(self, run: str) -> float:
        return float(read_json(self.store.run(run) / "run.json")["axes"]["flops"])

    def say(self, phase: str, **values: Any) -> None:
        who = {"pid": os.getpid(), "identity": self.identity, "host": socket.gethostname()}
        state = who | {"phase": phase, "slots": self.slots, "time": now()}
        write_json(queue_path(self.store, self.study["name"]), state | values, durable=False)

    def prepare(self) -> None:
        """Tokenizers and shards of all runs, once each, so that no two runs wait for each other."""
        from harness.prepare import prepare_shared

        left = [run for run in self.todo if observe(self.store, run, self.study["evaluate"]).state != "done"]
        sciences = [read_json(self.store.run(run) / "run.json")["science"] for run in left]
        told = ("", 0.0)

        def show(phase: str, done: int, total: int) -> None:
            nonlocal told
            if self.stopping:
                raise _AskedToStop
            if phase != told[0] or time.monotonic() - told[1] >= POLL_SECONDS:
                told = (phase, time.monotonic())
                self.say(phase, done=done, of=total)

        workers = min(self.slots * int(self.execution["threads"]), os.cpu_count() or 1)
        with contextlib.suppress(_AskedToStop):
            prepare_shared(
                self.store, sciences, workers=workers, show=show, notice=lambda text: print(text, flush=True)
            )

    def step(self) -> bool:
        """Take what has ended, start what there is room for; False when nothing is left to do."""
        for entry in list(self.active):
            if entry.job.done():
                self.active.remove(entry)
                self._close(entry)
                release(self.store, self.branches)
        if self.renewed():
            self.prepare()
        while not self.stopping and len(self.active) < self.slots and (run := self._next()) is not None:
            self._launch(run)
        self.say("stopping" if self.stopping else "running", active=[entry.run for entry in self.active])
        return bool(self.active)

    def _next(self) -> str | None:
        for run in list(self.todo):
            seen = observe(self.store, run, self.study["evaluate"])
            if seen.state == "done":
                self.todo.remove(run)
            elif seen.state != "running" and not self._held(run):
                self.todo.remove(run)
                return run
        return None

    def _held(self, run: str) -> bool:
        """Whether a run waits for its trunk: one of ours that is still to come to the step where it branches off."""
        branch = self.branches.get(run)
        if branch is None or has_begun(self.store.run(run)):
            return False
        trunk, step = branch["trunk"], int(branch["step"])
        ours = trunk in self.todo or any(entry.run == trunk for entry in self.active)
        if not ours or is_kept(self.store.run(trunk), step):
            return False
        return observe(self.store, trunk, self.study["evaluate"]).step <= step

    def _launch(self, run: str) -> None:
        import submitit

        folder = self.store.run(run)
        attempt = len(attempt_folders(folder)) + 1
        attempt_folder = folder / "attempts" / f"{attempt:03d}"
        try:
            attempt_folder.mkdir(parents=True)
        except FileExistsError:  # a queue of another study that holds this run was quicker: look again later
            self.todo.append(run)
            return
        taken = {entry.slot for entry in self.active}
        slot = next(number for number in range(self.slots) if number not in taken)
        execution = execution_of_run(self.study, run)
        settings: dict[str, Any] = {
            "execution": execution,
            "tasks": self.study["evaluate"],
            "slot": slot,
            "slots": self.slots,
            "cluster": "local",
        }
        if run in self.branches:
            settings["branch"] = self.branches[run]
        if keep := steps_to_keep(self.store, self.branches, run):
            settings["keep"] = keep
        write_json(attempt_folder / "execution.json", settings | provenance(self.store))
        executor = submitit.LocalExecutor(folder=attempt_folder)
        devices = int(execution["devices"])
        first = slot * self.widest
        gpus = visible_gpus()[first : first + devices]
        executor.update_parameters(
            timeout_min=max(1, round(float(execution["hours"]) * 60)),
            tasks_per_node=devices,
            gpus_per_node=len(gpus),
            visible_gpus=gpus,
            stderr_to_stdout=True,
        )
        from harness.launch.job import main

        job = executor.submit(main, str(self.store.root), run, attempt)
        self.active.append(Active(run, job, slot, attempt_folder))

    def _close(self, entry: Active) -> None:
        """Write the exit record that a killed attempt could not, and decide on another go."""
        path = entry.folder / "exit.json"
        if not path.exists() and observe(self.store, entry.run, self.study["evaluate"]).state == "running":
            self.todo.append(entry.run)  # its controller was killed, the run itself goes on: look again later
            return
        if not path.exists():
            state = {"state": "killed", "error": KILLED, "deterministic": False, "cause": "killed"}
            write_json(path, state | {"time": now()})
        ended = read_json(path)
        self.tries[entry.run] = self.tries.get(entry.run, 0) + 1
        again = ended["state"] in ("failed", "killed", "stopped") and not ended["deterministic"]
        if again and not self.stopping and self.tries[entry.run] < int(self.execution["attempts"]):
            self.todo.append(entry.run)

    def wait_for_strangers(self) -> None:
        """Runs of an earlier queue that was killed go on by themselves; stay until they end, then finish them."""
        asked = _asked_path(self.store, self.study["name"])
        while not (self.stopping or asked.exists()) and any(
            observe(self.store, run, self.study["evaluate"]).state == "running" for run in self.todo
        ):
            self.say("running", active=[])
            time.sleep(POLL_SECONDS)

    def ask_to_stop(self, *_: object) -> None:
        self.stopping = True
        for entry in self.active:
            with contextlib.suppress(ProcessLookupError):
                os.kill(int(entry.job.job_id), signal.SIGTERM)

    def run(self) -> None:
        signal.signal(signal.SIGTERM, self.ask_to_stop)
        signal.signal(signal.SIGINT, self.ask_to_stop)
        self.prepare()
        while True:
            while self.step():
                time.sleep(POLL_SECONDS)
            if self.renewed():
                self.prepare()
            elif self.stopping or not self.todo:
                return
            else:
                self.wait_for_strangers()


def main(arguments: list[str]) -> None:
    root, name, slots, *only = arguments
    os.environ.setdefault("OMP_NUM_THREADS", "1")  # of this process; each run sets its own
    store = Store(root)
    with lease(store.studies / f"{name}.queue", wait=False) as held:
        if not held:
            return
        study = frozen_study(store, name)
        queue = Queue(store, study, int(slots) or default_slots(study), only)
        _guarded(queue, queue.run)


def _guarded(queue: Queue, work: Callable[[], None]) -> None:
    """Whatever ends the queue, its state says so, with the reason."""
    error = ""
    try:
        work()
    except BadInput as problem:
        error = str(problem)
    except Exception as problem:
        error = f"{type(problem).__name__}: {problem}"
        raise
    finally:
        queue.say("ended", error=error)


if __name__ == "__main__":
    main(sys.argv[1:])
