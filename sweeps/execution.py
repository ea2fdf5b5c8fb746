"""How runs are executed: devices, ZeRO stage, memory, time; for all cells, or by a rule for some of them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from sweeps.strict import Positive, Strict
from sweeps.where import matches


class ExecutionRule(Strict):
    """What cells that meet a condition (`sweeps.where`) are executed with, in place of the study's own values."""

    when: str
    devices: Positive | None = None
    zero: Annotated[int, Field(ge=0, le=3)] | None = None
    micro_rows: Positive | None = None
    activation_checkpointing: bool | None = None
    compile: bool | None = None
    threads: Positive | None = None
    hours: Annotated[float, Field(gt=0)] | None = None


class ExecutionBlock(Strict):
    """How runs are executed. Nothing here may change a run's numbers beyond rounding, and none of it is in the id."""

    devices: Positive = 1
    """Ranks of one run."""
    device: Literal["cpu", "v100", "a100", "h100", "h200"] | None = None
    """What a plan reckons with where nothing was measured (`sweeps.pace`). Default: cpu."""
    zero: Annotated[int, Field(ge=0, le=3)] = 1
    micro_rows: Positive | None = None
    """Rows a rank holds at once; the rest is accumulated. Default: as many of its share as the memory at hand takes."""
    activation_checkpointing: bool = False
    """Compute each block again in the backward pass instead of keeping what it needs there."""
    compile: bool = False
    """Compile the blocks with torch.compile; not at ZeRO stage 3. On a CPU that wants a C++ compiler."""
    threads: Positive = 1
    """CPU threads of one rank."""
    slots: Positive | None = None
    """Runs at the same time with `--cluster local`. Default: cores / (devices x threads)."""
    checkpoint_seconds: Annotated[float, Field(gt=0)] = 300.0
    attempts: Positive = 5
    """Goes at one run before it counts as failed."""
    hours: Annotated[float, Field(gt=0)] = 24.0
    """Wall time that one job may ask for."""
    rules: tuple[ExecutionRule, ...] = ()
    """Other values for cells that meet a condition; where several meet, the later one wins."""

    @model_validator(mode="after")
    def _compiled_whole(self) -> ExecutionBlock:
        if self.compile and self.zero == 3:
            raise ValueError(
                "compile does not go with zero 3, which gathers weights between the parts of a block: take zero 2, or "
                "leave compile out"
            )
        return self


def execution_of(block: ExecutionBlock, axes: Mapping[str, Any]) -> ExecutionBlock:
    """The execution of the cell with these axes, its rules applied. Raises BadInput for a condition that cannot be
    read, ValueError for values that do not go together."""
    over: dict[str, Any] = {}
    for rule in block.rules:
        if matches(rule.when, axes):
            over |= rule.model_dump(exclude={"when"}, exclude_none=True)
    return ExecutionBlock.model_validate(block.model_dump(exclude={"rules"}) | over)
