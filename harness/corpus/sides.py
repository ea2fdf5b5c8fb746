"""Stage 2 of a corpus: one language, out of the parts of all inputs, onto its two sides; the same function everywhere.

    languages/<code>.<parts>/language.json               sizes, digests
    languages/<code>.<parts>/train.txt, train.index      documents, as `documents` reads them
    languages/<code>.<parts>/heldout.txt, heldout.index

Text is copied in slices, never document by document. A language appears whole or not at all, under a name that holds
its parts and the rule of the split.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from harness.corpus.artefact import SIDES
from harness.corpus.documents import DocumentWriter
from harness.corpus.gather import ROW
from harness.corpus.split import Rows, SplitRule, choose, read_rows
from harness.corpus.streams import Tick
from harness.store import digest, lease, read_json, whole_folder, write_json

_ROWS = 1 << 16
_BLOCK = 8 << 20
"""Text copied at once; a longer document alone is a block of its own."""


@dataclass(frozen=True)
class SplitTask:
    """A language, the folders of its parts in their order, and the folder of all languages."""

    language: str
    parts: tuple[str, ...]
    rule: SplitRule
    folder: str

    @property
    def done(self) -> Path:
        named = {"parts": [Path(part).name for part in self.parts], "rule": asdict(self.rule)}
        return Path(self.folder) / f"{self.language}.{digest(named)}"

    def result(self) -> dict[str, Any] | None:
        """What `language.json` says: `sizes` for the manifest and `digests` by side; None while it is not there."""
        path = self.done / "language.json"
        return read_json(path) if path.is_file() else None


def split_language(task: SplitTask, tick: Tick) -> None:
    """Write both sides of one language, if they are not there."""
    with lease(task.done):
        if task.result() is None:
            with whole_folder(task.done) as folder:
                _split(task, folder, tick)


def _split(task: SplitTask, folder: Path, tick: Tick) -> None:
    texts = [path for part in task.parts if (path := Path(part) / f"{task.language}.txt").is_file()]
    rows = [text.with_suffix(".rows") for text in texts]
    scratch = folder / "buckets"
    scratch.mkdir()
    choice = choose(rows, task.rule, scratch)
    scratch.rmdir()

    documents = 0
    with DocumentWriter(folder / "train.txt") as train, DocumentWriter(folder / "heldout.txt") as heldout:
        for text in texts:
            for block, of_block in _blocks(text):
                for writer, chosen in zip((train, heldout), choice.sides(of_block, documents), strict=True):
                    _copy(writer, block, of_block, chosen)
                documents += len(of_block)
                tick(len(block))
    sizes = {
        "documents": train.documents,
        "bytes": train.bytes,
        "characters": train.characters,
        "heldout_documents": heldout.documents,
        "heldout_bytes": heldout.bytes,
        "heldout_characters": heldout.characters,
        "duplicates_dropped": documents - train.documents - heldout.documents,
    }
    digests = dict(zip(SIDES, (train.sha256, heldout.sha256), strict=True))
    write_json(folder / "language.json", {"sizes": sizes, "digests": digests})


def _blocks(text: Path) -> Iterator[tuple[bytes, Rows]]:
    """A part's text in blocks of whole documents, each with its rows."""
    with text.open("rb") as stream:
        for rows in read_rows(text.with_suffix(".rows"), _ROWS, ROW):
            ends = _ends(rows)
            start = 0
            while start < len(rows):
                before = int(ends[start - 1]) if start else 0
                stop = max(start + 1, int(np.searchsorted(ends, before + _BLOCK, side="right")))
                yield stream.read(int(ends[stop - 1]) - before), rows[start:stop]
                start = stop


def _ends(rows: Rows) -> npt.NDArray[np.int64]:
    """Where each document ends in the text of a part, its blank line included."""
    return np.cumsum(rows["bytes"].astype(np.int64) + 2)


def _copy(writer: DocumentWriter, block: bytes, rows: Rows, chosen: npt.NDArray[np.bool_]) -> None:
    """Append the chosen documents; neighbours are copied in one slice."""
    kept = rows[chosen]
    if not len(kept):
        return
    ends = _ends(rows)
    turns = np.flatnonzero(np.diff(chosen.astype(np.int8), prepend=0, append=0))
    starts = np.concatenate((np.zeros(1, np.int64), ends))[turns[0::2]]
    view = memoryview(block)
    slices = [view[start:stop] for start, stop in zip(starts.tolist(), ends[turns[1::2] - 1].tolist(), strict=True)]
    writer.write_block(b"".join(slices), kept["bytes"], int(kept["characters"].sum(dtype=np.uint64)))
