"""tokenizer list, stats, verify."""

from __future__ import annotations

import json
from argparse import Namespace
from dataclasses import asdict
from pathlib import Path
from typing import Any

from rich.table import Table

from harness.corpus.artefact import Corpus
from harness.corpus.tokenizer import tokenizer_damage
from harness.corpus.verify import verify_all
from harness.store import Store, read_json
from harness.verbs.show import console, human, stderr
from sweeps.errors import BadInput


def list_all(options: Namespace) -> int:
    store = Store(options.root, create=False)
    rows = [_row(store, manifest) for manifest in _manifests(store)]
    if options.json:
        print(json.dumps(rows, indent=1, ensure_ascii=False))
        return 0
    if not rows:
        console.print("no tokenizers yet: babelscale submit STUDY makes the ones it needs")
        return 0
    table = _table("key", "corpus", "languages", "vocabulary", "algorithm", "alpha", "sample", "tokens/byte")
    for row in rows:
        mean = "" if row["tokens_per_byte"] is None else f"{row['tokens_per_byte']:.3f}"
        text = [row["key"], row["corpus"], str(len(row["languages"])), f"{row['vocabulary']:,}", row["algorithm"]]
        table.add_row(*text, f"{row['alpha']:g}", human(row["sample_bytes"]), mean)
    console.print(table)
    return 0


def stats(options: Namespace) -> int:
    store = Store(options.root, create=False)
    found = [manifest for manifest in _manifests(store) if manifest["key"].startswith(options.key)]
    if len(found) != 1:
        known = ", ".join(manifest["key"] for manifest in found or _manifests(store)) or "none"
        how_many = "no tokenizer" if not found else f"{len(found)} tokenizers, not one,"
        raise BadInput(f"there is {how_many} whose key begins with {options.key!r} under {store.root} (there: {known})")
    manifest = found[0]
    statistics, spec = manifest["statistics"], manifest["spec"]
    if options.json:
        print(json.dumps({name: manifest[name] for name in ("key", "corpus", "spec", "statistics")}, indent=1))
        return 0
    console.print(
        f"{manifest['key']}: {spec['algorithm']}, {spec['vocabulary']:,} pieces, "
        f"{statistics['share_of_pieces']:.1%} of them used in at most {human(statistics['sample_bytes'])}B of held-out "
        "text a language",
        highlight=False,
        soft_wrap=True,
    )
    table = _table("language", "bytes", "tokens/byte", "tokens/word", "unknown", "single bytes", "pieces used")
    for language, row in statistics["languages"].items():
        table.add_row(
            language,
            human(row["bytes"]),
            _number(row["tokens_per_byte"], "{:.3f}"),
            _number(row["tokens_per_word"], "{:.2f}"),
            _number(row["unknown_rate"], "{:.3%}"),
            _number(row["byte_rate"], "{:.3%}"),
            _number(row["share_of_pieces"], "{:.1%}"),
        )
    console.print(table)
    return 0


def verify(options: Namespace) -> int:
    store = Store(options.root, create=False)
    corpus = None
    if options.corpus:
        corpus = Corpus.open(store, options.corpus)
        if corpus is None:
            raise BadInput(f"there is no corpus {options.corpus!r} under {store.root}: babelscale corpus list")
    with stderr.status("") as status:
        checked = verify_all(store, corpus, repair=options.repair, seen=lambda folder: status.update(Path(folder).name))
    damaged = [entry for entry in checked if entry.damage]
    unmended = [entry for entry in damaged if not entry.repair]
    if options.json:
        print(json.dumps([asdict(entry) for entry in checked], indent=1, ensure_ascii=False))
        return bool(unmended)
    for entry in damaged:
        what = f"{entry.kind} {entry.key} {entry.language}".rstrip()
        console.print(f"{what}: {entry.repair or 'damaged'} ({entry.damage})", highlight=False, soft_wrap=True)
    kinds = [entry.kind for entry in checked]
    console.print(
        f"{kinds.count('tokenizer')} tokenizers and {kinds.count('shard')} shards read, {len(damaged)} damaged"
        + (f", {len(damaged) - len(unmended)} repaired" if options.repair else "")
        + ("; --repair makes them anew" if unmended else ""),
        highlight=False,
        soft_wrap=True,
    )
    return bool(unmended)


def _manifests(store: Store) -> list[dict[str, Any]]:
    """Of every sound tokenizer; `tokenizer verify` names the others."""
    folders = sorted(store.tokenizers.glob("[!.]*")) if store.tokenizers.is_dir() else []
    return [read_json(folder / "manifest.json") for folder in folders if tokenizer_damage(folder) is None]


def _row(store: Store, manifest: dict[str, Any]) -> dict[str, Any]:
    names = {read_json(path)["key"]: path.stem for path in sorted(store.corpora.glob("[!.]*.json"))}
    languages = manifest["statistics"]["languages"].values()
    tokens, size = (sum(row[name] for row in languages) for name in ("tokens", "bytes"))
    row = {"key": manifest["key"], "corpus": names.get(manifest["corpus"], manifest["corpus"])}
    return row | manifest["spec"] | {"tokens_per_byte": tokens / size if size else None}


def _table(*columns: str) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 1, 0, 0))
    for column in columns:
        table.add_column(column, justify="left" if column in ("key", "corpus", "language", "algorithm") else "right")
    return table


def _number(value: float | None, form: str) -> str:
    return "" if value is None else form.format(value)
