"""The text that a tokenizer is trained on: each language fills its share of it, from anywhere in its corpus.

Documents come in the order of a keyed permutation, which needs no table, and are read through the index: a language of
300 GB costs no more memory than one of 3 MB. A language that is used up begins again, in another order.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np
import numpy.typing as npt

from harness.batches.keyed import key, permute
from harness.corpus.documents import Documents

MOST_LINE_BYTES = 4192
"""SentencePiece leaves longer lines out without a word, so they are cut here."""

_DRAWN_AT_ONCE = 4096
_READ_BYTES = 1 << 20


def sampled_lines(texts: Mapping[str, Documents], wanted_bytes: Mapping[str, float], seed: int) -> Iterator[str]:
    """Lines of each language until its documents hold `wanted_bytes`: without replacement until it is used up, then
    again. A function of (text, wanted bytes, seed) alone."""
    for language, documents in texts.items():
        given, passes = 0, 0
        while len(documents) and given < wanted_bytes[language]:
            for document in drawn_documents(documents, wanted_bytes[language] - given, seed, language, passes):
                given += len(document.encode())
                for line in document.splitlines():
                    yield from _cut(line)
            passes += 1


def drawn_documents(documents: Documents, wanted: float, seed: int, *names: object) -> Iterator[str]:
    """Documents in the order of the permutation (seed, "tokenizer-text", names...), until they hold `wanted` bytes or
    all have come; those drawn at once come in the order in which they lie on disk."""
    count, generator = len(documents), key(seed, "tokenizer-text", *names)
    for start in range(0, count, _DRAWN_AT_ONCE):
        positions = np.arange(start, min(start + _DRAWN_AT_ONCE, count), dtype=np.uint64)
        chosen = permute(positions, np.full_like(positions, count), np.full_like(positions, generator)).astype(np.int64)
        sizes = documents.sizes(chosen, chosen + 1)
        enough = np.cumsum(sizes) >= wanted
        taken = int(enough.argmax()) + 1 if enough.any() else len(chosen)
        wanted -= float(sizes[:taken].sum())
        for first, stop in _runs(np.sort(chosen[:taken]), documents):
            yield from documents.read(first, stop)
        if wanted <= 0:
            return


def _runs(chosen: npt.NDArray[np.int64], documents: Documents) -> Iterator[tuple[int, int]]:
    """Neighbours of a sorted list as [first, stop), so that one read brings them; none much above `_READ_BYTES`."""
    first = stop = int(chosen[0])
    for number in chosen.tolist():
        if number != stop or documents.bytes_of(first, stop) >= _READ_BYTES:
            yield first, stop
            first = number
        stop = number + 1
    yield first, stop


def _cut(line: str) -> Iterator[str]:
    """The line, in pieces that SentencePiece takes: cut at the last space that leaves one short enough, else between
    any two characters."""
    while len(line.encode()) > MOST_LINE_BYTES:
        head = line.encode()[:MOST_LINE_BYTES].decode("utf-8", errors="ignore")
        space = head.rfind(" ")
        end = space if space > 0 else len(head)
        yield line[:end]
        line = line[end:].lstrip(" ")
    if line:
        yield line
