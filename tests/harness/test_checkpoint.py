"""Only what is committed and whole is resumed from. Needs files, no engine."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.store import SCHEMA, file_digest, write_json, write_text
from harness.train.checkpoint import newest_verified


def commit(folder: Path, step: int, *, marker: bool = True) -> Path:
    """A checkpoint as `save` leaves it: state files of two ranks, a manifest, the marker."""
    path = folder / f"step-{step:09d}"
    files = {}
    for name in ("state/mp_rank_00_model_states.pt", "state/zero_pp_rank_1_optim_states.pt"):
        target = path / name
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(f"{name} {step} ".encode() * 200)
        files[name] = {"bytes": target.stat().st_size, "sha256": file_digest(target)}
    write_json(path / "manifest.json", {"schema": SCHEMA, "step": step, "world": 2, "zero": 1, "files": files})
    if marker:
        write_text(path / "COMMITTED", f"{step}\n")
    return path


def newest(folder: Path) -> int | None:
    found = newest_verified(folder)
    return None if found is None else int(found[1]["step"])


def test_the_newest_whole_checkpoint_is_taken(tmp_path: Path) -> None:
    for step in (90, 1000, 200):
        commit(tmp_path, step)
    found = newest_verified(tmp_path)
    assert found is not None and found[0].name == "step-000001000"
    assert (found[1]["step"], found[1]["world"], found[1]["zero"]) == (1000, 2, 1)


@pytest.mark.parametrize("where", [0, 17, -1])
@pytest.mark.parametrize("file", ["state/mp_rank_00_model_states.pt", "state/zero_pp_rank_1_optim_states.pt"])
def test_one_flipped_byte_and_the_checkpoint_before_is_taken(tmp_path: Path, file: str, where: int) -> None:
    commit(tmp_path, 1)
    damaged = commit(tmp_path, 2) / file
    data = bytearray(damaged.read_bytes())
    data[where] ^= 1
    damaged.write_bytes(bytes(data))
    assert newest(tmp_path) == 1


def test_a_file_cut_short_or_missing_and_the_checkpoint_before_is_taken(tmp_path: Path) -> None:
    commit(tmp_path, 1)
    cut = commit(tmp_path, 2) / "state/mp_rank_00_model_states.pt"
    cut.write_bytes(cut.read_bytes()[:-1])
    (commit(tmp_path, 3) / "state/zero_pp_rank_1_optim_states.pt").unlink()
    assert newest(tmp_path) == 1


def test_a_folder_without_the_marker_does_not_count(tmp_path: Path) -> None:
    commit(tmp_path, 1)
    commit(tmp_path, 2, marker=False)
    (tmp_path / ".saving" / "state").mkdir(parents=True)
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


def test_with_no_whole_checkpoint_there_is_none(tmp_path: Path) -> None:
    assert newest(tmp_path / "never made") is None
    assert newest(tmp_path) is None
    (commit(tmp_path, 1) / "state/mp_rank_00_model_states.pt").unlink()
    assert newest(tmp_path) is None
