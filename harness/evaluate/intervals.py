"""How sure a metric is: a bootstrap over items, the same ones in every fine-tuning seed, and over the seeds.

Items are drawn anew with replacement; seeds too, their deviations stretched by sqrt(S / (S - 1)), without which S seeds
would look more alike than they are. With one seed the interval covers items alone.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from harness.batches.keyed import generator
from harness.evaluate.metrics import pearson, spearman
from harness.evaluate.task import Of

DRAWS = 1000
COVERS = 0.95
Values = npt.NDArray[np.float64]


def _ratio(rows: Values) -> float:
    over, under = rows.sum(axis=0)
    return float(over / under) if under else 0.0


def _f1(rows: Values) -> float:
    right, predicted, there = rows.sum(axis=0)
    return float(2 * right / (predicted + there)) if predicted + there else 0.0


_OF: dict[Of, Callable[[Values], float]] = {
    "mean": lambda rows: float(rows.mean()),
    "ratio": _ratio,
    "f1": _f1,
    "pearson": lambda rows: _number(pearson(rows[:, 0].tolist(), rows[:, 1].tolist())),
    "spearman": lambda rows: _number(spearman(rows[:, 0].tolist(), rows[:, 1].tolist())),
}


def _number(value: float) -> float:
    return 0.0 if np.isnan(value) else value


def metric_of(of: Of, rows: Values) -> float:
    """A metric from what each item adds to it, (items,) or (items, columns)."""
    return _OF[of](rows)


@dataclass(frozen=True)
class Sureness:
    standard_error: float
    low: float
    high: float


def sureness(of: Of, by_seed: Sequence[Values], *, name: str) -> Sureness:
    """Of the mean over seeds; `by_seed`: each seed's rows of the same items. `name` names the draws."""
    seeds, items = len(by_seed), len(by_seed[0])
    draws = generator(0, "task-interval", name)
    found = np.empty(DRAWS)
    for draw in range(DRAWS):
        some = draws.integers(items, size=items)
        values = np.array([metric_of(of, rows[some]) for rows in by_seed])
        apart = values[draws.integers(seeds, size=seeds)] - values.mean()
        found[draw] = values.mean() + apart.mean() * np.sqrt(seeds / max(1, seeds - 1))
    low, high = np.quantile(found, [(1 - COVERS) / 2, (1 + COVERS) / 2])
    return Sureness(float(found.std(ddof=1)), float(low), float(high))
