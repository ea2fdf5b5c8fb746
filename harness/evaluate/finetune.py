"""Fine-tuning: an encoder with a head on a task's rows, the epoch chosen on dev sets, then predictions.

The recipe is that of the paper's repository: AdamW, a linear warm-up and decay, gradients clipped at 1. Which dev sets
choose the epoch is the caller's: the source language's (nothing of a target language is looked at), all together (the
paper's #M = 1), or each language's own (#M = N, one model a language).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from harness.batches.keyed import key
from harness.evaluate.batching import padded, scoring_batches, training_batches
from harness.evaluate.rows import UNSCORED, Row

Kind = Literal["class", "number", "tags", "answer"]
Values = npt.NDArray[np.float32]
SCORING_TOKENS = 16_384


@dataclass(frozen=True)
class Recipe:
    """How a model is fine-tuned; `learning_rate` is chosen on dev from the task's grid."""

    learning_rate: float
    epochs: int = 10
    batch_rows: int = 32
    warmup: float = 0.1
    dropout: float = 0.1
    weight_decay: float = 0.01
    clip: float = 1.0
    patience: int = 5
    """Epochs without a better dev score after which it ends."""


@dataclass(frozen=True)
class Best:
    """What the epoch that was chosen for a group of languages scored on dev, and its weights."""

    score: float
    epoch: int
    weights: Mapping[str, Tensor]


def fine_tune(
    model: nn.Module,
    rows: Sequence[Row],
    kind: Kind,
    recipe: Recipe,
    *,
    seed: int,
    bf16: bool,
    dev: Callable[[nn.Module], Mapping[str, float]],
    show: Callable[[int, float], None] = lambda epoch, loss: None,
) -> dict[str, Best]:
    """Train `model` in place. `dev` scores it after each epoch, by group; returns the best epoch of each group.

    Raises ValueError for no rows. The model is left as the last epoch made it.
    """
    if not rows:
        raise ValueError("no rows to fine-tune on")
    optimizer = torch.optim.AdamW(
        model.parameters(), lr=recipe.learning_rate, weight_decay=recipe.weight_decay, fused=True
    )
    a_epoch = sum(1 for _ in training_batches(rows, recipe.batch_rows, seed=seed, epoch=0))
    total, update, waited = recipe.epochs * a_epoch, 0, 0
    best: dict[str, Best] = {}
    torch.manual_seed(key(seed, "fine-tuning-dropout") >> 1)
    for epoch in range(recipe.epochs):
        model.train()
        losses = 0.0
        for batch in training_batches(rows, recipe.batch_rows, seed=seed, epoch=epoch):
            share = min((update + 1) / max(1.0, recipe.warmup * total), 1.0) * (1.0 - update / total)
            for group in optimizer.param_groups:
                group["lr"] = recipe.learning_rate * share
            loss = _loss(model, [rows[index] for index in batch], kind, bf16=bf16)
            loss.backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), recipe.clip)
            optimizer.step()
            optimizer.zero_grad()
            losses += float(loss.detach())
            update += 1
        show(epoch, losses / a_epoch)
        waited += 1
        for name, score in dev(model).items():
            if name not in best or score > best[name].score:
                best[name] = Best(score, epoch, {key_: value.clone() for key_, value in model.state_dict().items()})
                waited = 0
        if waited >= recipe.patience:
            break
    return best


def _loss(model: nn.Module, rows: Sequence[Row], kind: Kind, *, bf16: bool) -> Tensor:
    device = next(model.parameters()).device
    ids_BT, real_BT = (part.to(device) for part in padded([row.ids for row in rows]))
    with torch.autocast(device.type, dtype=torch.bfloat16, enabled=bf16):
        logits = model(ids_BT, real_BT)
    logits = logits.float()
    if kind == "class":
        return F.cross_entropy(logits, torch.tensor([row.target for row in rows], device=device))
    if kind == "number":
        wanted = torch.tensor([row.target for row in rows], device=device, dtype=torch.float32)
        return F.mse_loss(logits.squeeze(-1), wanted)
    if kind == "answer":
        logits_2BT = logits.masked_fill(~real_BT.unsqueeze(-1), -torch.inf).permute(2, 0, 1)
        places_2B = torch.tensor([row.target for row in rows], device=device).T
        return (F.cross_entropy(logits_2BT[0], places_2B[0]) + F.cross_entropy(logits_2BT[1], places_2B[1])) / 2
    targets = torch.full(ids_BT.shape, UNSCORED)
    for number, row in enumerate(rows):
        assert isinstance(row.target, list)
        targets[number, : len(row)] = torch.tensor(row.target)
    return F.cross_entropy(logits.flatten(0, 1), targets.to(device).flatten(), ignore_index=UNSCORED)


@torch.no_grad()
def outputs(model: nn.Module, rows: Sequence[Row], *, bf16: bool, most_tokens: int = SCORING_TOKENS) -> list[Values]:
    """The head's outputs of each row, without padding: (Y,) or (T, Y) fp32."""
    model.eval()
    device = next(model.parameters()).device
    found: list[Any] = [None] * len(rows)
    for batch in scoring_batches(rows, most_tokens):
        ids_BT, real_BT = padded([rows[index].ids for index in batch])
        with torch.autocast(device.type, dtype=torch.bfloat16, enabled=bf16):
            logits = model(ids_BT.to(device), real_BT.to(device)).float().cpu().numpy()
        for place, index in enumerate(batch):
            found[index] = logits[place, : len(rows[index])] if logits.ndim == 3 else logits[place]
    return found
