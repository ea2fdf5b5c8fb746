"""The intent sentences that every run of a study is scored on."""

from __future__ import annotations

from pathlib import Path

from harness.evaluate import intents
from harness.evaluate.intent_items import ITEM_SEED, SENTENCES_PER_TEMPLATE, intent_items
from harness.store import Store


def test_sentences_read_back_from_the_store_are_those_that_were_drawn(tmp_path: Path) -> None:
    store = Store(tmp_path)
    drawn = intents.load("lb", seed=ITEM_SEED, per_template=SENTENCES_PER_TEMPLATE)
    assert intent_items(store, "lb") == drawn
    assert intent_items(store, "lb") == drawn, "the second time from the file"
    assert [path.name for path in store.tasks.glob("intents-*/*.json")] == ["lb.json"]
