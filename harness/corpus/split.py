"""Train and held-out: which side a document falls on, from what it says and from nothing else.

Two ways. `choose` drops exact duplicates (the first stays) and holds out the documents whose content hashes are the
smallest: a threshold on the hash. Neither the order of the input, nor how it was cut into files, nor the number of
workers can move a document, and one text is never on two sides. `is_heldout` decides by a key that documents of
several languages share (the demo's component), so that translations of one text never stand on two sides.

Memory: a language's hashes are dealt into files by their top bits, so that one file's distinct hashes are about
BUCKET_DOCUMENTS; beside them stands one bit a document.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from harness.corpus.gather import ROW
from sweeps.errors import BadInput

HELDOUT_SHARE = 0.1
HELDOUT_FLOOR = 3_000
"""Bytes of held-out text that a language needs at least: below, its bits per byte are noise."""
HELDOUT_CEILING = 32_000_000
"""Bytes of held-out text that are enough of any language; the rest trains."""

BUCKET_DOCUMENTS = 1 << 19
"""Hashes in memory at once: about 50 MB at the widest point, sorting."""
_MOST_BUCKETS = 256
"""Open files; above 134 million documents of one language the buckets grow instead."""

Rows = npt.NDArray[Any]
_KEYED = np.dtype([*((name, ROW[name]) for name in ("high", "low", "bytes")), ("index", "<u8")])


@dataclass(frozen=True)
class SplitRule:
    """How much is held out of each language: `share` of its bytes, at least `floor` and at most `ceiling` bytes."""

    share: float = HELDOUT_SHARE
    floor: int = HELDOUT_FLOOR
    ceiling: int = HELDOUT_CEILING

    def check(self) -> None:
        """Raises BadInput for values that cannot be meant."""
        if not 0 < self.share < 1:
            raise BadInput(
                f"the held-out share is {self.share}: expected a number between 0 and 1, such as {HELDOUT_SHARE}"
            )
        if self.floor < 1:
            raise BadInput(f"the held-out floor is {self.floor} bytes: expected 1 or more, such as {HELDOUT_FLOOR}")
        if self.ceiling < self.floor:
            raise BadInput(
                f"the held-out ceiling is {self.ceiling} bytes, below the floor of {self.floor}: raise the one or "
                f"lower the other"
            )

    def wanted(self, text_bytes: int) -> float:
        """Bytes to hold out of `text_bytes` bytes of distinct text."""
        return min(max(self.share * text_bytes, self.floor), self.ceiling)


@dataclass(frozen=True)
class Choice:
    """Which documents of a language are duplicates of earlier ones, and the last hash that is held out."""

    duplicates: npt.NDArray[np.uint8]
    """A bit a document, in the order of the rows, lowest bit first."""
    last_high: int
    last_low: int
    """-1 in both where nothing is held out."""

    def sides(self, rows: Rows, first: int) -> tuple[npt.NDArray[np.bool_], npt.NDArray[np.bool_]]:
        """Which of `rows`, the first of which is document `first`, train and which are held out."""
        begin, end = first // 8, (first + len(rows) + 7) // 8
        bits = np.unpackbits(self.duplicates[begin:end], bitorder="little")
        kept = bits[first - 8 * begin :][: len(rows)] == 0
        if self.last_high < 0:
            return kept, np.zeros(len(rows), np.bool_)
        high, low = np.uint64(self.last_high), np.uint64(self.last_low)
        small = (rows["high"] < high) | ((rows["high"] == high) & (rows["low"] <= low))
        return kept & ~small, kept & small


def choose(files: Sequence[Path], rule: SplitRule, scratch: Path, *, bucket: int = BUCKET_DOCUMENTS) -> Choice:
    """Go through the row files of one language, in their order; `scratch` is an empty folder, left empty."""
    documents = sum(path.stat().st_size for path in files) // ROW.itemsize
    duplicates = np.zeros((documents + 7) // 8, np.uint8)
    buckets = _deal(files, documents, scratch, bucket)
    sizes = [_mark_duplicates(part, duplicates, bucket) for part in buckets]
    wanted, taken, last = rule.wanted(sum(sizes)), 0, (-1, -1)
    for part, size in zip(buckets, sizes, strict=True):
        if taken < wanted and size:
            distinct = _distinct(part, bucket)
            reached = taken + np.cumsum(distinct["bytes"], dtype=np.uint64)
            count = min(int(np.searchsorted(reached, wanted, side="left")) + 1, len(distinct))
            last = (int(distinct["high"][count - 1]), int(distinct["low"][count - 1]))
            taken = int(reached[count - 1])
    for path in scratch.iterdir():
        path.unlink()
    return Choice(duplicates, *last)


@dataclass(frozen=True)
class _Bucket:
    """Rows whose hashes share their top bits, with the documents' numbers; read in chunks, as often as wanted."""

    files: tuple[Path, ...]
    dealt: bool

    def chunks(self, rows: int) -> Iterator[Rows]:
        first = 0
        for path in self.files:
            for chunk in read_rows(path, rows, _KEYED if self.dealt else ROW):
                if self.dealt:
                    yield chunk
                else:
                    yield _keyed(chunk, first)
                first += len(chunk)


def read_rows(path: Path, rows: int, dtype: np.dtype[Any] = ROW) -> Iterator[Rows]:
    """The rows of a file, up to `rows` at once."""
    with path.open("rb") as stream:
        while block := stream.read(rows * dtype.itemsize):
            yield np.frombuffer(block, dtype)


def _keyed(rows: Rows, first: int) -> Rows:
    keyed = np.empty(len(rows), _KEYED)
    for name in ("high", "low", "bytes"):
        keyed[name] = rows[name]
    keyed["index"] = np.arange(first, first + len(rows), dtype=np.uint64)
    return keyed


def _deal(files: Sequence[Path], documents: int, scratch: Path, bucket: int) -> list[_Bucket]:
    """Buckets in the order of their hashes: the files as they are where they are few rows, else files in `scratch`."""
    bits = min(max(0, (documents - 1) // bucket).bit_length(), _MOST_BUCKETS.bit_length() - 1)
    whole = _Bucket(tuple(files), dealt=False)
    if not bits:
        return [whole]
    paths = [scratch / f"{number:03d}.bucket" for number in range(1 << bits)]
    streams = [path.open("wb") for path in paths]
    try:
        for chunk in whole.chunks(bucket):
            numbers = chunk["high"] >> np.uint64(64 - bits)
            order = np.argsort(numbers, kind="stable")
            cuts = np.searchsorted(numbers[order], np.arange(1, 1 << bits, dtype=np.uint64))
            for stream, rows in zip(streams, np.split(chunk[order], cuts), strict=True):
                stream.write(rows.tobytes())
    finally:
        for stream in streams:
            stream.close()
    return [_Bucket((path,), dealt=True) for path in paths]


def _mark_duplicates(part: _Bucket, duplicates: npt.NDArray[np.uint8], rows: int) -> int:
    """Set the bits of documents whose text came earlier; the bytes of distinct text."""
    seen = np.empty(0, _KEYED)
    for chunk in part.chunks(rows):
        seen, again = _merged(seen, chunk)
        np.bitwise_or.at(duplicates, again >> np.uint64(3), (1 << (again & np.uint64(7))).astype(np.uint8))
    return int(seen["bytes"].sum(dtype=np.uint64))


def _distinct(part: _Bucket, rows: int) -> Rows:
    """The first document of each hash, in the order of the hashes."""
    seen = np.empty(0, _KEYED)
    for chunk in part.chunks(rows):
        seen, _ = _merged(seen, chunk)
    return seen


def _merged(seen: Rows, chunk: Rows) -> tuple[Rows, npt.NDArray[np.uint64]]:
    """`seen` (sorted, distinct) with what is new in `chunk`, and the numbers of the documents that are not new.

    Chunk by chunk, so that a text repeated a billion times costs one row.
    """
    rows = np.concatenate((seen, chunk))
    # Stable: of equal hashes the earlier document comes first.
    rows = rows[np.argsort(rows["high"], kind="stable")]
    same = rows["high"][1:] == rows["high"][:-1]
    if np.any(same & (rows["low"][1:] != rows["low"][:-1])):
        rows = rows[np.lexsort((rows["index"], rows["low"], rows["high"]))]
        same = (rows["high"][1:] == rows["high"][:-1]) & (rows["low"][1:] == rows["low"][:-1])
    again = np.concatenate((np.zeros(min(1, len(rows)), np.bool_), same))
    return rows[~again], rows["index"][again]


def unit_hash(text: str, salt: str = "") -> float:
    """A number in [0, 1) that depends on `salt` and `text` alone, uniform over texts."""
    digest = hashlib.sha256(f"{salt}\n{text}".encode()).digest()
    return int.from_bytes(digest[:6]) / 2**48


def is_heldout(key: str, share: float, salt: str = "") -> bool:
    """Whether everything filed under `key` is held out; a `share` of all keys is."""
    return unit_hash(key, salt) < share
