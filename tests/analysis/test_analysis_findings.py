"""Verdicts on worlds whose truth is known."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import worlds
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from analysis.findings import Verdict, effect_text, judge, verdict_lines
from analysis.records import collect, load_study
from analysis.statistics import BITS, group_mean, paired, seeds_to_settle, t_interval


def _judge(store: Any, **changes: Any) -> dict[tuple[str, str], Verdict]:
    study = load_study(store.root, store.study(**changes))
    verdicts = judge(collect(store.root, study), study)
    return {(v.finding, v.outcome): v for v in verdicts}


def _words(store: Any, **changes: Any) -> dict[str, str]:
    return {finding: v.verdict for (finding, outcome), v in _judge(store, **changes).items() if outcome == BITS.name}


@given(st.lists(st.floats(-100, 100), min_size=2, max_size=8), st.sampled_from([0.5, 0.9, 0.95, 0.99]))
def test_the_t_interval_is_the_textbook_one(values: list[float], level: float) -> None:
    got = t_interval(values, level)
    half = stats.t.ppf((1 + level) / 2, len(values) - 1) * stats.sem(values)
    assert got.n == len(values)
    assert got.low == pytest.approx(sum(values) / len(values) - half, abs=1e-6)
    assert got.half == pytest.approx(half, rel=1e-6, abs=1e-6)


def test_one_seed_gives_an_interval_that_says_it_cannot_cover_seed_noise() -> None:
    one = t_interval([0.4])
    assert one.mean == 0.4 and math.isnan(one.low) and math.isnan(one.high)
    assert not one.covers_seed_noise and not one.above and not one.below
    assert t_interval([math.nan]).n == 0


def test_seeds_to_settle_shrinks_with_the_effect_and_gives_up_on_none() -> None:
    small, large = seeds_to_settle([0.01, 0.05, 0.09]), seeds_to_settle([0.05, 0.10, 0.15])
    assert small is not None and large is not None and small > large
    assert seeds_to_settle([-1.0, 1.0]) is None and seeds_to_settle([0.2]) is None


def test_all_four_findings_are_supported_where_they_are_true(store: Any, truths: Any) -> None:
    store.grid()
    store.alphas()
    found = _judge(store)
    assert {v.verdict for v in found.values()} == {"supported"}
    curse = found["F1", BITS.name]
    # core is en and sv; from K=2 to 16 en loses .15*3*s and sv .36*s + .3*(4-1)*s, averaged over s = 1 and 1/2
    assert curse.effect == pytest.approx((0.45 + 1.26) / 2 * 0.75, abs=0.05)
    assert curse.low < curse.effect < curse.high and curse.seeds == 3 and curse.settle == ""
    assert found["F2", BITS.name].details["best interior K"] == 4


def test_every_finding_is_unsupported_where_nothing_has_an_effect(store: Any, truths: Any) -> None:
    store.grid(truth=truths["none"], noise=0.05)
    store.alphas(truth=truths["none"], noise=0.05)
    assert "supported" not in _words(store).values()


def test_no_effect_is_rarely_called_one() -> None:
    import random

    draw = random.Random("null worlds")
    intervals = [t_interval([draw.gauss(0, 1) for _ in range(3)]) for _ in range(4000)]
    wrong = sum(i.above for i in intervals) / len(intervals)
    assert 0.015 < wrong < 0.035  # a 95 % interval errs upwards one time in forty


def test_the_opposite_effect_is_not_supported(store: Any) -> None:
    def reversed_world(language: str, k: int, width: int, alpha: float) -> float:
        return 3 - 0.2 * math.log2(k) * width / 64 + (alpha - 0.3) * (0.5 if language == "en" else -0.5)

    def pit(language: str, k: int, width: int, alpha: float) -> float:
        return -reversed_world(language, k, width, alpha)

    store.grid(truth=reversed_world)
    store.alphas(truth=reversed_world)
    # bits fall ever faster with K, more so when wide: no curse, no loss after the best K, and a gain that grows
    assert _words(store) == {"F1": "not supported", "F2": "not supported", "F4": "supported", "F6": "not supported"}
    store.grid(truth=pit)
    assert _words(store)["F4"] == "not supported"


def test_higher_accuracy_is_better_and_english_is_not_zero_shot(store: Any, truths: Any) -> None:
    store.grid(accuracy=truths["transfer"], noise=0.01)
    found = _judge(store)
    curse = found["F1", "zero-shot accuracy"]
    assert curse.details["languages"] == ["sv"]
    assert curse.verdict == "supported"
    assert curse.effect == pytest.approx(100 * (0.05 * 3 + 0.05 * 3), abs=2)
    assert curse.unit == "points"
    assert found["F4", "zero-shot accuracy"].verdict == "cannot tell", "both widths lose as much"


def test_accuracy_that_never_beats_guessing_decides_nothing(store: Any) -> None:
    store.grid(accuracy=lambda lang, k, w, a: 0.11 - 0.02 * math.log2(k), noise=0.001)
    verdict = _judge(store)["F1", "zero-shot accuracy"]
    assert verdict.verdict == "cannot tell" and "guessing" in verdict.rule


def test_one_seed_is_never_enough(store: Any) -> None:
    store.grid(seeds=1)
    store.alphas(seeds=1)
    for verdict in _judge(store).values():
        assert verdict.verdict == "cannot tell" and "seed" in verdict.settle
        assert math.isfinite(verdict.effect) and math.isnan(verdict.low)


def test_missing_runs_leave_a_verdict_with_its_reason(store: Any) -> None:
    assert set(_words(store, runs=[]).values()) == {"cannot tell"}
    store.run(2)
    store.run(4, width=128)
    found = _judge(store)
    assert {v.verdict for v in found.values()} == {"cannot tell"}
    assert all("Nothing could be contrasted" in v.rule and v.settle for v in found.values())
    assert "second width" not in found["F1", BITS.name].settle


def test_only_seeds_of_both_arms_pair(store: Any) -> None:
    for seed in (0, 1, 2, 3):
        store.run(2, seed=seed)
    for seed in (1, 2, 3, 4):
        store.run(16, seed=seed)
    curse = _judge(store)["F1", BITS.name]
    assert curse.seeds == 3
    study = load_study(store.root, "demo")
    means = group_mean(collect(store.root, study), BITS, ("en", "sv"))
    arms = {k: part.set_index("seed")["value"] for k, part in means.groupby("K")}
    assert list(paired(arms[16], arms[2]).index) == [1, 2, 3]
    assert curse.effect == pytest.approx(paired(arms[16], arms[2]).mean())


def test_an_unfinished_width_does_not_hide_the_finished_one(store: Any) -> None:
    store.grid(widths=(64,))
    store.run(2, width=128, seed=0)
    store.run(16, width=128, seed=0)
    curse = _judge(store)["F1", BITS.name]
    assert curse.seeds == 3 and curse.details["widths"] == [64] and curse.details["width 128"]["seeds"] == 1


def test_a_mean_over_part_of_a_group_is_no_group_mean(store: Any) -> None:
    store.grid()
    groups = {"high": ["en", "de"], "low": ["sv", "da"], "core": ["en", "de"]}
    found = _judge(store, groups=groups)
    assert found["F1", BITS.name].details["K"] == [4, 16]  # the runs of two languages lack German


def test_other_alphas_vocabularies_and_nestings_stay_off_the_language_axis(store: Any) -> None:
    store.grid()
    plain = _judge(store)["F1", BITS.name]
    store.alphas()
    for seed in range(3):
        store.run(16, seed=seed, vocabulary=8000, truth=lambda *_: 9.0)
        other = ["en", "sv", "fr", "it"]
        store.run(4, seed=seed, languages=other, truth=lambda *_: 9.0)
    mixed = _judge(store)["F1", BITS.name]
    assert mixed.effect == plain.effect
    assert any("left out" in c for c in mixed.cautions) and not plain.cautions


def test_a_budget_that_moves_with_k_is_cautioned(store: Any) -> None:
    for seed in range(3):
        store.run(2, seed=seed, steps=1000)
        store.run(16, seed=seed, steps=8000)
    assert any("steps" in c for c in _judge(store)["F1", BITS.name].cautions)


def test_capacity_reports_what_the_wide_model_recovers(store: Any) -> None:
    store.grid()
    details = _judge(store)["F4", BITS.name].details
    recovered = details["K = 16 at width 128 better than K = 2 at width 64 by"]
    # narrow at 2: (2.15 + 3.32) / 2; wide at 16: (2.15 + 3.59) / 2
    assert recovered["effect"] == pytest.approx((5.47 - 5.74) / 2, abs=0.04)


def test_a_finding_without_a_rule_says_so(store: Any) -> None:
    store.grid(seeds=1)
    verdict = _judge(store, findings=["F19"])["F19", BITS.name]
    assert verdict.verdict == "cannot tell" and "no rule" in verdict.rule


def test_terminal_lines_are_one_a_verdict_and_tell_the_outcome(store: Any) -> None:
    store.grid()
    study = load_study(store.root, store.study(findings=["F1", "F6"]))
    lines = verdict_lines(judge(collect(store.root, study), study))
    assert len(lines) == 2 and all("\n" not in line for line in lines)
    assert lines[0].startswith("F1  supported") and "bits per byte" in lines[0] and "(3 seeds)" in lines[0]
    assert "no effect measured" in lines[1] and "nan" not in lines[1]


def test_an_interval_that_is_not_of_95_percent_says_so() -> None:
    df = worlds.table(worlds.GRIDS["F15"], worlds.effect("F15"), 3, 0.01, np.random.default_rng(0))
    (verdict,) = [v for v in judge(df, worlds.study("F15")) if v.outcome == BITS.name]
    assert verdict.level == 0.9 and effect_text(verdict).endswith("] (90 %)")
    assert "(90 %)" in verdict_lines([verdict])[0]
