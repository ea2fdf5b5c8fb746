"""How many rows a rank holds at once: what the memory at hand takes. The global batch stays what it is.

Priced by `models.cost`: the model's state exactly, a row's activations from above, within twice. What was once chosen
for a run stands in its folder and is chosen again while it fits, so that a resumed run adds its losses in the same
order, bit for bit.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch

from harness.memory import available_bytes
from harness.store import SCHEMA, read_json, write_json
from harness.train.ranks import Ranks, gathered
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


def choose_micro_rows(need: Need, share: int, ranks: Ranks, folder: Path, *, beside: int) -> tuple[int, str]:
    """(rows of a micro-batch, "") for all ranks, or (0, why there is no memory for one row). Called by all ranks.

    `beside` runs share this machine. Rank 0 notes the choice in the run's `folder`.
    """
    free = min(gathered(_free_bytes(ranks, beside), ranks))
    if not need.holds_a_row(free):
        fitting = what_would_fit(need, free)
        devices = "1 device" if need.world == 1 else f"{need.world} devices"
        return 0, (
            f"a row of {need.tokens_per_row} tokens does not fit the memory at hand: on each device the model's state "
            f"takes {need.state_bytes / 1e9:,.2f} GB (ZeRO stage {need.zero} on {devices}), a row "
            f"{need.row_bytes / 2e9:,.2f} GB or more, and {free / 1e9:,.2f} GB are free. "
            + (f"What would fit: {', or '.join(fitting)}" if fitting else "Choose a smaller model")
        )
    path = folder / "micro-batch.json"
    way = {"world": need.world, "zero": need.zero, "activation_checkpointing": need.checkpointed, "share": share}
    rows = rows_that_fit(need, share, free)
    before: Mapping[str, Any] = gathered(read_json(path) if ranks.first and path.exists() else {}, ranks)[0]
    if way.items() <= before.items():
        chosen = int(before["micro_rows"])
        # It was priced from above, so it may be kept as long as it is not certain to be too much.
        if need.state_bytes + chosen * need.row_bytes // 2 <= USABLE * free:
            return chosen, ""
    if ranks.first:
        write_json(path, {"schema": SCHEMA, "micro_rows": rows, "free_bytes": free, **way})
    return rows, ""


def _free_bytes(ranks: Ranks, beside: int) -> int:
    """Memory this rank may take."""
    if ranks.device.type == "cuda":
        return int(torch.cuda.mem_get_info(ranks.device)[0])
    return available_bytes() // (ranks.world * beside)
