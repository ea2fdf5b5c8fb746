"""The full check of tokenizers and shards: every byte against the digest that it was written with; and the repair."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from harness.corpus.artefact import Corpus
from harness.corpus.shard_files import shard_damage
from harness.corpus.shards import ensure_shards
from harness.corpus.tokenizer import Tokenizer, TokenizerSpec, discard, ensure_tokenizer, tokenizer_damage
from harness.store import Store, lease, read_json
from sweeps.errors import BadInput

Kind = Literal["tokenizer", "shard"]


@dataclass(frozen=True)
class Checked:
    """One artefact that was looked at."""

    kind: Kind
    key: str
    language: str
    """Of a shard; empty for a tokenizer."""
    damage: str
    """What is wrong, empty where it is sound."""
    repair: Literal["", "made anew", "removed"] = ""
    """`removed`: what made it cannot be told any more; the next run that wants it makes it."""


def verify_all(
    store: Store, corpus: Corpus | None = None, *, repair: bool = False, seen: Callable[[str], None] | None = None
) -> list[Checked]:
    """Check every tokenizer and shard of the root, or those of one corpus; `repair` makes the damaged ones anew.

    `seen` is told the folder before each. Tokenizers come first, since shards are repaired with them. Raises BadInput
    where a repair needs a corpus that is gone.
    """
    checked: list[Checked] = []
    for kind, folder in _artefacts(store):
        manifest = _manifest(folder)
        if corpus is not None and manifest is not None and manifest.get("corpus") != corpus.key:
            continue
        if seen:
            seen(str(folder))
        damage = (tokenizer_damage if kind == "tokenizer" else shard_damage)(folder, full=True) or ""
        done: Literal["", "made anew", "removed"] = ""
        if damage and repair:
            done = "removed" if manifest is None else "made anew"
            with lease(folder):
                discard(folder, damage, None)
            if manifest is not None:
                _make_anew(store, kind, manifest)
            else:
                for leftover in folder.parent.glob(f".{folder.name}.*.tmp"):
                    shutil.rmtree(leftover, ignore_errors=True)
        checked.append(Checked(kind, folder.name, (manifest or {}).get("language", ""), damage, done))
    return checked


def _artefacts(store: Store) -> Iterator[tuple[Kind, Path]]:
    places: tuple[tuple[Kind, Path], ...] = (("tokenizer", store.tokenizers), ("shard", store.shards))
    for kind, place in places:
        yield from ((kind, folder) for folder in sorted(place.glob("[!.]*")) if folder.is_dir())


def _manifest(folder: Path) -> dict[str, Any] | None:
    try:
        found = read_json(folder / "manifest.json")
        return found if isinstance(found, dict) and "corpus" in found else None
    except (OSError, ValueError):
        return None


def _make_anew(store: Store, kind: Kind, manifest: dict[str, Any]) -> None:
    corpus = Corpus.of_key(store, manifest["corpus"], manifest["corpus"])
    if corpus is None:
        raise BadInput(
            f"the corpus {manifest['corpus']} is not under {store.root}, so nothing made from it can be repaired: "
            "add it again with babelscale corpus add"
        )
    if kind == "tokenizer":
        spec = manifest["spec"]
        ensure_tokenizer(store, corpus, TokenizerSpec(**spec | {"languages": tuple(spec["languages"])}))
        return
    folder = store.tokenizers / manifest["tokenizer"]
    if tokenizer_damage(folder) is not None:
        raise BadInput(f"the tokenizer {folder} is not there: run the study's command again, it makes what is missing")
    ensure_shards(store, corpus, Tokenizer(folder), [manifest["language"]])
