"""The language distribution against the paper's numbers, and the systematic draw against its laws."""

from __future__ import annotations

import math
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sweeps.languages import CC100_GIB, XLM_7
from sweeps.sampling import (
    BLOCK,
    SystematicDraw,
    TextSize,
    _count_residues_below,
    _floor_sum,
    epochs_per_language,
    language_distribution,
    run_distribution,
    systematic_draw,
    unimax_distribution,
)

XLM_7_GIB = {language: CC100_GIB[language] for language in XLM_7}

GOLDEN = {
    0.01: {"en": 0.1458, "fr": 0.1434, "de": 0.1436, "ru": 0.1457, "zh": 0.1431, "sw": 0.1383, "ur": 0.1401},
    0.3: {"en": 0.2323, "fr": 0.1409, "de": 0.1478, "ru": 0.2269, "zh": 0.1330, "sw": 0.0483, "ur": 0.0707},
    0.7: {"en": 0.3372, "fr": 0.1050, "de": 0.1174, "ru": 0.3191, "zh": 0.0918, "sw": 0.0086, "ur": 0.0210},
    1.0: {"en": 0.3977, "fr": 0.0751, "de": 0.0880, "ru": 0.3675, "zh": 0.0620, "sw": 0.0021, "ur": 0.0075},
}

sizes_of_languages = st.lists(st.floats(1.0, 1e12), min_size=1, max_size=40).map(
    lambda sizes: {f"l{number}": size for number, size in enumerate(sizes)}
)
alphas = st.floats(0.0, 2.0)
starts = st.floats(0.0, 1.0, exclude_max=True)


@st.composite
def draws(draw: st.DrawFn) -> tuple[dict[str, float], SystematicDraw]:
    q = language_distribution(draw(sizes_of_languages), draw(alphas))
    return q, systematic_draw(q, draw(starts))


@pytest.mark.parametrize("alpha", GOLDEN)
def test_xlm_7_is_drawn_as_the_paper_says(alpha: float) -> None:
    q = language_distribution(XLM_7_GIB, alpha)
    assert {language: round(share, 4) for language, share in q.items()} == GOLDEN[alpha]


@given(sizes_of_languages, alphas)
def test_a_distribution_sums_to_one_and_keeps_the_order_of_sizes(sizes: dict[str, float], alpha: float) -> None:
    q = language_distribution(sizes, alpha)
    assert list(q) == list(sizes)
    assert math.isclose(sum(q.values()), 1.0, rel_tol=1e-12)
    ordered = sorted(sizes, key=sizes.__getitem__)
    assert all(q[small] <= q[large] * (1 + 1e-12) for small, large in pairwise(ordered))


@given(sizes_of_languages, st.floats(1e-6, 1e6))
def test_the_unit_of_size_does_not_matter(sizes: dict[str, float], unit: float) -> None:
    scaled = language_distribution({language: size * unit for language, size in sizes.items()}, 0.3)
    assert scaled == pytest.approx(language_distribution(sizes, 0.3), rel=1e-9)


def test_alpha_zero_is_uniform_and_alpha_one_is_the_data() -> None:
    assert language_distribution(XLM_7_GIB, 0.0) == pytest.approx(dict.fromkeys(XLM_7_GIB, 1 / 7))
    total = sum(XLM_7_GIB.values())
    assert language_distribution(XLM_7_GIB, 1.0) == pytest.approx(
        {code: size / total for code, size in XLM_7_GIB.items()}
    )


@pytest.mark.parametrize(("sizes", "alpha", "word"), [({}, 0.3, "at least one"), ({"en": 1}, -1, "at least 0")])
def test_what_is_no_distribution_is_refused(sizes: dict[str, float], alpha: float, word: str) -> None:
    with pytest.raises(ValueError, match=word):
        language_distribution(sizes, alpha)


def test_a_language_without_text_is_named() -> None:
    with pytest.raises(ValueError, match="no training text for sw"):
        language_distribution({"en": 1, "sw": 0}, 0.3)


def test_epochs_are_tokens_drawn_over_tokens_held() -> None:
    epochs = epochs_per_language({"en": 0.75, "sw": 0.25}, tokens_drawn=1000, tokens_held={"en": 750, "sw": 10})
    assert epochs == {"en": 1.0, "sw": 25.0}


@given(draws(), st.integers(0, 10**12))
def test_every_block_is_full_and_every_count_within_one_of_its_expectation(
    drawn: tuple[dict[str, float], SystematicDraw], block: int
) -> None:
    """Points are 1 apart, so an interval of length q x BLOCK holds its floor or its ceiling of them."""
    q, draw = drawn
    counts = draw.counts_in(block)
    assert sum(counts) == BLOCK
    for share, count in zip(q.values(), counts, strict=True):
        assert count >= 0 and abs(count - share * BLOCK) < 1 + 1e-6


@given(draws(), st.integers(0, 10**12))
def test_one_block_more_adds_that_blocks_counts(drawn: tuple[dict[str, float], SystematicDraw], block: int) -> None:
    draw = drawn[1]
    later = [before + n for before, n in zip(draw.counts_before(block), draw.counts_in(block), strict=True)]
    assert draw.counts_before(block + 1) == later


@given(draws())
@settings(max_examples=30)
def test_the_closed_form_equals_counting_block_by_block(drawn: tuple[dict[str, float], SystematicDraw]) -> None:
    draw = drawn[1]
    counted = [0] * len(draw.languages)
    for block in range(60):
        assert draw.counts_before(block) == counted
        counted = [before + n for before, n in zip(counted, draw.counts_in(block), strict=True)]


@given(draws(), st.integers(1, 10**9))
def test_in_the_long_run_every_language_gets_its_share(
    drawn: tuple[dict[str, float], SystematicDraw], blocks: int
) -> None:
    """The golden walk leaves a discrepancy that grows like a logarithm, not like a square root."""
    q, draw = drawn
    counts = draw.counts_before(blocks)
    assert sum(counts) == blocks * BLOCK
    for share, count in zip(q.values(), counts, strict=True):
        assert abs(count - share * blocks * BLOCK) <= 4 + 2 * math.log2(blocks + 1) + 1e-6 * blocks


@given(st.integers(0, 60), st.integers(1, 200), st.integers(0, 1000), st.integers(0, 1000))
def test_floor_sum_equals_adding_up(count: int, modulus: int, step: int, start: int) -> None:
    assert _floor_sum(count, modulus, step, start) == sum((step * i + start) // modulus for i in range(count))


@given(st.integers(0, 60), st.integers(1, 200), st.integers(0, 1000), st.data())
def test_residues_are_counted_as_by_hand(count: int, modulus: int, step: int, data: st.DataObject) -> None:
    start, limit = data.draw(st.integers(0, modulus - 1)), data.draw(st.integers(0, modulus))
    by_hand = sum((start + i * step) % modulus < limit for i in range(count))
    assert _count_residues_below(count, step, start, modulus, limit) == by_hand


@pytest.mark.parametrize(("alpha", "ratio"), [(0.01, 1.1), (0.3, 11.1), (0.7, 272), (1.0, 3008)])
def test_over_all_of_cc_100_the_largest_is_drawn_so_many_times_as_often_as_the_smallest(
    alpha: float, ratio: float
) -> None:
    q = language_distribution(CC100_GIB, alpha)
    assert len(q) == 100
    assert round(max(q.values()) / min(q.values()), 1 if ratio < 100 else 0) == ratio


@given(sizes_of_languages, st.floats(0.5, 20.0), st.floats(0.01, 0.99))
def test_unimax_never_passes_its_cap_and_wastes_no_budget(sizes: dict[str, float], cap: float, used: float) -> None:
    drawn = used * cap * sum(sizes.values())
    q = unimax_distribution(sizes, drawn=drawn, max_epochs=cap)
    assert list(q) == list(sizes)
    assert math.isclose(sum(q.values()), 1.0, rel_tol=1e-9)
    epochs = epochs_per_language(q, tokens_drawn=drawn, tokens_held=sizes)
    assert all(value <= cap * (1 + 1e-9) for value in epochs.values())
    free = [q[language] for language in q if epochs[language] < cap * (1 - 1e-6)]
    assert all(share == pytest.approx(max(q.values()), rel=1e-6) for share in free), "who is not capped shares evenly"


def test_unimax_gives_the_rest_of_a_small_language_to_the_larger_ones() -> None:
    q = unimax_distribution({"en": 1000, "de": 1000, "sw": 10}, drawn=300, max_epochs=4)
    assert q == pytest.approx({"en": 130 / 300, "de": 130 / 300, "sw": 40 / 300})


def test_unimax_refuses_a_budget_that_its_caps_cannot_hold() -> None:
    with pytest.raises(ValueError, match=r"10 epochs of all its text, more than max_epochs \(4\)"):
        unimax_distribution({"en": 1000}, drawn=10_000, max_epochs=4)


def test_a_run_draws_by_what_its_science_counts() -> None:
    held = {"en": TextSize(900, 300, 60, 30), "sw": TextSize(100, 100, 40, 10)}
    assert run_distribution({"alpha": 1.0}, held)["en"] == 0.9
    assert run_distribution({"alpha": 1.0, "sampling": {"count": "tokens"}}, held)["en"] == 0.75
    assert run_distribution({"alpha": 1.0, "sampling": {"count": "documents"}}, held)["en"] == 0.6
    unimax = {"sampling": {"kind": "unimax", "max_epochs": 2.0}, "steps": 5, "batch_rows": 10}
    assert run_distribution(unimax, held) == {"en": 0.6, "sw": 0.4}
