"""W&B's own client, held at arm's length: a run is opened, given rows and a summary, and closed. All of W&B is here.

Nothing of this machine goes along: no console, no code, no git, no host, no list of packages, no system metrics. Keys
are W&B's business (its variables, its netrc): they are never read here, and no message repeats one.
"""

from __future__ import annotations

import contextlib
import os
import re
import signal
import threading
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from harness.track.identity import Card
from harness.track.rows import AXES, Row
from harness.track.settings import Tracking

INIT_SECONDS = 20.0
"""How long the server may take to open a run."""
LEAVE_SECONDS = 10.0
"""How long W&B's own process may take to end, once nothing is left to send."""
_BY_STEP = ("speed/*", "events/*", "epochs/*")
_KEY = re.compile(r"[A-Za-z0-9_-]{40,}")
"""What may be a key in a message of W&B."""


class Unavailable(Exception):
    """W&B did not take what was sent. The message is one sentence without secrets."""


class Late(Unavailable):
    """The server did not open the run in time. So it is, too, with the id of a run that was deleted there: the server
    refuses it for days, and the client asks again and again until its time is up."""


def in_one_line(error: BaseException) -> str:
    """What W&B said, short, and without anything that could be a key."""
    text = " ".join(str(error).split()) or type(error).__name__
    return _KEY.sub("...", text)[:200]


def quieten(scratch: Path) -> None:
    """Set this process's variables so that W&B prints nothing, asks nothing, and puts its own files under `scratch`."""
    for name in [name for name, value in os.environ.items() if name.startswith("WANDB_") and not value.strip()]:
        del os.environ[name]  # an empty one is unset to us, and a wrong value to W&B
    os.environ |= {
        "WANDB_SILENT": "true",
        "WANDB_CONSOLE": "off",
        "WANDB_DISABLE_GIT": "true",
        "WANDB_DISABLE_CODE": "true",
        "WANDB_ERROR_REPORTING": "false",
        "WANDB_CACHE_DIR": str(scratch / "cache"),
        "WANDB_DATA_DIR": str(scratch / "data"),
        "WANDB_ARTIFACT_DIR": str(scratch / "artifacts"),
    }


def leave(seconds: float = LEAVE_SECONDS) -> None:
    """End W&B's own process; every run is closed, or given up.

    W&B waits without end for a process that does not go, as after a server that never answered: it is killed then.
    """
    import wandb

    def end() -> None:
        with contextlib.suppress(Exception):  # it is gone already
            wandb.teardown()

    ending = threading.Thread(target=end, daemon=True)
    ending.start()
    ending.join(seconds)
    if ending.is_alive():
        kill_children()
        ending.join(1)


def kill_children() -> None:
    """Kill the processes that this one has started: W&B's own (Linux; elsewhere it goes when this one does)."""
    for path in Path("/proc/self/task").glob("*/children"):
        with contextlib.suppress(OSError):  # a thread that has just ended
            for child in map(int, path.read_text(encoding="utf-8").split()):
                with contextlib.suppress(OSError):
                    os.kill(child, signal.SIGKILL)
                    os.waitpid(child, 0)


class Session:
    """One run of W&B, open for writing."""

    def __init__(self, run: Any) -> None:
        self._run = run
        self.first = int(run.starting_step)
        """Rows of a smaller number are there already."""
        self.url = str(run.url or "")

    @classmethod
    def begin(
        cls, card: Card, wandb_id: str, life: str, tracking: Tracking, folder: Path, *, finish_seconds: float
    ) -> Session:
        """Open, or take up again, the run of this id. `folder` is W&B's own to write in.

        `finish_seconds`: how long closing it may take.

        Raises Unavailable, and of these Late.
        """
        import wandb

        settings = wandb.Settings(
            mode="offline" if tracking.mode == "offline" else "online",
            root_dir=str(folder),
            init_timeout=INIT_SECONDS,
            finish_timeout=finish_seconds,
            finish_timeout_raises=True,
            silent=True,
            console="off",
            disable_git=True,
            disable_code=True,
            save_code=False,
            symlink=False,
            program="babelscale",
            x_disable_meta=True,
            x_disable_machine_info=True,
            x_disable_stats=True,
            x_save_requirements=False,
        )
        try:
            run = wandb.init(
                entity=tracking.entity,
                project=tracking.project,
                id=wandb_id,
                resume="allow",
                name=card.name,
                group=card.group,
                job_type=card.job_type,
                tags=list(card.tags),
                notes=card.notes or None,
                config=card.config | {"life": life},
                allow_val_change=True,
                settings=settings,
            )
        except Exception as error:
            if "init_timeout" in str(error) or "previously created and deleted" in str(error):
                raise Late(in_one_line(error)) from error
            where = f"{tracking.entity}/{tracking.project}"
            raise Unavailable(
                f"{in_one_line(error)} (opening a run in {where}; execution.track, or WANDB_ENTITY and WANDB_PROJECT, "
                "name another place)"
            ) from error
        for axis in AXES:
            run.define_metric(axis, hidden=True)
        run.define_metric("*", step_metric=AXES[0])
        for glob in _BY_STEP:
            run.define_metric(glob, step_metric=AXES[1])
        return cls(run)

    def log(self, rows: Iterable[Row]) -> None:
        """Rows that are not there yet. Returns at once: W&B's own process does the sending."""
        for row in rows:
            if row.number >= self.first:
                self._run.log(row.data, step=row.number, commit=True)
                self.first = row.number + 1

    def summarise(self, values: Mapping[str, Any]) -> None:
        self._run.summary.update(dict(values))

    def add_files(self, name: str, kind: str, files: Mapping[str, Path], metadata: Mapping[str, Any]) -> None:
        """Log an artefact; equal bytes are no new version."""
        import wandb

        artefact = wandb.Artifact(name, type=kind, metadata=dict(metadata))
        for inside, path in files.items():
            artefact.add_file(str(path), name=inside)
        self._run.log_artifact(artefact)

    def close(self, state: str) -> None:
        """Send the rest and close, as done, stopped or failed. Raises Unavailable where not all could be sent."""
        try:
            if state == "stopped":
                self._run.mark_preempting()
            self._run.finish(exit_code=0 if state == "done" else 1)
        except Exception as error:
            raise Unavailable(in_one_line(error)) from error
