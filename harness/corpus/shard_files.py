"""The files of a shard: put together from its chunks, and looked at for damage.

Ids carry one digest per chunk, taken by the process that wrote it: joining chunks then only copies, and a check can
say which documents are damaged.
"""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from harness.corpus.artefact import SIDES, Side, place_file
from harness.corpus.chunks import Chunk
from harness.corpus.documents import Documents
from harness.corpus.tokenizer import Tokenizer
from harness.store import file_digest, read_json, write_json

_OFFSETS_TYPE = np.dtype("<u8")
DTYPES = {"offsets": _OFFSETS_TYPE, "bytes": _OFFSETS_TYPE}
_COPY_BYTES = 16 << 20


def merge(
    chunks: Mapping[Side, Sequence[Chunk]],
    documents: Mapping[Side, Documents],
    head: dict[str, Any],
    tokenizer: Tokenizer,
    folder: Path,
) -> None:
    """Put the shard of one language together in `folder`, from chunks that are all there."""
    splits = {side: _merge_side(side, chunks[side], documents[side], folder) for side in SIDES}
    dtype = tokenizer.id_type
    for split in splits.values():
        split["files"]["ids"] = sum(piece["tokens"] for piece in split["pieces"]) * dtype.itemsize
    write_json(folder / "manifest.json", head | {"dtype": dtype.newbyteorder("<").str, "splits": splits})


def _merge_side(side: Side, chunks: Sequence[Chunk], documents: Documents, folder: Path) -> dict[str, Any]:
    ids = folder / f"{side}.ids"
    if len(chunks) == 1:
        place_file(chunks[0].ids, ids)
    else:
        with ids.open("wb") as joined:
            for chunk in chunks:
                with chunk.ids.open("rb") as part:
                    shutil.copyfileobj(part, joined, _COPY_BYTES)
    tokens = text_bytes = 0
    with (folder / f"{side}.offsets").open("wb") as offsets, (folder / f"{side}.bytes").open("wb") as sizes:
        for chunk in chunks:
            starts = np.arange(chunk.start, chunk.stop, dtype=np.int64)
            tokens = _append(offsets, tokens, chunk.counts())
            text_bytes = _append(sizes, text_bytes, documents.sizes(starts, starts + 1).astype(np.uint64))
        for stream, end in ((offsets, tokens), (sizes, text_bytes)):
            stream.write(np.asarray([end], _OFFSETS_TYPE).tobytes())
    entries = {name: (len(documents) + 1) * dtype.itemsize for name, dtype in DTYPES.items()}
    return {
        "documents": len(documents),
        "text_tokens": tokens - len(documents),  # each document has its </s>
        "text_bytes": text_bytes,
        "files": entries,
        "pieces": [read_json(chunk.folder / "piece.json") for chunk in chunks],
        "sha256": {name: file_digest(folder / f"{side}.{name}") for name in DTYPES},
    }


def _append(stream: Any, before: int, counts: Any) -> int:
    """Write where each of `counts` begins, after `before`; returns where the next one will."""
    ends = np.cumsum(counts, dtype=np.uint64) + np.uint64(before)
    stream.write((ends - counts).astype(_OFFSETS_TYPE).tobytes())
    return int(ends[-1]) if len(ends) else before


def shard_damage(folder: Path, sides: Sequence[str] = SIDES, *, full: bool = False) -> str | None:
    """What is wrong with the shard in `folder`, None where it is sound, "" where there is none.

    Sizes are looked at; `full` reads every byte and compares digests.
    """
    if not folder.is_dir():
        return ""
    try:
        manifest = read_json(folder / "manifest.json")
        for side in sides:
            entry = manifest["splits"][side]
            for name, size in entry["files"].items():
                path = folder / f"{side}.{name}"
                if not path.is_file() or path.stat().st_size != size:
                    return f"{path} is not of {size} bytes"
            if full and (damage := _digests(folder, side, entry, np.dtype(manifest["dtype"]).itemsize)):
                return damage
    except (OSError, ValueError, KeyError, TypeError):
        return f"{folder / 'manifest.json'} cannot be read"
    return None


def verify_shard(folder: Path) -> str | None:
    """`shard_damage` with every byte read: opening compares sizes only."""
    return shard_damage(folder, full=True)


def _digests(folder: Path, side: str, entry: dict[str, Any], item_bytes: int) -> str:
    for name, sha256 in entry["sha256"].items():
        if file_digest(folder / f"{side}.{name}") != sha256:
            return f"{folder / side}.{name} does not have the digest that it was written with"
    first = 0
    with (folder / f"{side}.ids").open("rb") as stream:
        for piece in entry["pieces"]:
            found, left = hashlib.sha256(), piece["tokens"] * item_bytes
            while left and (block := stream.read(min(left, _COPY_BYTES))):
                found.update(block)
                left -= len(block)
            if found.hexdigest() != piece["sha256"]:
                last = first + piece["documents"]
                return f"{folder / side}.ids does not have the digest of its documents {first} to {last}"
            first += piece["documents"]
    return ""
