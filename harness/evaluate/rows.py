"""Items as rows of tokens: what a fine-tuned model reads, and where in it the labels and answers are.

Texts are cut as XLM-R's fine-tuning does: `<s> a </s>`, `<s> a </s></s> b </s>`, the longer of two cut first. A
sentence of words longer than a row is parted into several, so that every word has a prediction; a context longer than
a row slides through several (`stride`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol

from harness.batches.stream import BEGIN_ID
from harness.corpus.tokenizer import END_ID
from harness.evaluate.task import Item, QuestionItem, TaggedItem

UNSCORED = -100
"""Target of a token that has none (torch's ignore_index)."""


class Encodes(Protocol):
    """What both a run's tokenizer and a transformers one can do."""

    def encode(self, texts: Sequence[str]) -> list[list[int]]:
        """Ids of each text, without special tokens."""

    def encode_with_ends(self, texts: Sequence[str]) -> list[tuple[list[int], list[int]]]:
        """The same, with the number of characters of the text that each token and those before it cover."""


@dataclass(frozen=True)
class Row:
    """One row of a batch."""

    ids: list[int]
    target: int | float | list[int] = 0
    """A class, a number, or a class for each token (UNSCORED for most)."""
    item: int = 0
    """Which item it is of."""
    words: list[int] = field(default_factory=list)
    """Of a sentence: place in `ids` of each of its words' first token."""
    first_word: int = 0
    offsets: list[tuple[int, int]] = field(default_factory=list)
    """Of a context: characters that each token covers, (0, 0) outside of the context."""

    def __len__(self) -> int:
        return len(self.ids)


def text_rows(items: Sequence[Item], labels: Sequence[str], tokenizer: Encodes, most: int) -> list[Row]:
    """A row an item; without labels the target is the number that the label is written as."""
    number = {label: index for index, label in enumerate(labels)}
    first = tokenizer.encode([item.text for item in items])
    second = tokenizer.encode([item.second for item in items]) if any(item.second for item in items) else None
    rows = []
    for index, item in enumerate(items):
        target = number[item.label] if labels else float(item.label)
        one, other = first[index], second[index] if second else []
        rows.append(Row(_joined(one, other, most), target, index))
    return rows


def _joined(first: list[int], second: list[int], most: int) -> list[int]:
    if not second:
        return [BEGIN_ID, *first[: most - 2], END_ID]
    first, second = list(first), list(second)
    if (over := len(first) + len(second) + 4 - most) > 0:
        for _ in range(over):  # token by token from the longer, as transformers' longest_first
            (first if len(first) > len(second) else second).pop()
    return [BEGIN_ID, *first, END_ID, END_ID, *second, END_ID]


def word_rows(items: Sequence[TaggedItem], labels: Sequence[str], tokenizer: Encodes, most: int) -> list[Row]:
    """Rows of whole words; the first token of a word has its tag as target."""
    number = {label: index for index, label in enumerate(labels)}
    rows = []
    for index, item in enumerate(items):
        pieces = tokenizer.encode(list(item.words))
        ids, targets, begun = [BEGIN_ID], [UNSCORED], 0
        words: list[int] = []
        for place, (word, tag) in enumerate(zip(pieces, item.tags, strict=True)):
            word = word[: most - 2] or [END_ID]  # a word that the tokenizer drops altogether still has a tag
            if len(ids) + len(word) + 1 > most:
                rows.append(Row([*ids, END_ID], [*targets, UNSCORED], index, words, begun))
                ids, targets, words, begun = [BEGIN_ID], [UNSCORED], [], place
            words.append(len(ids))
            ids += word
            targets += [number[tag], *[UNSCORED] * (len(word) - 1)]
        rows.append(Row([*ids, END_ID], [*targets, UNSCORED], index, words, begun))
    return rows


MOST_QUESTION = 64


def question_rows(items: Sequence[QuestionItem], tokenizer: Encodes, most: int, stride: int) -> list[Row]:
    """Windows over the context behind the question: `<s> q </s></s> window </s>`.

    Targets are the places of the first and last token of the first answer, or of `<s>` twice where the window does not
    hold it whole.
    """
    rows = []
    questions = tokenizer.encode([item.question for item in items])
    contexts = tokenizer.encode_with_ends([item.context for item in items])
    for index, (item, question, (ids, ends)) in enumerate(zip(items, questions, contexts, strict=True)):
        head = [BEGIN_ID, *question[:MOST_QUESTION], END_ID, END_ID]
        room = most - len(head) - 1
        spans = [(begin, end) for begin, end in zip([0, *ends[:-1]], ends, strict=True)]
        text, start = item.answers[0] if item.answers else ("", -1)
        first = 0
        while True:
            window = spans[first : first + room]
            offsets = [*[(0, 0)] * len(head), *window, (0, 0)]
            targets = _answer_places(window, start, start + len(text), len(head))
            rows.append(Row([*head, *ids[first : first + room], END_ID], targets, index, offsets=offsets))
            if first + room >= len(ids):
                break
            first += min(stride, room)
    return rows


def _answer_places(window: Sequence[tuple[int, int]], start: int, end: int, before: int) -> list[int]:
    inside = [place for place, (begin, stop) in enumerate(window) if begin < end and stop > start and stop > begin]
    if start < 0 or not inside or window[inside[0]][0] > start or window[inside[-1]][1] < end:
        return [0, 0]
    return [before + inside[0], before + inside[-1]]
