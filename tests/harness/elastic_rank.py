"""One rank of test_elastic.py: engines of every ZeRO stage, one after another, each from nothing or a checkpoint.

A process is several seconds of imports and an engine a tenth of one, so a rank works off a list of goes. Batches are
drawn from the step alone and split over the ranks, like the trainer's.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any, TypedDict

import torch

from harness.train import checkpoint
from harness.train.checkpoint import Checkpoints
from harness.train.engine import build_engine, gathered_weights, set_learning_rate
from harness.train.pieces import write_tensors
from harness.train.ranks import Ranks, joined, summed
from harness.train.update import Updater
from models.heads import build_masked_lm
from models.sizes import EncoderConfig

CONFIG = EncoderConfig(
    kind="modern", vocabulary=51, width=16, layers=1, heads=2, feedforward=24, positions=8, rotary_base=100.0
)
OPTIMIZER = {"weight_decay": 0.01, "beta1": 0.9, "beta2": 0.98, "epsilon": 1e-6, "clip": 0.5}
ROWS, TOKENS, MASKS = 12, 8, 2


class Go(TypedDict):
    name: str
    zero: int
    resume: str
    """Name of the checkpoints to begin from; "" for none."""
    save: str
    """Name of the checkpoints to write; "" for none."""
    save_at: int
    until: int
    rewind: bool
    """At the end go back to the newest checkpoint, in the same engine, and train once more."""


def rank_batch(step: int, ranks: Ranks) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(step)
    ids_BT = torch.randint(5, CONFIG.vocabulary, (ROWS, TOKENS), generator=generator)
    labels_BK = ids_BT[:, :MASKS] // 3 + 5
    share = ROWS // ranks.world
    mine = slice(ranks.rank * share, (ranks.rank + 1) * share)
    index_N = (torch.arange(share)[:, None] * TOKENS + torch.arange(MASKS)).flatten()
    return ids_BT[mine], index_N, labels_BK[mine].flatten()


def train(engine: Any, begin: int, go: Go, ranks: Ranks, saves: Checkpoints | None) -> dict[int, float]:
    losses: dict[int, float] = {}
    updater = Updater(engine, ranks, zero_stage=go["zero"], clip=OPTIMIZER["clip"])
    for step in range(begin, go["until"]):
        loss = engine(*rank_batch(step, ranks))
        set_learning_rate(engine, 0.02 / (step + 1))
        engine.backward(loss)
        updater.step(loss)
        losses[step + 1] = summed(float(loss), ranks) / ranks.world
        if saves is not None and step + 1 == go["save_at"]:
            assert checkpoint.save(engine, saves, step + 1, ranks, go["zero"], {"told": step + 1}) == ""
    return losses


def work_off(go: Go, ranks: Ranks, folder: Path) -> None:
    # Another seed where a checkpoint is taken up: what is not loaded shows.
    model = build_masked_lm(CONFIG, 2 if go["resume"] else 1)
    share = ROWS // ranks.world
    engine = build_engine(
        model, ranks, optimizer=OPTIMIZER, bf16=False, zero_stage=go["zero"], micro_rows=share, accumulation=1
    )
    begin = 0
    if go["resume"]:
        begin, state = checkpoint.load(engine, Checkpoints(folder / go["resume"], "drill"), ranks, go["zero"])
        assert begin and state == {"told": begin}
    saves = Checkpoints(folder / go["save"], "drill") if go["save"] else None
    losses = train(engine, begin, go, ranks, saves)
    if go["rewind"]:
        assert saves is not None
        begin, _ = checkpoint.load(engine, saves, ranks, go["zero"])
        again = train(engine, begin, go, ranks, None)
        assert again == {step: losses[step] for step in again}, "going back within an engine changed the losses"
    weights = gathered_weights(engine, go["zero"])
    if ranks.first:
        write_tensors(folder / f"{go['name']}.safetensors", weights)
        (folder / f"{go['name']}.json").write_text(json.dumps(losses), encoding="utf-8")


def main(rank: int, world: int, folder: Path) -> None:
    torch.set_num_threads(1)
    goes: list[Go] = json.loads((folder / f"goes-{world}.json").read_text(encoding="utf-8"))
    with joined(rank, world, rank, folder / f"rendezvous-{world}") as ranks:
        for go in goes:
            work_off(go, ranks, folder)


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]), Path(sys.argv[3]))
