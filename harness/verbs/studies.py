"""plan, submit, run, status, watch, logs, evaluate."""

from __future__ import annotations

import json
import sys
from argparse import Namespace
from collections import Counter
from pathlib import Path
from typing import Any

from rich.table import Table

from harness.corpus.artefact import Corpus
from harness.corpus.build import ensure_demo
from harness.corpus.demo import NAME as DEMO_CORPUS
from harness.corpus.demo import NOTE as DEMO_NOTE
from harness.corpus.demo import demo_source
from harness.launch import queue
from harness.launch.freeze import freeze, frozen_study
from harness.launch.observe import Observed, attempt_folders, observe
from harness.store import Store, digest
from harness.verbs.show import console, human, phase_of, stderr, watch_study
from sweeps.errors import BadInput
from sweeps.grid import Run, expand
from sweeps.study import Study, load_study
from sweeps.where import matches


def resolve(store: Store, options: Namespace) -> tuple[Study, list[Run]]:
    """The study's runs, with `--where` applied. The demo corpus need not be there yet: its key is known."""
    study, force = load_study(options.study, options.profile), bool(getattr(options, "force", False))
    corpus = Corpus.open(store, study.corpus)
    if corpus is not None:
        sizes = {code: corpus.train_bytes(code) for code in corpus.languages}
        runs = expand(study, corpus.key, sizes, force=force)
    elif study.corpus == DEMO_CORPUS:
        runs = expand(study, digest(demo_source()), force=force)
    else:
        raise BadInput(
            f"study {study.name}: the corpus {study.corpus!r} is not under {store.root}; "
            f"babelscale corpus add {study.corpus} FOLDER"
        )
    if where := getattr(options, "where", None):
        runs = [run for run in runs if matches(where, run.axes | {"id": run.id})]
        if not runs:
            raise BadInput(f"study {study.name}: no cell meets --where {where!r}")
    return study, runs


def study_name(store: Store, options: Namespace) -> str:
    """Name under which a study was submitted: the name itself, or the one in its file."""
    if options.profile is None and (store.studies / f"{options.study}.json").is_file():
        return str(options.study)
    return load_study(options.study, options.profile).name


def begin(store: Store, options: Namespace, *, note: str | None = None) -> tuple[Study, list[Run], int]:
    """Freeze the study and start its queue where one is needed; returns the runs that are not done."""
    study, runs = resolve(store, options)
    corpus = Corpus.open(store, study.corpus)
    if corpus is None or (study.corpus == DEMO_CORPUS and corpus.key != digest(demo_source())):
        corpus = ensure_demo(store)
    every = resolve(store, Namespace(**vars(options) | {"where": None}))[1]
    command = f"babelscale submit {options.study}" + (f" --profile {options.profile}" if options.profile else "")
    freeze(store, study, every, corpus_note=note or corpus.manifest.get("note", DEMO_NOTE), command=command)
    missing = [run.id for run in runs if observe(store, run.id, study.evaluate).state != "done"]
    if missing and not queue.queue_state(store, study.name)["alive"]:
        only = missing if len(runs) < len(every) else []
        queue.start(store, study.name, options.slots or study.execution.slots, only)
    return study, runs, len(missing)


def submit(options: Namespace) -> int:
    store = Store(options.root)
    study, runs, missing = begin(store, options)
    if options.json:
        print(json.dumps({"study": study.name, "runs": len(runs), "to_do": missing}))
    elif missing:
        console.print(f"{study.name}: {missing} of {len(runs)} runs to do, started; babelscale watch {options.study}")
    else:
        console.print(f"{study.name}: all {len(runs)} runs are done; babelscale report {options.study}")
    return 0


def observed(store: Store, name: str, where: str | None = None) -> list[Observed]:
    study = frozen_study(store, name)
    rows = [observe(store, run, study["evaluate"]) for run in study["runs"]]
    return [row for row in rows if not where or matches(where, row.axes | {"id": row.run})]


def status(options: Namespace) -> int:
    store = Store(options.root, create=False)
    name = study_name(store, options)
    rows = observed(store, name, options.where)
    state = queue.queue_state(store, name)
    failed = sum(row.state == "failed" for row in rows)
    if options.json:
        print(json.dumps({"study": name, "queue": state, "runs": [row.as_json() for row in rows]}, indent=1))
        return int(failed > 0)
    table = Table()
    for column in ("run", "state", "step", "tokens/s", "left", "attempts", "last words"):
        table.add_column(column)
    for row in rows:
        table.add_row(
            row.run,
            row.state,
            f"{row.step}/{row.steps}" if row.step else "",
            human(row.tokens_per_second) if row.tokens_per_second else "",
            f"{row.seconds_left:.0f} s" if row.seconds_left else "",
            str(row.attempts or ""),
            row.error,
        )
    console.print(table)
    counts = Counter(row.state for row in rows)
    console.print(", ".join(f"{count} {what}" for what, count in counts.items()) + f"; queue: {phase_of(state)}")
    return int(failed > 0)


def watch(options: Namespace) -> int:
    store = Store(options.root, create=False)
    name = study_name(store, options)
    try:
        finished = watch_study(store, name)
    except KeyboardInterrupt:
        console.print("stopped looking; the runs go on")
        return 0
    return 0 if finished else 1


def run(options: Namespace) -> int:
    store = Store(options.root)
    _, runs = resolve(store, options)
    one = pick([run.id for run in runs], options.cell)
    begin(store, Namespace(**vars(options) | {"where": f"id == '{one}'", "slots": 1}))
    shown = stderr if options.json else console
    finished = watch_study(store, study_name(store, options), only=one, console=shown)
    row = observe(store, one, load_study(options.study, options.profile).evaluate)
    print(json.dumps(row.as_json()) if options.json else f"{one}: {row.state} {row.error}".rstrip())
    return 0 if finished else 1


def pick(ids: list[str], start: str) -> str:
    """The one id that begins with `start`."""
    found = [one for one in ids if one == start] or [one for one in ids if one.startswith(start)]
    if len(found) != 1:
        what = f"{len(found)} runs begin with" if found else "no run begins with"
        raise BadInput(f"{what} {start!r}; babelscale plan lists them")
    return found[0]


def logs(options: Namespace) -> int:
    store = Store(options.root, create=False)
    study = frozen_study(store, study_name(store, options))
    folder = store.run(pick(study["runs"], options.cell))
    attempts = attempt_folders(folder)
    if not attempts:
        raise BadInput(f"{folder.name} was never started")
    attempt: Path = attempts[-1] if options.attempt is None else folder / "attempts" / f"{options.attempt:03d}"
    files = sorted(attempt.glob(f"*_{options.rank}_log.out"))
    if not files:
        raise BadInput(f"no log of rank {options.rank} in attempt {attempt.name} of {folder.name}")
    sys.stdout.write(files[-1].read_text(encoding="utf-8", errors="replace"))
    return 0


def evaluate(options: Namespace) -> int:
    """Ask for one more task: the study's frozen list grows, and the queue scores what lacks it."""
    store = Store(options.root)
    study = load_study(options.study, options.profile)
    frozen = frozen_study(store, study.name)
    if queue.queue_state(store, study.name)["alive"]:
        raise BadInput(f"the runs of {study.name} are still going: babelscale watch {options.study}, then evaluate")
    tasks: list[str] = sorted({*frozen["evaluate"], options.task})
    if tasks != frozen["evaluate"]:
        from harness.store import write_json

        write_json(store.studies / f"{study.name}.json", frozen | {"evaluate": tasks})
    rows: list[Any] = observed(store, study.name, options.where)
    lacking = [row.run for row in rows if observe(store, row.run, tasks).state != "done"]
    if lacking:
        queue.start(store, study.name, None, lacking)
    finished = watch_study(store, study.name, console=stderr if options.json else console) if lacking else True
    if options.json:
        print(json.dumps({"study": study.name, "task": options.task, "scored": len(lacking)}))
    else:
        console.print(f"{study.name}: {len(lacking)} runs scored on {options.task}, {len(rows) - len(lacking)} had it")
    return 0 if finished else 1
