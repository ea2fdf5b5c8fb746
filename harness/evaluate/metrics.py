"""Metrics over items as plain functions of labels: accuracy, F1 of one class, correlations.

Each takes gold and predicted values of equal length and returns one number, percent nowhere: between 0 and 1, or -1 and
1 for correlations. The values by item stay with the predictions, so that intervals can be drawn over items.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

Numbers = npt.NDArray[np.float64]


def accuracy(gold: Sequence[str], said: Sequence[str]) -> float:
    """Share of items that are right."""
    return float(np.mean([one == other for one, other in zip(gold, said, strict=True)]))


def f1_of_class(gold: Sequence[str], said: Sequence[str], positive: str) -> float:
    """F1 of one class (GLUE's of MRPC and QQP); 0 where it is neither there nor predicted."""
    pairs = list(zip(gold, said, strict=True))
    right = sum(one == other == positive for one, other in pairs)
    total = sum((one == positive) + (other == positive) for one, other in pairs)
    return 2 * right / total if total else 0.0


def macro_f1(gold: Sequence[str], said: Sequence[str]) -> float:
    """Mean F1 of the classes that are there or predicted."""
    classes = sorted({*gold, *said})
    return float(np.mean([f1_of_class(gold, said, one) for one in classes]))


def pearson(gold: Sequence[float], said: Sequence[float]) -> float:
    """Linear correlation; nan where one side does not vary."""
    left, right = (np.asarray(values, dtype=np.float64) - np.mean(values) for values in (gold, said))
    norm = np.sqrt((left @ left) * (right @ right))
    return float(left @ right / norm) if norm else float("nan")


def spearman(gold: Sequence[float], said: Sequence[float]) -> float:
    """Correlation of ranks; equal values share the mean of theirs."""
    return pearson(list(_ranks(gold)), list(_ranks(said)))


def _ranks(values: Sequence[float]) -> Numbers:
    _, inverse, counts = np.unique(np.asarray(values, dtype=np.float64), return_inverse=True, return_counts=True)
    last = np.cumsum(counts)
    ranks: Numbers = ((last - counts + 1 + last) / 2)[inverse]
    return ranks
