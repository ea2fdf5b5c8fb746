"""Only what is committed, whole and the run's own is resumed from. Needs files, no engine."""

from __future__ import annotations

import itertools
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from harness.store import SCHEMA, file_digest, read_json, write_json, write_text
from harness.train.checkpoint import FORMAT, Checkpoints, newest_whole
from harness.train.pieces import Pieces, piece_name, write_tensors
from harness.train.ranks import Ranks
from sweeps.errors import BadInput

ALONE = Ranks(0, 1, 0, torch.device("cpu"))
FILES = ("rank-00000.safetensors", "rank-00001.safetensors")


def commit(folder: Path, step: int, *, marker: bool = True, science: str = "ours", form: int = FORMAT) -> Path:
    """A checkpoint as `save` leaves it: state files of two ranks, a manifest, the marker."""
    path = folder / f"step-{step:09d}"
    path.mkdir(parents=True)
    files = {name: write_tensors(path / name, {"weight/a@0": torch.full((50,), float(step))}) for name in FILES}
    head = {"schema": SCHEMA, "format": form, "science": science, "step": step, "world": 2, "zero": 1}
    write_json(path / "manifest.json", head | {"files": files})
    if marker:
        write_text(path / "COMMITTED", file_digest(path / "manifest.json") + "\n")
    return path


def newest(folder: Path) -> int | None:
    found = newest_whole(Checkpoints(folder, "ours"), ALONE)
    return None if found is None else int(found[1]["step"])


def flip(path: Path, where: int) -> None:
    data = bytearray(path.read_bytes())
    data[where] ^= 1
    path.write_bytes(bytes(data))


def told(capsys: pytest.CaptureFixture[str]) -> list[str]:
    return capsys.readouterr().out.splitlines()


def test_the_newest_whole_checkpoint_is_taken(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for step in (90, 1000, 200):
        commit(tmp_path, step)
    assert newest(tmp_path) == 1000
    assert told(capsys) == []


@pytest.mark.parametrize("where", [0, 17, -2])
@pytest.mark.parametrize("file", [*FILES, "manifest.json", "COMMITTED"])
def test_one_flipped_byte_and_the_checkpoint_before_is_taken_and_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], file: str, where: int
) -> None:
    commit(tmp_path, 1)
    damaged = commit(tmp_path, 2)
    flip(damaged / file, where)
    assert newest(tmp_path) == 1
    what = "manifest.json" if file == "COMMITTED" else file
    assert told(capsys) == [
        f"the checkpoint {damaged} is damaged ({what} does not match its sha256): training goes on from step-000000001"
    ]


def test_no_byte_of_a_manifest_may_change(tmp_path: Path) -> None:
    manifest = commit(tmp_path, 2) / "manifest.json"
    for byte in range(manifest.stat().st_size):
        flip(manifest, byte)
        assert newest(tmp_path) is None, byte
        flip(manifest, byte)
    assert newest(tmp_path) == 2


def test_a_file_cut_short_or_missing_and_the_checkpoint_before_is_taken_and_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    commit(tmp_path, 1)
    cut = commit(tmp_path, 2) / FILES[0]
    size = cut.stat().st_size
    cut.write_bytes(cut.read_bytes()[:-1])
    (commit(tmp_path, 3) / FILES[1]).unlink()
    assert newest(tmp_path) == 1
    missing, shorter = told(capsys)
    assert f"({FILES[1]}: No such file or directory): training goes on from step-000000001" in missing
    assert f"({FILES[0]} has {size - 1} bytes, {size} were written): training goes on" in shorter


def test_a_folder_without_the_marker_does_not_count(tmp_path: Path) -> None:
    commit(tmp_path, 1)
    commit(tmp_path, 2, marker=False)
    (tmp_path / ".saving").mkdir()
    assert newest(tmp_path) == 1


@pytest.mark.parametrize("manifest", ["", "{", None])
def test_a_damaged_manifest_and_the_checkpoint_before_is_taken(tmp_path: Path, manifest: str | None) -> None:
    commit(tmp_path, 1)
    damaged = commit(tmp_path, 2) / "manifest.json"
    if manifest is None:
        damaged.unlink()
    else:
        damaged.write_text(manifest, encoding="utf-8")
    assert newest(tmp_path) == 1


def test_with_no_whole_checkpoint_there_is_none_and_the_damaged_one_is_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert newest(tmp_path / "never made") is None
    assert newest(tmp_path) is None
    assert told(capsys) == []
    (commit(tmp_path, 1) / FILES[0]).unlink()
    assert newest(tmp_path) is None
    (sentence,) = told(capsys)
    assert sentence.endswith("training begins from the start")


def test_a_checkpoint_of_another_run_is_refused(tmp_path: Path) -> None:
    commit(tmp_path, 1)
    path = commit(tmp_path, 2, science="theirs")
    with pytest.raises(BadInput) as refused:
        newest(tmp_path)
    assert str(refused.value) == (
        f"the checkpoint {path} belongs to another run (science theirs, expected ours): "
        f"move {tmp_path} away, then submit again"
    )


def test_a_checkpoint_of_another_format_is_refused(tmp_path: Path) -> None:
    commit(tmp_path, 1, form=FORMAT + 1)
    with pytest.raises(BadInput, match=f"has format {FORMAT + 1}, this version reads {FORMAT}: go on with the version"):
        newest(tmp_path)


def test_tensors_come_back_from_the_library_and_the_size_and_digest_are_the_file_s(tmp_path: Path) -> None:
    tensors = {"a": torch.randn(3, 5), "scalar": torch.tensor(2.5), "b": torch.randn(7)}
    entry = write_tensors(tmp_path / "t.safetensors", tensors)
    path = tmp_path / "t.safetensors"
    assert entry == {"bytes": path.stat().st_size, "sha256": file_digest(path)}
    found = load_file(path)
    assert found.keys() == tensors.keys()
    assert all(torch.equal(found[name], value) for name, value in tensors.items())


def test_a_tensor_is_put_together_from_pieces_in_several_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("harness.train.pieces.CHUNK", 7)
    whole = torch.randn(100)
    whole[3] = -0.0
    bounds = [0, 1, 33, 90, 100]
    for number, (low, high) in enumerate(itertools.pairwise(bounds)):
        other = {piece_name("b", low): torch.zeros(4)}
        write_tensors(tmp_path / f"{number % 3}-{number}", other | {piece_name("weight/a", low): whole[low:high]})
    with Pieces(sorted(tmp_path.iterdir())) as pieces:
        for start, stop in [(0, 100), (0, 1), (0, 2), (32, 34), (5, 95), (99, 100), (40, 40)]:
            out = torch.full((stop - start,), torch.nan)
            pieces.read("weight/a", start, out)
            assert out.numpy().tobytes() == whole[start:stop].numpy().tobytes(), "even a negative zero is kept"
        with pytest.raises(ValueError, match="the files hold no elements 100 to 101 of weight/a"):
            pieces.read("weight/a", 99, torch.empty(2))
        with pytest.raises(ValueError, match="no elements 0 to 1 of c"):
            pieces.read("c", 0, torch.empty(1))


def test_the_manifest_is_read_as_it_was_written(tmp_path: Path) -> None:
    path = commit(tmp_path, 4)
    found = newest_whole(Checkpoints(tmp_path, "ours"), ALONE)
    assert found == (path, read_json(path / "manifest.json"))
