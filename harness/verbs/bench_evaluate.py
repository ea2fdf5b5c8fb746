"""babelscale bench evaluate: items per second, in batches of like length and in padded ones."""

from __future__ import annotations

import json
import statistics
import time
from argparse import Namespace
from collections.abc import Sequence
from typing import Any

from rich.table import Table

from harness.verbs.show import console, human

MEDIAN_TOKENS, SPREAD, MOST_TOKENS = 38.0, 0.45, 128
"""Pairs of XNLI: most have 25 to 60 tokens, few come near the row."""
BATCH_ROWS = 32
VOCABULARY = 8_000


def bench(options: Namespace) -> int:
    """Score and fine-tune the same items in three kinds of batches, in turn."""
    import numpy as np
    import torch

    from harness.batches.keyed import generator
    from harness.evaluate.batching import scoring_batches, tokens_at_once, training_batches
    from harness.evaluate.rows import Row
    from harness.memory import keep_freed_memory
    from models.heads import SequenceClassifier, build_masked_lm
    from models.sizes import EncoderConfig

    torch.set_num_threads(options.threads)
    keep_freed_memory()
    draws = generator(0, "bench-evaluate")
    lengths = np.clip(draws.lognormal(np.log(MEDIAN_TOKENS), SPREAD, options.items), 8, MOST_TOKENS).astype(int)
    rows = [Row(draws.integers(5, VOCABULARY - 1, length).tolist(), int(draws.integers(3))) for length in lengths]
    config = EncoderConfig(
        kind="xlm-r",
        vocabulary=VOCABULARY,
        width=options.width,
        layers=options.layers,
        heads=max(1, options.width // 64),
        feedforward=4 * options.width,
        positions=MOST_TOKENS,
    )
    model = SequenceClassifier(build_masked_lm(config, 0).encoder, 3, pool="first", dropout=0.1, seed=0)
    plain = [list(range(first, min(first + BATCH_ROWS, len(rows)))) for first in range(0, len(rows), BATCH_ROWS)]
    sides: dict[str, tuple[Sequence[Sequence[int]], Sequence[Sequence[int]], int]] = {
        "like lengths": (list(scoring_batches(rows, tokens_at_once("cpu"))), [], 0),
        "padded to the longest of a batch": (plain, plain, 0),
        "padded to the row": (plain, plain, MOST_TOKENS),
    }
    alike = list(training_batches(rows, BATCH_ROWS, seed=0, epoch=0))
    sides["like lengths"] = (sides["like lengths"][0], alike, 0)
    bf16 = options.precision == "bf16"
    times: dict[str, dict[str, list[float]]] = {name: {"scoring": [], "training": []} for name in sides}
    for turn in range(options.repeats + 1):
        for name, (scoring, training, width) in sides.items():
            spent = {
                "scoring": _pass(model, rows, scoring, width, bf16=bf16, training=False),
                "training": _pass(model, rows, training[: options.steps], width, bf16=bf16, training=True),
            }
            if turn:  # the first warms up
                for what, seconds in spent.items():
                    count = len(rows) if what == "scoring" else sum(map(len, training[: options.steps]))
                    times[name][what].append(count / seconds)
    speeds = {name: {what: statistics.median(each) for what, each in of.items()} for name, of in times.items()}
    ours = speeds["like lengths"]
    result: dict[str, Any] = {
        "items": len(rows),
        "mean_tokens": float(lengths.mean()),
        "width": options.width,
        "layers": options.layers,
        "precision": options.precision,
        "items_per_second": speeds,
        "ratio": {
            name: {what: ours[what] / of[what] for what in of} for name, of in speeds.items() if name != "like lengths"
        },
    }
    if options.json:
        print(json.dumps(result, indent=1))
        return 0
    table = Table("batches", "scoring, items/s", "ratio", "training, items/s", "ratio")
    for name, of in speeds.items():
        ratios = [f"{ours[what] / of[what]:.2f}" for what in ("scoring", "training")]
        table.add_row(name, human(of["scoring"]), ratios[0], human(of["training"]), ratios[1])
    console.print(table)
    return 0


def _pass(
    model: Any, rows: Sequence[Any], batches: Sequence[Sequence[int]], width: int, *, bf16: bool, training: bool
) -> float:
    """Seconds of one pass; `width`: tokens that every row is padded to, 0 for the longest of its batch."""
    import torch
    import torch.nn.functional as F

    from harness.evaluate.batching import padded
    from models.sizes import PAD_ID

    model.train(training)
    began = time.perf_counter()
    with torch.set_grad_enabled(training):
        for batch in batches:
            ids = [rows[index].ids for index in batch]
            ids_BT, real_BT = padded(ids)
            if width:
                missing = width - ids_BT.shape[1]
                ids_BT, real_BT = F.pad(ids_BT, (0, missing), value=PAD_ID), F.pad(real_BT, (0, missing))
            with torch.autocast("cpu", dtype=torch.bfloat16, enabled=bf16):
                logits = model(ids_BT, real_BT)
            if training:
                F.cross_entropy(logits.float(), torch.tensor([rows[index].target for index in batch])).backward()
                model.zero_grad()
    return time.perf_counter() - began
