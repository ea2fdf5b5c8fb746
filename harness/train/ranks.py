"""Which rank this process is, and how ranks find each other.

On one machine they meet through a file in the attempt's folder: no port to collide when several runs train side by
side. DeepSpeed reads five variables, so all five are set before it is imported.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any, TypeVar

import torch
import torch.distributed as dist

T = TypeVar("T")

RENDEZVOUS_MINUTES = 10


@dataclass(frozen=True)
class Ranks:
    rank: int
    world: int
    local_rank: int
    device: torch.device

    @property
    def first(self) -> bool:
        return self.rank == 0


def set_environment(rank: int, world: int, local_rank: int) -> None:
    """The variables that DeepSpeed wants, before its import."""
    os.environ.update(
        RANK=str(rank),
        WORLD_SIZE=str(world),
        LOCAL_RANK=str(local_rank),
        MASTER_ADDR=os.environ.get("MASTER_ADDR", "127.0.0.1"),
        MASTER_PORT=os.environ.get("MASTER_PORT", "29500"),
    )
    if not torch.cuda.is_available():
        os.environ["DS_ACCELERATOR"] = "cpu"


@contextmanager
def joined(rank: int, world: int, local_rank: int, rendezvous: Path) -> Iterator[Ranks]:
    """Join the process group through the file `rendezvous`; leave it cleanly at the end.

    The closing barrier matters: without it about half of the 2-rank gloo runs were seen to end with an abort. After an
    error there is no barrier, since the other ranks may never come.
    """
    set_environment(rank, world, local_rank)
    cuda = torch.cuda.is_available()
    device = torch.device("cuda", local_rank) if cuda else torch.device("cpu")
    if cuda:
        torch.cuda.set_device(device)
    dist.init_process_group(
        "nccl" if cuda else "gloo",
        init_method=f"file://{rendezvous.absolute()}",
        rank=rank,
        world_size=world,
        timeout=timedelta(minutes=RENDEZVOUS_MINUTES),
    )
    try:
        yield Ranks(rank, world, local_rank, device)
        dist.barrier()
    finally:
        dist.destroy_process_group()


def summed(value: float, ranks: Ranks) -> float:
    """Sum of one number over all ranks, in fp64."""
    if ranks.world == 1:
        return value
    tensor = torch.tensor(value, dtype=torch.float64, device=ranks.device)
    dist.all_reduce(tensor)
    return float(tensor)


def gathered(value: T, ranks: Ranks) -> list[T]:
    """A small value of every rank, by rank, on all of them; so it is a barrier too."""
    if ranks.world == 1:
        return [value]
    everyone: list[Any] = [None] * ranks.world
    dist.all_gather_object(everyone, value)
    return everyone
