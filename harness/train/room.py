"""How many rows a rank holds at once: what the memory at hand takes. The global batch stays what it is.

Priced by `models.cost`: the model's state exactly, a row's activations from above, within twice. What was once chosen
for a run stands in its folder and is chosen again while it fits, so that a resumed run adds its losses in the same
order, bit for bit.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from harness.memory import available_bytes
from harness.store import SCHEMA, read_json, write_json
from harness.train.ranks import Ranks, gathered
from models.room import USABLE, Need, rows_that_fit, what_would_fit


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
