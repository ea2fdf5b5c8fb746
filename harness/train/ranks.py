"""Which rank this process is, and how ranks find each other.

Rank 0 opens its store at a port that the kernel gives it, so one that nobody else has however many runs train side by
side, and tells the others through a file in the attempt's folder. DeepSpeed reads five variables, so all five are set
before it is imported.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any, TypeVar

import torch
import torch.distributed as dist
from torch.distributed import TCPStore  # type: ignore[attr-defined]  # exported under a condition

from harness.store import read_json, write_json

T = TypeVar("T")

RENDEZVOUS_MINUTES = 10
_LOOK_SECONDS = 0.05


@dataclass(frozen=True)
class Ranks:
    rank: int
    world: int
    local_rank: int
    device: torch.device
    store: TCPStore | None = None
    """Where they met."""

    @property
    def first(self) -> bool:
        return self.rank == 0


def set_environment(rank: int, world: int, local_rank: int, address: str, port: int) -> None:
    """The variables that DeepSpeed wants, before its import."""
    os.environ.update(
        RANK=str(rank),
        WORLD_SIZE=str(world),
        LOCAL_RANK=str(local_rank),
        MASTER_ADDR=address,
        MASTER_PORT=str(port),
    )
    if not torch.cuda.is_available():
        os.environ["DS_ACCELERATOR"] = "cpu"


def _meet(rank: int, world: int, rendezvous: Path, address: str) -> TCPStore:
    """The store that all ranks share. `rendezvous` tells the others where it is, and is there when it answers."""
    patience = timedelta(minutes=RENDEZVOUS_MINUTES)
    if rank == 0:
        store = TCPStore(address, 0, world, True, patience, wait_for_workers=False)
        write_json(rendezvous, {"address": address, "port": store.port}, durable=False)
        return store
    deadline = time.monotonic() + patience.total_seconds()
    while not rendezvous.exists():
        if time.monotonic() > deadline:
            raise TimeoutError(f"rank 0 did not come within {RENDEZVOUS_MINUTES} minutes ({rendezvous})")
        time.sleep(_LOOK_SECONDS)
    there = read_json(rendezvous)
    return TCPStore(there["address"], there["port"], world, False, patience)


@contextmanager
def joined(rank: int, world: int, local_rank: int, rendezvous: Path, address: str = "127.0.0.1") -> Iterator[Ranks]:
    """Join the process group through the file `rendezvous`; leave it cleanly at the end. `address`: rank 0's machine.

    The closing barrier matters: without it about half of the 2-rank gloo runs were seen to end with an abort. After an
    error there is no barrier, since the other ranks may never come.
    """
    store = _meet(rank, world, rendezvous, address)
    set_environment(rank, world, local_rank, store.host, store.port)
    cuda = torch.cuda.is_available()
    device = torch.device("cuda", local_rank) if cuda else torch.device("cpu")
    if cuda:
        torch.cuda.set_device(device)
    dist.init_process_group(
        "nccl" if cuda else "gloo",
        store=store,
        rank=rank,
        world_size=world,
        timeout=timedelta(minutes=RENDEZVOUS_MINUTES),
    )
    try:
        yield Ranks(rank, world, local_rank, device, store)
        dist.barrier()
    finally:
        dist.destroy_process_group()
        if rank == 0:
            rendezvous.unlink(missing_ok=True)


def summed(value: float, ranks: Ranks) -> float:
    """Sum of one number over all ranks, in fp64."""
    if ranks.world == 1:
        return value
    tensor = torch.tensor(value, dtype=torch.float64, device=ranks.device)
    dist.all_reduce(tensor)
    return float(tensor)


_ALONE = timedelta(days=30)


def first_alone(work: Callable[[], None], ranks: Ranks) -> None:
    """Let rank 0 work for as long as it takes, the others wait without a collective that would give up on it.

    Once in a group. Where rank 0 fails the others fail too, as its end is the store's.
    """
    if ranks.first:
        work()
    if ranks.world > 1:
        assert ranks.store is not None
        if ranks.first:
            ranks.store.set("alone", "done")
        ranks.store.wait(["alone"], _ALONE)


def gathered(value: T, ranks: Ranks) -> list[T]:
    """A small value of every rank, by rank, on all of them; so it is a barrier too."""
    if ranks.world == 1:
        return [value]
    everyone: list[Any] = [None] * ranks.world
    dist.all_gather_object(everyone, value)
    return everyone
