"""Shards: one language's text under one tokenizer, as flat token ids that are memory-mapped.

`train.ids` and `heldout.ids` hold documents one after another, each closed by </s>, in the smallest unsigned integer
that holds the table; rows of any length are cut from them (`harness.batches.stream`). The manifest holds counts, bytes
and digests. Opening reads only the manifest and maps the file: no memory that grows with the corpus.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from harness.corpus.artefact import Corpus
from harness.corpus.tokenizer import END_ID, Tokenizer
from harness.store import SCHEMA, Store, digest, file_digest, lease, read_json, whole_folder, write_json
from sweeps.errors import BadInput

Split = Literal["train", "heldout"]
_DOCUMENTS_AT_ONCE = 512


@dataclass(frozen=True)
class Shard:
    """One language and split under one tokenizer."""

    language: str
    ids: npt.NDArray[np.unsignedinteger[Any]]
    """Memory-mapped flat ids, (tokens,)."""
    documents: int
    text_tokens: int
    """Tokens of the text, the closing </s> left out: what bits per byte divides by."""
    text_bytes: int

    @property
    def tokens_per_byte(self) -> float:
        return self.text_tokens / self.text_bytes


def shard_key(tokenizer_key: str, language: str) -> str:
    return digest({"schema": SCHEMA, "tokenizer": tokenizer_key, "language": language})


def ensure_shard(store: Store, corpus: Corpus, tokenizer: Tokenizer, language: str) -> Path:
    """Folder of the shards of `language`, written if the store lacks it. Safe when several processes ask at once."""
    folder = store.shards / shard_key(tokenizer.key, language)
    if not folder.exists():
        with lease(folder):
            if not folder.exists():
                with whole_folder(folder) as beside:
                    _write(corpus, tokenizer, language, beside)
    return folder


def open_shard(folder: Path, split: Split) -> Shard:
    """Open one split. A file whose size does not match its manifest is refused by name."""
    manifest = read_json(folder / "manifest.json")
    entry = manifest["splits"][split]
    path = folder / f"{split}.ids"
    if not path.exists() or path.stat().st_size != entry["file_bytes"]:
        raise BadInput(
            f"the shard {path} is damaged (its size is not {entry['file_bytes']} bytes): "
            f"delete the folder {folder} and run again, it will be rebuilt"
        )
    return Shard(
        language=manifest["language"],
        ids=np.memmap(path, dtype=manifest["dtype"], mode="r") if entry["file_bytes"] else np.empty(0, np.uint16),
        documents=entry["documents"],
        text_tokens=entry["text_tokens"],
        text_bytes=entry["text_bytes"],
    )


def _write(corpus: Corpus, tokenizer: Tokenizer, language: str, folder: Path) -> None:
    dtype = np.dtype(np.uint16 if tokenizer.table_rows <= 1 << 16 else np.uint32)
    splits: dict[str, Any] = {}
    for split in ("train", "heldout"):
        path = folder / f"{split}.ids"
        documents = tokens = text_bytes = 0
        with path.open("wb") as stream:
            pending: list[str] = []

            def flush(pending: list[str]) -> int:
                encoded = tokenizer.encode(pending)
                for ids in encoded:
                    np.asarray([*ids, END_ID], dtype=dtype).tofile(stream)
                return sum(map(len, encoded))

            for document in corpus.documents(language, split):
                pending.append(document)
                documents += 1
                text_bytes += len(document.encode())
                if len(pending) == _DOCUMENTS_AT_ONCE:
                    tokens += flush(pending)
                    pending = []
            tokens += flush(pending)
            stream.flush()
        splits[split] = {
            "documents": documents,
            "text_tokens": tokens,
            "text_bytes": text_bytes,
            "file_bytes": path.stat().st_size,
            "sha256": file_digest(path),
        }
    manifest = {"schema": SCHEMA, "language": language, "tokenizer": tokenizer.key, "dtype": dtype.name}
    write_json(folder / "manifest.json", manifest | {"splits": splits})
