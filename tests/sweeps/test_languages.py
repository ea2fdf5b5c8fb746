"""The hundred languages and their nested sets: complete, by the stated rules, and not to change under a study."""

from __future__ import annotations

import itertools
from collections import Counter

import pytest

from sweeps.language_table import LANGUAGES
from sweeps.languages import CC100_GIB, HIGH, LANGUAGE_SETS, LOW, SIZES, XLM_7, XNLI_15, language_set


def test_there_are_a_hundred_languages_each_with_a_family_a_script_and_text() -> None:
    assert len(LANGUAGES) == len(CC100_GIB) == 100
    assert all(row.gib >= 0.1 and row.family and row.script and row.name for row in LANGUAGES.values())
    assert list(LANGUAGES) == sorted(LANGUAGES, key=str.lower)


@pytest.mark.parametrize(
    ("code", "gib", "family", "script"),
    [
        ("en", 300.8, "Germanic", "Latin"),
        ("sw", 1.6, "Bantu", "Latin"),
        ("ur", 5.7, "Indo-Aryan", "Arabic"),
        ("ur_rom", 0.5, "Indo-Aryan", "Latin"),
        ("sr", 9.1, "Slavic", "Cyrillic"),
        ("yi", 0.3, "Germanic", "Hebrew"),
        ("xh", 0.1, "Bantu", "Latin"),
        ("my_zaw", 1.6, "Sino-Tibetan", "Burmese"),
    ],
)
def test_rows_are_those_of_the_paper(code: str, gib: float, family: str, script: str) -> None:
    row = LANGUAGES[code]
    assert (row.gib, row.family, row.script) == (gib, family, script)


def test_the_sizes_add_up_to_the_papers_two_and_a_half_terabytes() -> None:
    assert sum(CC100_GIB.values()) == pytest.approx(2394.3, abs=0.05)
    assert Counter(row.script for row in LANGUAGES.values()).most_common(2) == [("Latin", 56), ("Cyrillic", 9)]


@pytest.mark.parametrize("family", ["core", "other"])
def test_the_sets_of_a_family_are_nested_start_with_xlm_7_and_end_with_all(family: str) -> None:
    sets = [language_set(f"{family}-{count}") for count in SIZES]
    assert [len(set(codes)) for codes in sets] == list(SIZES)
    assert all(set(inner) < set(outer) for inner, outer in itertools.pairwise(sets))
    assert sets[0] == XLM_7 and set(sets[-1]) == set(LANGUAGES)


def test_groups_are_the_papers_and_stand_in_every_set() -> None:
    assert (HIGH, LOW) == (("en", "fr"), ("sw", "ur"))
    assert {*HIGH, *LOW} < set(XLM_7) < set(XNLI_15) == set(language_set("core-15"))


def test_core_30_adds_the_largest_fifteen_to_xnlis_languages() -> None:
    added = language_set("core-30")[15:]
    assert added == ("id", "fa", "uk", "ja", "ro", "hu", "fi", "ko", "pt", "no", "da", "pl", "he", "it", "nl")
    least = min(CC100_GIB[code] for code in added)
    assert all(CC100_GIB[code] <= least for code in LANGUAGES if code not in language_set("core-30"))


def test_the_other_order_adds_a_family_at_a_time() -> None:
    counts = Counter(LANGUAGES[code].family for code in language_set("other-30"))
    assert set(counts) == {row.family for row in LANGUAGES.values()} and max(counts.values()) == 2
    shared = set(language_set("core-30")) & set(language_set("other-30"))
    assert 10 <= len(shared) < 30, "another order, or it would test nothing"


def test_no_set_is_named_twice_and_the_demos_stay() -> None:
    assert language_set("demo-3") == ("en", "lb", "da")
    assert set(LANGUAGE_SETS) == {f"demo-{n}" for n in (3, 6, 16)} | {
        f"{f}-{n}" for f in ("core", "other") for n in SIZES
    }
