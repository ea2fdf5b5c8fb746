"""The zero-shot task's data, on the installed package."""

from __future__ import annotations

import re

import pytest

from harness.evaluate import intents
from harness.evaluate.intents import IntentData, load
from sweeps.errors import BadInput

LANGUAGES = ("en", "de", "da", "lb", "zh-Hans")


@pytest.fixture(scope="module")
def loaded() -> dict[str, IntentData]:
    return {language: load(language, seed=0, per_template=8) for language in LANGUAGES}


def test_no_template_and_no_sentence_stands_on_two_sides(loaded: dict[str, IntentData]) -> None:
    english = loaded["en"]
    sides = (english.train, english.dev, english.test)
    for attribute in ("template", "text"):
        seen = [{getattr(item, attribute).casefold() for item in side} for side in sides]
        assert not seen[0] & seen[1] and not seen[0] & seen[2] and not seen[1] & seen[2]


def test_every_label_is_on_every_side_of_english(loaded: dict[str, IntentData]) -> None:
    english = loaded["en"]
    for side in (english.train, english.dev, english.test):
        assert {item.label for item in side} == set(intents.LABELS)


def test_english_is_large_enough_to_train_on_and_no_label_dominates(loaded: dict[str, IntentData]) -> None:
    english = loaded["en"]
    assert len(english.train) > 900 and len(english.dev) > 200 and len(english.test) > 200
    assert english.majority < 0.1
    assert max(sum(item.label == label for item in english.train) for label in intents.LABELS) <= 60


def test_other_languages_are_scored_only_and_know_only_english_labels(loaded: dict[str, IntentData]) -> None:
    for language in LANGUAGES[1:]:
        data = loaded[language]
        assert not data.train and not data.dev
        assert 150 < len(data.test) <= intents.TARGET_SENTENCES
        assert set(data.labels) <= set(intents.LABELS)
        assert data.chance == 1 / len(data.labels) <= data.majority


def test_a_sentence_has_one_label(loaded: dict[str, IntentData]) -> None:
    for data in loaded.values():
        items = (*data.train, *data.dev, *data.test)
        assert len({item.text.casefold() for item in items}) == len(items)


def test_sentences_hold_no_template_marks_and_no_stray_space(loaded: dict[str, IntentData]) -> None:
    for data in loaded.values():
        for item in (*data.train, *data.dev, *data.test):
            assert not re.search(r"[\[\]{}<>|]|\s\s|^\s|\s$", item.text), item
            assert item.text


def test_the_same_seed_draws_the_same_sentences_and_another_seed_others(loaded: dict[str, IntentData]) -> None:
    assert load("da", seed=0, per_template=8) == loaded["da"]
    other = load("da", seed=1, per_template=8)
    assert other != loaded["da"]
    assert {item.template for item in other.test} <= {
        item.template for item in load("da", seed=1, per_template=20).test
    }


def test_a_template_gives_at_most_so_many_sentences() -> None:
    english = load("en", seed=0, per_template=2)
    templates = [item.template for item in (*english.train, *english.dev, *english.test)]
    assert max(map(templates.count, set(templates))) <= 2


def test_corpus_codes_name_the_languages() -> None:
    assert {"en", "lb", "nb", "zh-Hans", "zh-Hant", "pt-BR", "sr-Latn"} <= set(intents.languages())
    assert "zh-CN" not in intents.languages()


def test_a_language_without_templates_is_refused_by_name() -> None:
    with pytest.raises(BadInput, match="no intents for the language xx"):
        load("xx", seed=0, per_template=1)


def test_the_version_names_data_and_parser() -> None:
    assert re.fullmatch(r"home-assistant-intents==\S+ hassil==\S+", intents.version())
