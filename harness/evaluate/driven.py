"""A head on the training engine: updates from rows, outputs of rows, whole weights; on any number of ranks.

Every rank knows all rows. A batch is dealt out over the ranks and its loss divided by what the whole batch holds, so
updates are those of one rank but for rounding (and dropout); batches of a scoring are dealt out likewise, and all ranks
get all outputs. At ZeRO stage 3 a model of several devices' memory is fine-tuned too.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from harness.batches.keyed import key
from harness.evaluate.batching import padded, scoring_batches, tokens_at_once
from harness.evaluate.rows import UNSCORED, Row
from harness.train.engine import drive, set_learning_rate, whole_weights
from harness.train.fragments import Held
from harness.train.heartbeat import StopFlag
from harness.train.ranks import Ranks, gathered, joined
from harness.train.update import Updater

Kind = Literal["class", "number", "tags", "answer"]
Values = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Means:
    """What models are fine-tuned and scored with."""

    ranks: Ranks
    zero: int = 0
    bf16: bool = False
    activation_checkpointing: bool = False
    checkpoint_seconds: float = 300.0
    stop: StopFlag = field(default_factory=StopFlag)


@contextmanager
def alone(*, bf16: bool = False) -> Iterator[Means]:
    """One rank, this process."""
    with (
        tempfile.TemporaryDirectory() as folder,
        joined(0, 1, 0, Path(folder) / "rendezvous") as ranks,
    ):
        yield Means(ranks, bf16=bf16)


class HeadStep(nn.Module):
    """What the engine drives: rows to the head's outputs, fp32, or with targets to their loss over `count`."""

    def __init__(self, head: nn.Module, kind: Kind, *, bf16: bool) -> None:
        super().__init__()
        self.head, self.kind, self.bf16 = head, kind, bf16

    def forward(self, ids_BT: Tensor, real_BT: Tensor, targets: Tensor | None = None, count: float = 1.0) -> Tensor:
        with torch.autocast(ids_BT.device.type, dtype=torch.bfloat16, enabled=self.bf16):
            logits: Tensor = self.head(ids_BT, real_BT)
        logits = logits.float()
        return logits if targets is None else summed_loss(logits, real_BT, targets, self.kind) / count


def summed_loss(logits: Tensor, real_BT: Tensor, targets: Tensor, kind: Kind) -> Tensor:
    """Over rows; of tags over the tokens that have one; of answers the mean of both ends'."""
    if kind == "class":
        return F.cross_entropy(logits, targets, reduction="sum")
    if kind == "number":
        return F.mse_loss(logits.squeeze(-1), targets, reduction="sum")
    if kind == "tags":
        return F.cross_entropy(logits.flatten(0, 1), targets.flatten(), ignore_index=UNSCORED, reduction="sum")
    logits_2BT = logits.masked_fill(~real_BT.unsqueeze(-1), -torch.inf).permute(2, 0, 1)
    ends = [F.cross_entropy(logits_2BT[side], targets[:, side], reduction="sum") for side in (0, 1)]
    return (ends[0] + ends[1]) / 2


def targets_of(rows: Sequence[Row], kind: Kind, tokens: int) -> Tensor:
    """(B,) of classes or numbers, (B, 2) places of answers, (B, T) classes of tokens."""
    if kind == "number":
        return torch.tensor([row.target for row in rows], dtype=torch.float32)
    if kind != "tags":
        return torch.tensor([row.target for row in rows], dtype=torch.int64)
    targets = torch.full((len(rows), tokens), UNSCORED)
    for number, row in enumerate(rows):
        assert isinstance(row.target, list)
        targets[number, : len(row)] = torch.tensor(row.target)
    return targets


def scored_of(rows: Sequence[Row], kind: Kind) -> int:
    """What a batch's loss is the mean over: rows, or tokens that have a tag."""
    if kind != "tags":
        return len(rows)
    return sum(target != UNSCORED for row in rows for target in row.target)  # type: ignore[union-attr]


class Driven:
    """A head with AdamW on the engine."""

    def __init__(self, head: Any, kind: Kind, means: Means, *, weight_decay: float, clip: float) -> None:
        self.kind, self.means, self.ranks = kind, means, means.ranks
        head.encoder.checkpoint_blocks = means.activation_checkpointing
        self.engine = drive(
            HeadStep(head, kind, bf16=means.bf16),
            means.ranks,
            optimizer={"weight_decay": weight_decay, "beta1": 0.9, "beta2": 0.999, "epsilon": 1e-8},
            zero_stage=means.zero,
            micro_rows=1,
        )
        # A hard batch among easy ones is no spike here: only what is not finite is refused.
        self.updater = Updater(self.engine, means.ranks, zero_stage=means.zero, clip=clip, deviations=float("inf"))

    def update(self, rows: Sequence[Row], rate: float, seed: int, number: int) -> Tensor:
        """Take the update of a batch; its mean loss, (), fp64. Called by all ranks with the whole batch."""
        self.engine.train()
        # Dropout alone knows the rank, as in pretraining.
        torch.manual_seed(key(seed, "fine-tuning-dropout", number, self.ranks.rank) >> 1)
        mine = list(rows[self.ranks.rank :: self.ranks.world])
        share = scored_of(rows, self.kind) / self.ranks.world  # the engine takes the mean over ranks
        ids_BT, real_BT = (part.to(self.ranks.device) for part in padded([row.ids for row in mine or rows[:1]]))
        targets = targets_of(mine or rows[:1], self.kind, ids_BT.shape[1]).to(self.ranks.device)
        # A rank without rows goes along for the collectives and adds nothing.
        loss = self.engine(ids_BT, real_BT, targets, max(1e-9, share) if mine else float("inf"))
        set_learning_rate(self.engine, rate)
        self.engine.backward(loss)
        taken = self.updater.step(loss)
        assert taken is not None
        return taken.loss

    @torch.no_grad()
    def outputs(self, rows: Sequence[Row]) -> list[Values]:
        """The head's outputs of each row, without padding: (Y,) or (T, Y) fp32. Called by all ranks."""
        self.engine.eval()
        batches = list(scoring_batches(rows, tokens_at_once(self.ranks.device)))
        mine: dict[int, Values] = {}
        for first in range(0, len(batches), self.ranks.world):
            # At stage 3 all ranks must pass equally often: one without a batch repeats the first.
            index = first + self.ranks.rank
            batch = batches[index if index < len(batches) else 0]
            ids_BT, real_BT = padded([rows[place].ids for place in batch])
            logits = self.engine.module(ids_BT.to(self.ranks.device), real_BT.to(self.ranks.device)).cpu().numpy()
            if index < len(batches):
                for place, row in enumerate(batch):
                    mine[row] = logits[place, : len(rows[row])].copy() if logits.ndim == 3 else logits[place]
        found = {row: values for some in gathered(mine, self.ranks) for row, values in some.items()}
        return [found[row] for row in range(len(rows))]

    def weights(self) -> dict[str, Tensor]:
        """fp32, on the CPU, by parameter name. Called by all ranks."""
        return whole_weights(self.engine.module, self.means.zero)

    def put(self, weights: dict[str, Tensor]) -> None:
        """Take up whole weights, without moments: to score with, not to train on. Called by all ranks."""
        Held(self.engine, self.means.zero).write_start(weights)
