"""Batches of rows of like length, so that little of a batch is padding.

For training, rows are drawn in an order of their own and sorted by length only within a stretch of it: batches stay
random, rows beside each other become alike. For scoring, all rows are sorted.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence, Sized

import numpy as np
import torch
from torch import Tensor

from harness.batches.keyed import generator
from models.sizes import PAD_ID

SCORING_TOKENS, SCORING_TOKENS_CPU = 16_384, 4_096
"""Of a batch that is scored. An accelerator wants large batches; on a CPU the activations of a small one stay in cache:
of XNLI-like rows 449 items a second in batches of 4,096 tokens, 404 of 16,384 (width 256, 4 layers, one thread)."""
STRETCH = 50
"""Batches that are sorted together."""


def training_batches(rows: Sequence[Sized], batch_rows: int, *, seed: int, epoch: int) -> Iterator[list[int]]:
    """Indices of an epoch's batches; the last stretch's shortest batch may be smaller."""
    order = generator(seed, "fine-tuning-order", epoch).permutation(len(rows))
    batches = []
    for first in range(0, len(order), STRETCH * batch_rows):
        alike = sorted(order[first : first + STRETCH * batch_rows].tolist(), key=lambda index: len(rows[index]))
        batches += [alike[at : at + batch_rows] for at in range(0, len(alike), batch_rows)]
    for index in generator(seed, "fine-tuning-batches", epoch).permutation(len(batches)):
        yield batches[index]


def scoring_batches(rows: Sequence[Sized], most_tokens: int) -> Iterator[list[int]]:
    """Indices of batches, the longest rows first, each of at most `most_tokens` with its padding (or of one row)."""
    order = sorted(range(len(rows)), key=lambda index: -len(rows[index]))
    first = 0
    while first < len(order):
        count = max(1, most_tokens // max(1, len(rows[order[first]])))
        yield order[first : first + count]
        first += count


def tokens_at_once(device: torch.device | str) -> int:
    """Tokens of a batch that is scored on this device."""
    return SCORING_TOKENS_CPU if torch.device(device).type == "cpu" else SCORING_TOKENS


def padded(ids: Sequence[Sequence[int]]) -> tuple[Tensor, Tensor]:
    """Rows padded to the longest: (B, T) int64, and (B, T) bool, true where a token is real."""
    longest = max(map(len, ids))
    out = np.full((len(ids), longest), PAD_ID, dtype=np.int64)
    for row, values in enumerate(ids):
        out[row, : len(values)] = values
    ids_BT = torch.from_numpy(out)
    return ids_BT, ids_BT.ne(PAD_ID)
