"""Inside a job: every task of Slurm supervises one rank of one run, and starts it as a process of its own.

A supervisor loads no torch and trains nothing, so it sees every end of its rank, a SIGKILL too, and never waits in a
collective when Slurm sends a signal. The supervisor of rank 0 leads: it opens the attempts, gathers how the ranks ended
and decides what comes next (another attempt at once, back to the queue, or the end); the others follow through files.

USR2 (the time limit, a preemption, or a person) and the end of the job's time mean: save, then back to the queue. TERM
means: save and end; where Slurm preempts with it, Slurm itself queues the job again.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from harness.branches import release, steps_to_keep
from harness.launch.attempts import EXECUTION, EXIT, attempt_folders, in_vain, newest_step, read_or_empty
from harness.launch.provenance import provenance
from harness.launch.slurm import client
from harness.launch.slurm.asked import Asked, end_of_job
from harness.launch.slurm.ends import bad, ends_of, record_of, tell
from harness.launch.slurm.submissions import Submission, folder_of, open_submission
from harness.memory import with_huge_pages
from harness.store import Store, lease, now, read_json, write_json
from sweeps.errors import BadInput

_LOOK_SECONDS = 0.2
_GRACE_SECONDS = 20.0
"""How long the other ranks may take to end by themselves after one has failed."""
_LOST_SECONDS = 60.0
"""After that, a rank that has told nothing is taken for lost."""
_KILL_SECONDS = 180.0
"""How long a job that asked to be queued again waits for Slurm to end it."""
NEXT = "next.json"
_DIE_WITH_PARENT = 1  # PR_SET_PDEATHSIG of <sys/prctl.h>


def main(root: str, name: str, index: int) -> None:
    """Entry point of a task of a runs array; every task of Slurm calls it."""
    import submitit

    place = submitit.JobEnvironment()
    store = Store(root)
    one = open_submission(folder_of(store) / name)
    devices, pack = int(one.execution["devices"]), int(one.execution["pack"])
    if place.num_tasks != devices * pack:
        raise RuntimeError(
            f"Slurm started {place.num_tasks} tasks for {devices * pack} ranks: the partition or the site's defaults "
            "change --ntasks-per-node; set it with the site's help"
        )
    number, rank = divmod(place.global_rank, devices)
    if number >= len(one.tasks[index]):  # the last job of a packed array may have room left
        return
    lane = Lane(store, one, index, number, rank, place)
    with contextlib.ExitStack() as stack:
        if not lane.leads:
            lane.follow()
            return
        if lane.hold(stack):
            lane.lead()
        if lane.rest() and pack == 1 and lane.failed:
            sys.exit(1)  # so that Slurm too calls the job failed


class Lane:
    """One rank of one run in this job."""

    def __init__(self, store: Store, one: Submission, index: int, number: int, rank: int, place: Any) -> None:
        self.store, self.one, self.index, self.number, self.rank = store, one, index, number, rank
        self.run = one.tasks[index][number]
        self.folder = store.run(self.run)
        self.job = place.job_id
        self.restart = int(os.environ.get("SLURM_RESTART_COUNT", "0"))
        self.devices, self.nodes = int(one.execution["devices"]), int(one.execution["nodes"])
        self.here = self.devices // self.nodes
        self.address = "127.0.0.1" if self.nodes == 1 else place.hostnames[0]
        self.asked = Asked(end_of_job(self.job, float(one.execution["hours"])) if self.leads else float("inf"))
        self.failed = False
        self.next = "end"

    @property
    def leads(self) -> bool:
        return self.rank == 0

    # The leader.

    def hold(self, stack: contextlib.ExitStack) -> bool:
        """Take the run's lease, waiting for whoever has it; False when there is nothing left to do for this job.

        An attempt may outlive the daemon of its node: Slurm takes the node for lost and starts the job elsewhere.
        """
        while True:
            if self._done():
                return False
            one = lease(self.folder / "run", wait=False)
            if one.__enter__():
                stack.push(one)
                return not self._done()
            one.__exit__(None, None, None)
            if self.asked.wish:
                self.next = self.asked.wish
                return False
            time.sleep(1.0)

    def _done(self) -> bool:
        return set(self.one.evaluate) <= set(read_or_empty(self.folder / "done.json").get("tasks", ()))

    def lead(self) -> None:
        self._close_those_cut_short()
        if self.restart and in_vain(self.folder) >= int(self.one.execution["attempts"]):
            self.failed = True  # it took its node along as often as it may: no further go, no further node
            return
        while True:
            attempt = self._open_attempt()
            self._run_rank(attempt)
            ended = self._conclude(attempt)
            self.next = self._decide(ended)
            self.failed = ended["state"] in ("failed", "killed") and self.next == "end"
            write_json(attempt / NEXT, {"next": self.next, "time": now()})
            release(self.store, self.one.branches)
            if self.next != "again":
                return

    def _close_those_cut_short(self) -> None:
        """Attempts that ended without a record: their node was lost, or Slurm took it away for another job."""
        for path in attempt_folders(self.folder):
            if not (path / EXIT).exists():
                same = read_or_empty(path / EXECUTION).get("job") == self.job
                cause, why = ("node", "Slurm started the job again") if same else ("killed", "its job is gone")
                record = {"state": "killed", "error": f"the attempt ended without a word: {why}", "cause": cause}
                write_json(path / EXIT, record | {"deterministic": False, "time": now()})

    def _open_attempt(self) -> Path:
        settings: dict[str, Any] = {
            "execution": dict(self.one.execution),
            "tasks": list(self.one.evaluate),
            "slots": len(self.one.tasks[self.index]),
            "cluster": "slurm",
            "submission": self.one.name,
            "job": self.job,
            "restart": self.restart,
            "from_step": newest_step(self.folder),
            "address": self.address,
        }
        if self.run in self.one.branches:
            settings["branch"] = self.one.branches[self.run]
        if keep := steps_to_keep(self.store, self.one.branches, self.run):
            settings["keep"] = keep
        facts = provenance(self.store)
        while True:
            folders = attempt_folders(self.folder)
            folder = self.folder / "attempts" / f"{int(folders[-1].name) + 1 if folders else 1:03d}"
            with contextlib.suppress(FileExistsError):
                folder.mkdir(parents=True)
                break
        write_json(folder / EXECUTION, settings | facts)
        return folder

    def _conclude(self, attempt: Path) -> dict[str, Any]:
        """Wait for the other ranks' ends, then say in `exit.json` how the attempt ended, if rank 0 could not."""
        deadline = time.monotonic() + _LOST_SECONDS
        while len(ends := ends_of(attempt)) < self.devices and time.monotonic() < deadline:
            time.sleep(_LOOK_SECONDS)
        said = read_or_empty(attempt / EXIT)
        why_stopped = self._why_stopped() if self.asked.wish else ""
        fell = bad(ends, asked=bool(why_stopped))
        if said.get("state") in ("done", "stopped") and not fell:
            if said["state"] == "stopped":
                said |= {"cause": self._why_stopped()}
                write_json(attempt / EXIT, said)
            return said
        if said.get("state") == "done" and self._done():  # another rank fell on its way out: the run is whole
            return said
        record = record_of(attempt, ends, self.devices, why_stopped)
        write_json(attempt / EXIT, record)
        return record

    def _why_stopped(self) -> str:
        return "time" if self.asked.wish == "requeue" else "cancelled"

    def _decide(self, ended: Mapping[str, Any]) -> str:
        if ended["state"] == "done":
            return "end"
        if ended.get("deterministic"):
            return "end"
        if self.asked.wish == "end":
            # A job that was cancelled is on its way out; one that still runs was told by a preemption's grace time.
            return "requeue" if client.still_runs(self.job) else "end"
        if in_vain(self.folder) >= int(self.one.execution["attempts"]):
            return "end"
        return "requeue" if self.asked.wish == "requeue" else "again"

    def rest(self) -> bool:
        """Say that this lane is at its end. The last of a job that wants it sends the job back to the queue.

        Returns False where Slurm was asked to.
        """
        folder = self.one.folder / "rest" / f"{self.index}-{self.restart}"
        folder.mkdir(parents=True, exist_ok=True)
        write_json(folder / f"{self.number}.json", {"run": self.run, "next": self.next, "time": now()})
        with lease(folder / "last"):
            wishes = [read_json(path)["next"] for path in folder.glob("[0-9]*.json")]
            if len(wishes) < len(self.one.tasks[self.index]) or "requeue" not in wishes:
                return True
            if self.asked.wish == "end" and not client.still_runs(self.job):
                return True  # cancelled while it saved: it shall not come back
            try:
                client.requeue(self.job)
            except client.Refused as refused:
                print(f"not queued again: {refused}; babelscale submit {self.one.study} goes on", flush=True)
                return True
            print(f"job {self.job} is queued again", flush=True)
        time.sleep(_KILL_SECONDS)  # Slurm ends this job meanwhile
        return False

    # Every rank.

    def follow(self) -> None:
        """Take part in each attempt that the leader opens in this job, until it says that there is no next."""
        last = 0
        while True:
            attempt = self._next_attempt(last)
            if attempt is None:
                return
            last = int(attempt.name)
            self._run_rank(attempt)
            while not (attempt / NEXT).exists():
                time.sleep(_LOOK_SECONDS)
            decided = read_json(attempt / NEXT)["next"]
            if decided == "requeue":
                time.sleep(_KILL_SECONDS)
            if decided != "again":
                return

    def _next_attempt(self, last: int) -> Path | None:
        """The next attempt of this job; None when the leader came to rest without one."""
        resting = self.one.folder / "rest" / f"{self.index}-{self.restart}" / f"{self.number}.json"
        mine = (self.job, self.restart)
        while True:
            for path in reversed(attempt_folders(self.folder)):
                if int(path.name) <= last:
                    break
                told = read_or_empty(path / EXECUTION)
                if (told.get("job"), told.get("restart")) == mine:
                    return path
            if resting.exists():
                return None
            time.sleep(_LOOK_SECONDS)

    def _run_rank(self, attempt: Path) -> None:
        """Start this rank, see it end, tell how. Ends it where another rank has failed and it does not notice."""
        local_rank = self.rank % self.here
        log = attempt / f"{self.job}_{self.rank}_log.out"
        numbers = [int(attempt.name), self.rank, self.devices, local_rank]
        with log.open("ab") as stream:
            process = subprocess.Popen(
                [sys.executable, "-m", "harness.launch.job", str(self.store.root), self.run, *map(str, numbers)],
                stdin=subprocess.DEVNULL,
                stdout=stream,
                stderr=stream,
                cwd="/",
                env=self._environment(),
                preexec_fn=_as_child,
            )
            status, put_down = self._see_it_end(process, attempt)
        host = os.environ.get("SLURMD_NODENAME", os.uname().nodename)
        tell(attempt, self.rank, status, host, put_down=put_down)

    def _environment(self) -> dict[str, str]:
        threads = str(self.one.execution["threads"])
        own = with_huge_pages(os.environ) | {"PYTHONSAFEPATH": "1", "OMP_NUM_THREADS": threads}
        # Caches of compiled kernels: a killed compilation on a shared home leaves a lock that hangs every later run.
        scratch = Path(os.environ.get("SLURM_TMPDIR") or os.environ.get("TMPDIR") or "/tmp")
        for name in ("TORCH_EXTENSIONS_DIR", "TRITON_CACHE_DIR", "TORCHINDUCTOR_CACHE_DIR"):
            own.setdefault(name, str(scratch / f"babelscale-{self.job}-{self.number}" / name.lower()))
        visible = [device for device in own.get("CUDA_VISIBLE_DEVICES", "").split(",") if device]
        if visible:
            mine = visible[self.number * self.here : (self.number + 1) * self.here]
            if len(mine) < self.here:
                raise RuntimeError(
                    f"this node gave the job {len(visible)} devices, and run {self.number + 1} of its {self.here} each "
                    "finds none: execution.sbatch.gres asks for fewer than devices x pack"
                )
            own["CUDA_VISIBLE_DEVICES"] = ",".join(mine)
        return own

    def _see_it_end(self, process: subprocess.Popen[bytes], attempt: Path) -> tuple[int, bool]:
        """Its status, and whether it was put down here."""
        asked_at = failed_at = 0.0
        put_down = False
        while (status := process.poll()) is None:
            if self.asked.wish and time.monotonic() - asked_at > 1.0:
                asked_at = time.monotonic()
                process.send_signal(signal.SIGTERM)  # again and again: while it loads, it does not listen yet
            if not failed_at and any(end.status != 0 for end in ends_of(attempt)):
                failed_at = time.monotonic()
            if failed_at and time.monotonic() - failed_at > _GRACE_SECONDS:
                process.kill()  # it waits in a collective for a rank that will never come
                put_down = True
            time.sleep(_LOOK_SECONDS)
        return status, put_down


def _as_child() -> None:
    """In the new process: signals to the job's processes are the supervisor's business, and it dies with that."""
    os.setsid()
    for name in (signal.SIGUSR2, signal.SIGTERM, signal.SIGINT):
        signal.signal(name, signal.SIG_IGN)
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_DIE_WITH_PARENT, signal.SIGKILL)


def prepare(root: str, name: str, index: int) -> None:
    """Entry point of a task of a preparation array: one tokenizer and its shards."""
    from harness.prepare import prepare_shared

    store = Store(root)
    one = open_submission(folder_of(store) / name)
    told = one.folder / f"prepare-{index:05d}.json"
    job = os.environ.get("SLURM_ARRAY_JOB_ID", os.environ.get("SLURM_JOB_ID", ""))
    if "SLURM_ARRAY_TASK_ID" in os.environ:
        job += "_" + os.environ["SLURM_ARRAY_TASK_ID"]
    asked = Asked(end_of_job(job, float(one.execution["prepare"]["hours"])))

    class Leave(Exception):
        pass

    def show(phase: str, done: int, total: int) -> None:
        if asked.wish:
            raise Leave
        write_json(told, {"state": "running", "phase": phase, "done": done, "of": total, "job": job}, durable=False)

    sciences = [read_json(store.run(run) / "run.json")["science"] for run in one.tasks[index]]
    try:
        prepare_shared(store, sciences, workers=int(one.execution["prepare"]["cpus"]), show=show, notice=print)
    except Leave:
        write_json(told, {"state": "stopped", "job": job, "time": now()})
        with contextlib.suppress(client.Refused):
            if asked.wish == "requeue" or client.still_runs(job):
                client.requeue(job)
                time.sleep(_KILL_SECONDS)
        sys.exit(1)  # what waits for it must not begin
    except BadInput as error:
        write_json(told, {"state": "failed", "error": str(error), "job": job, "time": now()})
        print(f"babelscale: {error}", flush=True)
        sys.exit(1)
    except Exception as error:
        said = f"{type(error).__name__}: {error}"
        write_json(told, {"state": "failed", "error": said, "job": job, "time": now()})
        raise
    else:
        write_json(told, {"state": "done", "job": job, "time": now()})
