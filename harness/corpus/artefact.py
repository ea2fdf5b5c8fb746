"""A corpus on disk: how it is laid out, opened and written.

    <root>/corpora/<key>/manifest.json
    <root>/corpora/<key>/train/<language>.txt, .index        documents, and where each begins (`documents`)
    <root>/corpora/<key>/heldout/<language>.txt, .index
    <root>/corpora/<key>/inputs.json                 what was read: digests, counts, invalid UTF-8 (not of the demo's)
    <root>/corpora/<name>.json                       which key a name stands for

A document is one or more stripped, non-empty lines. `bytes` in the manifest are UTF-8 bytes of the documents' own text
(the line ends inside a document count, the separators between documents do not): the p of the language distribution
and the denominator of bits per byte are counted from the same text.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from harness.corpus.documents import Documents, write_documents
from harness.store import SCHEMA, Store, digest, read_json, whole_folder, write_json

LAYOUT = 2
"""Of the files of a corpus; part of what names it."""

Side = Literal["train", "heldout"]
SIDES: tuple[Side, Side] = ("train", "heldout")
Progress = Callable[[str, float], None]
"""Called with what is being done and the fraction of it that is done (0 to 1)."""


def no_progress(what: str, fraction: float) -> None:
    """For callers that show nothing."""


@dataclass(frozen=True)
class Corpus:
    """A corpus that is there. Opening reads the manifest only; text is streamed."""

    name: str
    folder: Path
    manifest: dict[str, Any]

    @classmethod
    def open(cls, store: Store, name: str) -> Corpus | None:
        """The corpus that `name` stands for, or None where the root has none of that name."""
        pointer = store.corpora / f"{name}.json"
        if not pointer.is_file():
            return None
        return cls.of_key(store, read_json(pointer)["key"], name)

    @classmethod
    def of_key(cls, store: Store, key: str, name: str) -> Corpus | None:
        folder = store.corpora / key
        if not (folder / "manifest.json").is_file():
            return None
        return cls(name, folder, read_json(folder / "manifest.json"))

    @property
    def key(self) -> str:
        """Digest of everything that made the text: same input, same key."""
        return str(self.manifest["key"])

    @property
    def languages(self) -> tuple[str, ...]:
        """Codes, most training text first."""
        return tuple(sorted(self.manifest["languages"], key=lambda code: (-self.train_bytes(code), code)))

    def train_bytes(self, language: str) -> int:
        """UTF-8 bytes of the training text of `language`, separators left out."""
        return int(self.manifest["languages"][language]["bytes"])

    def documents(self, language: str, side: Side) -> Documents:
        """The documents of one side, in order, streamed or read from anywhere; a document's lines stay line feeds."""
        return Documents(self.folder / side / f"{language}.txt")


@dataclass(frozen=True)
class LanguageText:
    """One language, split. `counts` go into the manifest as they are (what was dropped, and why)."""

    train: list[str]
    heldout: list[str]
    counts: dict[str, int]

    def sizes(self) -> dict[str, int]:
        return {
            "documents": len(self.train),
            "bytes": text_bytes(self.train),
            "characters": sum(map(len, self.train)),
            "heldout_documents": len(self.heldout),
            "heldout_bytes": text_bytes(self.heldout),
            "heldout_characters": sum(map(len, self.heldout)),
            **self.counts,
        }


def text_bytes(documents: Iterable[str]) -> int:
    """UTF-8 bytes of the documents' text, separators left out."""
    return sum(len(document.encode("utf-8")) for document in documents)


def write_corpus(
    store: Store,
    name: str,
    source: dict[str, Any],
    note: str,
    texts: Iterable[tuple[str, LanguageText]],
    skipped: dict[str, str],
) -> Corpus:
    """Write the corpus that `source` describes, whole or not at all. The caller holds the lease of its folder.

    `texts` is consumed one language at a time, and may add to `skipped` (code -> why it was left out) on its way.
    """
    key = digest(source)
    with whole_folder(store.corpora / key) as folder:
        languages: dict[str, dict[str, int]] = {}
        digests: dict[str, str] = {}
        for side in SIDES:
            (folder / side).mkdir()
        for language, text in texts:
            for side, documents in zip(SIDES, (text.train, text.heldout), strict=True):
                path = folder / side / f"{language}.txt"
                digests[f"{side}/{language}.txt"] = write_documents(path, documents).sha256
            languages[language] = text.sizes()
        manifest = {
            "schema": SCHEMA,
            "key": key,
            "name": name,
            "note": note,
            "source": source,
            "languages": dict(sorted(languages.items())),
            "skipped": dict(sorted(skipped.items())),
            "digests": dict(sorted(digests.items())),
        }
        write_json(folder / "manifest.json", manifest)
    return Corpus(name, store.corpora / key, manifest)


def place_file(made: Path, wanted: Path) -> None:
    """Let `wanted` be the file `made`, without copying where the file system knows links."""
    try:
        os.link(made, wanted)
    except OSError:
        shutil.copyfile(made, wanted)


def point(store: Store, name: str, key: str) -> None:
    """Let `name` stand for `key`."""
    write_json(store.corpora / f"{name}.json", {"name": name, "key": key})
