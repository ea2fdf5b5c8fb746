"""Intervals over items and seeds: metrics of rows are the metrics, and the truth lies inside as often as promised."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy.stats import pearsonr, spearmanr
from sklearn.metrics import f1_score

from harness.batches.keyed import generator
from harness.evaluate.intervals import metric_of, sureness


def test_metrics_of_rows_are_those_of_scikit_learn_and_scipy() -> None:
    draws = generator(1, "rows")
    gold, said = draws.integers(2, size=200), draws.integers(2, size=200)
    rows = np.stack([gold & said, gold, said], 1).astype(float)
    assert metric_of("f1", rows) == pytest.approx(f1_score(gold, said), abs=1e-12)
    pairs = draws.normal(size=(50, 2))
    pairs[:, 1] += pairs[:, 0]
    assert metric_of("pearson", pairs) == pytest.approx(pearsonr(*pairs.T).statistic, abs=1e-12)
    assert metric_of("spearman", pairs) == pytest.approx(spearmanr(*pairs.T).statistic, abs=1e-12)
    assert metric_of("ratio", np.array([[1.0, 4.0], [2.0, 2.0]])) == 0.5
    assert metric_of("mean", np.array([1.0, 0.0, 0.0, 1.0])) == 0.5


@pytest.mark.parametrize(("seeds", "spread"), [(1, 0.0), (3, 0.0), (5, 0.04)])
def test_the_truth_lies_in_most_intervals(seeds: int, spread: float) -> None:
    """Items of three difficulties, seeds of different quality; percentile intervals of few seeds cover a little less
    than they promise."""
    inside = 0
    for study in range(60):
        draws = generator(study, "coverage")
        chance = draws.choice([0.5, 0.7, 0.9], size=150)
        quality = draws.normal(0.0, spread, size=seeds)
        by_seed = [(draws.random(150) < chance + one).astype(float) for one in quality]
        sure = sureness("mean", by_seed, name=str(study))
        inside += sure.low <= 0.7 <= sure.high
        assert sure.low <= np.mean(by_seed) <= sure.high and sure.standard_error > 0
    assert inside >= 50


def test_seeds_that_disagree_widen_the_interval_and_the_draws_are_named() -> None:
    rows: list[Any] = [np.repeat([1.0, 0.0], [70, 30]) for _ in range(3)]
    apart: list[Any] = [np.repeat([1.0, 0.0], [right, 100 - right]) for right in (50, 70, 90)]
    narrow, wide = sureness("mean", rows, name="a"), sureness("mean", apart, name="a")
    assert wide.standard_error > 2 * narrow.standard_error
    assert sureness("mean", rows, name="a") == narrow != sureness("mean", rows, name="b")
