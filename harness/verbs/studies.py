"""submit, run: what a study lacks is started, here or on a cluster."""

from __future__ import annotations

import contextlib
import json
import time
from argparse import Namespace

from harness.corpus.artefact import Corpus
from harness.corpus.build import ensure_demo
from harness.corpus.demo import NAME as DEMO_CORPUS
from harness.corpus.demo import NOTE as DEMO_NOTE
from harness.corpus.demo import demo_source
from harness.launch import queue
from harness.launch.freeze import freeze, frozen_study
from harness.launch.observe import observe
from harness.launch.slurm import client
from harness.launch.slurm.submissions import submissions
from harness.launch.stages import with_those_at_hand
from harness.store import Store, digest
from harness.verbs.look import pick, study_name
from harness.verbs.setting import on_site
from harness.verbs.show import console, stderr, watch_study
from sweeps.errors import BadInput
from sweeps.grid import Run, expand
from sweeps.study import Study, load_study
from sweeps.where import matches


def resolve(store: Store, options: Namespace) -> tuple[Study, list[Run]]:
    """The study's runs, with `--where` applied. The demo corpus need not be there yet: its key is known."""
    study, _ = with_those_at_hand(store, on_site(load_study(options.study, options.profile), options))
    force = bool(getattr(options, "force", False))
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


def frozen(
    store: Store, options: Namespace, *, note: str | None = None, cluster: str = "local"
) -> tuple[Study, list[Run], list[Run]]:
    """Write down what the study wants; returns it, the runs that meet `--where`, and all of them."""
    study, runs = resolve(store, options)
    corpus = Corpus.open(store, study.corpus)
    if corpus is None or (study.corpus == DEMO_CORPUS and corpus.key != digest(demo_source())):
        corpus = ensure_demo(store)
    every = resolve(store, Namespace(**vars(options) | {"where": None}))[1]
    command = f"babelscale submit {options.study}" + (f" --profile {options.profile}" if options.profile else "")
    if cluster != "local":
        command += f" --cluster {cluster}"
    said = note or corpus.manifest.get("note", DEMO_NOTE)
    for sentence in with_those_at_hand(store, load_study(options.study, options.profile))[1]:
        stderr.print(sentence, highlight=False, soft_wrap=True)
    freeze(store, study, every, corpus_note=said, command=command, cluster=cluster)
    return study, runs, every


def not_in_slurm(store: Store, name: str) -> None:
    """Raises BadInput while jobs of Slurm carry runs of the study: this machine would take them too."""
    known = [one.name for one in submissions(store) if one.study == name]
    with contextlib.suppress(client.Refused):
        if held := client.jobs_named(known):
            raise BadInput(
                f"{len(held)} jobs of {name} are in Slurm: add --cluster slurm, or babelscale cancel {name} before its "
                "runs are taken here"
            )


_ENDING_SECONDS = 30.0


def queue_ended(store: Store, name: str) -> bool:
    """Whether no queue has work of the study: one whose runs are all done is gone in a moment, which is waited for."""
    deadline = time.monotonic() + _ENDING_SECONDS
    while queue.queue_state(store, name)["alive"]:
        study = frozen_study(store, name)
        done = all(observe(store, run, study["evaluate"]).state == "done" for run in study["runs"])
        if not done or time.monotonic() > deadline:
            return False
        time.sleep(0.2)
    return True


def begin(store: Store, options: Namespace, *, note: str | None = None) -> tuple[Study, list[Run], int]:
    """Freeze the study and start its queue where one is needed; returns the runs that are not done."""
    name = load_study(options.study, options.profile).name
    not_in_slurm(store, name)
    queue_ended(store, name)  # one that is about to end would not see what is wanted now
    study, runs, every = frozen(store, options, note=note)
    missing = [run.id for run in runs if observe(store, run.id, study.stages).state != "done"]
    if missing:
        only = missing if len(runs) < len(every) else []
        alive = queue.queue_state(store, study.name)["alive"]
        (queue.ask if alive else queue.start)(store, study.name, options.slots or study.execution.slots, only)
    return study, runs, len(missing)


def submit(options: Namespace) -> int:
    if options.cluster == "slurm":
        from harness.verbs.slurm import submit_to_slurm

        return submit_to_slurm(options)
    if options.throttle:
        raise BadInput("--throttle is for --cluster slurm; here, --slots says how many runs go at the same time")
    store = Store(options.root)
    running = _running(store, load_study(options.study, options.profile).name)
    study, runs, missing = begin(store, options)
    here = running & {run.id for run in runs}
    former = len(running) - len(here)
    if former:
        stderr.print(
            f"{former} running runs are of the study as it was before: they go on to their end, and the others wait "
            "for their slots",
            soft_wrap=True,
        )
    if options.json:
        print(json.dumps({"study": study.name, "runs": len(runs), "to_do": missing}))
    elif missing:
        already = f" ({len(here)} of them running already)" if here else ""
        to_do = f"{missing} of {len(runs)} runs to do{already}, started"
        console.print(f"{study.name}: {to_do}; babelscale watch {options.study}", soft_wrap=True)
    else:
        console.print(f"{study.name}: all {len(runs)} runs are done; babelscale report {options.study}")
    return 0


def _running(store: Store, name: str) -> set[str]:
    """The runs of the study as it was last submitted that are under way."""
    if not (store.studies / f"{name}.json").is_file():
        return set()
    study = frozen_study(store, name)
    return {run for run in study["runs"] if observe(store, run, study["evaluate"]).state == "running"}


def run(options: Namespace) -> int:
    store = Store(options.root)
    _, runs = resolve(store, options)
    one = pick([run.id for run in runs], options.cell)
    begin(store, Namespace(**vars(options) | {"where": f"id == '{one}'", "slots": 1}))
    shown = stderr if options.json else console
    finished = watch_study(store, study_name(store, options), only=one, console=shown)
    row = observe(store, one, frozen_study(store, study_name(store, options))["evaluate"])
    print(json.dumps(row.as_json()) if options.json else f"{one}: {row.state} {row.error}".rstrip())
    return 0 if finished else 1
