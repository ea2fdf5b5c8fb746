"""How runs are executed: devices, ZeRO stage, memory, time; for all cells, or by a rule for some of them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import Field, field_validator, model_validator

from sweeps.strict import Positive, Strict
from sweeps.where import matches

_FLAG = re.compile("[a-z][a-z0-9-]*")

_OURS = """
array chdir clusters comment cpus-per-task dependency error export gpus-per-node input job-name kill-on-invalid-dep mem
nodes ntasks ntasks-per-node open-mode output parsable partition quiet requeue no-requeue signal test-only time wait
wrap
"""
OURS = frozenset(_OURS.split())
"""Flags of sbatch that follow from other keys, or that the harness needs for itself."""


class PrepareBlock(Strict):
    """The job that makes a tokenizer and its shards, before the runs that need them."""

    cpus: Positive = 4
    memory_gb: Annotated[float, Field(gt=0)] = 16.0
    hours: Annotated[float, Field(gt=0)] = 12.0
    partition: str | None = None
    """Default: that of the runs."""


class TrackBlock(Strict):
    """Where runs are shown while they train (`harness.track`): Weights & Biases."""

    mode: Literal["auto", "online", "offline", "disabled"] = "auto"
    """auto: online where a key of W&B is configured, else disabled. The variable WANDB_MODE goes before this."""
    project: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$")] = "babelscale"
    entity: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$")] | None = None
    """A user or team. Default: the key's own."""


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
    nodes: Positive | None = None
    partition: str | None = None
    memory_gb: Annotated[float, Field(gt=0)] | None = None
    pack: Positive | None = None


class ExecutionBlock(Strict):
    """How runs are executed. Nothing here may change a run's numbers beyond rounding, and none of it is in the id."""

    devices: Positive = 1
    """Ranks of one run, over all its nodes."""
    nodes: Positive = 1
    """Machines of one run with `--cluster slurm`."""
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
    partition: str | None = None
    """Of Slurm; several with commas between. Default: the cluster's own."""
    memory_gb: Annotated[float, Field(gt=0)] | None = None
    """Memory that one run asks of each of its nodes."""
    pack: Positive = 1
    """Runs side by side in one job of Slurm, each with devices, log and port of its own; for small ones."""
    throttle: Positive | None = None
    """Jobs of one array at the same time. Default: as many as the cluster lets."""
    sbatch: dict[str, str | int | bool] = Field(default={})
    """Further flags of sbatch by their long names: account, qos, constraint, exclude, gres, mail-type, ..."""
    srun: tuple[str, ...] = ()
    """Further arguments of srun, such as those of a container plugin."""
    setup: tuple[str, ...] = ()
    """Lines of shell that a job begins with: `module load`, `source .../activate`."""
    python: str | None = None
    """What starts Python in a job, if not the interpreter that submits: a line of shell, e.g. with a container."""
    prepare: PrepareBlock = PrepareBlock()
    track: TrackBlock = TrackBlock()
    rules: tuple[ExecutionRule, ...] = ()
    """Other values for cells that meet a condition; where several meet, the later one wins."""

    def __hash__(self) -> int:  # over a part: blocks that are equal have it in common, and it holds no dictionary
        return hash((self.devices, self.nodes, self.zero, self.micro_rows, self.threads, self.hours, self.partition))

    @field_validator("sbatch", mode="after")
    @classmethod
    def _others_flags(cls, flags: dict[str, str | int | bool]) -> dict[str, str | int | bool]:
        for name, value in flags.items():
            if name.lstrip("-").replace("_", "-") in OURS:
                raise ValueError(f"the flag {name} of sbatch is the harness's own: see execution's other keys")
            if not _FLAG.fullmatch(name):
                raise ValueError(f"{name!r} is not a long flag of sbatch; write account, qos, mail-type")
            if not str(value).isprintable():
                raise ValueError(f"the value of {name} has a line break or another character that is not printed")
        return flags

    @field_validator("partition", "python")
    @classmethod
    def _one_line(cls, value: str | None) -> str | None:
        if value is not None and (not value or not value.isprintable()):
            raise ValueError(f"{value!r} is not one line of text")
        return value

    @model_validator(mode="after")
    def _over_nodes(self) -> ExecutionBlock:
        if self.devices % self.nodes:
            raise ValueError(f"devices {self.devices} do not spread evenly over nodes {self.nodes}")
        if self.pack > 1 and self.nodes > 1:
            raise ValueError("pack puts several runs into one machine, nodes one run on several: choose one of them")
        return self

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
