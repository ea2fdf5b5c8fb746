"""Sharding in pieces: a chunk is a run of a language's documents as token ids, committed on its own.

Chunks are what processes share out and what a killed sharding goes on from. Documents are encoded one by one, so what
the chunks hold, put together in order, depends neither on where they were cut nor on who wrote which.
"""

from __future__ import annotations

import functools
import hashlib
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from harness.corpus.documents import Documents
from harness.corpus.streams import Tick
from harness.corpus.tokenizer import Tokenizer
from harness.store import read_json, whole_folder, write_json

CHUNK_BYTES = 32 << 20
"""Of text in a chunk, some ten seconds of work at most; a longer document is a chunk of its own."""

_ENCODE_BYTES = 1 << 19
COUNTS_TYPE = np.dtype("<u8")


@dataclass(frozen=True)
class Chunk:
    """Documents [start, stop) of one side of one language, to be written into `folder`."""

    text: Path
    tokenizer: Path
    start: int
    stop: int
    folder: Path

    @property
    def ids(self) -> Path:
        return self.folder / "ids"

    @property
    def whole(self) -> bool:
        """Whether it is there with all its bytes: chunks are not flushed to the disk one by one, so a machine that lost
        its power may keep a name without the content."""
        try:
            piece = read_json(self.folder / "piece.json")
            width = self.ids.stat().st_size / max(1, piece["tokens"])
            counted = (self.folder / "counts").stat().st_size == piece["documents"] * COUNTS_TYPE.itemsize
            return bool(counted and width == piece["bytes_per_token"])
        except (OSError, ValueError, KeyError):
            return False

    def counts(self) -> npt.NDArray[np.uint64]:
        """Tokens of each document, </s> included."""
        return np.fromfile(self.folder / "counts", dtype=COUNTS_TYPE)


def chunks_of(documents: Documents, tokenizer: Tokenizer, folder: Path) -> list[Chunk]:
    """The chunks of one side, in order; each is named by its documents."""
    return [
        Chunk(documents.path, tokenizer.folder, start, stop, folder / f"{documents.path.parent.name}-{start}-{stop}")
        for start, stop in _cut(documents, 0, len(documents), CHUNK_BYTES)
    ]


def write_chunk(chunk: Chunk, tick: Tick) -> None:
    """Write a chunk, whole or not at all; at once where it is there. `tick` is told the bytes of text as they go."""
    documents = Documents(chunk.text)
    if chunk.whole:
        tick(documents.bytes_of(chunk.start, chunk.stop))
        return
    shutil.rmtree(chunk.folder, ignore_errors=True)
    tokenizer, sha256, tokens = _open(chunk.tokenizer), hashlib.sha256(), 0
    width = tokenizer.id_type.itemsize
    with whole_folder(chunk.folder, durable=False) as beside:
        with (beside / "ids").open("wb") as ids_file, (beside / "counts").open("wb") as counts_file:
            for start, stop in _cut(documents, chunk.start, chunk.stop, _ENCODE_BYTES):
                ids, counts = tokenizer.encode_closed(documents.read_bytes(start, stop))
                block = ids.astype(ids.dtype.newbyteorder("<"), copy=False).data
                sha256.update(block)
                ids_file.write(block)
                counts_file.write(counts.astype(COUNTS_TYPE, copy=False).data)
                tokens += len(ids)
                tick(documents.bytes_of(start, stop))
        counted = {"documents": chunk.stop - chunk.start, "tokens": tokens, "bytes_per_token": width}
        piece = counted | {"sha256": sha256.hexdigest()}
        write_json(beside / "piece.json", piece, durable=False)


def _cut(documents: Documents, start: int, stop: int, most_bytes: int) -> Iterator[tuple[int, int]]:
    """[start, stop) in runs of about `most_bytes` of text, at least one document each."""
    while start < stop:
        low, high = start + 1, stop  # the first end at which the run is full, by halving
        while low < high:
            middle = (low + high) // 2
            low, high = (low, middle) if documents.bytes_of(start, middle) >= most_bytes else (middle + 1, high)
        yield start, low
        start = low


@functools.lru_cache(maxsize=1)
def _open(folder: Path) -> Tokenizer:
    """A worker meets one tokenizer after another, each for many chunks."""
    return Tokenizer(folder)
