"""Whether a device's memory holds a model's state and how many rows beside it. Plain arithmetic, no torch.

Priced by `models.cost`: the model's state exactly, a row's activations from above, within twice.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass, replace

from models.cost import activation_bytes_per_row, parameters, training_bytes_per_parameter
from models.sizes import EncoderConfig

USABLE = 0.9
"""Of the free memory: allocators round up, and libraries want their workspaces."""
AUTOCAST_BYTES = 2
"""A parameter's copy in bf16 for the products."""


@dataclass(frozen=True)
class Need:
    """What a run asks of each device."""

    config: EncoderConfig
    tokens_per_row: int
    masks_per_row: int
    bf16: bool
    zero: int
    world: int
    checkpointed: bool
    """Activations are (`execution.activation_checkpointing`)."""
    on_cpu: bool

    @property
    def state_bytes(self) -> int:
        per_parameter = training_bytes_per_parameter(self.zero, self.world) + AUTOCAST_BYTES * self.bf16
        return round(per_parameter * parameters(self.config).total)

    @property
    def row_bytes(self) -> int:
        """At most; at least half of it."""
        return activation_bytes_per_row(
            self.config,
            tokens_per_row=self.tokens_per_row,
            masks_per_row=self.masks_per_row,
            bf16=self.bf16,
            checkpointed=self.checkpointed,
            fused_attention=not (self.on_cpu and self.config.dropout > 0),
        )

    def holds_a_row(self, free: int) -> bool:
        """False only where it is certain, by the lower bound of a row."""
        return self.state_bytes + self.row_bytes // 2 <= USABLE * free


def rows_that_fit(need: Need, share: int, free: int) -> int:
    """The largest part of a rank's `share` of the batch that divides it and fits `free` bytes; at least 1."""
    room = int((USABLE * free - need.state_bytes) // need.row_bytes)
    return max(rows for rows in range(1, share + 1) if share % rows == 0 and (rows <= room or rows == 1))


def what_would_fit(need: Need, free: int) -> list[str]:
    """Changes that would let a row fit, each alone, least first."""
    return list(_remedies(need, free))


def _remedies(need: Need, free: int) -> Iterator[str]:
    if not need.checkpointed and replace(need, checkpointed=True).holds_a_row(free):
        yield "execution.activation_checkpointing: true"
    if need.zero < 3 and need.world > 1 and replace(need, zero=3).holds_a_row(free):
        yield "ZeRO stage 3"
    else:
        worlds = (2**n for n in range(1, 13) if 2**n > need.world)
        enough = (world for world in worlds if replace(need, zero=3, world=world).holds_a_row(free))
        yield from (f"ZeRO stage 3 on {world} devices" for world in itertools.islice(enough, 1))
    tokens = need.tokens_per_row
    while tokens > 16:
        tokens //= 2
        masks = max(1, need.masks_per_row * tokens // need.tokens_per_row)
        if replace(need, tokens_per_row=tokens, masks_per_row=masks).holds_a_row(free):
            yield f"rows of {tokens} tokens"
            break
    layers = need.config.layers
    while layers > 1:
        layers //= 2
        if replace(need, config=replace(need.config, layers=layers)).holds_a_row(free):
            yield f"{layers} layers"
            break
