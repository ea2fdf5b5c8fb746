"""Conditions over a cell: what they mean, and that nothing but a condition is ever understood."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sweeps.errors import BadInput
from sweeps.where import matches

CELL: dict[str, Any] = {"K": 30, "alpha": 0.3, "kind": "modern", "languages": ["en", "sw"], "seed": 0}


@pytest.mark.parametrize(
    ("condition", "meets"),
    [
        ("K == 30", True),
        ("K >= 30 and alpha == 0.3", True),
        ("K > 30 or alpha != 0.3", False),
        ("not K < 30", True),
        ("7 < K <= 30", True),
        ("7 < K < 30", False),
        ("K in [7, 30]", True),
        ("K not in (7, 30)", False),
        ("kind == 'modern'", True),
        ("'sw' in languages", True),
        ("'ur' in languages", False),
        ("seed > -1", True),
        ("  K == 30\n", True),
        ("K == 30 or nothing == 1", True),
    ],
)
def test_a_condition_means_what_it_says(condition: str, meets: bool) -> None:
    assert matches(condition, CELL) is meets


def test_an_unknown_name_is_answered_with_the_nearest() -> None:
    with pytest.raises(BadInput, match=r"names 'alpa', which a cell does not have; did you mean alpha\?"):
        matches("alpa == 0.3", CELL)


def test_an_unknown_name_that_is_near_to_none_lists_them_all() -> None:
    with pytest.raises(BadInput, match="it has: K, alpha, kind, languages, seed"):
        matches("zzzzzz == 0.3", CELL)


@pytest.mark.parametrize("condition", ["K >=", "K = 3", "", "K == 3; K", "(" * 300, "K\0", "\ud800"])
def test_what_cannot_be_read_is_shown_an_example(condition: str) -> None:
    with pytest.raises(BadInput, match="cannot be read; write for example"):
        matches(condition, CELL)


@pytest.mark.parametrize(
    "condition",
    [
        "__import__('os').system('true')",
        "K.__class__",
        "K + 1 == 31",
        "languages[0] == 'en'",
        "[x for x in languages]",
        "lambda: 1",
        "f'{K}' == '30'",
        "(K := 3)",
        "K if K else K",
    ],
)
def test_anything_but_a_condition_is_refused(condition: str) -> None:
    with pytest.raises(BadInput, match="only names, numbers, strings, lists, comparisons"):
        matches(condition, CELL)


@pytest.mark.parametrize("condition", ["K < 'a'", "K in 3", "K is 30", "alpha < 1j"])
def test_values_that_do_not_compare_are_refused(condition: str) -> None:
    with pytest.raises(BadInput):
        matches(condition, CELL)


tokens = st.sampled_from(
    [*CELL, "and", "or", "not", "in", "==", "<", ">=", "(", ")", "[", "]", ",", "0.3", "30", "'en'", "-", "+", ".", ":"]
)


@given(st.lists(tokens, max_size=12).map(" ".join) | st.text(max_size=30))
@settings(max_examples=300)
def test_any_text_is_true_false_or_bad_input(condition: str) -> None:
    try:
        assert matches(condition, CELL) in (True, False)
    except BadInput as error:
        assert "\n" not in str(error)
