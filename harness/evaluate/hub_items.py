"""A row of a Hugging Face data set as an item of a task, by the task's kind.

Labels are numbers on the hub; which ones, the set's features say (ClassLabel), never a table of ours.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from harness.evaluate.formats import one_of, placed
from harness.evaluate.hub_layouts import Columns
from harness.evaluate.task import (
    Classification,
    Extraction,
    Item,
    PairItem,
    QuestionItem,
    Retrieval,
    Split,
    TaggedItem,
    Tagging,
    Task,
)
from sweeps.errors import BadInput

AnyItem = Item | TaggedItem | QuestionItem | PairItem
_UNTOLD = -1
"""The hub's number for a label that is not told: test sides, and pairs whose annotators did not agree."""


class Reader:
    """From rows to items. `where` names set, configuration and split. Raises BadInput for a row that is none."""

    def __init__(
        self, task: Task, columns: Columns, called: Mapping[str, str], features: Mapping[str, Any], where: str
    ) -> None:
        self.task, self.columns, self.where = task, columns, where
        self.labels: tuple[str, ...] = getattr(task, "labels", ())
        self._ours = {_spelled(label): label for label in self.labels}
        self._ours |= {_spelled(theirs): label for theirs, label in called.items()}
        self._names = self._names_of(features) if self.labels else None

    def item(self, row: Mapping[str, Any], number: int, split: Split, language: str) -> AnyItem | None:
        """The item of row `number` (from 1); None for a row without words, or trained on without a label."""
        columns, where = self.columns, f"{self.where}, row {number}"
        name = f"{split}-{row[columns.id] if columns.id else number}"
        if isinstance(self.task, Tagging):
            return self._tagged(row, name, where)
        first = _text(row, columns.first, where)
        second = _text(row, columns.second, where) if columns.second else ""
        if isinstance(self.task, Classification):
            if row[columns.label] == _UNTOLD and self._names and split == "train":
                return None
            return Item(name, first, self._label(row[columns.label], where), second)
        if isinstance(self.task, Extraction):
            return QuestionItem(name, first, second, _answers(row[columns.label], second, where))
        assert isinstance(self.task, Retrieval)
        return PairItem(f"{language}-{number}", first.rstrip("\n"), second.rstrip("\n"))

    def _names_of(self, features: Mapping[str, Any]) -> Sequence[str] | None:
        """What the numbers of the label column are called; None where the column holds the names themselves."""
        feature = features[self.columns.label]
        if isinstance(self.task, Tagging):
            feature = getattr(feature, "feature", None)
        names: Sequence[str] | None = getattr(feature, "names", None)
        kind = str(getattr(feature, "dtype", type(feature).__name__))
        if names is None and kind not in ("string", "large_string"):
            raise BadInput(
                f"{self.where}: the column {self.columns.label!r} holds {kind}, and the set does not say which labels "
                f"these are: name a set with ClassLabel features"
            )
        return names

    def _tagged(self, row: Mapping[str, Any], name: str, where: str) -> TaggedItem | None:
        words, tags = row[self.columns.first], row[self.columns.label]
        if words is None or tags is None or len(words) != len(tags):
            raise BadInput(f"{where}: {len(words or ())} words and {len(tags or ())} tags: as many were expected")
        if not words:
            return None
        return TaggedItem(name, tuple(words), tuple(self._label(tag, where) for tag in tags))

    def _label(self, value: Any, where: str) -> str:
        if not self.labels:
            return _number(value, where)
        if self._names is not None:
            if value is None or not 0 <= value < len(self._names):
                raise BadInput(f"{where}: the label {value} is not told: another split has labels")
            value = self._names[value]
        return one_of(self._ours.get(_spelled(str(value)), str(value)), self.labels, where)


def _spelled(label: str) -> str:
    """Equal for labels that differ in case, blanks, hyphens and underscores alone."""
    return label.strip().casefold().replace("_", "-").replace(" ", "-")


def _text(row: Mapping[str, Any], column: str, where: str) -> str:
    value = row[column]
    if not isinstance(value, str):
        raise BadInput(f"{where}: the column {column!r} holds {type(value).__name__}, text was expected")
    return value


def _number(value: Any, where: str) -> str:
    """A score, as short as its 32 bits are told."""
    try:
        score = float(value)
    except (TypeError, ValueError):
        score = -1.0
    if not score >= 0.0:
        raise BadInput(f"{where}: the score {value!r} is no number from 0 on")
    return f"{score:.6g}"


def _answers(given: Any, context: str, where: str) -> tuple[tuple[str, int], ...]:
    """Answers with their places: the hub holds a list of texts beside one of places, or a list of both."""
    try:
        pairs = (
            zip(given["text"], given["answer_start"], strict=True)
            if isinstance(given, Mapping)
            else [(answer["text"], answer["answer_start"]) for answer in given]
        )
        found = tuple(placed(context, text, int(start)) for text, start in pairs)
    except (KeyError, TypeError, ValueError) as error:
        raise BadInput(f"{where}: answers with text and answer_start were expected ({error})") from error
    if not found:
        raise BadInput(f"{where}: a question without an answer: SQuAD 1.1's form was expected, not 2.0's")
    return found
