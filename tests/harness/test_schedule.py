"""The learning rate: where it starts, peaks and ends, for every kind of schedule."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.train.schedule import learning_rate_at

KINDS = ("linear", "cosine", "wsd")


def rates(kind: str, steps: int, warmup: float = 0.1, decay: float = 0.2) -> list[float]:
    schedule: dict[str, Any] = {"kind": kind, "warmup": warmup, "decay": decay}
    return [learning_rate_at(step, steps=steps, peak=0.5, schedule=schedule) for step in range(steps)]


@given(st.sampled_from(KINDS), st.integers(1, 400), st.floats(0, 1), st.floats(0, 1))
def test_no_update_is_wasted_and_none_exceeds_the_peak(kind: str, steps: int, warmup: float, decay: float) -> None:
    assert all(0 < rate <= 0.5 + 1e-12 for rate in rates(kind, steps, warmup, decay))


@pytest.mark.parametrize("kind", KINDS)
def test_warm_up_is_linear_and_reaches_the_peak(kind: str) -> None:
    first = rates(kind, 1000)[:100]
    assert first == pytest.approx([0.5 * (step + 1) / 100 for step in range(100)])


@pytest.mark.parametrize("kind", KINDS)
def test_after_warm_up_the_rate_never_rises_and_ends_near_zero(kind: str) -> None:
    later = rates(kind, 1000)[99:]
    assert all(after <= before for before, after in pairwise(later))
    assert later[-1] < 0.5 * 0.006


def test_linear_and_cosine_are_half_way_down_in_the_middle() -> None:
    assert rates("linear", 1000)[550] == pytest.approx(0.25)
    assert rates("cosine", 1000)[550] == pytest.approx(0.25)


def test_wsd_is_constant_until_its_decay() -> None:
    values = rates("wsd", 1000)
    assert set(values[100:801]) == {0.5}
    assert values[800:] == pytest.approx([0.5 * (200 - n) / 200 for n in range(200)])


def test_an_unknown_kind_is_refused() -> None:
    with pytest.raises(ValueError, match="schedule kind 'step' is not linear, cosine or wsd"):
        rates("step", 10, warmup=0.0)
