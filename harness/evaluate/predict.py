"""From a head's outputs to what a task scores: labels, numbers, tags of words, texts of answers."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from harness.evaluate.driven import Values
from harness.evaluate.rows import Row
from harness.evaluate.task import QuestionItem, TaggedItem

_TRIED = 20
"""Begins and ends of an answer that are tried with each other, of a window."""


def labels_said(outputs: Sequence[Values], labels: Sequence[str]) -> list[str]:
    """The likeliest label of each row; without labels the number itself."""
    if not labels:
        return [repr(float(values[0])) for values in outputs]
    return [labels[int(values.argmax())] for values in outputs]


def tags_said(
    items: Sequence[TaggedItem], rows: Sequence[Row], outputs: Sequence[Values], labels: Sequence[str]
) -> list[tuple[str, ...]]:
    """The likeliest tag of each word, put together from the rows of its sentence."""
    said = [[""] * len(item.words) for item in items]
    for row, values in zip(rows, outputs, strict=True):
        for word, place in enumerate(row.words, row.first_word):
            said[row.item][word] = labels[int(values[place].argmax())]
    return [tuple(tags) for tags in said]


def answers_said(
    items: Sequence[QuestionItem], rows: Sequence[Row], outputs: Sequence[Values], longest: int
) -> list[str]:
    """The context's text between the likeliest begin and end, over all windows; at most `longest` tokens."""
    best = [(-np.inf, "")] * len(items)
    for row, values in zip(rows, outputs, strict=True):
        context = items[row.item].context
        inside = np.array([end > begin for begin, end in row.offsets])
        begins, ends = (np.where(inside, values[:, side], -np.inf) for side in (0, 1))
        for begin in np.argsort(-begins)[:_TRIED]:
            stop = min(begin + longest, len(ends))
            end = int(begin + np.argmax(ends[begin:stop]))
            score = float(begins[begin] + ends[end])
            if score > best[row.item][0]:
                best[row.item] = (score, context[row.offsets[begin][0] : row.offsets[end][1]].strip())
    return [text for _, text in best]
