"""Where a benchmark's items come from: a folder (or file) that the task itself reads, or a Hugging Face data set."""

from __future__ import annotations

from copy import copy
from pathlib import Path
from typing import Any

from harness.corpus.sources import HUB
from harness.evaluate.hub import HubSet, layout_of
from harness.evaluate.task import PairItem, Retrieval, Split, Task
from sweeps.errors import BadInput

Data = Path | HubSet


def located(value: str, side: Split) -> Data:
    """What a user names as data: a path, or `hf:NAME[:CONFIG][@SPLIT]`, whose split stands for the `side` that it is
    named for. Raises BadInput for a data set without a name."""
    if not value.startswith(HUB):
        return Path(value).expanduser()
    found = HubSet(value, side)
    if not found.name:
        raise BadInput(f"{value} names no data set: write hf:NAME, hf:NAME:CONFIG or hf:NAME:CONFIG@SPLIT")
    return found


def asked(task: Task, value: str) -> None:
    """Raises BadInput for a data set that cannot be the task's, as far as is seen without reading it."""
    if value.startswith(HUB):
        located(value, "test")
        layout_of(task)


def scored(task: Task, data: Data, split: Split | None = None) -> Task:
    """The task, scored on `split` or the one that the data set names: dev stays what chooses the epoch."""
    if split is None and (isinstance(data, Path) or not data.split):
        return task
    made = copy(task)
    vars(made)["test_split"] = split or "test"
    return made


def languages_of(task: Task, data: Data) -> list[str]:
    """Languages that have items to score. Raises BadInput when the data is not this task's."""
    return task.languages(data) if isinstance(data, Path) else data.languages(task)


def read_items(task: Task, data: Data, split: Split, language: str) -> list[Any]:
    """Items of one split. Raises BadInput."""
    if isinstance(data, Path):
        return list(task.read(data, split, language))  # type: ignore[attr-defined]
    return list(data.items(task, split, language))


def read_pairs(task: Retrieval, data: Data, language: str) -> list[PairItem]:
    """Pairs of the language with English. Raises BadInput."""
    if isinstance(data, Path):
        return list(task.pairs(data, language))
    return list(data.items(task, task.test_split, language))
