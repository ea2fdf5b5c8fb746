"""The run of a whole study: its figures and its table of records as artefacts, once all its runs are done."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from harness.store import Store, digest, file_digest
from harness.track.identity import Card, Identity, study_tag
from harness.track.record import DIGEST
from harness.track.server import Server, open_online, settle
from harness.track.sync import FINISH_SECONDS

JOB_TYPE = "study"
RUN = "study"
"""What stands for the run's id in the id of W&B; runs' ids begin with their language count."""


def is_done(store: Store, study: Mapping[str, Any]) -> bool:
    return all((store.run(run) / "done.json").exists() for run in study["runs"])


def send_study(
    store: Store, study: Mapping[str, Any], files: Mapping[str, Path], server: Server, say: Callable[[str], None]
) -> str:
    """Send `files` (name inside the artefact to file; a name with a / goes to the artefact of its first part).

    Returns the address of the run, "" where the server has all of them. Raises Unavailable.
    """
    folder = store.root / "track" / str(study["name"])
    folder.mkdir(parents=True, exist_ok=True)
    whole = digest({name: file_digest(path) for name, path in files.items()})
    config = {name: study.get(name) for name in ("question", "profile", "corpus", "findings", "command")}
    card = Card(
        study=str(study["name"]),
        run=RUN,
        name=f"{study['name']} (study)",
        group=str(study["name"]),
        job_type=JOB_TYPE,
        tags=(study_tag(study["name"]),),
        config=config | {"study": study["name"], "runs": len(study["runs"])},
        notes=str(study.get("question", "")),
    )
    identity, there = settle(server, card, Identity.of(folder), say)
    if there is not None and there.summary.get(DIGEST) == whole and there.state == "finished":
        return ""
    with tempfile.TemporaryDirectory(prefix="babelscale-wandb-", ignore_cleanup_errors=True) as scratch:
        session = open_online(server, card, identity, Path(scratch), say, finish_seconds=FINISH_SECONDS)
        for kind in sorted({name.partition("/")[0] for name in files}):
            inside = {name.partition("/")[2]: path for name, path in files.items() if name.startswith(f"{kind}/")}
            session.add_files(f"{study['name']}-{kind}", kind, inside, {"study": study["name"]})
        session.summarise({DIGEST: whole})
        session.close("done")
    return session.url
