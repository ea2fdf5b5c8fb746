"""babelscale bench train: one training step of ours against transformers', as a ratio.

Each side is a process of its own, so that each has its own peak memory and its own way with freed memory. The two take
their steps in turn, so that a slow moment of the machine meets both.
"""

from __future__ import annotations

import contextlib
import json
import os
import statistics
import subprocess
import sys
from argparse import Namespace
from typing import Any

from harness.batches.masking import masks_per_row
from harness.memory import with_huge_pages
from harness.verbs.show import console, human
from models.cost import training_flops_per_token
from models.sizes import NAMED_SIZES, EncoderConfig, default_feedforward, default_heads
from sweeps.errors import BadInput

MASK_RATE = 0.15
WARM_UP = 2
LEAST_VOCABULARY = 16
"""Fewer entries leave no piece to draw beside the special ones."""
SIDES = ("babelscale", "transformers")


def bench(options: Namespace) -> int:
    """Training steps of our engine against transformers' XLMRobertaForMaskedLM from the same weights."""
    config = bench_config(options)
    masks = masks_per_row(MASK_RATE, options.tokens)
    spec = {
        "model": {
            name: getattr(config, name)
            for name in ("kind", "vocabulary", "width", "layers", "heads", "feedforward", "positions")
        },
        "rows": options.rows,
        "masks": masks,
        "bf16": options.precision == "bf16",
        "keep_freed": options.same_allocator,
        "compiled": options.compile,
    }
    sides = {name: Side(name, spec) for name in SIDES}
    try:
        for step in range(WARM_UP + options.steps):
            for side in sides.values():
                side.step(timed=step >= WARM_UP)
        ends = {name: side.end() for name, side in sides.items()}
    finally:
        for side in sides.values():
            side.process.kill()
    ours, theirs = sides["babelscale"], sides["transformers"]
    apart = max(abs(a - b) for a, b in zip(ours.losses, theirs.losses, strict=True))
    if apart > (0.02 if spec["bf16"] else 1e-3):
        raise RuntimeError(f"the two sides do not train alike: losses differ by {apart:.4f}")
    tokens = options.rows * options.tokens
    flops = training_flops_per_token(config, tokens_per_row=options.tokens, masked_share=masks / options.tokens)
    speed = {name: tokens / statistics.median(side.seconds) for name, side in sides.items()}
    result: dict[str, Any] = {
        "device": ends["babelscale"]["device"],
        "model": spec["model"],
        "batch": {"rows": options.rows, "tokens": options.tokens, "masked": masks, "precision": options.precision},
        "tokens_per_second": speed,
        "ratio": statistics.median(b / a for a, b in zip(ours.seconds, theirs.seconds, strict=True)),
        "peak_bytes": {name: end["peak_bytes"] for name, end in ends.items()},
        "matrix_product_flops": ends["babelscale"]["matrix_product_flops"],
        "mfu": speed["babelscale"] * flops.total / ends["babelscale"]["matrix_product_flops"],
        "largest_loss_difference": apart,
        "steps": options.steps,
        "baseline_keeps_freed_memory": options.same_allocator,
        "compiled": options.compile,
    }
    if options.json:
        print(json.dumps(result, indent=1))
    else:
        console.print(_sentences(result), highlight=False)
    return 0


def _sentences(result: dict[str, Any]) -> str:
    speed = {name: human(value) for name, value in result["tokens_per_second"].items()}
    peak = {name: f"{value / 2**30:.2f} GiB" for name, value in result["peak_bytes"].items()}
    return (
        f"{result['device']}: ratio {result['ratio']:.2f} (median of {result['steps']} pairs of steps)\n"
        f"tokens per second: babelscale {speed['babelscale']}, transformers {speed['transformers']}\n"
        f"peak memory: babelscale {peak['babelscale']}, transformers {peak['transformers']}\n"
        f"model FLOPs: {result['mfu']:.0%} of the matrix-product rate measured just now "
        f"({result['matrix_product_flops'] / 1e12:.2f} TFLOP/s)\n"
        f"losses of the first {result['steps'] + WARM_UP} steps agree to "
        f"{result['largest_loss_difference']:.1e}"
    )


def bench_config(options: Namespace) -> EncoderConfig:
    """The `xlm-r` encoder that the options name. Raises BadInput for sizes that do not fit together."""
    named = NAMED_SIZES[options.size] if options.size else {}
    width = options.width or named.get("width", 256)
    if options.vocabulary < LEAST_VOCABULARY:
        raise BadInput(f"--vocabulary is {options.vocabulary}: give at least {LEAST_VOCABULARY}")
    try:
        masks_per_row(MASK_RATE, options.tokens)
        return EncoderConfig(
            kind="xlm-r",
            vocabulary=options.vocabulary,
            width=width,
            layers=options.layers or named.get("layers", 4),
            heads=named.get("heads") or default_heads(width),
            feedforward=named.get("feedforward") or default_feedforward(width),
            positions=options.tokens,
        )
    except ValueError as error:
        raise BadInput(str(error)) from error


class Side:
    """One side's process: told to take a step, it answers with its loss and seconds."""

    def __init__(self, name: str, spec: dict[str, Any]) -> None:
        self.name, self.losses, self.seconds = name, list[float](), list[float]()
        command = [sys.executable, "-m", "harness.verbs.bench_side", name]
        # As the queue starts what trains; the baseline as a plain script would be.
        own = name == "babelscale" or spec["keep_freed"]
        environment = with_huge_pages(os.environ) if own else None
        self.process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment
        )
        self._ask(spec)

    def step(self, *, timed: bool) -> None:
        answer = self._ask("step")
        self.losses.append(answer["loss"])
        if timed:
            self.seconds.append(answer["seconds"])

    def end(self) -> dict[str, Any]:
        return self._ask("end")

    def _ask(self, message: Any) -> dict[str, Any]:
        assert self.process.stdin is not None and self.process.stdout is not None
        with contextlib.suppress(BrokenPipeError):  # it has ended; what it said last tells why
            print(json.dumps(message), file=self.process.stdin, flush=True)
        line = self.process.stdout.readline()
        answer: dict[str, Any] = json.loads(line) if line else {}
        if "bad_input" in answer:
            raise BadInput(answer["bad_input"])
        if not answer:
            raise RuntimeError(f"the {self.name} side ended with status {self.process.wait()}; see its words above")
        return answer
