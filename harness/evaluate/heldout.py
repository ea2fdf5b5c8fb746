"""Held-out loss per language, in bits per byte.

Fixed rows and fixed masked positions, the same for every run with that tokenizer (and row length, and mask rate):
bits per byte = masked NLL in bits per masked token x tokens per byte of the held-out text. Loss per token is not
comparable across vocabularies; this is. A short text is scored under several fixed mask patterns, so that small
languages have an estimate too.

Every scored position shows <mask>, whatever share of them training shows (80 %): a tenth that shows its own token would
let a model without any context score below the unigram level, and that level would not mark what a model has learned.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch

from harness.batches.keyed import key
from harness.batches.masking import SPECIAL_IDS, mask_rows, masks_per_row
from harness.batches.stream import cut_rows, rows_of
from harness.corpus.shards import Shard
from models.heads import MaskedLM
from sweeps.errors import BadInput

MOST_ROWS = 2048
MOST_PATTERNS = 8
AIMED_MASKS = 4096
"""Mask patterns are added until a language has about this many scored positions."""
_ROWS_AT_ONCE = 64


@torch.no_grad()
def score_heldout(
    model: MaskedLM,
    shards: Mapping[str, Shard],
    training: Mapping[str, Shard],
    *,
    tokens_per_row: int,
    mask_rate: float,
    bf16: bool,
) -> list[dict[str, Any]]:
    """Records (without run and step) of every language: bits per byte, nats per masked token, and the bits per byte of
    a unigram model of that language's training shard, the plateau that a model must have left to be compared."""
    model.eval()
    vocabulary, device = model.encoder.config.vocabulary, next(model.parameters()).device
    count = masks_per_row(mask_rate, tokens_per_row)
    records: list[dict[str, Any]] = []
    for language, shard in shards.items():
        held = rows_of(shard, tokens_per_row)
        rows = min(held, MOST_ROWS)
        if rows == 0:
            raise BadInput(
                f"the held-out text of {language} ({shard.text_bytes} bytes) does not fill one row of "
                f"{tokens_per_row} tokens: leave {language} out, or bring more of its text"
            )
        patterns = min(MOST_PATTERNS, max(1, math.ceil(AIMED_MASKS / (rows * count))))
        row_nats = np.zeros(rows)
        # Of a long text, rows spread evenly over all of it: they stand for the text whose tokens per byte are used.
        scored = np.arange(rows) * held // max(1, rows)
        for pattern in range(patterns):
            for start in range(0, rows, _ROWS_AT_ONCE):
                slots = np.arange(start, min(rows, start + _ROWS_AT_ONCE))
                chosen = scored[slots]
                keys = np.asarray([key(0, "heldout", language, int(row), pattern) for row in chosen], dtype=np.uint64)
                masked = mask_rows(cut_rows(shard, chosen, tokens_per_row), keys, count=count, vocabulary=vocabulary)
                masked.ids_BT.reshape(-1)[masked.index_N] = vocabulary - 1  # <mask>, a view of our own copy
                with torch.autocast(device.type, dtype=torch.bfloat16, enabled=bf16):
                    loss_N = model(
                        torch.from_numpy(masked.ids_BT).to(device),
                        torch.from_numpy(masked.index_N).to(device),
                        torch.from_numpy(masked.labels_N).to(device),
                    )
                row_nats[slots] += loss_N.double().view(len(chosen), count).mean(1).cpu().numpy() / patterns
        nats = float(row_nats.mean())
        # Rows, not tokens, are the sampling unit: tokens of one row share a text.
        error = float(row_nats.std(ddof=1) / math.sqrt(rows)) if rows > 1 else math.nan
        to_bits_per_byte = shard.tokens_per_byte / math.log(2)
        shared = {"task": "heldout", "split": "heldout", "language": language, "n": rows * count * patterns}
        details = {"bytes": shard.text_bytes, "tokens": shard.text_tokens, "rows": rows, "mask_patterns": patterns}
        for metric, scale in (("bits_per_byte", to_bits_per_byte), ("nats_per_masked_token", 1.0)):
            records.append(
                shared
                | {
                    "metric": metric,
                    "value": nats * scale,
                    "standard_error": None if math.isnan(error) else error * scale,
                    "details": details,
                }
            )
        unigram = unigram_bits_per_token(training[language], shard, vocabulary) * shard.tokens_per_byte
        level = {"metric": "unigram_bits_per_byte", "value": unigram, "standard_error": None, "n": shard.text_tokens}
        records.append(shared | level | {"details": details})
    return records


def unigram_bits_per_token(training: Shard, heldout: Shard, vocabulary: int) -> float:
    """Mean bits per held-out token under the training text's piece frequencies, one added to each count."""
    counts = np.bincount(training.ids, minlength=vocabulary).astype(np.float64)
    counts[:SPECIAL_IDS] = 0.0
    bits = np.log2(counts.sum() + vocabulary - SPECIAL_IDS) - np.log2(counts + 1.0)
    text = heldout.ids[heldout.ids >= SPECIAL_IDS]
    return float(bits[text].mean())
