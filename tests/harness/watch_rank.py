"""One rank of test_watch.py: the trainer itself, over batches some of which are bad, one run after another."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any, TypedDict

import numpy as np
import torch
from torch import Tensor

from harness.batches.stream import BatchStream
from harness.corpus.shards import Shard
from harness.train import loop
from harness.train.engine import MaskedLMStep
from harness.train.heartbeat import StopFlag
from harness.train.pieces import write_tensors
from harness.train.ranks import joined

VOCABULARY, ROWS, TOKENS = 60, 8, 16


class Go(TypedDict):
    name: str
    zero: int
    steps: int
    bad: list[int]
    """[first, behind the last] of the steps that are bad."""
    how: str
    """What is bad of them: loss, gradient (of a sound loss), or spike; on one rank only."""
    passed_over: list[list[int]]
    """Written into the run's folder before it starts."""
    checkpoint_seconds: float


def science(steps: int) -> dict[str, Any]:
    return {
        "steps": steps,
        "seed": 3,
        "batch_rows": ROWS,
        "row_tokens": TOKENS,
        "precision": "fp32",
        "learning_rate": 0.01,
        "schedule": {"kind": "linear", "warmup": 0.1},
        "optimizer": {"weight_decay": 0.01, "beta1": 0.9, "beta2": 0.98, "epsilon": 1e-6, "clip": 0.5},
        "model": {
            "kind": "modern",
            "vocabulary": VOCABULARY,
            "width": 16,
            "layers": 1,
            "heads": 2,
            "feedforward": 24,
            "positions": TOKENS,
        },
    }


def stream() -> BatchStream:
    ids = np.random.default_rng(0).integers(5, VOCABULARY - 1, 20_000).astype(np.uint16)
    shard = Shard("en", np.sort(ids.reshape(-1, 50)).ravel(), 1, len(ids), 4 * len(ids))
    return BatchStream({"en": shard}, {"en": 1.0}, seed=3, tokens_per_row=TOKENS, mask_rate=0.2, vocabulary=VOCABULARY)


def spoil(go: Go, rank: int) -> None:
    """Let the steps that are to be bad be bad."""
    update, forward = loop._Training._update, MaskedLMStep.forward
    now = [-1]

    def noted(self: Any, step: int, *arguments: Any) -> Any:
        now[0] = step
        return update(self, step, *arguments)

    def spoiled(self: MaskedLMStep, *batch: Tensor) -> Tensor:
        loss = forward(self, *batch)
        if go["bad"][0] <= now[0] < go["bad"][1] and rank == 0:
            zero = sum((p * 0.0).sum() for p in self.parameters())
            loss = loss + {"loss": zero + float("nan"), "gradient": zero.sqrt(), "spike": zero + 100.0}[go["how"]]
        return loss

    loop._Training._update, MaskedLMStep.forward = noted, spoiled  # type: ignore[method-assign]


def main(rank: int, world: int, folder: Path) -> None:
    torch.set_num_threads(1)
    goes: list[Go] = json.loads((folder / f"goes-{world}.json").read_text(encoding="utf-8"))
    original = loop._Training._update, MaskedLMStep.forward
    with joined(rank, world, rank, folder / f"rendezvous-{world}") as ranks:
        for go in goes:
            run = folder / go["name"]
            spoil(go, rank)
            execution = {"zero": go["zero"], "micro_rows": 2, "checkpoint_seconds": go["checkpoint_seconds"]}
            try:
                trained = loop.train(
                    science(go["steps"]), execution, stream(), ranks, folder=run, attempt=1, stop=StopFlag()
                )
            except loop.TrainingFailed as error:
                (run / "failed.txt").write_text(str(error), encoding="utf-8")
            else:
                if ranks.first:
                    write_tensors(run / "weights.safetensors", trained.weights)
            loop._Training._update, MaskedLMStep.forward = original  # type: ignore[method-assign]


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]), Path(sys.argv[3]))
