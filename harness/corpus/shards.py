"""Shards: one language's text under one tokenizer, as flat token ids that are memory-mapped.

    <root>/shards/<key>/manifest.json
    <root>/shards/<key>/<side>.ids        documents one after another, each closed by </s>; the smallest unsigned type
    <root>/shards/<key>/<side>.offsets    where each document begins in it: uint64, and one entry more
    <root>/shards/<key>/<side>.bytes      UTF-8 bytes of text before each document: uint64, and one entry more

Rows of any length are cut from the ids (`harness.batches.stream`). The manifest holds counts and digests. Opening reads
only the manifest and maps the files: no memory that grows with the corpus.
"""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from harness.corpus.artefact import SIDES, Corpus
from harness.corpus.chunks import CHUNK_BYTES, chunks_of, write_chunk
from harness.corpus.shard_files import DTYPES, merge, shard_damage
from harness.corpus.spread import Place, spread
from harness.corpus.tokenizer import Notice, Tokenizer, discard
from harness.store import SCHEMA, Store, digest, lease, read_json, whole_folder
from sweeps.errors import BadInput

Split = Literal["train", "heldout"]
ByteProgress = Callable[[int, int], None]
"""Called with the bytes of text that are encoded, and all of them."""

LAYOUT = 2
"""Of the folder; part of what names a shard."""
_ALONE_BYTES = CHUNK_BYTES // 4
"""Below this, starting processes takes longer than encoding."""


def _none() -> npt.NDArray[np.uint64]:
    return np.zeros(1, np.uint64)


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
    offsets: npt.NDArray[np.uint64] = field(default_factory=_none)
    """Memory-mapped, (documents + 1,): document i is ids[offsets[i]:offsets[i + 1]], its </s> included."""
    byte_offsets: npt.NDArray[np.uint64] = field(default_factory=_none)
    """Memory-mapped, (documents + 1,): UTF-8 bytes of text before document i."""

    @property
    def tokens_per_byte(self) -> float:
        return self.text_tokens / self.text_bytes

    def bytes_of_documents(self, start: int, stop: int) -> int:
        """UTF-8 bytes of documents [start, stop)."""
        return int(self.byte_offsets[stop] - self.byte_offsets[start])

    def first(self, text_bytes: int) -> Shard:
        """The first documents, as many as have at most so much text; one at least."""
        count = max(1, int(np.searchsorted(self.byte_offsets, text_bytes, side="right")) - 1)
        if count >= self.documents:
            return self
        tokens = int(self.offsets[count])
        return Shard(
            language=self.language,
            ids=self.ids[:tokens],
            documents=count,
            text_tokens=tokens - count,
            text_bytes=int(self.byte_offsets[count]),
            offsets=self.offsets[: count + 1],
            byte_offsets=self.byte_offsets[: count + 1],
        )

    def bytes_before(self, token: int) -> float:
        """UTF-8 bytes of text that the first `token` ids stand for; of a document cut there, its ids' share of it."""
        document = int(np.searchsorted(self.offsets, token, side="right")) - 1
        if document >= len(self.offsets) - 1:
            return float(self.byte_offsets[-1])
        first, stop = int(self.offsets[document]), int(self.offsets[document + 1])
        share = min(1.0, (token - first) / max(1, stop - 1 - first))  # </s> stands for no text
        return float(self.byte_offsets[document]) + share * self.bytes_of_documents(document, document + 1)


def shard_key(tokenizer_key: str, language: str) -> str:
    return digest({"schema": SCHEMA, "layout": LAYOUT, "tokenizer": tokenizer_key, "language": language})


def ensure_shard(store: Store, corpus: Corpus, tokenizer: Tokenizer, language: str) -> Path:
    """Folder of the shards of `language`: `ensure_shards` for one."""
    return ensure_shards(store, corpus, tokenizer, [language])[language]


def ensure_shards(
    store: Store,
    corpus: Corpus,
    tokenizer: Tokenizer,
    languages: Iterable[str],
    *,
    workers: int | None = None,
    progress: ByteProgress | None = None,
    notice: Notice | None = None,
) -> dict[str, Path]:
    """Folders of the shards of `languages`, written if the store lacks them, anew where they are damaged.

    Chunks of documents are encoded by `workers` processes (default: one a core), and a killed call goes on at the first
    chunk that is missing. Safe when several processes ask at once. `notice` is told of each damaged shard.
    """
    folders = {language: store.shards / shard_key(tokenizer.key, language) for language in languages}
    pending = {language: folder for language, folder in folders.items() if _wanting(folder)}
    if pending:
        with contextlib.ExitStack() as leases:
            for folder in sorted(pending.values()):  # in one order everywhere: no two processes wait for each other
                leases.enter_context(lease(folder))
            still: dict[str, Path] = {}
            for language, folder in pending.items():
                damage = shard_damage(folder)
                if damage is None:
                    shutil.rmtree(_work(folder), ignore_errors=True)
                else:
                    discard(folder, damage, notice)
                    still[language] = folder
            _write(corpus, tokenizer, still, workers, progress or (lambda done, total: None), store.root)
    return folders


def open_shard(folder: Path, split: Split) -> Shard:
    """Open one split. A file whose size does not match its manifest is refused by name."""
    damage = shard_damage(folder, [split])
    if damage is not None:
        raise BadInput(
            f"the shard {folder} is damaged or not there ({damage or 'no such folder'}): run the study's command "
            "again, or babelscale tokenizer verify --repair, and it is rebuilt"
        )
    manifest = read_json(folder / "manifest.json")
    entry = manifest["splits"][split]
    mapped = {
        name: np.memmap(folder / f"{split}.{name}", dtype=dtype, mode="r") if entry["files"][name] else _empty(dtype)
        for name, dtype in {"ids": manifest["dtype"], **DTYPES}.items()
    }
    return Shard(
        language=manifest["language"],
        ids=mapped["ids"],
        documents=entry["documents"],
        text_tokens=entry["text_tokens"],
        text_bytes=entry["text_bytes"],
        offsets=mapped["offsets"],
        byte_offsets=mapped["bytes"],
    )


def _empty(dtype: Any) -> npt.NDArray[Any]:
    return np.empty(0, dtype)


def _work(folder: Path) -> Path:
    """Where the chunks of a shard lie until it is put together."""
    return folder.with_name(f".{folder.name}.work")


def _wanting(folder: Path) -> bool:
    """Whether there is anything to do: no sound shard, or a work folder that a kill left beside one."""
    return shard_damage(folder) is not None or _work(folder).is_dir()


def _write(
    corpus: Corpus,
    tokenizer: Tokenizer,
    folders: Mapping[str, Path],
    workers: int | None,
    progress: ByteProgress,
    logs: Path,
) -> None:
    """Encode what is missing, then put each shard together. The caller holds the leases of `folders`."""
    parts = {
        language: {side: chunks_of(corpus.documents(language, side), tokenizer, _work(folder)) for side in SIDES}
        for language, folder in folders.items()
    }
    chunks = [chunk for sides in parts.values() for side in SIDES for chunk in sides[side]]
    weights = {
        chunk: corpus.documents(language, side).bytes_of(chunk.start, chunk.stop)
        for language, sides in parts.items()
        for side in SIDES
        for chunk in sides[side]
    }
    missing = [chunk for chunk in chunks if not chunk.whole]
    total = sum(weights.values())
    done = total - sum(weights[chunk] for chunk in missing)

    def tick(count: int) -> None:
        nonlocal done
        done += count
        progress(done, total)

    place = Place(workers=workers if total - done >= _ALONE_BYTES else 1)
    spread(write_chunk, missing, [weights[chunk] for chunk in missing], place, tick, logs)
    for language, folder in folders.items():
        head = {"schema": SCHEMA, "language": language, "corpus": corpus.key, "tokenizer": tokenizer.key}
        with whole_folder(folder) as beside:
            merge(parts[language], {side: corpus.documents(language, side) for side in SIDES}, head, tokenizer, beside)
        shutil.rmtree(_work(folder), ignore_errors=True)
