"""babelscale demo: the whole way, once, on real text."""

from __future__ import annotations

import time
from argparse import Namespace

from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from harness.corpus.build import ensure_demo
from harness.launch import queue
from harness.launch.freeze import frozen_study
from harness.launch.observe import observe
from harness.store import Store
from harness.train.heartbeat import clock
from harness.verbs import results, studies
from harness.verbs.look import study_name
from harness.verbs.show import console, human, watch_study
from sweeps.study import load_study

ROUNDS = 3
"""How often the demo starts its queue again by itself when the queue was killed."""


def demo(options: Namespace) -> int:
    """Every step asks the disk first: a second call goes on where the first ended, or only draws again."""
    began = time.monotonic()
    store = Store(options.root)
    options = Namespace(**vars(options) | {"study": "demo", "where": None, "json": False})
    load_study(options.study, options.profile)  # a wrong profile is told before anything is downloaded
    console.print(f"everything lies under {store.root}", highlight=False, soft_wrap=True)
    with _bar() as bar:
        task = bar.add_task("corpus", total=1.0)
        corpus = ensure_demo(store, lambda what, share: bar.update(task, description=what, completed=share))
        bar.update(task, description="corpus", completed=1.0)
    text_bytes = sum(map(corpus.train_bytes, corpus.languages))
    console.print(f"corpus: {len(corpus.languages)} languages, {human(text_bytes)}B to train on")
    finished = False
    try:
        for _ in range(ROUNDS):
            study, runs, missing = studies.begin(store, options, note=corpus.manifest["note"])
            console.print(f"plan: {len(runs)} runs, {missing} not done (babelscale plan demo shows them)")
            finished = not missing or watch_study(store, study.name)
            gave_up = bool(queue.queue_state(store, study.name).get("error"))
            if finished or gave_up or _failed_for_good(store, study.name):
                break
    except KeyboardInterrupt:
        console.print("\nstopping: the runs save and end ...")
        queue.stop(store, study_name(store, options))
        raise
    name = study_name(store, options)
    code = results.report(Namespace(**vars(options) | {"study": [options.study]}))
    console.print(f"{name} took {clock(time.monotonic() - began)} this time")
    return code or (0 if finished else 1)


def _failed_for_good(store: Store, name: str) -> bool:
    study = frozen_study(store, name)
    return any(observe(store, run, study["evaluate"]).state == "failed" for run in study["runs"])


def _bar() -> Progress:
    return Progress(TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn(), console=console)
