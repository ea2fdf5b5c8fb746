"""The batch stream is a pure function of the sample number, and masking of its key."""

from __future__ import annotations

import itertools
import math
from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.batches.keyed import generator, key, permute, stream
from harness.batches.masking import SPECIAL_IDS, mask_rows, masks_per_row
from harness.batches.stream import TOKENS_AT_ONCE, BatchStream, Samples, cut_rows, rows_of
from harness.corpus.shards import Shard
from sweeps.sampling import BLOCK, language_distribution

TOKENS, VOCABULARY = 16, 500
ROWS = {"en": 701, "de": 90, "sw": 7}


def shard(language: str, rows: int) -> Shard:
    """Documents of uneven length, each closed by </s>, and a rest that fills no row. Every row is another."""
    size = rows * (TOKENS - 1) + TOKENS // 2
    ids = generator(0, "text", language).integers(SPECIAL_IDS, VOCABULARY - 1, size).astype(np.uint16)
    ids[np.cumsum(generator(0, "ends", language).integers(3, 40, size)).clip(max=size - 1)] = 2
    return Shard(language, ids, 1, size, 4 * size)


SHARDS = {language: shard(language, rows) for language, rows in ROWS.items()}
Q = language_distribution(ROWS, 0.3)


def batches(seed: int = 0, rate: float = 0.2) -> BatchStream:
    return BatchStream(SHARDS, Q, seed=seed, tokens_per_row=TOKENS, mask_rate=rate, vocabulary=VOCABULARY)


@given(st.integers(1, 5000), st.integers(0, 2**64 - 1))
def test_permute_is_a_permutation(size: int, name: int) -> None:
    values = np.arange(size, dtype=np.uint64)
    images = permute(values, np.full(size, size, np.uint64), np.full(size, name, np.uint64))
    assert np.array_equal(np.sort(images), values)
    assert np.array_equal(np.arange(size, dtype=np.uint64), values), "the argument is left alone"


@given(st.lists(st.tuples(st.integers(1, 2**40), st.integers(0, 2**64 - 1), st.integers(0, 2**63)), min_size=1))
def test_an_image_does_not_depend_on_what_else_is_asked(asked: list[tuple[int, int, int]]) -> None:
    sizes = np.asarray([size for size, _, _ in asked], np.uint64)
    keys = np.asarray([name for _, name, _ in asked], np.uint64)
    values = np.asarray([value % size for size, _, value in asked], np.uint64)
    together = permute(values, sizes, keys)
    assert (together < sizes).all()
    for index in range(len(asked)):
        one = slice(index, index + 1)
        assert permute(values[one], sizes[one], keys[one])[0] == together[index]


def test_permutations_of_different_keys_differ_and_move_nearly_everything() -> None:
    values, sizes = np.arange(1000, dtype=np.uint64), np.full(1000, 1000, np.uint64)
    one, other = (permute(values, sizes, np.full(1000, name, np.uint64)) for name in (1, 2))
    assert (one == other).mean() < 0.02 and (one == values).mean() < 0.02
    assert abs(np.corrcoef(one.astype(float), values.astype(float))[0, 1]) < 0.15


def test_keys_are_named_by_every_part_of_their_name() -> None:
    names = [(0, "rows", "en"), (1, "rows", "en"), (0, "mask", "en"), (0, "rows", "de"), (0, "rows", "e", "n")]
    assert len({key(*name) for name in names}) == len(names)


def test_every_row_comes_exactly_once_in_every_epoch() -> None:
    samples = batches().samples(0, 12 * BLOCK)
    for number, (language, rows) in enumerate(ROWS.items()):
        mine = samples.language == number
        for epoch in range(int(samples.epoch[mine].max())):
            assert sorted(samples.row[mine & (samples.epoch == epoch)]) == list(range(rows)), (language, epoch)
        last = samples.row[mine & (samples.epoch == samples.epoch[mine].max())]
        assert len(set(last)) == len(last)
    assert int(samples.epoch[samples.language == 2].max()) > 50, "the small language should have been repeated"


def test_the_order_of_rows_differs_between_epochs_and_seeds() -> None:
    def order(seed: int, epoch: int) -> list[int]:
        samples = batches(seed).samples(0, 4 * BLOCK)
        return list(samples.row[(samples.language == 1) & (samples.epoch == epoch)])

    assert len({tuple(order(seed, epoch)) for seed in (0, 1) for epoch in (0, 1, 2)}) == 6


@given(st.integers(0, 5 * BLOCK), st.lists(st.integers(1, 700), min_size=1, max_size=6))
@settings(max_examples=40)
def test_samples_are_the_same_however_the_range_is_cut(start: int, lengths: list[int]) -> None:
    cuts = list(itertools.accumulate(lengths, initial=start))
    whole = batches().samples(cuts[0], cuts[-1])
    parts = [batches().samples(low, high) for low, high in itertools.pairwise(cuts)]
    for field in ("language", "epoch", "row"):
        assert np.array_equal(getattr(whole, field), np.concatenate([getattr(part, field) for part in parts]))


@pytest.mark.parametrize("world", [1, 2, 4])
@pytest.mark.parametrize("micro_rows", [1, 2, 8])
def test_a_global_batch_is_the_same_for_every_number_of_ranks_and_micro_batches(world: int, micro_rows: int) -> None:
    rows, steps = 32, range(30, 35)  # across a block's edge
    accumulation = rows // world // micro_rows
    alone = batches()
    ranks = [batches() for _ in range(world)]
    for step in steps:
        whole = alone.batch(step * rows, (step + 1) * rows).masked
        parts = []
        for rank in range(world):
            for micro in range(accumulation):
                start = step * rows + (rank * accumulation + micro) * micro_rows
                parts.append(ranks[rank].batch(start, start + micro_rows).masked)
        assert np.array_equal(whole.ids_BT, np.concatenate([part.ids_BT for part in parts]))
        assert np.array_equal(whole.labels_N, np.concatenate([part.labels_N for part in parts]))
        shifts = np.arange(len(parts)) * micro_rows * TOKENS
        index = np.concatenate([part.index_N + shift for part, shift in zip(parts, shifts, strict=True)])
        assert np.array_equal(whole.index_N, index)


@given(
    st.integers(0, 10**12),
    st.integers(1, 40),
    st.sampled_from([1, 2, 4, 8]),
    st.sampled_from([1, 2, 4]),
)
@settings(max_examples=30, deadline=None)
def test_micro_batches_made_ahead_are_the_batches_themselves(first: int, steps: int, world: int, micro: int) -> None:
    """Whatever step a run goes on from, on however many ranks."""
    rows = 32
    accumulation = rows // world // micro
    by_rank = [
        list(batches().micro_batches(first, first + steps, batch_rows=rows, micro_rows=micro, rank=rank, world=world))
        for rank in range(world)
    ]
    assert {len(parts) for parts in by_rank} == {steps * accumulation}
    alone = batches()
    for step in range(steps):
        whole = alone.batch((first + step) * rows, (first + step + 1) * rows).masked
        parts = [part for mine in by_rank for part in mine[step * accumulation : (step + 1) * accumulation]]
        assert np.array_equal(whole.ids_BT, np.concatenate([part.ids_BT for part in parts]))
        assert np.array_equal(whole.labels_N, np.concatenate([part.labels_N for part in parts]))
        index = [part.index_N + slot * micro * TOKENS for slot, part in enumerate(parts)]
        assert np.array_equal(whole.index_N, np.concatenate(index))


def test_going_on_at_a_late_step_computes_no_earlier_sample(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[int, int]] = []
    real = BatchStream.samples

    def noted(self: BatchStream, start: int, stop: int) -> Samples:
        asked.append((start, stop))
        return real(self, start, stop)

    monkeypatch.setattr(BatchStream, "samples", noted)
    late = 10**12
    next(batches().micro_batches(late, late + 10**6, batch_rows=8, micro_rows=8))
    assert min(start for start, _ in asked) == late * 8
    assert sum(stop - start for start, stop in asked) * TOKENS <= TOKENS_AT_ONCE


def test_true_epochs_keep_to_the_expected_ones_within_a_few_rows() -> None:
    for stop in (1, 777, 5 * BLOCK, 40 * BLOCK + 300):
        expected, true = batches().expected_epochs(stop), batches().epochs(stop)
        for language, rows in ROWS.items():
            slack = 4 + 2 * math.log2(stop / BLOCK + 2) + 4 * math.sqrt(min(stop, BLOCK) * Q[language])
            assert abs(true[language] - expected[language]) * rows <= slack


def test_a_restart_needs_the_sample_number_and_nothing_else() -> None:
    seen = batches()
    for step in range(40):
        seen.batch(step * 32, (step + 1) * 32)
    fresh = batches().batch(40 * 32, 41 * 32).masked
    assert np.array_equal(seen.batch(40 * 32, 41 * 32).masked.ids_BT, fresh.ids_BT)


def test_sample_ten_to_the_tenth_comes_at_once() -> None:
    samples = batches().samples(10**10, 10**10 + 8)
    assert len(samples.row) == 8 and (samples.epoch > 10**6).all()


@given(st.integers(0, 6 * BLOCK), st.integers(0, 3))
@settings(max_examples=40)
def test_draws_in_closed_form_equal_counting(stop: int, seed: int) -> None:
    counted: Counter[str] = Counter()
    if stop:
        counted = Counter(list(ROWS)[number] for number in batches(seed).samples(0, stop).language.tolist())
    assert batches(seed).draws(stop) == {language: counted[language] for language in ROWS}


def test_epochs_are_draws_over_rows() -> None:
    stream_ = batches()
    draws = stream_.draws(5000)
    assert stream_.epochs(5000) == {language: draws[language] / rows for language, rows in ROWS.items()}


def test_languages_come_as_often_as_q_says_and_are_mixed_in_a_batch() -> None:
    count = 20 * BLOCK + 300
    samples = batches().samples(0, count)
    for number, share in enumerate(Q.values()):
        times = int((samples.language == number).sum())
        assert abs(times - share * count) < 4 * math.sqrt(count * share * (1 - share))
    for step in range(100):
        assert len(set(samples.language[step * 64 : (step + 1) * 64])) == 3


def test_a_batch_shows_the_rows_of_the_text() -> None:
    batch = batches().batch(100, 164)
    restored = batch.masked.ids_BT.reshape(-1).copy()
    restored[batch.masked.index_N] = batch.masked.labels_N
    for slot, (number, row) in enumerate(zip(batch.samples.language, batch.samples.row, strict=True)):
        expected = cut_rows(SHARDS[list(ROWS)[number]], np.asarray([row]), TOKENS)[0]
        assert expected[0] == 0
        assert np.array_equal(restored.reshape(64, TOKENS)[slot], expected)


def test_rows_cover_the_text_once_and_leave_out_the_rest() -> None:
    text = SHARDS["sw"]
    assert rows_of(text, TOKENS) == ROWS["sw"]
    rows = cut_rows(text, np.arange(ROWS["sw"]), TOKENS)
    assert np.array_equal(rows[:, 1:].reshape(-1), text.ids[: ROWS["sw"] * (TOKENS - 1)])


def test_a_language_that_fills_no_row_is_named() -> None:
    short = {"en": SHARDS["en"], "sw": Shard("sw", np.zeros(TOKENS - 2, np.uint16), 1, TOKENS - 2, 60)}
    with pytest.raises(ValueError, match="the training text of sw does not fill one row of 16 tokens"):
        BatchStream(short, {"en": 0.5, "sw": 0.5}, seed=0, tokens_per_row=16, mask_rate=0.2, vocabulary=VOCABULARY)


def large(rate: float = 0.25, seed: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, int]:
    """Original ids, corrupted ids, index and labels of 4,000 rows with specials strewn in, and K."""
    draw = generator(seed, "test-rows")
    ids = draw.integers(SPECIAL_IDS, VOCABULARY - 1, (4000, 32))
    ids[:, 0] = 0
    ids[draw.random(ids.shape) < 0.1] = 2
    ids[draw.random(ids.shape) < 0.02] = 1
    count = masks_per_row(rate, 32)
    keys = stream(np.full(4000, 7, np.uint64), np.arange(4000, dtype=np.uint64))
    masked = mask_rows(ids, keys, count=count, vocabulary=VOCABULARY)
    return ids, masked.ids_BT, masked.index_N, masked.labels_N, count


def test_every_row_has_exactly_k_masks_never_on_a_special_token() -> None:
    ids, _, index, labels, count = large()
    assert count == 8
    rows, positions = np.divmod(index, 32)
    assert np.array_equal(rows, np.repeat(np.arange(4000), count))
    assert (np.diff(positions.reshape(4000, count), axis=1) > 0).all(), "each position once, ascending"
    assert np.array_equal(labels, ids.reshape(-1)[index])
    assert labels.min() >= 3


def test_positions_that_are_not_chosen_stay_as_they_are() -> None:
    ids, corrupted, index, _, _ = large()
    untouched = np.ones(ids.size, bool)
    untouched[index] = False
    assert np.array_equal(ids.reshape(-1)[untouched], corrupted.reshape(-1)[untouched])


def test_of_the_chosen_80_percent_are_masks_10_random_10_kept() -> None:
    _, corrupted, index, labels, _ = large()
    shown, n = corrupted.reshape(-1)[index], len(index)
    masks, kept = shown == VOCABULARY - 1, shown == labels
    for share, found in ((0.8, masks.mean()), (0.1, (~masks & ~kept).mean()), (0.1, kept.mean())):
        assert abs(found - share) < 4 * math.sqrt(share * (1 - share) / n) + 0.1 / VOCABULARY


def test_random_replacements_are_pieces_spread_over_the_whole_vocabulary() -> None:
    _, corrupted, index, labels, _ = large()
    shown = corrupted.reshape(-1)[index]
    random = shown[(shown != VOCABULARY - 1) & (shown != labels)]
    assert random.min() >= SPECIAL_IDS and random.max() < VOCABULARY - 1
    pieces = VOCABULARY - 1 - SPECIAL_IDS
    counts = np.bincount(random - SPECIAL_IDS, minlength=pieces)
    chi_squared = ((counts - counts.mean()) ** 2 / counts.mean()).sum()
    assert abs(chi_squared - pieces) < 5 * math.sqrt(2 * pieces)


def test_every_position_is_masked_equally_often() -> None:
    ids, _, index, _, count = large()
    often = np.bincount(index % 32, minlength=32)[1:] / (ids >= 3).sum(axis=0)[1:]
    assert np.abs(often / often.mean() - 1).max() < 0.12 and count * 4000 == len(index)


def test_the_same_row_has_other_masks_in_another_epoch_and_the_same_in_the_same() -> None:
    whole = batches().batch(0, 4 * BLOCK)
    rows, index = whole.samples, whole.masked.index_N.reshape(4 * BLOCK, -1) % TOKENS
    masks: dict[tuple[int, int, int], tuple[int, ...]] = {}
    for slot in np.flatnonzero(rows.language == 2):
        masks[2, int(rows.epoch[slot]), int(rows.row[slot])] = tuple(index[slot])
    of_row_0 = [chosen for (_, _, row), chosen in masks.items() if row == 0]
    assert len(of_row_0) > 20 and len(set(of_row_0)) > 0.9 * len(of_row_0)
    again = batches().batch(0, BLOCK)
    assert np.array_equal(again.masked.index_N, whole.masked.index_N[: len(again.masked.index_N)])


@pytest.mark.parametrize(("rate", "tokens", "count"), [(0.15, 512, 77), (0.3, 64, 19), (0.01, 16, 1)])
def test_the_number_of_masks_is_the_rate_of_the_row(rate: float, tokens: int, count: int) -> None:
    assert masks_per_row(rate, tokens) == count


@pytest.mark.parametrize("rate", [0.0, 0.5, 1.0, -0.1])
def test_a_mask_rate_that_leaves_too_little_is_refused(rate: float) -> None:
    with pytest.raises(ValueError, match=f"mask rate {rate} asks for"):
        masks_per_row(rate, 64)
