"""Resume checkpoints: DeepSpeed's files, made trustworthy.

DeepSpeed writes under a temporary name with all ranks; rank 0 then adds a manifest (sizes and digests) and a COMMITTED
marker, and renames. So a folder `step-…` is always whole. Resuming takes the newest that verifies; two are kept.
"""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import torch.distributed as dist

from harness.store import SCHEMA, file_digest, read_json, write_json, write_text
from harness.train.ranks import Ranks
from sweeps.errors import BadInput

KEPT = 2
_MARKER = "COMMITTED"
_TEMPORARY = ".saving"
_TAG = "state"


def save(engine: Any, folder: Path, step: int, ranks: Ranks, zero_stage: int) -> None:
    """Commit the state after `step` updates. Called by all ranks at the same step boundary."""
    beside = folder / _TEMPORARY
    if ranks.first:
        shutil.rmtree(beside, ignore_errors=True)
        beside.mkdir(parents=True)
    dist.barrier()
    engine.save_checkpoint(str(beside), tag=_TAG, save_latest=False)
    dist.barrier()
    if ranks.first:
        files = {
            str(path.relative_to(beside)): {"bytes": path.stat().st_size, "sha256": file_digest(path)}
            for path in sorted(beside.rglob("*"))
            if path.is_file()
        }
        manifest = {"schema": SCHEMA, "step": step, "world": ranks.world, "zero": zero_stage, "files": files}
        write_json(beside / "manifest.json", manifest)
        write_text(beside / _MARKER, f"{step}\n")
        target = folder / f"step-{step:09d}"
        if target.exists():  # the same step again: a fresh attempt that fell back to an older checkpoint
            _discard(target)
        beside.rename(target)
        for old in _committed(folder)[KEPT:]:
            _discard(old)
    dist.barrier()


def newest_verified(folder: Path) -> tuple[Path, dict[str, Any]] | None:
    """The newest committed checkpoint whose files match their digests, with its manifest."""
    for path in _committed(folder):
        try:
            manifest = read_json(path / "manifest.json")
        except (OSError, ValueError):  # missing or cut: as damaged as any other file of it
            continue
        whole = all(
            (path / name).is_file()
            and (path / name).stat().st_size == entry["bytes"]
            and file_digest(path / name) == entry["sha256"]
            for name, entry in manifest["files"].items()
        )
        if whole:
            return path, manifest
    return None


def load(engine: Any, folder: Path, ranks: Ranks, zero_stage: int) -> int:
    """Restore the newest checkpoint that verifies; returns the updates already done (0 when there is none).

    Raises BadInput when it was written by another number of ranks or another ZeRO stage.
    """
    found = newest_verified(folder)
    if found is None:
        return 0
    path, manifest = found
    if (manifest["world"], manifest["zero"]) != (ranks.world, zero_stage):
        raise BadInput(
            f"the checkpoint {path} was written by {manifest['world']} ranks at ZeRO stage {manifest['zero']}, "
            f"this attempt has {ranks.world} at stage {zero_stage}: go on with the old numbers, or delete {folder}"
        )
    loaded, _ = engine.load_checkpoint(str(path), tag=_TAG)
    if loaded is None:  # DeepSpeed says so with a warning only, and would train on from nothing
        raise RuntimeError(f"DeepSpeed did not load the checkpoint {path}, though its files verify")
    return int(manifest["step"])


def _discard(checkpoint: Path) -> None:
    """Delete a checkpoint, its marker first: killed half-way, what is left no longer counts as one."""
    (checkpoint / _MARKER).unlink(missing_ok=True)
    shutil.rmtree(checkpoint)


def _committed(folder: Path) -> list[Path]:
    """Committed checkpoints, newest first."""
    return sorted((path for path in folder.glob("step-*") if (path / _MARKER).exists()), reverse=True)
