"""Which items a benchmark trains on, chooses by and scores, read once each; and what of them is not there.

Settings (paper section 3.1): `zero-shot` trains on the source language alone; `translate-test` scores that model on
items translated into it; `translate-train` trains a model for each language on its own training side;
`translate-train-all` one model on all of them.

A language whose file is missing or broken costs that language alone: what is wrong is told, the others go on.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from harness.evaluate.data import Data, read_items
from harness.evaluate.finetune import Recipe
from harness.evaluate.rows import Row
from harness.evaluate.task import Split, Task
from harness.store import digest
from models.heads import Pool
from sweeps.errors import BadInput

Setting = Literal["zero-shot", "translate-test", "translate-train", "translate-train-all"]
Select = Literal["source", "joint", "each"]


@dataclass(frozen=True)
class Protocol:
    """How a benchmark is run."""

    data: Data
    train: Data | None = None
    """Another folder or file to train on, of the same format."""
    dev: Data | None = None
    """Another folder or file for the source language's dev side."""
    test: Data | None = None
    """Another folder for the sides that are scored: of `translate-test`, their translations."""
    setting: Setting = "zero-shot"
    select: Select = "joint"
    """Whose dev sets choose rate and epoch: the source's, all languages' together (#M = 1), each its own (#M = N)."""
    languages: tuple[str, ...] = ()
    """Default: all that the benchmark has."""
    rates: tuple[float, ...] = (1e-5,)
    seeds: tuple[int, ...] = (0, 1, 2)
    recipe: Recipe = field(default_factory=lambda: Recipe(learning_rate=0.0))
    pool: Pool = "first"
    """Which state a classifier reads."""


@dataclass(frozen=True)
class Side:
    """Items of one split of one language, as the model reads them; `digest` of the items."""

    items: Sequence[Any]
    rows: Sequence[Row]
    digest: str


class Sides:
    """All sides of a benchmark under a protocol."""

    def __init__(self, task: Task, protocol: Protocol, rows_of: Callable[[Sequence[Any]], list[Row]]) -> None:
        self.task, self.protocol, self.rows_of = task, protocol, rows_of
        self.scored_data = protocol.test or protocol.data
        self.problems: list[str] = []
        """A sentence for each language that could not be scored, or not be trained on."""
        self.notes: list[str] = []
        """What a reader of the scores should know about how they were chosen."""
        self._read: dict[tuple[Data, Split, str], Side] = {}
        self._dev: dict[tuple[tuple[str, ...], tuple[str, ...]], Mapping[str, Mapping[str, Side]]] = {}

    def side(self, data: Data, split: Split, language: str) -> Side:
        """Raises BadInput for one that is missing, empty or broken."""
        if (data, split, language) not in self._read:
            items = read_items(self.task, data, split, language)
            if not items:
                raise BadInput(f"{data} has no {split} items of {language} for {self.task.name}")
            self._read[data, split, language] = Side(items, self.rows_of(items), digest([repr(item) for item in items]))
        return self._read[data, split, language]

    def tests(self, languages: Iterable[str]) -> dict[str, Side]:
        """What is scored, of the languages that have it."""
        return self._those(self.scored_data, self.task.test_split, languages, self.problems, "is not scored")

    def training(self, language: str) -> Side:
        """Raises BadInput for one that is missing, with the way out."""
        try:
            return self.side(self.protocol.train or self.protocol.data, "train", language)
        except BadInput as problem:
            way = "" if "--train" in str(problem) else " (another set to train on is named with --train)"
            raise BadInput(f"{problem}{way}") from problem

    def models(self, languages: Sequence[str]) -> dict[str, tuple[tuple[str, ...], tuple[str, ...]]]:
        """Models of the setting: the languages that each is trained on and scored in. Raises BadInput when no
        language can be trained on."""
        if self.protocol.setting in ("zero-shot", "translate-test"):
            return {self.task.source: ((self.task.source,), tuple(languages))}
        data, each = self.protocol.train or self.protocol.data, self.protocol.setting == "translate-train"
        there = tuple(
            self._those(data, "train", languages, self.problems, "is not scored" if each else "is not trained on")
        )
        if each:
            there = tuple(language for language in there if self._has_dev(language))
        if not there:
            raise BadInput(f"no language of {self.task.name} can be trained on: {'; '.join(self.problems)}")
        if each:
            return {language: ((language,), (language,)) for language in there}
        return {"all": (there, tuple(languages))}

    def _has_dev(self, language: str) -> bool:
        """Whether something can choose the epoch of a model of this language alone; told where not."""
        try:
            self.dev((language,), (language,))
        except BadInput as problem:
            self.problems.append(f"{language} is not scored: {problem}")
            return False
        return True

    def dev(self, trained_on: tuple[str, ...], scored: tuple[str, ...]) -> Mapping[str, Mapping[str, Side]]:
        """The dev sets of each group of languages that chooses an epoch of its own; `all` chooses for those that are
        no group. A language without a dev side has no say. Raises BadInput when there is none at all."""
        if (trained_on, scored) not in self._dev:
            self._dev[trained_on, scored] = self._chosen_by(trained_on, scored)
        return self._dev[trained_on, scored]

    def _chosen_by(self, trained_on: tuple[str, ...], scored: tuple[str, ...]) -> Mapping[str, Mapping[str, Side]]:
        if self.protocol.select != "source":
            each: dict[str, Side] = {}
            source, given = self.task.source, self.protocol.dev
            for language in dict.fromkeys((*scored, source) if given else scored):
                data = given if given and language == source else self.scored_data
                each |= self._those(data, "dev", (language,), self.notes, "has no say in the choice of rate and epoch")
            if each and self.protocol.select == "each":
                groups = {name: {name: side} for name, side in each.items() if name in scored}
                return groups if len(groups) == len(scored) else groups | {"all": each}
            if each:
                return {"all": each}
        data = self.protocol.dev or self.protocol.data
        lacking: list[str] = []
        found = self._those(data, "dev", trained_on, lacking, "has no dev side that could choose the epoch")
        if not found:
            raise BadInput(f"{'; '.join(lacking)} (another is named with --dev)")
        return {"all": found}

    def _those(
        self, data: Data, split: Split, languages: Iterable[str], told: list[str], lacks: str
    ) -> dict[str, Side]:
        """Sides that are there, and a sentence for each that is not."""
        found = {}
        for language in languages:
            try:
                found[language] = self.side(data, split, language)
            except BadInput as problem:
                if (sentence := f"{language} {lacks}: {problem}") not in told:
                    told.append(sentence)
        return found
