"""Train and held-out: which side a document falls on, from what it says and from nothing else.

Two ways. `split_documents` ranks a language's documents by a hash of their text and holds out the first of that order:
neither the order of the input nor a second reading can move a document, and the share is met to within a document.
`is_heldout` decides by a key that documents of several languages share (the demo's component), so that translations of
one text never stand on two sides.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass

HELDOUT_SHARE = 0.1
HELDOUT_FLOOR = 3_000
"""Bytes of held-out text that a language needs at least: below, its bits per byte are noise."""


@dataclass(frozen=True)
class Split:
    """Both sides, each in the order of the input, and how many exact duplicates were left out."""

    train: list[str]
    heldout: list[str]
    duplicates: int


def unit_hash(text: str, salt: str = "") -> float:
    """A number in [0, 1) that depends on `salt` and `text` alone, uniform over texts."""
    digest = hashlib.sha256(f"{salt}\n{text}".encode()).digest()
    return int.from_bytes(digest[:6]) / 2**48


def is_heldout(key: str, share: float, salt: str = "") -> bool:
    """Whether everything filed under `key` is held out; a `share` of all keys is."""
    return unit_hash(key, salt) < share


def split_documents(
    documents: Iterable[str], share: float = HELDOUT_SHARE, floor: int = HELDOUT_FLOOR, salt: str = ""
) -> Split:
    """Hold out the documents that come first in hash order, until they hold `share` of the bytes and `floor` bytes.

    Exact duplicates are dropped (the first is kept), so no document's text stands on both sides. With too little text
    the training side comes out small or empty: the caller decides what is enough.
    """
    unique = dict.fromkeys(documents_seen := list(documents))
    sizes = {document: len(document.encode("utf-8")) for document in unique}
    wanted = max(share * sum(sizes.values()), floor)
    heldout: set[str] = set()
    taken = 0
    for document in sorted(unique, key=lambda document: (unit_hash(document, salt), document)):
        if taken >= wanted:
            break
        heldout.add(document)
        taken += sizes[document]
    return Split(
        train=[document for document in unique if document not in heldout],
        heldout=[document for document in unique if document in heldout],
        duplicates=len(documents_seen) - len(unique),
    )
