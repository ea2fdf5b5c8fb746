"""Benchmarks of a study as stages: where their files lie, which are left out, and what is written down for the jobs.

A path is looked for as it is written, then under `<root>/benchmarks`.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

from harness.corpus.sources import HUB, hub_from_anywhere, hub_parts
from harness.store import Store, digest, file_digest, read_json, write_json
from sweeps.errors import BadInput
from sweeps.study import Study
from sweeps.tasks import BUILT_IN, TaskBlock

TOLD = "told.json"
"""In the folder of a run's stage: `problems`, a sentence for each language without a score, and `notes` on the rest."""
PATHS = ("data", "train", "dev", "test")
"""Keys of a block that name folders or files."""


def found(store: Store, text: str) -> Path | None:
    """A folder or file that a block names, absolute; None where it is nowhere."""
    path = Path(text).expanduser()
    tried = [path.absolute()] if path.is_absolute() else [path.absolute(), store.benchmarks / path]
    return next((each for each in tried if each.exists()), None)


def with_those_at_hand(store: Store, study: Study) -> tuple[Study, list[str]]:
    """The study without the optional benchmarks whose files are not there, and a sentence for each of these; the others
    know their files.

    Raises BadInput for one that may not be left out, and for a folder that holds nothing of its task.
    """
    told, left = [], dict(study.tasks)
    for name, block in study.tasks.items():
        if name not in study.evaluate:
            continue
        missing = missing_path(store, block)
        if not missing:
            must_hold_its_task(store, name, block)
            left[name] = with_its_files(store, name, block)
            continue
        key, text = missing
        where = f"{text} is neither here nor under {store.benchmarks}"
        if not block.optional:
            raise BadInput(f"{study.at(f'tasks.{name}.{key}')}: {where}: put the benchmark's official files there")
        told.append(
            f"{name} is left out: {where}; put its files there and submit again, or later: babelscale evaluate "
            f"{study.name} --task {name} --data FOLDER"
        )
        del left[name]
    kept = tuple(name for name in study.evaluate if name not in study.tasks or name in left)
    return study.model_copy(update={"tasks": left, "evaluate": kept}), told


def missing_path(store: Store, block: TaskBlock) -> tuple[str, str] | None:
    """The first key whose path is nowhere, and the path."""
    given = ((key, getattr(block, key) or "") for key in PATHS)
    files = ((key, text) for key, text in given if text and not text.startswith(HUB))
    return next(((key, text) for key, text in files if found(store, text) is None), None)


def with_its_files(store: Store, name: str, block: TaskBlock) -> TaskBlock:
    """The block with a digest of all that its paths hold, also of a local hub folder and of a task of one's own.

    A hub set by name has none. Raises BadInput for a file that cannot be read.
    """
    texts = {key: str(getattr(block, key) or "") for key in PATHS}
    texts |= {"task": str(block.task)} if str(block.task).endswith(".py") else {}
    held = []
    for key, text in texts.items():
        place = _place(store, text)
        if place is None:
            continue
        try:
            held.append([key, *_held(place, store.root)])
        except OSError as error:
            raise BadInput(
                f"tasks.{name}.{key}: {error.filename or place} cannot be read ({error.strerror}): mend it, or take it "
                "out of the folder"
            ) from error
    return block.with_files(digest(held)) if held else block


def must_hold_its_task(store: Store, name: str, block: TaskBlock) -> None:
    """Raises BadInput where the folder of a benchmark holds nothing to score: said now, not after hours of training. A
    data set of the hub is asked when it is scored."""
    from harness.evaluate.data import languages_of, scored
    from harness.evaluate.tasks import task_named

    place = None if block.data.startswith(HUB) else found(store, block.data)
    if place is None:
        return
    if not place.is_dir():
        raise BadInput(f"tasks.{name}.data: {place} is a file: name the folder of the benchmark's files")
    task = scored(task_named(str(block.task or name)), place, block.split)
    if not languages_of(task, place):
        raise BadInput(f"tasks.{name}.data: {place} holds no language to score: name the folder of the official files")


def as_submitted(store: Store, stage: str, values: Mapping[str, Any]) -> None:
    """Raises BadInput where the files of a stage (`values`: its block as it was kept) are no longer those by which it
    is named: its records would tell of others. A hub set by name has none to compare."""
    if "files" not in values:
        return
    block = TaskBlock.model_validate({key: value for key, value in values.items() if key != "files"})
    name = stage.partition("@")[0]
    now = with_its_files(store, name, block).frozen().get("files")
    if now != values["files"] and now is not None:
        raise BadInput(
            f"tasks.{name}.data: what lies under {block.data} is not what was there when the study was submitted: "
            "submit the study again, which scores what is there now, or put the former files back and retry"
        )


def _place(store: Store, text: str) -> Path | None:
    """Where the files of a block's path are on this machine."""
    if not text.startswith(HUB):
        return found(store, text) if text else None
    folder = Path(hub_parts(text)[0]).expanduser()
    return folder if folder.is_dir() else None


def _held(place: Path, root: Path) -> list[list[str]]:
    """Name and digest of each file, behind links too; hidden ones are no data, nor is what the store writes."""
    if place.is_file():
        return [[place.name, _digest(place, *_looks(place))]]
    files, seen = {}, set()
    for folder, inside, names in os.walk(place, followlinks=True):
        real = os.path.realpath(folder)
        if real in seen or Path(real) == root.resolve():
            inside.clear()
            continue
        seen.add(real)
        inside[:] = [name for name in inside if not name.startswith(".")]
        for name in names:
            path = Path(folder, name)
            if not name.startswith(".") and path.is_file():
                files[os.fsencode(path.relative_to(place)).hex()] = path
    return [[name, _digest(path, *_looks(path))] for name, path in sorted(files.items())]


def _looks(path: Path) -> tuple[int, int]:
    known = path.stat()
    return known.st_size, known.st_mtime_ns


@lru_cache(maxsize=100_000)
def _digest(path: Path, size: int, changed: int) -> str:
    """A command asks more than once."""
    return file_digest(path)


def without_those_replaced(store: Store, stages: Sequence[str], stage: str) -> set[str]:
    """The stages but those that are `stage` with other files."""
    mine = _but_files(store, stage)
    return {each for each in stages if each in BUILT_IN or each == stage or _but_files(store, each) != mine}


def _but_files(store: Store, stage: str) -> dict[str, Any]:
    path = store.stage(stage)
    block = read_json(path) if path.exists() else {"stage": stage}
    return {key: value for key, value in block.items() if key != "files"} | {"name": stage.partition("@")[0]}


def keep_stages(store: Store, tasks: Mapping[str, Mapping[str, Any]]) -> None:
    """Write down what benchmark stages are, for the jobs that score them; a stage never changes, its files may move."""
    for stage, block in tasks.items():
        path = store.stage(stage)
        path.parent.mkdir(parents=True, exist_ok=True)
        write_json(path, {key: _from_anywhere(store, key, value) for key, value in block.items()})


def _from_anywhere(store: Store, key: str, value: Any) -> Any:
    """Paths as they are found from any folder: jobs have another one."""
    if str(value).startswith(HUB):
        return hub_from_anywhere(value)
    if not value or not (key in PATHS or (key == "task" and str(value).endswith(".py"))):
        return value
    return str(found(store, value) or Path(value).expanduser().absolute())
