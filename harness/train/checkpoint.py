"""Resume checkpoints: fp32 weights and Adam's moments by parameter name, free of world size and ZeRO stage.

A checkpoint is a folder `step-…`: one safetensors file a rank with the fragments it held, a manifest (what is in it,
sizes, digests, whose it is), and a marker COMMITTED that holds the manifest's digest. It is written under a temporary
name and renamed, so `step-…` is always whole; two are kept. Reading puts the fragments together by parameter name, so
any number of ranks at any stage takes up what any other left, and the same number at the same stage goes on bit for
bit. Resuming takes the newest that verifies, and says what it passed over.

A checkpoint that cannot be written (a full disk) is no reason to stop: the older ones stay, the training goes on.
"""

from __future__ import annotations

import contextlib
import math
import os
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from harness.store import SCHEMA, file_digest, read_json, sync_folder, write_json, write_text
from harness.train.fragments import BYTES_PER_PARAMETER, KINDS, Held
from harness.train.heartbeat import say
from harness.train.pieces import Pieces, piece_name, write_tensors
from harness.train.ranks import Ranks, gathered
from models.heads import MaskedLM
from sweeps.errors import BadInput

FORMAT = 2
KEPT = 2
Usable = Callable[[int, Mapping[str, Any]], bool]
_MANIFEST = "manifest.json"
_MARKER = "COMMITTED"
_TEMPORARY = ".saving"


@dataclass
class Checkpoints:
    """The checkpoints of one run."""

    folder: Path
    science: str
    """Digest of the run's science: a checkpoint of another run is refused."""
    good: list[str] = field(default_factory=list)
    """Those that this attempt verified or wrote itself, newest first; a save leaves no others."""


class _NotWritten(Exception):
    """The first problem of any rank, raised on all of them."""


def save(
    engine: Any,
    checkpoints: Checkpoints,
    step: int,
    ranks: Ranks,
    zero_stage: int,
    state: Mapping[str, Any] | None = None,
) -> str:
    """Commit what the run is after `step` updates. Called by all ranks at the same step boundary.

    `state` is kept in the manifest and comes back from `load`: small, JSON, the same on all ranks (rank 0's counts).
    Returns "" when the checkpoint is committed; else one sentence that says why not, the same on all ranks, which is
    printed too. Then nothing of it is left and the older ones stand.
    """
    held, name = Held(engine, zero_stage), f"step-{step:09d}"
    beside = checkpoints.folder / _TEMPORARY

    def clear() -> None:
        if ranks.first:
            shutil.rmtree(beside, ignore_errors=True)
            beside.mkdir(parents=True)

    def write() -> dict[str, Any]:
        beside.mkdir(exist_ok=True)  # it is there; a network disk may not have told this node yet
        file, share = f"rank-{ranks.rank:05d}.safetensors", held.share(ranks.rank, ranks.world)
        tensors = {piece_name(f"{k}/{f.name}", f.start): held.view(f, k) for k in KINDS for f in share}
        return {file: write_tensors(beside / file, tensors)} if tensors else {}

    try:
        _together(clear, ranks)
        written = _together(write, ranks)
        manifest = {
            "schema": SCHEMA,
            "format": FORMAT,
            "science": checkpoints.science,
            "step": step,
            "optimizer_step": held.step,
            "world": ranks.world,
            "zero": zero_stage,
            "state": dict(state or {}),
            "parameters": held.shapes,
            "files": {file: entry for files in written for file, entry in files.items()},
        }
        _together(lambda: _commit(checkpoints.folder, name, manifest) if ranks.first else None, ranks)
    except _NotWritten as why:
        return _given_up(checkpoints, step, str(why), held, ranks)
    checkpoints.good = [name, *checkpoints.good][:KEPT]
    if ranks.first:
        for path in _newest_first(checkpoints.folder):
            if path.name not in checkpoints.good:
                _discard(path)
    return ""


def load(
    engine: Any, checkpoints: Checkpoints, ranks: Ranks, zero_stage: int, usable: Usable = lambda step, state: True
) -> tuple[int, dict[str, Any]]:
    """Restore the newest checkpoint that verifies and is `usable` (by its step and `state`), whatever ranks and stage
    wrote it. Called by all ranks.

    Returns the steps already done, and the `state` it was saved with; (0, {}) when there is none, the engine left as it
    is. Raises BadInput when the checkpoint belongs to another run or another version.
    """
    found = newest_whole(checkpoints, ranks, usable)
    if found is None:
        return 0, {}
    path, manifest = found
    held = Held(engine, zero_stage)
    if manifest["parameters"] != held.shapes:
        raise BadInput(
            f"the checkpoint {path} holds other parameters than this model has, so another version of the harness "
            f"wrote it: go on with that version, or move {checkpoints.folder} away to train from the start"
        )
    held.before_writing()
    with Pieces([path / name for name in sorted(manifest["files"])]) as pieces:
        for fragment in held.fragments:
            for kind in KINDS:
                pieces.read(f"{kind}/{fragment.name}", fragment.start, held.view(fragment, kind))
    held.step = manifest["optimizer_step"]
    held.after_writing()
    checkpoints.good = [path.name]
    return int(manifest["step"]), dict(manifest["state"])


def start_over(engine: Any, model: MaskedLM, zero_stage: int) -> None:
    """Make a used engine what it would be around `model`, before any update. Called by all ranks."""
    Held(engine, zero_stage).write_start({f"model.{name}": weight for name, weight in model.named_parameters()})


def newest_whole(
    checkpoints: Checkpoints, ranks: Ranks, usable: Usable = lambda step, state: True
) -> tuple[Path, dict[str, Any]] | None:
    """The newest checkpoint whose files match their digests, with its manifest; the ranks share the reading.

    Damaged ones that are newer are told, one sentence each. Raises BadInput for a checkpoint of another run.
    """
    damaged: list[tuple[Path, str]] = []
    found: tuple[Path, dict[str, Any]] | None = None
    for path in gathered(_newest_first(checkpoints.folder) if ranks.first else [], ranks)[0]:
        manifest, problem = gathered(_manifest(path) if ranks.first else (None, ""), ranks)[0]
        if manifest is not None:
            _check_owner(path, manifest, checkpoints)
            if not usable(manifest["step"], manifest.get("state", {})):
                continue
            mine = sorted(manifest["files"].items())[ranks.rank :: ranks.world]
            problems = [_difference(path / name, entry) for name, entry in mine]
            problem = next((text for some in gathered(problems, ranks) for text in some if text), "")
            if not problem:
                found = path, manifest
                break
        damaged.append((path, problem))
    if ranks.first:
        onward = "training begins from the start" if found is None else f"training goes on from {found[0].name}"
        for path, problem in damaged:
            say(f"the checkpoint {path} is damaged ({problem}): {onward}")
    return found


def _together(work: Callable[[], Any], ranks: Ranks) -> list[Any]:
    """Do `work` on every rank; its results by rank, or the first problem on all of them."""
    result: Any = None
    problem = ""
    try:
        result = work()
    except (OSError, BadInput) as error:
        cause = error.__cause__ if isinstance(error, BadInput) else error  # `write_text` explains what it raises
        problem = os.strerror(cause.errno) if isinstance(cause, OSError) and cause.errno else str(error)
    everyone = gathered((result, problem), ranks)
    for _, text in everyone:
        if text:
            raise _NotWritten(text)
    return [value for value, _ in everyone]


def _commit(folder: Path, name: str, manifest: dict[str, Any]) -> None:
    beside, target = folder / _TEMPORARY, folder / name
    write_json(beside / _MANIFEST, manifest)
    write_text(beside / _MARKER, file_digest(beside / _MANIFEST) + "\n")
    if target.exists():  # the same step again, after going back to an older checkpoint
        _discard(target)
    beside.rename(target)
    sync_folder(folder)


def _given_up(checkpoints: Checkpoints, step: int, why: str, held: Held, ranks: Ranks) -> str:
    """Sweep what a failed save left; the sentence about it."""
    text = ""
    if ranks.first:
        shutil.rmtree(checkpoints.folder / _TEMPORARY, ignore_errors=True)
        needed = BYTES_PER_PARAMETER * sum(math.prod(shape) for shape in held.shapes.values())
        room = f"it needs {needed / 1e6:,.1f} MB on the disk that holds {checkpoints.folder}"
        with contextlib.suppress(OSError):
            room += f", which has {shutil.disk_usage(checkpoints.folder).free / 1e6:,.1f} MB free"
        kept = f"the one of step {int(checkpoints.good[0][5:])} is kept" if checkpoints.good else "there is none yet"
        text = f"the checkpoint of step {step} was not written ({why}; {room}): {kept}"
        say(text)
    return gathered(text, ranks)[0]


def _manifest(path: Path) -> tuple[dict[str, Any] | None, str]:
    """A checkpoint's manifest, or what is wrong with it."""
    try:
        marker = (path / _MARKER).read_text(encoding="utf-8", errors="replace").strip()
    except OSError as error:
        return None, f"{_MARKER}: {error.strerror}"
    problem = _difference(path / _MANIFEST, {"sha256": marker})
    return (None, problem) if problem else (read_json(path / _MANIFEST), "")


def _difference(path: Path, entry: Mapping[str, Any]) -> str:
    """How a file differs from what was written, "" when it does not."""
    try:
        size = path.stat().st_size
        if size != entry.get("bytes", size):
            return f"{path.name} has {size:,} bytes, {entry['bytes']:,} were written"
        return "" if file_digest(path) == entry["sha256"] else f"{path.name} does not match its sha256"
    except OSError as error:
        return f"{path.name}: {error.strerror}"


def _check_owner(path: Path, manifest: Mapping[str, Any], checkpoints: Checkpoints) -> None:
    if manifest["format"] != FORMAT:
        raise BadInput(
            f"the checkpoint {path} has format {manifest['format']}, this version reads {FORMAT}: go on with the "
            f"version that wrote it, or move {checkpoints.folder} away to train from the start"
        )
    if manifest["science"] != checkpoints.science:
        raise BadInput(
            f"the checkpoint {path} belongs to another run (science {manifest['science']}, expected "
            f"{checkpoints.science}): move {checkpoints.folder} away, then submit again"
        )


def _discard(checkpoint: Path) -> None:
    """Delete a checkpoint, its marker first: killed half-way, what is left no longer counts as one."""
    with contextlib.suppress(OSError):
        (checkpoint / _MARKER).unlink(missing_ok=True)
    shutil.rmtree(checkpoint, ignore_errors=True)


def _newest_first(folder: Path) -> list[Path]:
    return sorted((path for path in folder.glob("step-*") if path.is_dir()), reverse=True)
