"""The demo's intent sentences as an artefact: expanded once per language, then read by every run that is scored.

Expanding a language's templates takes about half a second, and every run of a study is scored on the same sentences.
The folder is named by all that decides them: the packages' versions, the draw, and the sampler's own source.
"""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

from harness.evaluate import intents
from harness.evaluate.intents import IntentData, IntentItem
from harness.store import Store, digest, file_digest, lease, read_json, write_json

ITEM_SEED = 0
"""Sentences are drawn once, with this seed: every run is scored on the same items."""
SENTENCES_PER_TEMPLATE = 12


def intent_items(store: Store, language: str) -> IntentData:
    """The items of `language`, expanded now if the store lacks them."""
    path = _folder(store) / f"{language}.json"
    with lease(path):
        if not path.exists():
            write_json(path, asdict(intents.load(language, seed=ITEM_SEED, per_template=SENTENCES_PER_TEMPLATE)))
    return _read(path)


def _folder(store: Store) -> Path:
    drawn = [intents.version(), ITEM_SEED, SENTENCES_PER_TEMPLATE, file_digest(Path(intents.__file__))]
    return store.tasks / f"intents-{digest(drawn)}"


def _read(path: Path) -> IntentData:
    block = read_json(path)
    sides = {side: tuple(IntentItem(**item) for item in block[side]) for side in ("train", "dev", "test")}
    return IntentData(language=block["language"], skipped=block["skipped"], **sides)
