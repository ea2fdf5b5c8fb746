"""The command line against the cluster, as a user of it would, and what tests look at meanwhile."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cluster import Cluster
from tiny import study_text

from harness.launch.attempts import attempt_folders, read_or_empty
from harness.store import Store, read_json

COMMAND = Path(sys.executable).with_name("babelscale")
TWO_RANKS = "{devices: 2, zero: 1, hours: 0.5, checkpoint_seconds: 1}"


@dataclass
class Site:
    slurm: Cluster
    store: Store
    folder: Path

    def study(self, name: str, **values: Any) -> Path:
        """A study file; `values` as `tiny.study_text` takes them."""
        path = self.folder / f"{name}.yaml"
        path.write_text(study_text(name, **{"execution": TWO_RANKS} | values), encoding="utf-8")
        return path

    def command(self, *arguments: str | Path) -> list[str]:
        return [str(COMMAND), *map(str, arguments)]

    @property
    def environment(self) -> dict[str, str]:
        # The command's folder first: `babelscale` in a README is this one.
        own = self.slurm.environment
        path = f"{COMMAND.parent}:{own['PATH']}"
        return own | {"BABELSCALE_ROOT": str(self.store.root), "COLUMNS": "200", "OMP_NUM_THREADS": "1", "PATH": path}

    def babelscale(
        self, *arguments: str | Path, code: int | None = 0, seconds: float = 120.0, **environment: str
    ) -> subprocess.CompletedProcess[str]:
        """Run a verb; `code`: the exit status it must have, None for any."""
        ended = subprocess.run(
            self.command(*arguments),
            capture_output=True,
            text=True,
            timeout=seconds,
            env=self.environment | environment,
            check=False,
            stdin=subprocess.DEVNULL,
            cwd=self.folder,
        )
        assert code in (None, ended.returncode), ended.stdout + ended.stderr
        return ended

    def answer(self, *arguments: str | Path, code: int | None = 0, **environment: str) -> Any:
        """The JSON that a verb prints."""
        return json.loads(self.babelscale(*arguments, "--json", code=code, **environment).stdout)

    def submit(self, study: Path, *arguments: str) -> Any:
        return self.answer("submit", study, "--cluster", "slurm", *arguments)

    def runs(self, name: str) -> list[str]:
        return list(read_json(self.store.studies / f"{name}.json")["runs"])

    def until(self, what: Callable[[], Any], seconds: float = 240.0, *, hurry: bool = True) -> Any:
        """Wait for it; `hurry` starts jobs that were queued again without their two minutes."""
        deadline = time.monotonic() + seconds
        while not (value := what()):
            assert time.monotonic() < deadline, f"it never came; {self.slurm.jobs()}; {self.last_words()}"
            if hurry:
                self.slurm.start_now()
            time.sleep(0.2)
        return value

    def finish(self, name: str, seconds: float = 240.0) -> None:
        """Wait until every run of a study is done and no job is left."""
        runs = self.runs(name)
        self.until(lambda: all((self.store.run(run) / "done.json").exists() for run in runs), seconds)
        self.until(lambda: not self.slurm.jobs(), 60)

    def attempts(self, run: str) -> list[dict[str, Any]]:
        """How each attempt ended; empty for one that left no word."""
        return [read_or_empty(path / "exit.json") for path in attempt_folders(self.store.run(run))]

    def job_of(self, run: str) -> str:
        """The job of a run's newest attempt."""
        return str(read_json(attempt_folders(self.store.run(run))[-1] / "execution.json")["job"])

    def step(self, run: str) -> int:
        return int(read_or_empty(self.store.run(run) / "heartbeat.json").get("step", 0))

    def last_words(self) -> str:
        """Ends of the logs, for a test that failed."""
        logs = [*self.store.root.glob("slurm/*/logs/*.out"), *self.store.root.glob("runs/*/attempts/*/*.out")]
        newest = sorted(logs, key=lambda path: path.stat().st_mtime)[-6:]
        return "\n".join(f"--- {path.name}\n{path.read_text(errors='replace')[-800:]}" for path in newest)
