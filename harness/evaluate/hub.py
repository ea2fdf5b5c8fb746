"""Benchmarks out of Hugging Face data sets: a row of a known layout becomes an item, labels by the names the set gives.

Sets are loaded whole and kept in the library's cache, as each fine-tuned model reads them again.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from harness.corpus.hub import library, told
from harness.corpus.sources import HUB, hub_from_anywhere, hub_parts
from harness.evaluate.hub_items import Reader
from harness.evaluate.hub_layouts import LAYOUTS, LONE, Columns, Form, Layout
from harness.evaluate.task import Split, Task
from sweeps.codes import study_code
from sweeps.errors import BadInput

_SHOWN = 12
_CONVERTED = "refs/convert/parquet"
"""Where the hub keeps a Parquet copy, CONFIG/SPLIT/0000.parquet, of sets that are scripts: those are no longer run."""


def layout_of(task: Task) -> Layout:
    """Raises BadInput for a task that no hub set is known for, a user's own."""
    if task.name not in LAYOUTS:
        raise BadInput(f"the task {task.name} reads no Hugging Face data set: name a folder of its files")
    return LAYOUTS[task.name]


@dataclass(frozen=True)
class HubSet:
    """`hf:NAME[:CONFIG][@SPLIT]` as a benchmark's data. Without CONFIG, each language has its own."""

    source: str
    side: Split
    """What a SPLIT that is named stands for."""

    def __str__(self) -> str:
        return self.source

    @cached_property
    def _parts(self) -> tuple[str, str, str]:
        return hub_parts(hub_from_anywhere(self.source))

    @property
    def name(self) -> str:
        return self._parts[0]

    @property
    def split(self) -> str:
        """Empty where none is named."""
        return self._parts[2] if "@" in self.source else ""

    @cached_property
    def configs(self) -> tuple[str, ...]:
        """Names of the configurations that are read."""
        there = tuple(self._ways)
        wanted = self._parts[1]
        if wanted and wanted not in there:
            raise BadInput(f"{self} names a configuration that the set has not: it has {_some(there)}")
        return (wanted,) if wanted else there

    @cached_property
    def _ways(self) -> dict[str, dict[str, str]]:
        """Of each configuration, how the library is told to load it."""
        folder, datasets = Path(self.name), library(self.source)
        with told(self.source):
            if folder.is_dir() and not (folder / "README.md").exists():
                inside = [path.relative_to(folder).as_posix() for path in folder.glob("*/*/*.parquet")]
                if inside:
                    return {config: {"data_dir": config} for config in _first_folders(inside)}
            try:
                return {config: {"name": config} for config in datasets.get_dataset_config_names(self.name)}
            except RuntimeError as error:
                if "scripts are no longer supported" not in str(error):
                    raise
            from huggingface_hub import HfApi

            inside = HfApi().list_repo_files(self.name, repo_type="dataset", revision=_CONVERTED)
            return {config: {"data_dir": config, "revision": _CONVERTED} for config in _first_folders(inside)}

    def languages(self, task: Task) -> list[str]:
        """Languages with a configuration that can be scored. Raises BadInput when there is none."""
        own = bool(self.split and self.side == task.test_split)
        found = {language for language, _, form in self._forms(task) if own or task.test_split in form.splits}
        if not found:
            raise BadInput(
                f"{self} has no configuration that {task.name} can be scored on: "
                f"{' or '.join(form.config for form in layout_of(task).forms)} was expected, it has "
                f"{_some(self.configs)}"
            )
        return sorted(found)

    def items(self, task: Task, split: Split, language: str) -> Iterator[Any]:
        """Items of one split of a language, of the task's kind. Raises BadInput."""
        layout = layout_of(task)
        config, name = self._place(task, split, language)
        datasets = library(self.source)
        with told(self.source):
            rows = datasets.load_dataset(self.name, split=name, **self._ways[config])
        where = f"{HUB}{self.name}:{config}@{name}"
        columns = _columns(layout, list(rows.features), where)
        reader = Reader(task, columns, layout.called, rows.features, where)
        for number, row in enumerate(rows.select_columns(list(columns.needed)), 1):
            item = reader.item(row, number, split, language)
            if item is not None:
                yield item

    def _forms(self, task: Task) -> list[tuple[str, str, Form]]:
        """Language, configuration and form of all that the set has for the task."""
        forms = (*layout_of(task).forms, *LONE)
        found = [
            (language, config, form)
            for form in forms
            for config in self.configs
            if (language := form.language(config, task.source)) is not None
        ]
        if not found and self._parts[1] and self.side != "test":  # trained on by name, whatever it is called
            found = [(task.source, self._parts[1], LONE[0])]
        return found

    def _place(self, task: Task, split: Split, language: str) -> tuple[str, str]:
        """Configuration and split on the hub."""
        forms = self._forms(task)
        found = [place for place in forms if place[0] == language]
        found = found or [place for place in forms if study_code(place[0]) == study_code(language)]
        if not found:
            raise BadInput(
                f"{self} has no configuration of {language} for {task.name}: leave {language} out, or name another "
                f"set (it has {_some(self.configs)})"
            )
        for _, config, form in found:
            wanted = (self.split,) if self.split and split == self.side else form.splits.get(split, ())
            there = self._splits(config)
            if name := next((one for one in wanted if one in there), None):
                return config, name
        flag = {"train": "--train", "dev": "--dev", "test": "--data"}[split]
        raise BadInput(
            f"{self} has no {self.split if self.split and split == self.side else split} side of {language} for "
            f"{task.name}: the configuration {config} has {', '.join(there)}; name another set with {flag}"
        )

    def _splits(self, config: str) -> list[str]:
        datasets = library(self.source)
        way = dict(self._ways[config])
        with told(self.source):
            found: list[str] = datasets.get_dataset_split_names(self.name, way.pop("name", None), **way)
        return found


def _first_folders(paths: Iterable[str]) -> list[str]:
    """Configurations of files CONFIG/SPLIT/0000.parquet."""
    return sorted({path.split("/")[0] for path in paths if path.endswith(".parquet") and path.count("/") == 2})


def _some(names: Sequence[str]) -> str:
    return ", ".join(names[:_SHOWN]) + (f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else "")


def _columns(layout: Layout, there: Sequence[str], where: str) -> Columns:
    for columns in layout.columns:
        if set(columns.needed) <= set(there):
            return columns
    wanted = " or ".join(", ".join(columns.needed) for columns in layout.columns)
    raise BadInput(f"{where}: the columns {wanted} were expected, here are {', '.join(there)}")
