"""Fine-tuning is the same on one rank and on two, at every ZeRO stage, stopped or not: real DeepSpeed over gloo."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from tuning_rank import GOES

from harness.store import read_json

Found = dict[int, dict[str, Any]]


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> Found:
    folder = tmp_path_factory.mktemp("tuning")
    script = Path(__file__).with_name("tuning_rank.py")
    for world in (1, 2):
        # Files, not pipes: a rank whose pipe is full waits, and the other ranks wait for it.
        logs = [folder / f"rank-{rank}-of-{world}.log" for rank in range(world)]
        processes = []
        for rank, log in enumerate(logs):
            with log.open("wb") as stream:
                call = [sys.executable, str(script), str(rank), str(world), str(folder)]
                processes.append(subprocess.Popen(call, stdout=stream, stderr=subprocess.STDOUT))
        ended = [process.wait(timeout=400) for process in processes]
        assert ended == [0] * world, "\n".join(log.read_text(encoding="utf-8")[-3000:] for log in logs)
    return {world: read_json(folder / f"found-{world}.json") for world in (1, 2)}


def losses(result: dict[str, Any]) -> list[float]:
    return [float(text.rpartition(" ")[2]) for text in result["losses"]]


@pytest.mark.parametrize(
    ("world", "zero", "task"), [(world, zero, task.name) for world, goes in GOES.items() for task, zero in goes]
)
def test_any_number_of_ranks_at_any_stage_learns_the_same(found: Found, world: int, zero: int, task: str) -> None:
    alone, here = found[1][f"{task} 0 whole"], found[world][f"{task} {zero} whole"]
    assert len(losses(alone)) == 4
    assert losses(here) == pytest.approx(losses(alone), abs=2e-3)
    assert here["value"] == pytest.approx(alone["value"], abs=0.03)
    assert here["kept"]["train"] == alone["kept"]["train"]


@pytest.mark.parametrize(("world", "zero"), [(1, 0), (1, 3), (2, 0), (2, 1), (2, 2), (2, 3)])
def test_a_fine_tuning_that_was_stopped_twice_ends_as_if_it_had_not_been(found: Found, world: int, zero: int) -> None:
    whole, stopped = found[world][f"vowels {zero} whole"], found[world][f"vowels {zero} stopped"]
    assert stopped["losses"] == whole["losses"]
    assert stopped["kept"] == whole["kept"], "epoch, dev score and every prediction"
