"""`babelscale track sync`: make W&B whole from the runs' files. What it has already is not sent again."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from harness.launch.attempts import read_or_empty
from harness.store import Store, lease
from harness.track.files import described
from harness.track.identity import FILE, Identity, wandb_id
from harness.track.offline import FOLDER, begin, commit
from harness.track.record import DIGEST, Record, Source
from harness.track.server import Seen, Server, open_online, settle
from harness.track.session import Session, Unavailable
from harness.track.settings import Tracking
from harness.track.studies import frozen_studies
from sweeps.errors import BadInput

FINISH_SECONDS = 300.0

Did = Literal["sent", "unchanged", "not begun", "being fed", "failed"]


@dataclass(frozen=True)
class Outcome:
    run: str
    did: Did
    where: str = ""
    """The run's page or folder; why it failed."""


def sync_runs(
    store: Store, runs: Sequence[str], tracking: Tracking, server: Server | None, say: Callable[[str], None]
) -> Iterator[Outcome]:
    """Each run in turn. `server` is None where W&B's files are written instead (`tracking.mode` is offline)."""
    studies = frozen_studies(store)

    def begun(run: str) -> bool:
        return (store.run(run) / "metrics.jsonl").exists()

    seen: dict[str, Seen | None] = {}
    if server is not None:
        seen = server.look(name for run in runs if begun(run) and (name := _expected(store, run)))
    for run in runs:
        if not begun(run):
            yield Outcome(run, "not begun")
            continue
        with lease(store.run(run) / "track", wait=False) as mine:
            if not mine:
                yield Outcome(run, "being fed")
                continue
            try:
                source = Source.of(store, run, studies)
                record = source.record()
                if server is None:
                    yield _to_files(source, record, tracking, say)
                else:
                    yield _to_server(source, record, server, seen, say)
            except (Unavailable, BadInput) as error:
                yield Outcome(run, "failed", str(error))


def _expected(store: Store, run: str) -> str:
    """The id under which the server may have a run; "" where its run.json is not whole."""
    known = Identity.known(store.run(run))
    try:
        return wandb_id(described(store, run)["origin"]["study"], run, known.generation if known else 1)
    except BadInput:  # said when its turn comes
        return ""


def _to_server(
    source: Source, record: Record, server: Server, seen: dict[str, Seen | None], say: Callable[[str], None]
) -> Outcome:
    identity, there = settle(server, record.card, Identity.of(source.folder), say, seen)
    if there is not None and is_whole(record, there):
        return Outcome(record.card.run, "unchanged")
    with tempfile.TemporaryDirectory(prefix="babelscale-wandb-", ignore_cleanup_errors=True) as scratch:
        folder = Path(scratch)
        session = open_online(server, record.card, identity, folder, say, finish_seconds=FINISH_SECONDS)
        _replay(session, record)
    return Outcome(record.card.run, "sent", session.url)


def is_whole(record: Record, there: Seen) -> bool:
    """Whether the server has all of a record: its rows, its summary, and that it is done."""
    same = there.summary.get(DIGEST) == record.digest and there.rows >= len(record.rows)
    return same and (record.state != "done" or there.state == "finished")


def _to_files(source: Source, record: Record, tracking: Tracking, say: Callable[[str], None]) -> Outcome:
    whole = source.folder / FOLDER
    if read_or_empty(source.folder / FILE).get("offline") == record.digest and any(whole.rglob("*.wandb")):
        return Outcome(record.card.run, "unchanged")
    identity = Identity.of(source.folder)
    name = wandb_id(record.card.study, record.card.run, identity.generation)
    part = begin(source.folder, say)
    session = Session.begin(record.card, name, identity.life, tracking, part, finish_seconds=FINISH_SECONDS)
    _replay(session, record)
    commit(source.folder)
    identity.keep(offline=record.digest)
    return Outcome(record.card.run, "sent", str(whole))


def _replay(session: Session, record: Record) -> None:
    session.log(record.rows)
    session.summarise(record.summary)
    session.close(record.state)
