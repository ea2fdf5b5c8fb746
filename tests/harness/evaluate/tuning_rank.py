"""One rank of test_tuning_ranks.py: benchmarks at every ZeRO stage, undisturbed, and stopped and started again."""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from pathlib import Path

import torch
from learnable import RECIPE, Letters, Run, Vowels, Which, encoder

from harness.evaluate.benchmark import Benchmark
from harness.evaluate.driven import Means
from harness.evaluate.sides import Protocol
from harness.store import read_json
from harness.train.errors import Stopped
from harness.train.heartbeat import StopFlag
from harness.train.ranks import Ranks, joined

GOES: dict[int, list[tuple[Vowels | Which | Run, int]]] = {
    1: [(Vowels(), 0), (Vowels(), 3), (Which(), 0), (Run(), 0)],
    2: [*((Vowels(), zero) for zero in (0, 1, 2, 3)), (Which(), 0), (Which(), 3), (Run(), 1)],
}
"""What each world size fine-tunes, at which ZeRO stage."""


class StopAfter(StopFlag):
    """Raised when it was looked at so often."""

    def __init__(self, looks: int) -> None:
        self.left = looks

    @property
    def raised(self) -> bool:  # type: ignore[override]
        self.left -= 1
        return self.left < 0


def result(task: Vowels | Which | Run, ranks: Ranks, zero: int, folder: Path, stops: list[int]) -> dict[str, object]:
    protocol = Protocol(
        folder, rates=(1e-2,), seeds=(0,), recipe=replace(RECIPE, epochs=4), select="each", languages=("en",)
    )
    told: list[str] = []
    for looks in [*stops, 10**9]:
        means = Means(ranks, zero=zero, stop=StopAfter(looks))
        benchmark = Benchmark(task, protocol, Letters(), encoder, folder, means)
        try:
            records = benchmark.run(told.append)
        except Stopped:
            assert list(folder.glob("*.part/checkpoints/step-*")), "what was done is kept"
            continue
        assert not list(folder.glob("*.part")), "nothing is left of what is done"
        (kept,) = folder.glob("en-*.json")
        return {"losses": told, "kept": read_json(kept), "value": records[0]["value"]}
    raise AssertionError("it was never left alone")


def main(rank: int, world: int, folder: Path) -> None:
    torch.set_num_threads(1)
    found = {}
    with joined(rank, world, rank, folder / f"rendezvous-{world}") as ranks:
        for task, zero in GOES[world]:
            names = {"whole": [], "stopped": [2, 3]} if isinstance(task, Vowels) else {"whole": []}
            for name, stops in names.items():
                place = folder / f"{task.name}-{world}-at-{zero}-{name}"
                found[f"{task.name} {zero} {name}"] = result(task, ranks, zero, place, stops)
    if rank == 0:
        (folder / f"found-{world}.json").write_text(json.dumps(found), encoding="utf-8")


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]), Path(sys.argv[3]))
