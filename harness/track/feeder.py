"""The process beside training that shows a run in W&B. It reads the run's files, so training never waits for it.

`python -m harness.track.feeder ROOT RUN ATTEMPT`, started by rank 0 (`harness.track.beside`) with a pipe as standard
input. A line on it says how the attempt ended: the rest is sent, and this process ends. The pipe's end without a line
means that training was killed: it ends at once. A W&B that does not answer is told of once, and tried again in a fresh
process image (the client keeps no sound state after a failure), until training ends.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import shutil
import signal
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

from harness.launch.attempts import EXECUTION
from harness.store import Store, lease, read_json
from harness.track.identity import Identity, wandb_id
from harness.track.offline import begin, commit
from harness.track.record import Source
from harness.track.rows import Metrics, Row, evaluation_rows
from harness.track.session import Session, Unavailable, in_one_line, kill_children, leave, quieten
from harness.track.settings import OFF, Tracking, seconds_left, tracking_of
from harness.track.studies import frozen_studies
from sweeps.errors import BadInput

LOOK_SECONDS = 2.0
AGAIN_SECONDS = (60.0, 120.0, 300.0)
"""Waits between tries; the last one stays. A try costs most of a second of CPU, that of loading W&B."""
FINISH_SECONDS = 20.0
APART_SECONDS, MOST_APART_SECONDS = 0.1, 60.0
"""Between the first tries of two runs of a study: an array that starts at once must not come to the server at once."""
_NICE = 10
_DIE_WITH_PARENT = 1  # PR_SET_PDEATHSIG of <sys/prctl.h>
_TRY = "BABELSCALE_TRACK_TRY"


class Ending(threading.Thread):
    """Standard input: open while training goes on, then a word on how it ended.

    Watched by a thread, for W&B's client may be waiting for a server when it comes: this process ends at once when
    training was killed, and in `seconds_left` of the word in any case, with `late` called before.
    """

    def __init__(self, clean: Callable[[], None], late: Callable[[], None]) -> None:
        super().__init__(daemon=True)
        self.state = ""
        self._clean, self._late, self._came = clean, late, threading.Event()
        self.start()

    def run(self) -> None:
        word = os.read(0, 100).decode(errors="replace").strip()
        if word:
            self.state = word
            self._came.set()
            time.sleep(seconds_left(word))
            self._late()
        self._clean()
        os._exit(1 if word else 0)

    def wait(self, seconds: float) -> bool:
        """Whether the attempt has ended, after at most `seconds`."""
        return self._came.wait(seconds)


class Feeder:
    """One attempt's feeding."""

    def __init__(self, store: Store, run: str, tracking: Tracking, ending: Ending, say: Callable[[str], None]) -> None:
        self.source = Source.of(store, run, frozen_studies(store))
        self.folder, self.tracking, self.ending, self.say = store.run(run), tracking, ending, say

    def feed(self) -> None:
        """Until the attempt ends. Raises Unavailable."""
        card, identity = self.source.card, Identity.of(self.folder)
        if self.tracking.mode == "offline":
            name = wandb_id(card.study, card.run, identity.generation)
            part = begin(self.folder, self.say)
            session = Session.begin(card, name, identity.life, self.tracking, part, finish_seconds=FINISH_SECONDS)
            written = self._tail(session)
            leave()
            commit(self.folder)
            identity.keep(offline=written)
            return
        from harness.track.server import Server, open_online, settle

        with tempfile.TemporaryDirectory(prefix="babelscale-wandb-", ignore_cleanup_errors=True) as scratch:
            server = Server(self.tracking)
            identity, _ = settle(server, card, identity, self.say)
            session = open_online(server, card, identity, Path(scratch), self.say, finish_seconds=FINISH_SECONDS)
            if session.url and not _tries():
                self.say(f"W&B: {session.url}")
            self._tail(session)
            leave()

    def _tail(self, session: Session) -> str:
        """Feed the session until the attempt ends; the digest of all that it has then."""
        metrics = Metrics(self.folder)
        while True:
            ended = self.ending.wait(LOOK_SECONDS)
            # Scores are read before the steps that came before them, so that these are sent first.
            scored = evaluation_rows(self.folder, self.source.groups, self.source.steps, 0)
            session.log(metrics.more())
            session.log(Row(row.number, row.data | {"tokens": metrics.tokens}) for row in scored)
            if ended:
                break
        record = self.source.record()
        session.log(record.rows)
        session.summarise(record.summary)
        session.close(record.state if record.state == "done" else self.ending.state)
        return record.digest


def seconds_apart(store: Store, run: str) -> float:
    """How long a run's feeder waits before it first goes to the server, by the run's place in its studies."""
    places = [study["runs"].index(run) for study in frozen_studies(store) if run in study["runs"]]
    return min(MOST_APART_SECONDS, APART_SECONDS * max(places, default=0))


def _tries() -> int:
    return int(os.environ.get(_TRY, "0"))


def _again() -> NoReturn:
    """A fresh image of this process, with the same pipe."""
    os.environ[_TRY] = str(_tries() + 1)
    os.execv(sys.executable, [sys.executable, "-m", "harness.track.feeder", *sys.argv[1:]])


def _die_with_parent() -> None:
    """Where the pipe's end is not enough: a process that training forked may hold it open."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_DIE_WITH_PARENT, signal.SIGUSR1)


class Log:
    """Lines for the attempt's log; all else that is printed here (W&B's own) goes nowhere."""

    def __init__(self) -> None:
        self._log = os.dup(1)
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, 1)
        os.dup2(nowhere, 2)

    def __call__(self, text: str) -> None:
        with contextlib.suppress(OSError):
            os.write(self._log, f"{text}\n".encode())

    def hand_on(self) -> None:
        """Standard output as it was, for a fresh image of this process."""
        os.dup2(self._log, 1)


class Warned:
    """What is wrong, told once for all the images of this process."""

    def __init__(self, say: Log) -> None:
        self._say, self._told = say, _tries() > 0

    def __call__(self, problem: str) -> None:
        if not self._told:
            self._say(f"W&B: {problem}; training goes on, and `babelscale track sync` sends later what is missing")
        self._told = True


def main(arguments: list[str]) -> int:
    root, run, attempt = arguments
    _die_with_parent()
    for name in (signal.SIGTERM, signal.SIGINT, signal.SIGUSR2):  # meant for training, which then says how it ended
        signal.signal(name, signal.SIG_IGN)
    if not _tries():
        os.nice(_NICE)
    say = Log()
    warn = Warned(say)
    scratch = Path(tempfile.mkdtemp(prefix="babelscale-wandb-"))
    quieten(scratch)
    os.environ["TMPDIR"] = str(scratch)
    tempfile.tempdir = None  # all that is written from here on goes with `scratch`

    def clean() -> None:
        shutil.rmtree(scratch, ignore_errors=True)

    def abandon() -> None:
        kill_children()
        clean()

    def orphaned(*_: Any) -> None:
        abandon()
        os._exit(0)

    signal.signal(signal.SIGUSR1, orphaned)
    ending = Ending(abandon, lambda: warn("not all was sent in time"))
    try:
        store = Store(root, create=False)
        settings: dict[str, Any] = read_json(store.run(run) / "attempts" / f"{int(attempt):03d}" / EXECUTION)
        tracking = tracking_of(settings["execution"])
        if not tracking.on:
            say(OFF)
            return 0
        if tracking.mode == "online":
            ending.wait(seconds_apart(store, run))
        _feed(store, run, tracking, ending, say)
        return 0
    except (BadInput, Unavailable) as error:
        warn(str(error))
    except Exception as error:  # nothing that goes wrong here is training's business
        warn(f"{type(error).__name__}: {in_one_line(error)}")
    finally:
        clean()
    kill_children()  # they would outlive this image
    say.hand_on()
    if ending.wait(AGAIN_SECONDS[min(_tries(), len(AGAIN_SECONDS) - 1)]):
        return 1
    _again()


def _feed(store: Store, run: str, tracking: Tracking, ending: Ending, say: Log) -> None:
    """Feed as soon as nobody else does: a feeder whose training was killed a moment ago may still be there."""
    while True:
        with lease(store.run(run) / "track", wait=False) as mine:
            if mine:
                Feeder(store, run, tracking, ending, say).feed()
                return
        if ending.wait(LOOK_SECONDS):
            return


if __name__ == "__main__":
    status = main(sys.argv[1:])
    os._exit(status)  # W&B's hooks at exit would wait for a server that does not answer
