"""What the held-out score measures: how well hidden tokens are told, with no leak of their identity."""

from __future__ import annotations

import math
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from tiny import study_text, submit_here
from torch import Tensor, nn

from harness.batches.masking import SPECIAL_IDS
from harness.batches.stream import cut_rows, rows_of
from harness.corpus.shards import Shard
from harness.evaluate import heldout as heldout_module
from harness.evaluate.heldout import score_heldout
from harness.prepare import open_shards
from harness.store import Store


class Unigram(nn.Module):
    """A model without context: it knows how often each piece comes. It also looks whether it is shown an answer."""

    def __init__(self, training: Shard, vocabulary: int) -> None:
        super().__init__()
        counts = np.bincount(training.ids, minlength=vocabulary).astype(np.float64)
        counts[:SPECIAL_IDS] = 0
        share = (counts + 1) / (counts.sum() + vocabulary - SPECIAL_IDS)
        self.nats = nn.Parameter(torch.from_numpy(-np.log(share)))
        self.encoder = SimpleNamespace(config=SimpleNamespace(vocabulary=vocabulary))
        self.shown: set[int] = set()

    def forward(self, ids_BT: Tensor, index_N: Tensor, labels_N: Tensor) -> Tensor:
        self.shown |= set(ids_BT.flatten()[index_N].tolist())
        return self.nats[labels_N]


@pytest.fixture(scope="module")
def shards(tiny_store: Callable[[str], Store]) -> tuple[dict[str, Shard], dict[str, Shard], int]:
    store = tiny_store("heldout")
    _, runs = submit_here(store, study_text())
    science = runs[0].science
    return (
        open_shards(store, science, "heldout"),
        open_shards(store, science, "train"),
        int(science["model"]["vocabulary"]),
    )


def scores(shards: Any, model: Unigram, language: str) -> dict[str, float]:
    heldout, training, _ = shards
    rows = score_heldout(
        model,  # type: ignore[arg-type]
        {language: heldout[language]},
        training,
        tokens_per_row=16,
        mask_rate=0.2,
        bf16=False,
    )
    return {row["metric"]: row["value"] for row in rows}


def test_no_scored_position_shows_its_token(shards: Any) -> None:
    _, training, vocabulary = shards
    model = Unigram(training["en"], vocabulary)
    scores(shards, model, "en")
    assert model.shown == {vocabulary - 1}


@pytest.mark.parametrize("language", ["en", "de", "ru"])
def test_a_model_without_context_scores_the_recorded_unigram_level(shards: Any, language: str) -> None:
    _, training, vocabulary = shards
    found = scores(shards, Unigram(training[language], vocabulary), language)
    # The level is over all tokens, the score over the masked ones: a sample of the same text.
    assert found["bits_per_byte"] == pytest.approx(found["unigram_bits_per_byte"], rel=0.05)
    assert math.isclose(
        found["bits_per_byte"] / found["nats_per_masked_token"], shards[0][language].tokens_per_byte / math.log(2)
    )


def test_of_a_long_text_rows_from_all_over_it_are_scored(shards: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    heldout, training, vocabulary = shards
    held = rows_of(heldout["en"], 16)
    monkeypatch.setattr(heldout_module, "MOST_ROWS", 4)
    cut: list[int] = []

    def noted(shard: Shard, rows: Any, tokens: int) -> Any:
        cut.extend(rows.tolist())
        return cut_rows(shard, rows, tokens)

    monkeypatch.setattr(heldout_module, "cut_rows", noted)
    scores(shards, Unigram(training["en"], vocabulary), "en")
    assert held > 8 and set(cut) == {0, held // 4, held // 2, 3 * held // 4}
