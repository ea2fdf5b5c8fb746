"""Intervals over items and seeds hold the truth, and know which level the noise is on."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from analysis.bootstrap import contrast, load_items, two_level
from analysis.findings import judge
from analysis.records import collect, load_study
from analysis.statistics import equivalent, holm, p_value, rank_interval, ratio_interval, seeds_to_settle, spearman
from sweeps.errors import BadInput


def _world(draw: np.random.Generator, seeds: int, items: int, of_seeds: float, of_items: float) -> np.ndarray:
    """(seeds, languages, items): a true mean of 0.1, an item's shift common to all seeds and languages."""
    shift = draw.normal(0, of_seeds, (seeds, 1, 1)) + draw.normal(0, of_items, (1, 1, items))
    return 0.1 + shift + draw.normal(0, 0.05, (seeds, 3, items))


@pytest.mark.parametrize(("of_seeds", "of_items"), [(0.05, 0.05), (0.02, 0.4), (0.1, 0.1)])
def test_the_interval_holds_the_truth_whichever_level_is_the_noisy_one(of_seeds: float, of_items: float) -> None:
    draw = np.random.default_rng(0)
    held = 0
    for study in range(200):
        interval = two_level(_world(draw, 5, 100, of_seeds, of_items), resamples=300, seed=study)
        held += interval.low <= 0.1 <= interval.high
    assert 0.90 <= held / 200 <= 0.995


@pytest.mark.slow
@pytest.mark.parametrize("seeds", [3, 5])
@pytest.mark.parametrize(("of_seeds", "of_items"), [(0.05, 0.05), (0.03, 0.3), (0.0, 0.3), (0.1, 0.1)])
def test_over_1000_studies_the_interval_holds_the_truth_93_to_97_times_in_100(
    seeds: int, of_seeds: float, of_items: float
) -> None:
    draw = np.random.default_rng(0)
    held = 0
    for study in range(1000):
        interval = two_level(_world(draw, seeds, 100, of_seeds, of_items), resamples=300, seed=study)
        held += interval.low <= 0.1 <= interval.high
    assert 0.93 <= held / 1000 <= 0.97


def test_languages_are_not_more_items() -> None:
    """Ten translations of the same items say no more of the items than one."""
    draw = np.random.default_rng(1)
    one = draw.normal(0.1, 0.4, (3, 1, 100))
    once, tenfold = two_level(one), two_level(np.repeat(one, 10, axis=1))
    assert tenfold.half == pytest.approx(once.half)


def test_one_seed_covers_items_alone() -> None:
    interval = two_level(np.random.default_rng(2).normal(0, 1, (1, 2, 50)))
    assert interval.n == 1 and not interval.covers_seed_noise and math.isfinite(interval.low)


def _store(
    root: Path, run: str, right: dict[str, list[float]], of: str = "mean", task: str = "sib200", stage: str = "1"
) -> None:
    folder = root / "runs" / run / "tasks" / f"{task}@{stage}"
    folder.mkdir(parents=True)
    languages = {
        code: {"ids": [f"i{n}" for n in range(len(v))], "metrics": {"accuracy": {"of": of, "by_seed": [v, v]}}}
        for code, v in right.items()
    }
    (folder / "items.json").write_text(json.dumps({"schema": 1, "task": task, "languages": languages}), "utf-8")


def test_kept_items_of_two_arms_are_paired_by_seed_language_and_item(tmp_path: Path) -> None:
    for seed in range(3):
        _store(tmp_path, f"a{seed}", {"eng_Latn": [1, 1, 1, 0], "swe_Latn": [1, 1, 0, 0]})
        _store(tmp_path, f"b{seed}", {"eng_Latn": [1, 0, 1, 0], "swe_Latn": [1, 0, 0, 0]})
    arm, baseline = ({s: f"{name}{s}" for s in range(3)} for name in "ab")
    found = contrast(tmp_path, arm, baseline, "sib200", "accuracy", ("sv",))
    assert found is not None and found.mean == pytest.approx(0.25) and found.n == 3
    assert contrast(tmp_path, arm, baseline, "sib200", "accuracy", ("fi",)) is None
    assert contrast(tmp_path, arm, {9: "b0"}, "sib200", "accuracy", ("sv",)) is None
    assert load_items(tmp_path, "a0", "xnli", "accuracy") == {}
    _store(tmp_path, "c", {"eng_Latn": [1, 0]}, of="spans")
    assert load_items(tmp_path, "c", "sib200", "accuracy") == {}


def test_items_are_those_of_the_stage_that_the_study_asks_for(tmp_path: Path) -> None:
    """Files that changed at their place leave the stage of the former ones beside."""
    _store(tmp_path, "a", {"eng_Latn": [1, 1]}, stage="old")
    _store(tmp_path, "a", {"eng_Latn": [0, 1]}, stage="new")
    found = load_items(tmp_path, "a", "sib200", "accuracy", {"sib200@new"}.__contains__)
    assert found == {"en": {"i0": 0.0, "i1": 1.0}}
    assert load_items(tmp_path, "a", "sib200", "accuracy") == {}, "which of two is not known"


@given(st.lists(st.floats(0, 1), min_size=1, max_size=10))
def test_holm_lies_between_the_p_value_and_bonferronis_and_keeps_the_order(values: list[float]) -> None:
    adjusted = holm(values)
    for p, made in zip(values, adjusted, strict=True):
        assert p <= made <= min(1.0, p * len(values)) + 1e-12
    order = np.argsort(values, kind="stable")
    assert (np.diff(np.array(adjusted)[order]) >= -1e-12).all()


def test_holm_is_the_textbook_one_and_passes_over_what_is_none() -> None:
    assert holm([0.01, 0.04, math.nan, 0.03]) == pytest.approx([0.03, 0.06, math.nan, 0.06], nan_ok=True)


def test_p_and_rank_correlation_are_scipys() -> None:
    from scipy import stats

    draw = np.random.default_rng(4)
    x, y = draw.normal(0.3, 1, 7), draw.normal(size=7)
    assert p_value(x) == pytest.approx(stats.ttest_1samp(x, 0).pvalue)
    assert spearman(list(x), list(y)) == pytest.approx(stats.spearmanr(x, y).statistic)
    assert math.isnan(spearman([1, 1, 1], [1, 2, 3])) and math.isnan(p_value([0.2]))


def test_equivalence_needs_an_interval_inside_the_margin() -> None:
    assert equivalent([0.01, -0.01, 0.0, 0.005], 0.1)[1]
    assert not equivalent([0.5, -0.5, 0.1, -0.2], 0.1)[1], "noise is no equality"
    assert not equivalent([0.0], 0.1)[1], "nor is one seed"


def test_a_share_of_an_uncertain_whole_lies_in_fiellers_interval_as_often_as_it_says() -> None:
    draw = np.random.default_rng(6)
    held = 0
    for _ in range(1000):
        noise = draw.normal(0, 0.1, (2, 4))
        interval = ratio_interval(pd.Series(0.3 + noise[0]), pd.Series(1.0 + noise[0] + noise[1]))
        held += interval.low <= 0.3 <= interval.high
    assert 0.93 <= held / 1000 <= 0.97


def test_a_share_of_a_whole_that_may_be_nothing_has_no_interval() -> None:
    interval = ratio_interval(pd.Series([0.1, 0.2, 0.3]), pd.Series([1.0, -1.0, 0.5]))
    assert math.isnan(interval.low) and math.isnan(interval.high)
    one = ratio_interval(pd.Series([0.5]), pd.Series([2.0]))
    assert one.mean == 0.25 and math.isnan(one.low)
    assert ratio_interval(pd.Series([0.5], index=[0]), pd.Series([2.0], index=[1])).n == 0, "no seed has both"


def test_rank_correlations_are_means_over_seeds_inside_their_ends() -> None:
    table = pd.DataFrame([[1.0, 2, 3, 4], [1, 2, 4, 3], [1, 3, 2, 4]])
    interval = rank_interval([0.0, 0.3, 0.7, 1.0], table)
    assert interval.mean == pytest.approx((1 + 0.8 + 0.8) / 3) and interval.n == 3
    assert -1 <= interval.low <= interval.mean <= interval.high <= 1
    assert math.isnan(rank_interval([0.0, 1.0, 2.0], table.iloc[:1, :3]).low), "one seed has no interval"


def test_the_advised_number_of_seeds_settles_eight_times_in_ten() -> None:
    draw = np.random.default_rng(8)
    advised = seeds_to_settle([0.3, 1.7])  # a mean of 1.0, a deviation of 0.99
    assert advised is not None
    means, noise = 1.0, 0.99
    values = draw.normal(means, noise, (4000, advised))
    half = 1.96 * noise / math.sqrt(advised)
    assert np.mean(values.mean(axis=1) > half) == pytest.approx(0.86, abs=0.06)


def test_findings_over_two_sets_of_runs_get_intervals_over_items_too(store: Any, truths: Any) -> None:
    store.grid(widths=(64,), accuracy=truths["transfer"], noise=0.01)
    draw = np.random.default_rng(0)
    hard = draw.normal(0, 0.2, 40)
    for run in store.ids:
        k = int(run.split("-")[0])
        right = (0.6 - 0.1 * math.log2(k) + hard).clip(0, 1)
        _store(store.root, run, {"swe_Latn": list(right)}, task="intents")
    study = load_study(store.root, store.study(findings=["F1", "F2", "F4"]))
    verdicts = judge(collect(store.root, study), study, store.root)
    found = {v.finding: v.details for v in verdicts if v.outcome == "zero-shot accuracy"}
    over = found["F1"]["over items and seeds, core group, K 2 to 16, width 64"]
    truth = 100 * np.mean((0.5 + hard).clip(0, 1) - (0.2 + hard).clip(0, 1))
    assert over["effect"] == pytest.approx(truth) and over["low"] < truth < over["high"] and over["seeds"] == 3
    assert sum(name.startswith("over items") for name in found["F2"]) == 2, "a peak is held against both ends"
    assert not any(name.startswith("over items") for name in found["F4"])


def test_items_that_are_none_are_said_by_file(tmp_path: Path) -> None:
    _store(tmp_path, "a", {"eng_Latn": [1, 0]})
    (broken,) = (tmp_path / "runs" / "a" / "tasks").glob("*/items.json")
    for text in ('{"languages": [1]}', "{", '{"languages": {"eng_Latn": {}}}'):
        broken.write_text(text, encoding="utf-8")
        with pytest.raises(BadInput, match=r"items\.json does not hold items.*evaluate the task again"):
            load_items(tmp_path, "a", "sib200", "accuracy")
