"""The batch stream of a run. Its only state is one integer, the global sample number.

sample n -> language (systematic draw of the cell's distribution) -> how many draws that language had before, hence
(epoch, position) -> row, through a permutation keyed by (seed, language, epoch), so every row comes once an epoch ->
masks, keyed by (seed, language, epoch, row). Ranks, micro-batches and restarts choose which samples are computed
where and when; they cannot change a sample.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from harness.batches.keyed import generator, key, permute, stream
from harness.batches.masking import DEFAULT_SPLIT, Masked, MaskSplit, mask_rows, masks_per_row
from harness.corpus.shards import Shard
from sweeps.sampling import BLOCK, SystematicDraw, epochs_per_language, systematic_draw

TOKENS_AT_ONCE = 1 << 15
"""Tokens that `micro_batches` makes in one go (a few MB): NumPy's cost per call, most of it at 8 rows, is shared."""
BEGIN_ID = 0
"""<s>, which begins every row."""


@dataclass(frozen=True)
class Samples:
    """Which rows the samples [start, stop) are: arrays of one entry per sample."""

    language: npt.NDArray[np.int64]
    """Index into `BatchStream.languages`."""
    epoch: npt.NDArray[np.int64]
    row: npt.NDArray[np.int64]


@dataclass(frozen=True)
class Batch:
    """Rows of samples [start, stop), masked."""

    samples: Samples
    masked: Masked


def cut_rows(shard: Shard, rows: npt.NDArray[np.int64], tokens_per_row: int) -> npt.NDArray[np.int64]:
    """Rows of a shard, (B, T) int64: <s>, then T - 1 consecutive tokens of the flat stream. No padding."""
    body = tokens_per_row - 1
    index = rows[:, None] * body + np.arange(body)[None, :]
    begin = np.full((len(rows), 1), BEGIN_ID, dtype=np.int64)
    return np.concatenate([begin, shard.ids[index].astype(np.int64)], axis=1)


def rows_of(shard: Shard, tokens_per_row: int) -> int:
    """Full rows a shard holds; the last, shorter piece is left out."""
    return len(shard.ids) // (tokens_per_row - 1)


class BatchStream:
    """Batches of one run.

    `shards` and `q` have the same languages; `vocabulary` counts table rows (with <mask>). Raises ValueError for a
    language whose training text does not fill one row.
    """

    def __init__(
        self,
        shards: Mapping[str, Shard],
        q: Mapping[str, float],
        *,
        seed: int,
        tokens_per_row: int,
        mask_rate: float,
        vocabulary: int,
        split: MaskSplit = DEFAULT_SPLIT,
        word_starts: npt.NDArray[np.bool_] | None = None,
    ) -> None:
        self.languages = tuple(q)
        self.rows = [rows_of(shards[language], tokens_per_row) for language in self.languages]
        for language, rows in zip(self.languages, self.rows, strict=True):
            if rows == 0:
                raise ValueError(f"the training text of {language} does not fill one row of {tokens_per_row} tokens")
        self.seed, self.tokens_per_row, self.vocabulary = seed, tokens_per_row, vocabulary
        self.q, self.split, self._word_starts = dict(q), split, word_starts
        self.masks_per_row = masks_per_row(mask_rate, tokens_per_row)
        self.bytes_per_token = sum(share / shards[language].tokens_per_byte for language, share in q.items())
        """UTF-8 bytes of text that a drawn token stands for, on average."""
        self.draw: SystematicDraw = systematic_draw(q, float(generator(seed, "language-offset").random()))
        # A plain view of the map: indexing np.memmap itself costs ten times as much.
        self._ids = [np.asarray(shards[language].ids) for language in self.languages]
        self._rows = np.asarray(self.rows, dtype=np.int64)
        self._row_keys = np.asarray([key(seed, "rows", code) for code in self.languages], dtype=np.uint64)
        self._mask_keys = np.asarray([key(seed, "mask", code) for code in self.languages], dtype=np.uint64)
        self._cached_block: tuple[int, npt.NDArray[np.int64], npt.NDArray[np.int64]] | None = None

    def _block(self, block: int) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
        """Language and number of earlier draws of that language, for each sample of a block."""
        if self._cached_block is None or self._cached_block[0] != block:
            counts = self.draw.counts_in(block)
            languages = np.repeat(np.arange(len(counts)), counts)
            earlier = np.concatenate(
                [
                    np.arange(before, before + n)
                    for before, n in zip(self.draw.counts_before(block), counts, strict=True)
                ]
            )
            # Slots are shuffled, so that a batch mixes languages; a language's own draws keep no order to preserve.
            order = generator(self.seed, "language-order", block).permutation(BLOCK)
            self._cached_block = (block, languages[order], earlier[order])
        return self._cached_block[1], self._cached_block[2]

    def samples(self, start: int, stop: int) -> Samples:
        """Rows of the global samples [start, stop)."""
        languages, earlier = [], []
        for block in range(start // BLOCK, (stop - 1) // BLOCK + 1):
            low, high = max(start, block * BLOCK) - block * BLOCK, min(stop, (block + 1) * BLOCK) - block * BLOCK
            block_languages, block_earlier = self._block(block)
            languages.append(block_languages[low:high])
            earlier.append(block_earlier[low:high])
        language, draws = np.concatenate(languages), np.concatenate(earlier)
        rows = self._rows[language]
        epoch, position = draws // rows, draws % rows
        keys = stream(self._row_keys[language], epoch.astype(np.uint64))
        row = permute(position.astype(np.uint64), rows.astype(np.uint64), keys).astype(np.int64)
        return Samples(language, epoch, row)

    def batch(self, start: int, stop: int) -> Batch:
        """Masked rows of the global samples [start, stop), in sample order."""
        samples = self.samples(start, stop)
        return Batch(samples, self._masked(samples))

    def micro_batches(
        self, first: int, last: int, *, batch_rows: int, micro_rows: int, rank: int = 0, world: int = 1
    ) -> Iterator[Masked]:
        """The micro-batches of one rank for the steps [first, last), in order: what `batch` gives for each.

        They are made some steps at a time and handed out in parts. No sample before step `first` is computed.
        """
        share = batch_rows // world
        together = max(1, TOKENS_AT_ONCE // (share * self.tokens_per_row))
        for begin in range(first, last, together):
            steps = range(begin, min(last, begin + together))
            parts = [
                self.samples(start, start + share) for start in (step * batch_rows + rank * share for step in steps)
            ]
            joined = Samples(
                np.concatenate([part.language for part in parts]),
                np.concatenate([part.epoch for part in parts]),
                np.concatenate([part.row for part in parts]),
            )
            masked = self._masked(joined)
            for start in range(0, len(joined.row), micro_rows):
                yield masked.part(start, start + micro_rows)

    def _masked(self, samples: Samples) -> Masked:
        """The rows of `samples`, cut and corrupted."""
        body = self.tokens_per_row - 1
        ids_BT = np.empty((len(samples.row), self.tokens_per_row), dtype=np.int64)
        ids_BT[:, 0] = BEGIN_ID
        for slot, (language, row) in enumerate(zip(samples.language.tolist(), samples.row.tolist(), strict=True)):
            ids_BT[slot, 1:] = self._ids[language][row * body : (row + 1) * body]
        keys_B = stream(
            stream(self._mask_keys[samples.language], samples.epoch.astype(np.uint64)), samples.row.astype(np.uint64)
        )
        return mask_rows(
            ids_BT,
            keys_B,
            count=self.masks_per_row,
            vocabulary=self.vocabulary,
            split=self.split,
            word_starts_V=self._word_starts,
        )

    def expected_epochs(self, stop: int) -> dict[str, float]:
        """How often samples [0, stop) should pass each language's text by the distribution alone."""
        held = {language: float(rows) for language, rows in zip(self.languages, self.rows, strict=True)}
        return epochs_per_language(self.q, tokens_drawn=stop, tokens_held=held)

    def draws(self, stop: int) -> dict[str, int]:
        """How often each language was drawn in samples [0, stop)."""
        block, rest = divmod(stop, BLOCK)
        counts = np.asarray(self.draw.counts_before(block))
        if rest:
            counts = counts + np.bincount(self._block(block)[0][:rest], minlength=len(self.languages))
        return {language: int(count) for language, count in zip(self.languages, counts, strict=True)}

    def epochs(self, stop: int) -> dict[str, float]:
        """How often each language's training text was passed in samples [0, stop)."""
        draws = self.draws(stop)
        return {language: draws[language] / rows for language, rows in zip(self.languages, self.rows, strict=True)}
