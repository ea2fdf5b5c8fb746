"""Published coefficients come back from data made with them, and the intervals hold the truth as often as they say."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from analysis.laws import LawAbsent
from analysis.laws.__main__ import TRUTH, chinchilla, language_count
from analysis.laws.fit import fit, objective
from analysis.laws.forms import CHINCHILLA, LANGUAGE_COUNT, SAMPLING_RATIO, VOCABULARY, Form, without
from analysis.laws.held_out import compare, scores


def test_chinchillas_refit_comes_back_to_four_digits_without_noise() -> None:
    law = fit(CHINCHILLA, *chinchilla(0.0), resamples=0)
    for name, truth in TRUTH["Chinchilla"].items():
        assert law.coefficients[name] == pytest.approx(truth, rel=1e-4)


def test_chinchillas_exponents_lie_in_their_intervals_with_noise() -> None:
    law = fit(CHINCHILLA, *chinchilla(0.01), resamples=60)
    for name in ("alpha", "beta"):
        interval = law.interval(name)
        assert interval.low <= TRUTH["Chinchilla"][name] <= interval.high
        assert interval.half < 0.06, "and the interval says something"


def test_the_language_count_laws_exponents_come_back_and_it_beats_the_law_without_k() -> None:
    data, loss = language_count(0.01)
    law = fit(LANGUAGE_COUNT, data, loss, resamples=60)
    for name in ("phi", "psi", "alpha", "beta"):
        interval = law.interval(name)
        assert interval.low <= TRUTH["language count"][name] <= interval.high
    assert law.interval("phi").low > 0, "K costs parameters"
    draws = dict(zip(law.form.parameters, law.draws.T, strict=True))
    value = law.coefficients
    iso = law.interval_of(value["phi"] / value["alpha"], draws["phi"] / draws["alpha"])
    tokens = law.interval_of(1 + value["psi"] / value["beta"], 1 + draws["psi"] / draws["beta"])
    assert iso.low <= 0.243 <= iso.high and tokens.low <= 0.728 <= tokens.high
    assert iso.half < 0.15 and tokens.half < 0.2, "and the intervals say something"
    found = scores(LANGUAGE_COUNT, CHINCHILLA, data, loss)
    with_k, without_k = found["largest K"]
    assert with_k.r2 > 0.9 and with_k.median_error < without_k.median_error
    assert compare(with_k, without_k).above
    assert {"largest N", "largest D", "K = 8", "random fifth"} <= found.keys()


def test_without_an_effect_of_k_the_simpler_law_predicts_as_well() -> None:
    data, loss = language_count(0.01, phi=0.0, psi=0.0)
    law = fit(LANGUAGE_COUNT, data, loss, resamples=60)
    assert law.interval("phi").low < 0 < law.interval("phi").high
    with_k, without_k = scores(LANGUAGE_COUNT, CHINCHILLA, data, loss)["largest K"]
    assert not compare(with_k, without_k).above


@pytest.mark.slow
@pytest.mark.parametrize(
    ("form", "make", "studies"), [(LANGUAGE_COUNT, language_count, 250), (CHINCHILLA, chinchilla, 100)]
)
def test_intervals_of_the_coefficients_hold_the_truth_about_as_often_as_they_say(
    form: Form, make: Any, studies: int
) -> None:
    truth = TRUTH[form.name]
    held = dict.fromkeys(truth, 0)
    for seed in range(studies):
        law = fit(form, *make(0.01, seed), resamples=100, seed=seed)
        for name in truth:
            interval = law.interval(name)
            held[name] += interval.low <= truth[name] <= interval.high
    shares = {name: count / studies for name, count in held.items()}
    # A true 95 % shows as less than 91 or more than 99 % of 250 about once in two hundred times.
    assert all(0.91 <= share <= 0.99 for share in shares.values()), shares


@pytest.mark.parametrize("form", [CHINCHILLA, LANGUAGE_COUNT, SAMPLING_RATIO, VOCABULARY])
def test_the_gradient_is_that_of_the_objective(form: object) -> None:
    draw = np.random.default_rng(0)
    data = {name: draw.uniform(2, 9, 30) for name in form.inputs}  # type: ignore[attr-defined]
    design = form.design(data)  # type: ignore[attr-defined]
    theta, target = draw.normal(0.3, 0.2, design.shape[2]), draw.normal(0.5, 0.5, 30)
    _, gradient = objective(theta, design, target)
    for number in range(len(theta)):
        step = np.zeros_like(theta)
        step[number] = 1e-7
        slope = (objective(theta + step, design, target)[0] - objective(theta - step, design, target)[0]) / 2e-7
        assert gradient[number] == pytest.approx(slope, rel=1e-4, abs=1e-4)


LAW = fit(LANGUAGE_COUNT, *language_count(0.0), resamples=0)


@given(k=st.floats(1, 100), parameters=st.floats(1e5, 1e10), tokens=st.floats(1e5, 1e12), more=st.floats(1.01, 50))
@settings(deadline=None, max_examples=60)
def test_a_prediction_falls_with_size_and_tokens(k: float, parameters: float, tokens: float, more: float) -> None:
    here = LAW.predict(K=k, N=parameters, D=tokens)
    assert LAW.predict(K=k, N=parameters * more, D=tokens) < here
    assert LAW.predict(K=k, N=parameters, D=tokens * more) < here


def test_points_of_a_run_are_resampled_together() -> None:
    """Copies of a run's points add nothing to what is known."""
    data, loss = chinchilla(0.02)
    alone = fit(CHINCHILLA, data, loss, resamples=60).interval("alpha")
    runs = np.tile(np.arange(240), 5)
    copied = fit(CHINCHILLA, {n: np.tile(v, 5) for n, v in data.items()}, np.tile(loss, 5), runs, resamples=60)
    assert copied.interval("alpha").half == pytest.approx(alone.half, rel=0.3)


def test_branches_of_a_trunk_are_resampled_together() -> None:
    """Branches that repeat their trunk add nothing; as runs by themselves they would halve the intervals."""
    data, loss = chinchilla(0.02)
    alone = fit(CHINCHILLA, data, loss, resamples=60).interval("alpha")
    many = {name: np.repeat(values, 4) for name, values in data.items()}
    runs, trunks = np.arange(960), np.repeat(np.arange(240), 4)
    branches = fit(CHINCHILLA, many, np.repeat(loss, 4), runs, trunks=trunks, resamples=60)
    apart = fit(CHINCHILLA, many, np.repeat(loss, 4), runs, resamples=60)
    assert (branches.runs, branches.trunks) == (960, 240)
    assert branches.interval("alpha").half == pytest.approx(alone.half, rel=0.3)
    assert apart.interval("alpha").half < 0.7 * branches.interval("alpha").half


def test_what_cannot_be_told_is_said() -> None:
    data, loss = chinchilla(0.01)
    with pytest.raises(LawAbsent, match="6 runs for 5 coefficients"):
        fit(CHINCHILLA, {n: v[:6] for n, v in data.items()}, loss[:6])
    with pytest.raises(LawAbsent, match="N did not vary"):
        fit(CHINCHILLA, data | {"N": np.full(240, 1e8)}, loss)
    with pytest.raises(LawAbsent, match="not a positive number"):
        fit(CHINCHILLA, data, np.where(loss > loss.min(), loss, np.nan))
    with pytest.raises(LawAbsent, match="3 different cells"):
        few = {"N": np.tile([1e6, 1e7, 1e8], 4), "D": np.tile([1e8, 1e9, 1e10], 4)}
        fit(CHINCHILLA, few, np.linspace(2, 3, 12))
    assert without(CHINCHILLA, "N").parameters == ("e", "b", "beta")
