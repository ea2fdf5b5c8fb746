"""A checkpoint knows neither ranks nor ZeRO stage: what any engine left, any other takes up.

Real DeepSpeed on 1, 2 and 3 gloo ranks (three do not divide the parameters evenly), every stage into every stage.
"""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest
import torch
from elastic_rank import Go
from safetensors.torch import load_file

from harness.store import read_json

STAGES = (0, 1, 2, 3)
SAVED, AGAIN, END = 4, 6, 8
"""Steps: the first checkpoint, the one of three ranks, the last step."""


@dataclass(frozen=True)
class Result:
    losses: dict[int, float]
    weights: dict[str, torch.Tensor]


def go(name: str, zero: int, *, resume: str = "", save: str = "", save_at: int = 0, rewind: bool = False) -> Go:
    return Go(name=name, zero=zero, resume=resume, save=save, save_at=save_at, until=END, rewind=rewind)


def left(world: int, zero: int) -> str:
    """Name of the checkpoints that this many ranks at this stage left."""
    return f"left-by-{world}-at-{zero}"


GOES = {
    2: [go(f"2-at-{z}", z, save=left(2, z), save_at=SAVED, rewind=True) for z in STAGES]
    + [go(f"2-at-{t}-after-2-at-{s}", t, resume=left(2, s)) for s in STAGES for t in STAGES],
    3: [
        go(f"3-at-{t}-after-2-at-{s}", t, resume=left(2, s), save=left(3, t), save_at=AGAIN)
        for s in STAGES
        for t in ((s + 1) % 4,)
    ],
    1: [go("1-at-0", 0), go("1-at-3", 3)]
    + [go(f"1-at-{z}-after-3-at-{s}", z, resume=left(3, s)) for s in STAGES for z in (3 - s,)],
}
"""What each world size does, in the order in which they run: later ones take up what earlier ones left."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The results of all goes."""
    folder = tmp_path_factory.mktemp("elastic")
    script = Path(__file__).with_name("elastic_rank.py")
    for world, goes in GOES.items():
        (folder / f"goes-{world}.json").write_text(json.dumps(goes), encoding="utf-8")
        processes = [
            subprocess.Popen(
                [sys.executable, str(script), str(rank), str(world), str(folder)],
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
            )
            for rank in range(world)
        ]
        told = [process.communicate(timeout=240)[0] for process in processes]
        assert [process.returncode for process in processes] == [0] * world, "\n".join(text[-3000:] for text in told)
    return folder


def result(folder: Path, name: str) -> Result:
    losses = {int(step): loss for step, loss in read_json(folder / f"{name}.json").items()}
    return Result(losses, load_file(folder / f"{name}.safetensors"))


def assert_same_bits(found: Result, expected: Result) -> None:
    assert found.losses == {step: expected.losses[step] for step in found.losses}
    assert found.weights.keys() == expected.weights.keys()
    for name, value in expected.weights.items():
        assert torch.equal(found.weights[name], value), name


def assert_close(found: Result, expected: Result, bound: float) -> None:
    assert max(abs(loss - expected.losses[step]) for step, loss in found.losses.items()) <= bound
    for name, value in expected.weights.items():
        torch.testing.assert_close(found.weights[name], value, atol=10 * bound, rtol=0, msg=name)


@pytest.mark.parametrize("zero", STAGES)
def test_the_same_ranks_at_the_same_stage_go_on_bit_for_bit(folder: Path, zero: int) -> None:
    resumed = result(folder, f"2-at-{zero}-after-2-at-{zero}")
    assert list(resumed.losses) == [5, 6, 7, 8]
    assert_same_bits(resumed, result(folder, f"2-at-{zero}"))


@pytest.mark.parametrize("zero", [1, 2])
def test_stages_0_1_and_2_agree_bit_for_bit(folder: Path, zero: int) -> None:
    assert_same_bits(result(folder, f"2-at-{zero}"), result(folder, "2-at-0"))


@pytest.mark.parametrize("then", STAGES)
@pytest.mark.parametrize("before", STAGES)
def test_any_stage_takes_up_what_any_other_left(folder: Path, before: int, then: int) -> None:
    resumed, undisturbed = result(folder, f"2-at-{then}-after-2-at-{before}"), result(folder, f"2-at-{before}")
    if {before, then} <= {0, 1, 2}:
        assert_same_bits(resumed, undisturbed)
    else:
        assert_close(resumed, undisturbed, 1e-4 if 3 in (before, then) else 1e-5)


@pytest.mark.parametrize("before", STAGES)
def test_other_world_sizes_at_other_stages_keep_the_curve(folder: Path, before: int) -> None:
    alone, then = result(folder, "1-at-0"), (before + 1) % 4
    last = 3 - then
    on_three = result(folder, f"3-at-{then}-after-2-at-{before}")
    back_on_one = result(folder, f"1-at-{last}-after-3-at-{then}")
    assert (list(on_three.losses), list(back_on_one.losses)) == ([5, 6, 7, 8], [7, 8])
    for found in (on_three, back_on_one):
        assert_close(found, alone, 1e-4 if 3 in (before, then, last) else 1e-5)


@pytest.mark.parametrize("zero", STAGES)
def test_a_checkpoint_holds_every_element_once_in_the_rank_s_own_file(folder: Path, zero: int) -> None:
    (path,) = (folder / left(2, zero)).glob("step-*")
    manifest = read_json(path / "manifest.json")
    assert (manifest["step"], manifest["optimizer_step"]) == (SAVED, SAVED)
    assert (manifest["world"], manifest["zero"], len(manifest["files"])) == (2, zero, 2)
    numel = {f"{kind}/{name}": 0 for name in manifest["parameters"] for kind in ("weight", "exp_avg", "exp_avg_sq")}
    for file in manifest["files"]:
        for name, piece in load_file(path / file).items():
            assert piece.dtype == torch.float32 and piece.dim() == 1
            numel[name.rpartition("@")[0]] += piece.numel()
    whole = result(folder, "1-at-0").weights
    for label, found in numel.items():
        assert found == whole[label.partition("/")[2].removeprefix("model.")].numel(), label


@pytest.mark.parametrize("zero", STAGES)
def test_each_rank_writes_its_part(folder: Path, zero: int) -> None:
    (path,) = (folder / left(2, zero)).glob("step-*")
    sizes = [entry["bytes"] for entry in read_json(path / "manifest.json")["files"].values()]
    assert max(sizes) < 0.6 * sum(sizes)
