"""Runs that branch from a trunk (`sweeps.budgets`), as folders: what the trunk keeps, who waits for it, who takes it.

While it trains, a trunk commits a checkpoint at each step where a branch leaves it, at `<run>/branches/<step>/`, apart
from those that it resumes from itself. A branch that has no checkpoint of its own starts from the one at its step, or
from the newest before it. What the trunk keeps for a branch is deleted when that branch is trained.

A branch's numbers are those of the run trained alone, so nothing here has to succeed: without a trunk, or with nothing
whole of it, a branch trains from its own start.
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from harness.store import Store, digest, now, read_json, write_json
from sweeps.errors import BadInput

TAKEN = "branch.json"
"""In a run's folder, once it started from its trunk: which, at what step, how many tokens are shared."""
WEIGHTS = "final/model.safetensors"
"""Where a run's trained weights lie; with them its training is over."""

Branches = Mapping[str, Mapping[str, Any]]
"""Run id to {trunk: id, step: int}, as a submitted study's file has it."""


def kept_folder(run_folder: Path, step: int) -> Path:
    """Where a trunk keeps its state after `step` updates; a folder of checkpoints that holds one."""
    return run_folder / "branches" / f"{step:09d}"


def is_kept(run_folder: Path, step: int) -> bool:
    return any(kept_folder(run_folder, step).glob("step-*/COMMITTED"))


def steps_to_keep(store: Store, branches: Branches, trunk: str) -> list[int]:
    """Steps at which runs that are not trained yet leave this trunk."""
    return sorted(
        {
            int(branch["step"])
            for run, branch in branches.items()
            if branch["trunk"] == trunk and not (store.run(run) / WEIGHTS).exists()
        }
    )


def release(store: Store, branches: Branches) -> None:
    """Delete what trunks keep for branches that are trained."""
    for branch in branches.values():
        folder = kept_folder(store.run(branch["trunk"]), int(branch["step"]))
        if folder.exists() and int(branch["step"]) not in steps_to_keep(store, branches, branch["trunk"]):
            shutil.rmtree(folder, ignore_errors=True)


def has_begun(run_folder: Path) -> bool:
    """Whether a run has something of its own to go on from."""
    return (run_folder / WEIGHTS).exists() or any((run_folder / "checkpoints").glob("step-*"))


def start_from_trunk(
    engine: Any, trunk_folder: Path, step: int, ranks: Any, zero_stage: int, *, folder: Path, batch_tokens: int
) -> tuple[int, dict[str, Any]]:
    """Load the trunk's newest kept state of at most `step` updates.

    Returns its updates and what it was saved with; (0, {}) where there is none.

    Called by all ranks of a run (in `folder`) that has no checkpoint. Rank 0 notes what was taken in TAKEN.
    """
    from harness.train import checkpoint

    whose = digest(read_json(trunk_folder / "run.json")["science"])
    names = (path.name for path in (trunk_folder / "branches").glob("[0-9]*"))
    for kept in sorted((int(name) for name in names if int(name) <= step), reverse=True):
        try:
            checkpoints = checkpoint.Checkpoints(kept_folder(trunk_folder, kept), whose)
            done, state = checkpoint.load(engine, checkpoints, ranks, zero_stage)
        except BadInput as error:  # written by other ranks or another version: no reason not to train alone
            if ranks.first:
                print(f"the trunk's state at step {kept} is not used: {error}", flush=True)
            continue
        if done:
            if ranks.first:
                taken = {"trunk": trunk_folder.name, "step": done, "tokens": done * batch_tokens, "time": now()}
                write_json(folder / TAKEN, taken)
                print(f"starts from its trunk {trunk_folder.name} at step {done}", flush=True)
            return done, state
    return 0, {}
