"""The masked-LM loss over a large vocabulary, its gradients made while the logits are at hand.

`F.cross_entropy(linear(h))` holds the logits, their fp32 copy, the log-softmax and its gradient: four arrays of
positions x vocabulary, 620 MB for 154 positions at 250,000 pieces. Here logits exist for a chunk of positions at a
time, in the type of the product; a small block of them at a time goes to fp32, through the softmax, and back over
itself as the gradient. So nothing of size positions x vocabulary stands in fp32, and the passes over it stay in cache.

Shape suffixes: N positions, D width, V vocabulary; M positions of a chunk, R of a block.
"""

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.autograd.function import FunctionCtx, once_differentiable

CHUNK_BYTES = {"cpu": 256 << 20, "cuda": 1 << 30}
"""Logits of one chunk. Large, because the product's gradient is added to the table's once a chunk."""
BLOCK_BYTES = {"cpu": 4 << 20, "cuda": 1 << 30}
"""fp32 logits of one block: what a cache holds on the CPU; on a GPU a pass costs less than starting one."""


@dataclass
class TableGradient:
    """The gradient that the output layer gives to a tied table, on its way to the look-up of the same forward pass,
    whose backward pass comes later and adds its own rows in place."""

    value_VD: Tensor | None = None


def mean_cross_entropy(
    hidden_ND: Tensor,
    weight_VD: Tensor,
    bias_V: Tensor,
    labels_N: Tensor,
    *,
    chunk_bytes: int | None = None,
    block_bytes: int | None = None,
    outputs: TableGradient | None = None,
) -> Tensor:
    """Mean of -log softmax(h W^T + b)[label] over N positions: a scalar, fp32, in nats.

    Products run in the autocast type where autocast is on, the softmax in fp32, and the table's gradient is summed over
    chunks in fp32. Gradients reach `hidden_ND`, `weight_VD` and `bias_V`; a second differentiation is refused. With
    `outputs` the weight's gradient is left there, for the look-up of the tied table to hand on.
    """
    device = hidden_ND.device.type
    lowered = device != "meta" and torch.is_autocast_enabled(device)
    product = torch.get_autocast_dtype(device) if lowered else weight_VD.dtype
    row_bytes = len(weight_VD) * product.itemsize
    chunk = max(1, (chunk_bytes or CHUNK_BYTES.get(device, 1 << 30)) // row_bytes)
    block = max(1, (block_bytes or BLOCK_BYTES.get(device, 1 << 30)) // (4 * len(weight_VD)))
    loss: Tensor = _MeanCrossEntropy.apply(hidden_ND, weight_VD, bias_V, labels_N, product, chunk, block, outputs)
    return loss


class _MeanCrossEntropy(torch.autograd.Function):
    @staticmethod
    def forward(  # type: ignore[override]
        ctx: FunctionCtx,
        hidden_ND: Tensor,
        weight_VD: Tensor,
        bias_V: Tensor,
        labels_N: Tensor,
        product: torch.dtype,
        chunk: int,
        block: int,
        outputs: TableGradient | None,
    ) -> Tensor:
        positions = len(hidden_ND)
        wanted = any(ctx.needs_input_grad[:3])  # type: ignore[attr-defined]
        losses: list[Tensor] = []
        grad_hidden_ND = torch.empty_like(hidden_ND, dtype=product) if wanted else None
        grad_bias_V = torch.zeros_like(bias_V) if wanted else None
        grad_weight_VD: Tensor | None = None
        with nullcontext() if hidden_ND.is_meta else torch.autocast(hidden_ND.device.type, enabled=False):
            table_VD = weight_VD.to(product)
            for low in range(0, positions, chunk):
                part_MD = hidden_ND[low : low + chunk].to(product)
                logits_MV = part_MD @ table_VD.T
                losses += _softmax_over_itself(
                    logits_MV, bias_V, labels_N[low : low + chunk], grad_bias_V, 1.0 / positions, block
                )
                if grad_hidden_ND is None:
                    continue
                grad_MV = logits_MV
                torch.mm(grad_MV, table_VD, out=grad_hidden_ND[low : low + chunk])
                partial_VD = grad_MV.T @ part_MD
                # The only chunk of a small batch: its gradient is the sum, and no second table is made.
                if grad_weight_VD is None:
                    grad_weight_VD = partial_VD.to(weight_VD.dtype)
                else:
                    grad_weight_VD += partial_VD
        ctx.gradients = (grad_hidden_ND, grad_weight_VD, grad_bias_V)  # type: ignore[attr-defined]
        ctx.hidden_type, ctx.outputs = hidden_ND.dtype, outputs  # type: ignore[attr-defined]
        return torch.cat(losses).mean()

    @staticmethod
    @once_differentiable  # type: ignore[untyped-decorator]
    def backward(ctx: FunctionCtx, upstream: Tensor) -> tuple[Tensor | None, ...]:
        hidden_ND, weight_VD, bias_V = ctx.gradients  # type: ignore[attr-defined]
        ctx.gradients = None  # type: ignore[attr-defined]
        # On the CPU a look at the number is free, and a scale of 1 (no accumulation) spares a pass over the table.
        if upstream.device.type != "cpu" or float(upstream) != 1.0:
            hidden_ND, weight_VD, bias_V = hidden_ND * upstream, weight_VD.mul_(upstream), bias_V.mul_(upstream)
        if ctx.outputs is not None:  # type: ignore[attr-defined]
            # Autograd adds two gradients in place only where Python never saw the first: here it would copy the table.
            ctx.outputs.value_VD, weight_VD = weight_VD, None  # type: ignore[attr-defined]
        return hidden_ND.to(ctx.hidden_type), weight_VD, bias_V, None, None, None, None, None  # type: ignore[attr-defined]


def _softmax_over_itself(
    logits_MV: Tensor, bias_V: Tensor, labels_M: Tensor, grad_bias_V: Tensor | None, scale: float, block: int
) -> list[Tensor]:
    """The losses, (R,) fp32 a block. Where gradients are wanted, `logits_MV` then holds scale x (softmax - one-hot)."""
    losses: list[Tensor] = []
    for low in range(0, len(logits_MV), block):
        view_RV = logits_MV[low : low + block]
        labels_R1 = labels_M[low : low + block, None]
        full_RV = view_RV + bias_V  # bf16 + fp32 is fp32
        picked_R1 = full_RV.gather(1, labels_R1)
        highest_R1 = full_RV.amax(1, keepdim=True)
        sum_R1 = full_RV.sub_(highest_R1).exp_().sum(1, keepdim=True)
        losses.append((sum_R1.log() + highest_R1 - picked_R1).squeeze(1))
        if grad_bias_V is not None:
            grad_RV = full_RV.mul_(scale / sum_R1)
            grad_RV.scatter_add_(1, labels_R1, torch.full_like(picked_R1, -scale))
            grad_bias_V += grad_RV.sum(0)
            view_RV.copy_(grad_RV)
    return losses
