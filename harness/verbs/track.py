"""track sync, track dashboard."""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from argparse import Namespace
from collections import Counter
from pathlib import Path
from typing import Any

from harness.launch.freeze import frozen_study
from harness.store import Store, write_json
from harness.track.session import Unavailable, leave, quieten
from harness.track.settings import Tracking, has_key, is_left_open, tracking_of
from harness.track.studies import frozen_studies
from harness.verbs.look import study_name
from harness.verbs.show import console, stderr
from sweeps.errors import BadInput

_NONE = "W&B has no key on this machine"
NO_KEY = f"{_NONE}: `wandb login` stores one, WANDB_API_KEY gives one; WANDB_MODE=offline does without"


def _chosen(store: Store, options: Namespace) -> tuple[list[dict[str, Any]], list[str]]:
    """The study that was named, or all of the root, and a sentence for each that cannot be read."""
    if options.study:
        return [frozen_study(store, study_name(store, options))], []
    problems: list[str] = []
    found = frozen_studies(store, problems.append)
    if not found:
        raise BadInput(
            problems[0]
            if problems
            else f"nothing was submitted yet under {store.root}: babelscale submit STUDY comes first"
        )
    return found, problems


def _tracking(study: dict[str, Any]) -> Tracking:
    """Where a study is shown. Raises BadInput where it is not."""
    tracking = tracking_of(study["execution"])
    if tracking.mode == "online" and not has_key():
        raise BadInput(NO_KEY)
    if tracking.on:
        return tracking
    if os.environ.get("WANDB_MODE") or study["execution"].get("track", {}).get("mode", "auto") == "disabled":
        raise BadInput(f"W&B is disabled for {study['name']}: set WANDB_MODE=online or offline for this command")
    raise BadInput(NO_KEY)


def sync(options: Namespace) -> int:
    from harness.track.server import Server
    from harness.track.study_run import is_done, send_study
    from harness.track.sync import Outcome, sync_runs

    store = Store(options.root, create=False)
    studies, unread = _chosen(store, options)
    for problem in unread:
        _say(f"left out: {problem}")
    scratch = Path(tempfile.mkdtemp(prefix="babelscale-wandb-"))
    quieten(scratch)
    outcomes: dict[str, Outcome] = {}
    servers: dict[Tracking, Server] = {}
    studies_sent = 0
    try:
        chosen = [(study, _tracking(study)) for study in studies]
        for study, tracking in chosen:
            server = None
            if tracking.mode == "online":
                if tracking not in servers:
                    servers[tracking] = Server(tracking)
                server = servers[tracking]
            runs = [run for run in study["runs"] if run not in outcomes]
            for outcome in sync_runs(store, runs, tracking, server, _say):
                outcomes[outcome.run] = outcome
                if not options.json and outcome.did in ("sent", "failed"):
                    console.print(f"{outcome.run}: {outcome.did} {outcome.where}", highlight=False, soft_wrap=True)
            if server is not None and is_done(store, study):
                try:
                    url = send_study(store, study, _results(store, study["name"]), server, _say)
                except BadInput as error:  # of this study's files: the others have their turn
                    unread.append(str(error))
                    _say(f"figures and records of {study['name']} are left out: {error}")
                    continue
                if url and not options.json:
                    console.print(
                        f"figures and records of {study['name']}: sent {url}", highlight=False, soft_wrap=True
                    )
                studies_sent += bool(url)
    except Unavailable as error:
        raise BadInput(f"W&B cannot be reached: {error}; the same command goes on when it can") from error
    finally:
        leave()
        shutil.rmtree(scratch, ignore_errors=True)
    counts = Counter(outcome.did for outcome in outcomes.values())
    if options.json:
        print(json.dumps({"runs": {run: vars(outcome) for run, outcome in outcomes.items()}, "counts": counts}))
    else:
        console.print(", ".join(f"{count} {did}" for did, count in sorted(counts.items())), highlight=False)
        if set(counts) <= {"unchanged", "not begun"} and not studies_sent and not unread:
            offline = all(tracking.mode == "offline" for _, tracking in chosen)
            has = "runs/<id>/wandb holds all of it already" if offline else "W&B has all of it already"
            console.print(f"{has}: nothing was sent", highlight=False)
        elif any(tracking.mode == "offline" for _, tracking in chosen) and counts["sent"]:
            console.print("written beside the runs: `wandb sync FOLDER`, or this command with a network, sends it")
    return int(counts["failed"] > 0 or bool(unread))


def _results(store: Store, study: str) -> dict[str, Path]:
    """All that the report of a study holds, made now: what artefact each file goes to, and its name there."""
    from analysis import report

    folder = report.build(store.root, study).report.parent
    files = sorted(path for path in folder.rglob("*") if path.is_file() and not path.name.startswith("."))
    return {_place(path.relative_to(folder)): path for path in files}


def _place(path: Path) -> str:
    """Folders are artefacts of their own, tables of records too; what else lies there goes with the report."""
    if len(path.parts) > 1:
        return path.as_posix()
    return f"{'records' if path.stem == 'records' else 'report'}/{path.name}"


def _say(text: str) -> None:
    stderr.print(text, highlight=False, soft_wrap=True)


def _why_not(study: dict[str, Any], tracking: Tracking) -> str:
    """Why nothing is sent, where nothing is."""
    return _NONE if is_left_open(study["execution"]) and not tracking.on else f"W&B is {tracking.mode}"


def dashboard(options: Namespace) -> int:
    from harness.track.dashboard import board_of, save, specification
    from harness.track.server import Server

    store = Store(options.root, create=False)
    study = frozen_study(store, study_name(store, options))
    scratch = Path(tempfile.mkdtemp(prefix="babelscale-wandb-"))
    quieten(scratch)
    try:
        tracking = tracking_of(study["execution"])
        board, why, wanted = board_of(store, study), _why_not(study, tracking), tracking.mode == "online"
        if options.picture:
            from harness.track.picture import draw, records_of

            draw(board, records_of(store, study), Path(options.picture))
            _say(f"picture: {options.picture}")
        if tracking.mode == "online":
            try:
                where = save(store, board, Server(tracking).tracking)
                print(json.dumps(where) if options.json else "\n".join(f"{kind}: {url}" for kind, url in where.items()))
                return 0
            except Unavailable as error:
                why = f"W&B did not take it ({error})"
        path = store.root / "track" / f"{study['name']}.dashboard.json"
        path.parent.mkdir(exist_ok=True)
        write_json(path, specification(board, tracking))
    finally:
        leave()
        shutil.rmtree(scratch, ignore_errors=True)
    if options.json:
        print(json.dumps({"written": str(path), "why": why}))
    else:
        console.print(f"{why}: what would be sent is in {path}", highlight=False, soft_wrap=True)
    return int(wanted)
