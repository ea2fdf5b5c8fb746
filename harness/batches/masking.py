"""Masked-LM corruption: a fixed number of masks in each row, 80/10/10, special tokens never.

A fixed count K per row (drawn without replacement) gives static shapes, makes the mean over micro-batches and ranks
equal to the mean over the batch, and lowers variance against independent draws (paper section 2.2 prints no rates;
15 % and 80/10/10 are the code defaults of XLM and fairseq).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from harness.batches.keyed import U64, stream

SPECIAL_IDS = 4
"""Ids below this are <s>, <pad>, </s>, <unk>: the first three are never masked, none is ever a random replacement."""


@dataclass(frozen=True)
class MaskSplit:
    """Shares of the chosen positions shown as <mask> and as a random piece; the rest are left as they are."""

    mask: float = 0.8
    random: float = 0.1


DEFAULT_SPLIT = MaskSplit()


@dataclass(frozen=True)
class Masked:
    """A corrupted batch of B rows of T tokens with K masks a row."""

    ids_BT: npt.NDArray[np.int64]
    index_N: npt.NDArray[np.int64]
    """Positions scored, into the flattened (B * T); N = B * K, row by row, ascending within a row."""
    labels_N: npt.NDArray[np.int64]

    def part(self, start: int, stop: int) -> Masked:
        """Rows [start, stop) as a batch of their own, without copying ids and labels."""
        rows, tokens = self.ids_BT.shape
        count = len(self.index_N) // rows
        chosen = slice(start * count, stop * count)
        return Masked(self.ids_BT[start:stop], self.index_N[chosen] - start * tokens, self.labels_N[chosen])


def masks_per_row(rate: float, tokens_per_row: int) -> int:
    """K: at least one. Raises ValueError when K could exceed what a row of short documents leaves unspecial."""
    count = max(1, round(rate * tokens_per_row))
    if not 0.0 < rate < 1.0 or count > (tokens_per_row - 1) // 2:
        raise ValueError(
            f"mask rate {rate} asks for {count} masks in rows of {tokens_per_row} tokens; "
            f"it must be above 0 and give at most {(tokens_per_row - 1) // 2}"
        )
    return count


_LOWER_BITS = np.uint64(0xFFFF_FFFF)


def _first_of_word(ids_BT: npt.NDArray[np.int64], word_starts_V: npt.NDArray[np.bool_]) -> U64:
    """Position of the first piece of each token's word, (B, T). A special token, and what follows it, begin one."""
    special_BT = ids_BT < SPECIAL_IDS - 1
    starts_BT = word_starts_V[ids_BT] | special_BT
    starts_BT[:, 1:] |= special_BT[:, :-1]
    starts_BT[:, 0] = True
    first_BT = np.where(starts_BT, np.arange(ids_BT.shape[1]), 0)
    return np.maximum.accumulate(first_BT, axis=1).astype(np.uint64)


def mask_rows(
    ids_BT: npt.NDArray[np.int64],
    keys_B: U64,
    *,
    count: int,
    vocabulary: int,
    split: MaskSplit = DEFAULT_SPLIT,
    word_starts_V: npt.NDArray[np.bool_] | None = None,
) -> Masked:
    """Corrupt rows. `keys_B` names each row's generator; `vocabulary` counts table rows, <mask> is the last.

    Positions are chosen by the `count` smallest of one hash per token; a second hash decides what is shown. With
    `word_starts_V` (true for pieces that begin a word) the hash is the word's: words are chosen whole, in a random
    order, and only the last is cut where the count is full. Text without spaces has no words: there a run of pieces
    up to the next space counts as one.
    """
    rows, tokens = ids_BT.shape
    mask_id = vocabulary - 1
    positions_T = np.arange(tokens, dtype=np.uint64)
    if word_starts_V is None:
        order_BT = stream(keys_B[:, None], positions_T[None, :])
    else:
        order_BT = stream(keys_B[:, None], _first_of_word(ids_BT, word_starts_V))
        # All pieces of a word share the upper bits; the lower ones keep them in order.
        order_BT = (order_BT & ~_LOWER_BITS) | positions_T[None, :]
    order_BT = np.where(ids_BT < SPECIAL_IDS - 1, np.uint64(2**64 - 1), order_BT)
    chosen_BK = np.sort(np.argpartition(order_BT, count - 1, axis=1)[:, :count], axis=1)
    index_N = (chosen_BK + np.arange(rows)[:, None] * tokens).reshape(-1).astype(np.int64)
    labels_N = ids_BT.reshape(-1)[index_N]

    fate_BK = stream(keys_B[:, None], chosen_BK.astype(np.uint64) + np.uint64(tokens))
    share_N = (fate_BK >> np.uint64(11)).reshape(-1) / float(1 << 53)
    drawn_BK = stream(keys_B[:, None], chosen_BK.astype(np.uint64) + np.uint64(2 * tokens))
    random_N = (drawn_BK % np.uint64(mask_id - SPECIAL_IDS)).reshape(-1).astype(np.int64) + SPECIAL_IDS
    other_N = np.where(share_N < split.mask + split.random, random_N, labels_N)
    shown_N = np.where(share_N < split.mask, mask_id, other_N)
    corrupted = ids_BT.reshape(-1).copy()
    corrupted[index_N] = shown_N
    return Masked(corrupted.reshape(rows, tokens), index_N, labels_N)
