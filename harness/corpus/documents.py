"""One side of one language as it lies on disk: text that is read document by document, or at once from any of them.

    <side>/<language>.txt      UTF-8; documents of one or more stripped, non-empty lines, one blank line between them
    <side>/<language>.index    where each document begins: little-endian uint64 byte offsets, and one entry more

Document i is the bytes [index[i], index[i + 1] - 2): the closing line feed and the blank line are left out, and the
last entry (the file's size plus one) makes that true of the last document too. The index is mapped and the text read
where it is wanted, so opening costs no memory whatever the corpus holds.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from types import TracebackType
from typing import IO, Any

import numpy as np
import numpy.typing as npt

_INDEX_TYPE = np.dtype("<u8")
_READ_AT_ONCE = 1 << 20


class Documents:
    """The documents of one side of one language, in their order."""

    def __init__(self, text: Path) -> None:
        self.path = text
        index = text.with_suffix(".index")
        self._index: npt.NDArray[np.uint64] = (
            np.memmap(index, dtype=_INDEX_TYPE, mode="r") if index.stat().st_size else np.empty(0, _INDEX_TYPE)
        )

    def __len__(self) -> int:
        return max(0, len(self._index) - 1)

    def bytes_of(self, start: int, stop: int) -> int:
        """UTF-8 bytes of documents [start, stop), the separators between documents left out."""
        return int(self._index[stop] - self._index[start]) - 2 * (stop - start)

    def sizes(self, starts: npt.NDArray[np.int64], stops: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
        """`bytes_of` each of many ranges at once."""
        sizes: npt.NDArray[np.int64] = (self._index[stops] - self._index[starts]).astype(np.int64)
        return sizes - 2 * (stops - starts)

    def read(self, start: int, stop: int) -> list[str]:
        """Documents [start, stop), in one read."""
        return [document.decode("utf-8") for document in self.read_bytes(start, stop)]

    def read_bytes(self, start: int, stop: int) -> list[bytes]:
        """Documents [start, stop) in UTF-8, in one read."""
        if start >= stop:
            return []
        first = int(self._index[start])
        with self.path.open("rb") as stream:
            stream.seek(first)
            block = stream.read(int(self._index[stop]) - 2 - first)
        return block.split(b"\n\n")

    def __iter__(self) -> Iterator[str]:
        start = 0
        while start < len(self):
            # As many as fill one read, at least one.
            wanted = int(self._index[start]) + _READ_AT_ONCE
            stop = max(start + 1, int(np.searchsorted(self._index, wanted, side="right")) - 1)
            yield from self.read(start, stop)
            start = stop


class DocumentWriter:
    """Writes one side of one language; both files are flushed to the disk at the end."""

    def __init__(self, text: Path) -> None:
        self._text: IO[bytes] = text.open("wb")
        self._index: IO[bytes] = text.with_suffix(".index").open("wb")
        self.documents = self.bytes = self.characters = 0
        self._written = 0
        self._hash = hashlib.sha256()

    @property
    def sha256(self) -> str:
        """Digest of the text file as it stands."""
        return self._hash.hexdigest()

    def __enter__(self) -> DocumentWriter:
        return self

    def write(self, document: str) -> None:
        """Append one document: stripped, non-empty lines joined by single line feeds."""
        body = document.encode("utf-8")
        self.write_block(body + b"\n\n", np.array([len(body)]), len(document))

    def write_block(self, block: bytes, sizes: npt.NDArray[np.integer[Any]], characters: int) -> None:
        """Append documents that lie one behind another, each closed by a blank line.

        `sizes` are their bytes without that blank line; `characters` counts them all together.
        """
        # The blank line behind a document is written with the next one: the last has none.
        text = (b"\n" if self.documents else b"") + block[:-1]
        starts = np.zeros(len(sizes), np.int64)
        np.cumsum(sizes[:-1] + 2, out=starts[1:])
        self._index.write((starts + (self._written + bool(self.documents))).astype(_INDEX_TYPE).tobytes())
        self._text.write(text)
        self._hash.update(text)
        self._written += len(text)
        self.documents += len(sizes)
        self.bytes += len(block) - 2 * len(sizes)
        self.characters += characters

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None and self.documents:
            self._index.write((self._written + 1).to_bytes(8, "little"))
        for stream in (self._text, self._index):
            if kind is None:
                stream.flush()
                os.fsync(stream.fileno())
            stream.close()


def write_documents(text: Path, documents: Iterable[str]) -> DocumentWriter:
    """Write all of `documents`; what was counted stands in the writer that comes back."""
    with DocumentWriter(text) as writer:
        for document in documents:
            writer.write(document)
    return writer
