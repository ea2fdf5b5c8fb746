"""corpus add, list, stats."""

from __future__ import annotations

import json
from argparse import Namespace
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn, TransferSpeedColumn
from rich.table import Table

from harness.corpus import build, demo
from harness.corpus.artefact import Corpus
from harness.corpus.readers import Reading
from harness.corpus.split import HELDOUT_CEILING, HELDOUT_FLOOR, HELDOUT_SHARE, SplitRule
from harness.corpus.spread import Place
from harness.store import Store, explain
from harness.verbs.show import console, human, stderr
from sweeps.errors import BadInput

_SIZES = {
    "documents": "documents",
    "bytes": "bytes",
    "characters": "characters",
    "heldout_documents": "held-out documents",
    "heldout_bytes": "held-out bytes",
    "duplicates_dropped": "duplicates dropped",
    "invalid_utf8": "invalid UTF-8",
}
"""What the manifest counts of each language, and how the table calls it."""
_ROUNDED = ("bytes", "characters", "heldout_bytes")
_PICTURES = (".png", ".pdf", ".svg")


def add(options: Namespace) -> int:
    store = Store(options.root)
    given = bool(options.sources or options.language)
    if options.name == demo.NAME and given:
        raise BadInput(f"the name {demo.NAME} belongs to the demo's corpus: choose another name")
    if options.name != demo.NAME and not given:
        raise BadInput(f"say where the text of {options.name} is: babelscale corpus add {options.name} FOLDER")
    corpus = _add_demo(store, options.json) if options.name == demo.NAME else _add(store, options)
    return _print_stats(corpus, options.json)


def _add_demo(store: Store, quiet: bool) -> Corpus:
    with Progress(TextColumn("{task.description}"), BarColumn(), console=console, disable=quiet) as bar:
        task = bar.add_task("reading", total=1.0)
        return build.ensure_demo(store, lambda what, share: bar.update(task, description=what, completed=share))


def _add(store: Store, options: Namespace) -> Corpus:
    rule = SplitRule(
        HELDOUT_SHARE if options.heldout_share is None else options.heldout_share,
        HELDOUT_FLOOR if options.heldout_floor is None else options.heldout_floor,
        HELDOUT_CEILING if options.heldout_ceiling is None else options.heldout_ceiling,
    )
    place = Place(
        workers=options.workers,
        cluster="" if options.cluster == "local" else options.cluster,
        partition=options.partition,
        account=options.account,
        hours=options.hours,
    )
    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TransferSpeedColumn())
    with Progress(*columns, TimeRemainingColumn(), console=stderr if options.json else console) as bar:
        tasks: dict[str, Any] = {}

        def show(what: str, done: int, total: int) -> None:
            if what not in tasks:
                tasks[what] = bar.add_task(what, total=total)
            bar.update(tasks[what], completed=done)

        return build.add(
            store,
            options.name,
            options.sources,
            mapped=options.language,
            format=options.format,
            reading=Reading(options.text_field, options.language_field, options.errors),
            rule=rule,
            skip_small=options.skip_small,
            place=place,
            progress=show,
            notice=lambda told: stderr.print(told, highlight=False, soft_wrap=True),
        )


def list_all(options: Namespace) -> int:
    corpora = build.list_corpora(Store(options.root, create=False))
    rows = [
        {"name": corpus.name, "key": corpus.key, "languages": len(corpus.languages), **_totals(corpus)}
        for corpus in corpora
    ]
    if options.json:
        print(json.dumps(rows, indent=1))
    elif not rows:
        console.print("no corpus yet; babelscale corpus add NAME FOLDER, or babelscale corpus add demo")
    else:
        table = Table("name", "languages", "documents", "training text", "held out", "key")
        for row in rows:
            sizes = (f"{human(float(row[name]))}B" for name in ("bytes", "heldout_bytes"))
            table.add_row(row["name"], str(row["languages"]), f"{row['documents']:,}", *sizes, row["key"])
        console.print(table)
    return 0


def stats(options: Namespace) -> int:
    store = Store(options.root, create=False)
    corpus = Corpus.open(store, options.name)
    if corpus is None:
        known = ", ".join(entry.name for entry in build.list_corpora(store)) or "none"
        raise BadInput(f"there is no corpus {options.name!r} under {store.root} (there: {known})")
    if options.picture:
        _draw(corpus, Path(options.picture))
    return _print_stats(corpus, options.json)


def _draw(corpus: Corpus, path: Path) -> None:
    if path.suffix not in _PICTURES:
        raise BadInput(f"the picture {path} is of no kind that is drawn: expected a name in {', '.join(_PICTURES)}")
    from analysis.figures import sizes

    try:
        sizes.draw({code: corpus.train_bytes(code) for code in corpus.languages}, corpus.name, path)
    except OSError as error:
        told = explain(error, path)
        why = str(told) if isinstance(told, BadInput) else f"{path} cannot be written ({error.strerror})"
        raise BadInput(why) from error


def _sizes(corpus: Corpus, language: str) -> dict[str, int]:
    """Every count of a language, 0 for what its maker does not count (the demo's corpus: invalid UTF-8)."""
    row = corpus.manifest["languages"][language]
    return {name: int(row.get(name, 0)) for name in _SIZES}


def _totals(corpus: Corpus) -> dict[str, Any]:
    rows = [_sizes(corpus, language) for language in corpus.languages]
    return {name: sum(row[name] for row in rows) for name in _SIZES}


def _print_stats(corpus: Corpus, as_json: bool) -> int:
    if as_json:
        keep = ("name", "key", "note", "languages", "skipped")
        found = {name: corpus.manifest[name] for name in keep} | {"totals": _totals(corpus)}
        print(json.dumps(found, indent=1, ensure_ascii=False))
        return 0
    console.print(f"{corpus.name} ({corpus.key}): {corpus.manifest['note']}", highlight=False, soft_wrap=True)
    table = Table(box=None, pad_edge=False, padding=(0, 1, 0, 0))
    for column in ("language", *_SIZES.values()):
        table.add_column(column, justify="left" if column == "language" else "right")
    for language in corpus.languages:
        table.add_row(language, *_shown(_sizes(corpus, language)))
    if len(corpus.languages) > 1:
        table.add_section()
        table.add_row("all", *_shown(_totals(corpus)))
    console.print(table)
    for language, why in corpus.manifest["skipped"].items():
        console.print(f"left out {language}: {why}", highlight=False, soft_wrap=True)
    return 0


def _shown(sizes: dict[str, int]) -> Iterator[str]:
    """Sizes to three digits, counts of documents in full; --json has every digit."""
    return (human(count) if name in _ROUNDED else f"{count:,}" for name, count in sizes.items())
