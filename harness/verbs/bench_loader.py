"""babelscale bench loader: tokens per second of ready masked batches, and their share of the demo's training step."""

from __future__ import annotations

import json
import statistics
import time
from argparse import Namespace
from collections.abc import Iterable
from typing import TYPE_CHECKING

from harness.verbs.show import console, human
from sweeps.errors import BadInput

if TYPE_CHECKING:
    from harness.corpus.shards import Shard

WARM_UP = 4
TOKENS_A_LANGUAGE = 1_000_000
"""Tokens of training text a language has in the measurement: the size changes neither side's work."""


def bench_loader(options: Namespace) -> int:
    """Make the batches of the demo's widest set of languages, then train on them, step by step in one process."""
    import torch

    from harness.batches.keyed import key
    from harness.batches.stream import TOKENS_AT_ONCE, BatchStream
    from harness.memory import keep_freed_memory
    from harness.train.engine import MaskedLMStep, decayed_groups
    from models.heads import build_masked_lm
    from models.sizes import EncoderConfig
    from sweeps.grid import expand
    from sweeps.sampling import language_distribution
    from sweeps.study import load_study

    widest = [run for run in expand(load_study("demo"), "bench") if run.axes["width"] == options.width]
    if not widest:
        raise BadInput(f"--width is {options.width}: the demo has no run of that width (sweeps/studies/demo.yaml)")
    science = max(widest, key=lambda run: run.axes["K"]).science
    torch.set_num_threads(options.threads)
    keep_freed_memory()
    config = EncoderConfig(**science["model"])
    tokens, rows = science["row_tokens"], science["batch_rows"]

    shards = random_shards(science["languages"], config.vocabulary)
    q = language_distribution({language: 1.0 + number for number, language in enumerate(shards)}, science["alpha"])
    stream = BatchStream(
        shards, q, seed=0, tokens_per_row=tokens, mask_rate=science["mask_rate"], vocabulary=config.vocabulary
    )
    # Whole windows, so that each carries its full cost: a window's first step makes the batches of all its steps.
    window = max(1, TOKENS_AT_ONCE // (rows * tokens))
    last = WARM_UP * window + -(-options.steps // window) * window
    batches = stream.micro_batches(0, last, batch_rows=rows, micro_rows=rows)
    step_of = MaskedLMStep(build_masked_lm(config, key(0, "bench") >> 1), bf16=science["precision"] == "bf16")
    optimizer = torch.optim.AdamW(decayed_groups(step_of, 0.01), lr=science["learning_rate"], fused=True)
    loading, training = [], []
    for _ in range(last // window):
        loaded = trained = 0.0
        for _ in range(window):
            began = time.perf_counter()
            masked = next(batches)
            ready = time.perf_counter()
            loss = step_of(*(torch.from_numpy(part) for part in (masked.ids_BT, masked.index_N, masked.labels_N)))
            loss.backward()
            optimizer.step()
            optimizer.zero_grad()
            loaded, trained = loaded + ready - began, trained + time.perf_counter() - ready
        loading.append(loaded / window)
        training.append(trained / window)
    load, train = statistics.median(loading[WARM_UP:]), statistics.median(training[WARM_UP:])
    result = {
        "batch": {"rows": rows, "tokens": tokens, "width": config.width, "layers": config.layers},
        "threads": options.threads,
        "steps": last - WARM_UP * window,
        "loader_tokens_per_second": rows * tokens / load,
        "loader_milliseconds": 1e3 * load,
        "step_milliseconds": 1e3 * (load + train),
        "share_of_step": load / (load + train),
    }
    if options.json:
        print(json.dumps(result, indent=1))
    else:
        console.print(
            f"{rows} x {tokens} tokens, width {config.width}: {human(rows * tokens / load)} tokens/s ready and masked, "
            f"{1e3 * load:.3f} ms of a step of {1e3 * (load + train):.2f} ms ({load / (load + train):.1%})",
            highlight=False,
        )
    return 0


def random_shards(languages: Iterable[str], vocabulary: int) -> dict[str, Shard]:
    """Shards of random pieces by language, in memory."""
    import numpy as np

    from harness.batches.keyed import generator
    from harness.batches.masking import SPECIAL_IDS
    from harness.corpus.shards import Shard

    def shard(language: str) -> Shard:
        ids = generator(0, "bench-text", language).integers(SPECIAL_IDS, vocabulary - 1, TOKENS_A_LANGUAGE)
        return Shard(language, ids.astype(np.uint16), 1, TOKENS_A_LANGUAGE, 4 * TOKENS_A_LANGUAGE)

    return {language: shard(language) for language in languages}
