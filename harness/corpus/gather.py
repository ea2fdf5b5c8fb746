"""Stage 1 of a corpus: one input to its part, the same function here and on a cluster.

    parts/<part>/part.json           what was read: digest of the input, counts by language, invalid UTF-8
    parts/<part>/<language>.txt      its documents, each closed by a blank line
    parts/<part>/<language>.rows     a row a document: hash of its content, its bytes and characters

A part appears whole or not at all, under a name that holds the input's path, size and time: an add that was killed
goes on at the first input without a part, and a file that was changed since is read again.
"""

from __future__ import annotations

import hashlib
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from harness.corpus.readers import READER, Batch, Reader, Reading
from harness.corpus.sources import Input
from harness.corpus.streams import MOST_DOCUMENT_BYTES, Tick, too_long
from harness.store import digest, lease, read_json, whole_folder, write_json

ROW = np.dtype([("high", "<u8"), ("low", "<u8"), ("bytes", "<u4"), ("characters", "<u4")])
"""One document: 128 bits of hash as two numbers, size of its text in UTF-8 bytes and in characters."""

HASH_BYTES = 16
_HELD_BYTES = 16 << 20
"""Text kept back, over all languages of an input, so that many small batches become few writes."""


@dataclass(frozen=True)
class GatherTask:
    """An input, how to read it, and the folder of all parts."""

    input: Input
    reading: Reading
    folder: str

    @property
    def part(self) -> Path:
        named = {"input": asdict(self.input), "reading": asdict(self.reading), "reader": READER}
        return Path(self.folder) / digest(named, 24)


@dataclass(frozen=True)
class Part:
    """A part that is there."""

    folder: Path
    format: str
    language: str
    """Of the whole input; empty where each record said its own."""
    sha256: str
    invalid: int
    first_invalid: str
    languages: dict[str, dict[str, int]]
    """Documents, bytes, characters and invalid UTF-8 sequences of each."""

    @classmethod
    def at(cls, folder: Path) -> Part | None:
        path = folder / "part.json"
        return cls(folder, **read_json(path)) if path.is_file() else None

    @property
    def identity(self) -> tuple[str, str, str]:
        """What was read and as what, wherever it lay."""
        return self.sha256, self.format, self.language


def gather(task: GatherTask, tick: Tick) -> None:
    """Make the part of one input, if it is not there. Raises BadInput for anything wrong with the input."""
    with lease(task.part):
        if Part.at(task.part) is None:
            with whole_folder(task.part) as folder:
                _gather(task, folder, tick)


def _gather(task: GatherTask, folder: Path, tick: Tick) -> None:
    reader = Reader(task.input, task.reading, tick)
    languages: dict[str, _Language] = {}
    held = 0
    for batch in reader.batches():
        if batch.language not in languages:
            languages[batch.language] = _Language(folder / f"{batch.language}.txt", task.input.path)
        held += languages[batch.language].add(batch)
        if held >= _HELD_BYTES:
            for language in languages.values():
                language.flush()
            held = 0
    for language in languages.values():
        language.flush()
    found: dict[str, Any] = {
        "format": task.input.format,
        "language": task.input.language,
        "sha256": reader.sha256,
        "invalid": reader.decoder.invalid,
        "first_invalid": reader.decoder.first,
        "languages": {code: language.counts for code, language in sorted(languages.items())},
    }
    write_json(folder / "part.json", found)


class _Language:
    """One language's share of an input, appended to its two files; no file stays open between."""

    def __init__(self, text: Path, source: str) -> None:
        self.source = source
        self.counts = {"documents": 0, "bytes": 0, "characters": 0, "invalid": 0}
        self._text = text
        self._texts: list[bytes] = []
        self._rows: list[npt.NDArray[Any]] = []

    def add(self, batch: Batch) -> int:
        """Take a batch; the bytes that it holds back until `flush`."""
        self.counts["invalid"] += batch.invalid
        if not batch.documents:
            return 0
        encoded = [document.encode("utf-8") for document in batch.documents]
        rows = np.empty(len(encoded), ROW)
        hashes = b"".join([hashlib.blake2b(text, digest_size=HASH_BYTES).digest() for text in encoded])
        rows["high"], rows["low"] = np.frombuffer(hashes, ">u8").reshape(-1, 2).T
        rows["bytes"] = list(map(len, encoded))
        rows["characters"] = list(map(len, batch.documents))
        if rows["bytes"].max() > MOST_DOCUMENT_BYTES:
            raise too_long(self.source)
        self._rows.append(rows)
        self._texts.append(b"\n\n".join([*encoded, b""]))
        self.counts["documents"] += len(rows)
        self.counts["bytes"] += int(rows["bytes"].sum(dtype=np.uint64))
        self.counts["characters"] += int(rows["characters"].sum(dtype=np.uint64))
        return len(self._texts[-1])

    def flush(self) -> None:
        for path, blocks in (
            (self._text, self._texts),
            (self._text.with_suffix(".rows"), [rows.tobytes() for rows in self._rows]),
        ):
            with path.open("ab") as stream:
                stream.writelines(blocks)
        self._texts, self._rows = [], []
