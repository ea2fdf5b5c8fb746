"""Benchmarks of a study as stages: where their files lie, which are left out, and what is written down for the jobs.

A path is looked for as it is written, then under `<root>/benchmarks`.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from harness.corpus.sources import HUB, hub_from_anywhere
from harness.store import Store, write_json
from sweeps.errors import BadInput
from sweeps.study import Study
from sweeps.tasks import TaskBlock

PATHS = ("data", "train", "dev", "test")
"""Keys of a block that name folders or files."""


def found(store: Store, text: str) -> Path | None:
    """A folder or file that a block names, absolute; None where it is nowhere."""
    path = Path(text).expanduser()
    tried = [path.absolute()] if path.is_absolute() else [path.absolute(), store.benchmarks / path]
    return next((each for each in tried if each.exists()), None)


def with_those_at_hand(store: Store, study: Study) -> tuple[Study, list[str]]:
    """The study without the optional benchmarks whose files are not there, and a sentence for each of these.

    Raises BadInput for one that may not be left out.
    """
    told, left = [], dict(study.tasks)
    for name, block in study.tasks.items():
        missing = _missing(store, block)
        if name not in study.evaluate or not missing:
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
    if not told:
        return study, []
    kept = tuple(name for name in study.evaluate if name not in study.tasks or name in left)
    return study.model_copy(update={"tasks": left, "evaluate": kept}), told


def _missing(store: Store, block: TaskBlock) -> tuple[str, str] | None:
    """The first key whose path is nowhere, and the path."""
    given = ((key, getattr(block, key) or "") for key in PATHS)
    files = ((key, text) for key, text in given if text and not text.startswith(HUB))
    return next(((key, text) for key, text in files if found(store, text) is None), None)


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
