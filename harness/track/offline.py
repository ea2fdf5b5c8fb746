"""W&B's own files for a run without a network: one folder that holds the whole run, for `wandb sync` and viewers.

W&B cannot take an offline run up again: the pieces that attempts would leave become runs that overwrite each other. So
each attempt writes the whole run anew from metrics.jsonl, beside the folder that is there, and takes its place when it
ends. A piece left by a kill is swept by the next.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

from harness.store import sync_folder

FOLDER = "wandb"
_PART = ".wandb.part"


def begin(run_folder: Path, say: Callable[[str], None]) -> Path:
    """An empty folder for W&B to write in. The caller holds the run's lease of tracking."""
    part = run_folder / _PART
    if part.exists():
        say(f"W&B: an offline folder of {run_folder.name} was half written: it is made again from metrics.jsonl")
        shutil.rmtree(part)
    part.mkdir()
    return part


def commit(run_folder: Path) -> Path:
    """Put the new folder in the place of the old one."""
    part, whole = run_folder / _PART, run_folder / FOLDER
    for path in (part / "wandb").rglob("*"):  # all that W&B needs is the .wandb file; its logs say where this ran
        if path.is_file() and path.suffix != ".wandb":
            path.unlink()
    for path in (part / "wandb").glob("*/*"):
        if path.is_dir():
            shutil.rmtree(path)
    if whole.exists():
        shutil.rmtree(whole)
    (part / "wandb").rename(whole)
    shutil.rmtree(part)
    sync_folder(run_folder)
    return whole
