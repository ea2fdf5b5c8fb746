"""What a task is: where its items come from, what kind of head it needs, and how predictions are scored.

A task of one's own is a class below with a name, labels, and a way to read a split of a language; the four kinds bring
encoding, head and metric. Items carry an id that is the same for the same item in every language, so that intervals can
be drawn over items jointly across languages.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Literal

import numpy as np
import numpy.typing as npt

from harness.evaluate.answers import Normalise, exact, f1, squad_words
from harness.evaluate.metrics import accuracy
from harness.evaluate.spans import f1_of_counts, span_counts

Split = Literal["train", "dev", "test"]
Values = npt.NDArray[np.float64]
Of = Literal["mean", "ratio", "f1", "pearson", "spearman"]
"""Metrics of rows: their mean; sum of the first column over that of the second; 2 a / (b + c) of the columns' sums;
correlations of two columns."""


@dataclass(frozen=True)
class Item:
    """One or two texts with a label."""

    id: str
    text: str
    label: str
    second: str = ""


@dataclass(frozen=True)
class TaggedItem:
    """The words of a sentence with a tag each."""

    id: str
    words: tuple[str, ...]
    tags: tuple[str, ...]


@dataclass(frozen=True)
class QuestionItem:
    """A question with its context; answers as texts and where they begin (characters; -1: nowhere)."""

    id: str
    question: str
    context: str
    answers: tuple[tuple[str, int], ...]


@dataclass(frozen=True)
class PairItem:
    """A sentence and its translation."""

    id: str
    text: str
    translation: str


@dataclass(frozen=True)
class Score:
    """A metric over a split, between 0 and 1, and what each item adds to it.

    `by_item` holds a row an item, that a bootstrap over items draws; `of` says the metric of such rows.
    """

    metric: str
    value: float
    by_item: Values
    of: Of = "mean"


class Task(ABC):
    """A benchmark's files as items."""

    name: ClassVar[str]
    source: ClassVar[str] = "en"
    """Language that is fine-tuned on in the zero-shot setting."""
    rates: ClassVar[tuple[float, ...]] = (5e-6, 1e-5, 2e-5)
    """Learning rates that dev chooses from, for models of the paper's size."""
    recipe: ClassVar[Mapping[str, Any]] = {}
    """Fields of `harness.evaluate.finetune.Recipe` that differ from its defaults."""
    test_split: ClassVar[Split] = "test"
    """What is scored; dev where a benchmark keeps the labels of its test side to itself."""

    @abstractmethod
    def languages(self, data: Path) -> list[str]:
        """Languages that have items to score. Raises BadInput when the folder is not this task's."""


class Classification(Task):
    """One or two texts, one label. Without `labels` the label is a number, and the head a regression."""

    labels: ClassVar[tuple[str, ...]]
    most_tokens: ClassVar[int] = 128

    @abstractmethod
    def read(self, data: Path, split: Split, language: str) -> Iterable[Item]:
        """Items of one split. Raises BadInput."""

    def levels(self, items: Sequence[Item]) -> dict[str, float]:
        """Accuracy of guessing, and of always saying the most frequent label of these items."""
        if not self.labels:
            return {}
        return {"chance": 1 / len(self.labels), "majority": majority([item.label for item in items])}

    def scores(self, items: Sequence[Item], said: Sequence[str], language: str) -> list[Score]:
        right = np.array([item.label == answer for item, answer in zip(items, said, strict=True)], dtype=np.float64)
        return [Score("accuracy", accuracy([item.label for item in items], said), right)]


class Tagging(Task):
    """A tag for each word."""

    labels: ClassVar[tuple[str, ...]]
    most_tokens: ClassVar[int] = 128
    entities: ClassVar[bool] = True
    """Whether spans are scored (F1 of entities), or tags one by one (accuracy over words)."""

    @abstractmethod
    def read(self, data: Path, split: Split, language: str) -> Iterable[TaggedItem]:
        """Items of one split. Raises BadInput."""

    def levels(self, items: Sequence[TaggedItem]) -> dict[str, float]:
        """Accuracy over words of guessing, and of always saying the most frequent tag; nothing for F1 of entities."""
        if self.entities:
            return {}
        return {"chance": 1 / len(self.labels), "majority": majority([tag for item in items for tag in item.tags])}

    def scores(self, items: Sequence[TaggedItem], said: Sequence[Sequence[str]], language: str) -> list[Score]:
        gold = [item.tags for item in items]
        if self.entities:
            counts = span_counts(gold, said)
            return [Score("f1", f1_of_counts(counts), counts.astype(np.float64), "f1")]
        right = [[one == other for one, other in zip(*pair, strict=True)] for pair in zip(gold, said, strict=True)]
        rows = np.array([[sum(each), len(each)] for each in right], dtype=np.float64).reshape(-1, 2)
        return [Score("accuracy", float(rows[:, 0].sum() / max(1.0, rows[:, 1].sum())), rows, "ratio")]


class Extraction(Task):
    """An answer out of a context."""

    most_tokens: ClassVar[int] = 384
    stride: ClassVar[int] = 128
    """Tokens by which windows over a long context move on."""
    longest_answer: ClassVar[int] = 30

    @abstractmethod
    def read(self, data: Path, split: Split, language: str) -> Iterable[QuestionItem]:
        """Items of one split. Raises BadInput."""

    def normalise(self, language: str) -> Normalise:
        """How answers are normalised before they are compared."""
        return squad_words

    def levels(self, items: Sequence[QuestionItem]) -> dict[str, float]:
        """Nothing: there is no level of guessing."""
        return {}

    def scores(self, items: Sequence[QuestionItem], said: Sequence[str], language: str) -> list[Score]:
        normalise = self.normalise(language)
        made = []
        for metric, of in (("f1", f1), ("exact_match", exact)):
            each = [
                of(answer, [text for text, _ in item.answers], normalise)
                for item, answer in zip(items, said, strict=True)
            ]
            made.append(Score(metric, float(np.mean(each)), np.array(each)))
        return made


class Retrieval(Task):
    """Find a sentence's translation among all of them, by mean-pooled states; nothing is trained."""

    @abstractmethod
    def pairs(self, data: Path, language: str) -> Iterable[PairItem]:
        """Pairs of the language with English. Raises BadInput."""


def majority(labels: Sequence[str]) -> float:
    """Accuracy of always saying the most frequent label."""
    return max(Counter(labels).values()) / len(labels) if labels else 0.0
