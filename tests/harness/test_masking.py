"""What chosen positions show, when a study says how they split."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.batches.keyed import generator
from harness.batches.masking import SPECIAL_IDS, MaskSplit, mask_rows

VOCABULARY, TOKENS, COUNT = 200, 32, 6


def shown_and_labels(split: MaskSplit, rows: int = 2000) -> tuple[np.ndarray, np.ndarray]:
    ids = generator(0, "split-test").integers(SPECIAL_IDS, VOCABULARY - 1, (rows, TOKENS))
    masked = mask_rows(ids, np.arange(rows, dtype=np.uint64), count=COUNT, vocabulary=VOCABULARY, split=split)
    return masked.ids_BT.reshape(-1)[masked.index_N], masked.labels_N


@pytest.mark.parametrize(("mask", "random"), [(1.0, 0.0), (0.0, 1.0), (0.0, 0.0), (0.5, 0.3)])
def test_positions_split_as_asked(mask: float, random: float) -> None:
    shown, labels = shown_and_labels(MaskSplit(mask, random))
    masks, kept = shown == VOCABULARY - 1, shown == labels
    assert abs(masks.mean() - mask) < 0.02
    assert abs(kept.mean() - (1 - mask - random)) < 0.02 + random / VOCABULARY
    assert shown.min() >= SPECIAL_IDS


def test_the_split_moves_no_position() -> None:
    assert np.array_equal(shown_and_labels(MaskSplit())[1], shown_and_labels(MaskSplit(0.3, 0.3))[1])


@given(st.integers(1, 12), st.data())
def test_a_part_of_a_batch_is_the_batch_of_those_rows(rows: int, data: st.DataObject) -> None:
    start = data.draw(st.integers(0, rows - 1))
    stop = data.draw(st.integers(start + 1, rows))
    ids = generator(1, "part-test").integers(SPECIAL_IDS, VOCABULARY - 1, (rows, TOKENS))
    keys = np.arange(rows, dtype=np.uint64)
    part = mask_rows(ids, keys, count=COUNT, vocabulary=VOCABULARY).part(start, stop)
    alone = mask_rows(ids[start:stop], keys[start:stop], count=COUNT, vocabulary=VOCABULARY)
    for field in ("ids_BT", "index_N", "labels_N"):
        assert np.array_equal(getattr(part, field), getattr(alone, field))
