"""corpus add, list, stats."""

from __future__ import annotations

import json
from argparse import Namespace
from pathlib import Path

from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from harness.corpus import build, demo
from harness.corpus.artefact import Corpus
from harness.store import Store
from harness.verbs.show import console, human
from sweeps.errors import BadInput


def add(options: Namespace) -> int:
    store = Store(options.root)
    if options.name == demo.NAME and options.sources:
        raise BadInput(f"the name {demo.NAME} belongs to the demo's corpus: choose another name")
    if options.name != demo.NAME and not options.sources:
        raise BadInput(f"say where the text of {options.name} is: babelscale corpus add {options.name} FOLDER")
    with Progress(
        TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn(), console=console, disable=options.json
    ) as bar:
        task = bar.add_task("reading", total=1.0)

        def show(what: str, share: float) -> None:
            bar.update(task, description=what, completed=share)

        if options.name == demo.NAME:
            corpus = build.ensure_demo(store, show)
        else:
            corpus = build.add(store, options.name, [Path(source) for source in options.sources], progress=show)
    return _print_stats(corpus, options.json)


def list_all(options: Namespace) -> int:
    corpora = build.list_corpora(Store(options.root, create=False))
    rows = [
        {
            "name": corpus.name,
            "key": corpus.key,
            "languages": len(corpus.languages),
            "bytes": sum(map(corpus.train_bytes, corpus.languages)),
        }
        for corpus in corpora
    ]
    if options.json:
        print(json.dumps(rows, indent=1))
    elif not rows:
        console.print("no corpus yet; babelscale corpus add NAME FOLDER, or babelscale corpus add demo")
    else:
        table = Table("name", "languages", "training text", "key")
        for row in rows:
            table.add_row(
                str(row["name"]), str(row["languages"]), f"{human(float(str(row['bytes'])))}B", str(row["key"])
            )
        console.print(table)
    return 0


def stats(options: Namespace) -> int:
    store = Store(options.root, create=False)
    corpus = Corpus.open(store, options.name)
    if corpus is None:
        known = ", ".join(entry.name for entry in build.list_corpora(store)) or "none"
        raise BadInput(f"there is no corpus {options.name!r} under {store.root} (there: {known})")
    return _print_stats(corpus, options.json)


def _print_stats(corpus: Corpus, as_json: bool) -> int:
    if as_json:
        keep = ("name", "key", "note", "languages", "skipped")
        print(json.dumps({name: corpus.manifest[name] for name in keep}, indent=1, ensure_ascii=False))
        return 0
    table = Table(title=f"{corpus.name} ({corpus.key}): {corpus.manifest['note']}", title_justify="left")
    for column in (
        "language",
        "documents",
        "bytes",
        "characters",
        "held-out documents",
        "held-out bytes",
        "duplicates dropped",
    ):
        table.add_column(column, justify="left" if column == "language" else "right")
    for language in corpus.languages:
        row = corpus.manifest["languages"][language]
        names = ("documents", "bytes", "characters", "heldout_documents", "heldout_bytes", "duplicates_dropped")
        table.add_row(language, *(f"{row[name]:,}" for name in names))
    console.print(table)
    for language, why in corpus.manifest["skipped"].items():
        console.print(f"left out {language}: {why}", highlight=False)
    return 0
