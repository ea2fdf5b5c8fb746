"""The end of a step: the gradient's norm, clipping, the loss watch's word, and AdamW; the same at every ZeRO stage.

DeepSpeed clips too, but by a norm that rounds differently at each stage. Here squares are summed in fp64, so however
the gradient is split over ranks its norm is the same fp32 number, and clipping divides inside the fused AdamW: ZeRO
stages 0, 1 and 2 make bit for bit the same updates, and no pass over the gradient is spent on scaling it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor

from harness.train.fragments import local_gradients
from harness.train.ranks import Ranks
from harness.train.watch import SPIKE_DEVIATIONS, LossWatch

_AT_ONCE = 1 << 20
"""Elements turned to fp64 at a time on the CPU (8 MB): its norms in another type than the tensor's take 20 times as
long."""
_SMALL = 1 << 14


@dataclass(frozen=True)
class Update:
    """What an update was, of the global batch, on the device: reading a value waits for it."""

    loss: Tensor
    """Mean, (), fp64."""
    gradient_norm: Tensor
    """Before clipping, (), fp32."""
    refused: Tensor
    """(), bool: the watch kept it from the weights."""


class Updater:
    """Ends each micro-step of an engine that `build_engine` made."""

    def __init__(
        self, engine: Any, ranks: Ranks, *, zero_stage: int, clip: float, deviations: float = SPIKE_DEVIATIONS
    ) -> None:
        """`deviations`: from how many on the watch refuses a loss above the mean."""
        self.watch = LossWatch(ranks.device, deviations)
        self._engine, self._ranks, self._stage, self._clip = engine, ranks, zero_stage, clip
        self._losses: list[Tensor] = []
        # What PyTorch's loss scaler tells its fused optimizers: divide by the one, do nothing at the other.
        self._divisor = engine.basic_optimizer.grad_scale = torch.ones((), device=ranks.device)
        self._refused = engine.basic_optimizer.found_inf = torch.zeros((), device=ranks.device)
        self._rows = torch.empty(_AT_ONCE, dtype=torch.float64) if ranks.device.type == "cpu" else None

    def step(self, loss: Tensor) -> Update | None:
        """Take the update that ends with this micro-batch, whose mean loss is `loss`; None where more are to come.

        Called by all ranks after `engine.backward(loss)`.
        """
        self._losses.append(loss.detach().double())
        if not self._engine.is_gradient_accumulation_boundary():
            self._engine.step()
            return None
        mean = torch.stack(self._losses).mean() / self._ranks.world
        self._losses.clear()
        totals = torch.stack((mean, self._sum_of_squares(local_gradients(self._engine, self._stage))))
        if self._ranks.world > 1:
            # At stage 0 each rank holds the whole gradient, later its part of it.
            dist.all_reduce(totals[:1] if self._stage == 0 else totals)
        norm = totals[1].sqrt().float()
        refused = self.watch.judge(totals[0], norm)
        self._refused.copy_(refused)
        if self._clip > 0:
            self._divisor.copy_((norm / self._clip).clamp_min(1.0))
        self._engine.step()
        return Update(totals[0], norm, refused)

    def _sum_of_squares(self, tensors: Iterable[Tensor]) -> Tensor:
        return torch.stack(list(self._squares(tensors))).sum()

    def _squares(self, tensors: Iterable[Tensor]) -> Iterator[Tensor]:
        """Parts of the sum of squares, each () and fp64."""
        for tensor in tensors:
            if self._rows is None or tensor.numel() <= _SMALL:
                yield torch.linalg.vector_norm(tensor, dtype=torch.float64).square()
                continue
            for part in tensor.reshape(-1).split(_AT_ONCE):
                rows = self._rows[: part.numel()].copy_(part)
                yield torch.dot(rows, rows)
