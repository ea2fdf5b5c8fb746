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


def words_of(row: np.ndarray, starts: np.ndarray) -> np.ndarray:
    """A number per position: which word it stands in. Special tokens are words of their own."""
    words, word = [], -1
    for position, piece in enumerate(row):
        special_before = position > 0 and row[position - 1] < SPECIAL_IDS - 1
        word += bool(starts[piece]) or piece < SPECIAL_IDS - 1 or special_before or position == 0
        words.append(word)
    return np.asarray(words)


@given(st.integers(0, 2**32), st.floats(0.05, 0.9))
def test_whole_words_are_masked_and_only_one_is_cut(seed: int, spaces: float) -> None:
    draw = generator(seed, "word-test")
    starts = np.zeros(VOCABULARY, dtype=bool)
    starts[SPECIAL_IDS:-1] = draw.random(VOCABULARY - 1 - SPECIAL_IDS) < spaces
    ids = draw.integers(SPECIAL_IDS, VOCABULARY - 1, (3, TOKENS))
    ids[:, 0], ids[:, 11], ids[:, 12] = 0, 2, 2
    keys = draw.integers(0, 2**63, 3, dtype=np.uint64)
    masked = mask_rows(ids, keys, count=COUNT, vocabulary=VOCABULARY, word_starts_V=starts)
    assert len(masked.index_N) == 3 * COUNT and masked.labels_N.min() >= SPECIAL_IDS
    for row in range(3):
        chosen = {int(index) % TOKENS for index in masked.index_N[row * COUNT : (row + 1) * COUNT]}
        words = words_of(ids[row], starts)
        touched = {int(words[position]) for position in chosen}
        cut = [word for word in touched if not set(np.flatnonzero(words == word).tolist()) <= chosen]
        assert len(chosen) == COUNT and len(cut) <= 1
        for word in cut:
            members = np.flatnonzero(words == word).tolist()
            assert [position in chosen for position in members] == sorted(
                (position in chosen for position in members), reverse=True
            ), "a word that is cut loses its end"


def test_words_are_chosen_alike_whatever_their_length() -> None:
    """A word of five pieces among words of one is chosen no more often than they are."""
    starts = np.ones(VOCABULARY, dtype=bool)
    starts[50] = False
    ids = np.tile(np.arange(100, 100 + TOKENS), (4000, 1))
    ids[:, 4:8] = 50  # with the piece before them, a word of five
    masked = mask_rows(ids, np.arange(4000, dtype=np.uint64), count=COUNT, vocabulary=VOCABULARY, word_starts_V=starts)
    often = np.bincount(masked.index_N % TOKENS, minlength=TOKENS) / 4000
    assert abs(often[3] - often[10]) < 0.05
