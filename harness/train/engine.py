"""The DeepSpeed engine for one run: backward, reduction, step; nothing else of DeepSpeed.

Precision is ours: fp32 weights and gradients, and for bf16 an autocast *inside* the module (DeepSpeed switches off one
around it), so ZeRO stages 0, 1 and 2 give the same losses. The optimizer is PyTorch's fused AdamW, built here, so
DeepSpeed compiles nothing.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from harness.train.ranks import Ranks
from models.heads import MaskedLM

RATE_SCALE = "rate_scale"
"""Key of a parameter group that trains at a share of the rate; DeepSpeed carries it along."""


class MaskedLMStep(nn.Module):
    """What the engine drives: a masked batch to its mean loss in nats, with the run's precision inside."""

    def __init__(self, model: MaskedLM, *, bf16: bool) -> None:
        super().__init__()
        self.model = model
        self.bf16 = bf16

    def forward(self, ids_BT: Tensor, index_N: Tensor, labels_N: Tensor) -> Tensor:
        with torch.autocast(ids_BT.device.type, dtype=torch.bfloat16, enabled=self.bf16):
            return self.model.mean_loss(ids_BT, index_N, labels_N)


def decayed_groups(module: nn.Module, weight_decay: float, hidden_rate_scale: float = 1.0) -> list[dict[str, Any]]:
    """Parameter groups: matrices and tables with weight decay; biases and LayerNorm gains without.

    A `hidden_rate_scale` other than 1 (muP: base width / width) puts the matrices inside the body, every one but the
    token table, into a first group of their own, which trains at that share of the rate. AdamW shrinks a weight by
    rate x weight decay at each step; that product is kept the same for all widths, so their decay is divided by the
    scale.
    """
    named = [(name, parameter) for name, parameter in module.named_parameters() if parameter.requires_grad]
    vectors = {"params": [p for _, p in named if p.dim() < 2], "weight_decay": 0.0}
    if hidden_rate_scale == 1.0:
        return [{"params": [p for _, p in named if p.dim() >= 2], "weight_decay": weight_decay}, vectors]
    hidden = [p for name, p in named if p.dim() >= 2 and not name.endswith("tokens.weight")]
    tables = [p for name, p in named if p.dim() >= 2 and name.endswith("tokens.weight")]
    return [
        {"params": hidden, "weight_decay": weight_decay / hidden_rate_scale, RATE_SCALE: hidden_rate_scale},
        {"params": tables, "weight_decay": weight_decay},
        vectors,
    ]


def build_engine(
    model: MaskedLM,
    ranks: Ranks,
    *,
    optimizer: Mapping[str, Any],
    bf16: bool,
    zero_stage: int,
    micro_rows: int,
    accumulation: int,
    hidden_rate_scale: float = 1.0,
    activation_checkpointing: bool = False,
    compiled: bool = False,
) -> Any:
    """A DeepSpeed engine around `model`. The process group stands already (`harness.train.ranks.joined`)."""
    model.encoder.checkpoint_blocks = activation_checkpointing
    if compiled:
        for block in model.encoder.blocks:
            block.compile(dynamic=False)  # one compilation for all of them: they differ in nothing but their weights
    return drive(
        MaskedLMStep(model, bf16=bf16),
        ranks,
        optimizer=optimizer,
        zero_stage=zero_stage,
        micro_rows=micro_rows,
        accumulation=accumulation,
        hidden_rate_scale=hidden_rate_scale,
    )


def drive(
    step: nn.Module,
    ranks: Ranks,
    *,
    optimizer: Mapping[str, Any],
    zero_stage: int,
    micro_rows: int,
    accumulation: int = 1,
    hidden_rate_scale: float = 1.0,
) -> Any:
    """A DeepSpeed engine around a module that turns a batch into its loss; `optimizer`: AdamW's numbers."""
    import deepspeed  # takes seconds to import, and reads the rank variables when it does

    logging.getLogger("DeepSpeed").setLevel(logging.WARNING)
    # DeepSpeed would compile a shared-memory operator at start-up on CPU; gloo does the same work without a compiler.
    deepspeed.ops.__compatible_ops__["deepspeed_shm_comm"] = False
    step = step.to(ranks.device)
    adamw = torch.optim.AdamW(
        decayed_groups(step, optimizer["weight_decay"], hidden_rate_scale),
        lr=0.0,  # set before every update from the schedule
        betas=(optimizer["beta1"], optimizer["beta2"]),
        eps=optimizer["epsilon"],
        fused=True,
    )
    engine, *_ = deepspeed.initialize(
        model=step,
        optimizer=adamw,
        dist_init_required=False,
        config={
            "train_micro_batch_size_per_gpu": micro_rows,
            "gradient_accumulation_steps": accumulation,
            "gradient_clipping": 0.0,  # harness.train.update clips
            "zero_optimization": {
                "stage": zero_stage,
                **({"compute_grad_norm": False} if zero_stage in (1, 2) else {}),
            },
            "steps_per_print": 10**12,
        },
    )
    if ranks.world == 1 and zero_stage == 0:
        # It would copy every gradient into one flat tensor and back, for nobody: a tenth of a step with a large table.
        engine.enable_backward_allreduce = False
    return engine


def set_learning_rate(engine: Any, rate: float) -> None:
    for group in engine.optimizer.param_groups:
        group["lr"] = rate * group.get(RATE_SCALE, 1.0)


def gathered_weights(engine: Any, zero_stage: int) -> dict[str, Tensor]:
    """fp32 weights of the model by parameter name, on the CPU, the tied table once. Called by all ranks."""
    return whole_weights(engine.module.model, zero_stage)


def whole_weights(model: nn.Module, zero_stage: int) -> dict[str, Tensor]:
    """The same of any module that an engine drives."""
    import deepspeed

    if zero_stage < 3:
        return {name: parameter.detach().float().cpu().clone() for name, parameter in model.named_parameters()}
    weights: dict[str, Tensor] = {}
    for name, parameter in model.named_parameters():
        with deepspeed.zero.GatheredParameters([parameter]):
            weights[name] = parameter.detach().float().cpu().clone()
    return weights
