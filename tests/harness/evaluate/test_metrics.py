"""Metrics equal those of the libraries and scripts that the field uses, on random and on adversarial predictions."""

from __future__ import annotations

import math
import re
import string
import warnings
from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats
from seqeval.metrics import f1_score as seqeval_f1
from seqeval.metrics.sequence_labeling import get_entities
from sklearn import metrics as reference

from harness.evaluate.answers import exact, f1, mlqa_words, squad_words
from harness.evaluate.metrics import accuracy, f1_of_class, macro_f1, pearson, spearman
from harness.evaluate.spans import f1_of_counts, span_counts, spans_of

TAGS = ["O", *(f"{letter}-{kind}" for letter in "BIES" for kind in ("PER", "LOC", "A-B"))]
sentences = st.lists(st.lists(st.sampled_from(TAGS), min_size=1, max_size=12), min_size=1, max_size=6)


@given(sentences)
def test_entities_are_those_of_seqeval_in_every_order_of_tags(tags: list[list[str]]) -> None:
    for sentence in tags:
        with warnings.catch_warnings(action="ignore"):
            assert spans_of(sentence) == get_entities(sentence)


@given(st.data())
def test_span_f1_is_that_of_seqeval(data: st.DataObject) -> None:
    gold = data.draw(sentences)
    said = [[data.draw(st.sampled_from([tag, *TAGS])) for tag in sentence] for sentence in gold]
    with warnings.catch_warnings(action="ignore"):
        wanted = float(seqeval_f1(gold, said))
    assert math.isclose(f1_of_counts(span_counts(gold, said)), wanted, abs_tol=1e-9)


def test_a_sentence_with_a_tag_too_many_is_no_score() -> None:
    with pytest.raises(ValueError, match="2 tags for a sentence of 1 words"):
        span_counts([["O"]], [["O", "O"]])


labels = st.lists(st.tuples(st.sampled_from("abc"), st.sampled_from("abc")), min_size=1, max_size=40)


@given(labels)
def test_metrics_of_classes_are_those_of_scikit_learn(pairs: list[tuple[str, str]]) -> None:
    gold, said = ([pair[side] for pair in pairs] for side in (0, 1))
    assert math.isclose(accuracy(gold, said), reference.accuracy_score(gold, said), abs_tol=1e-9)
    one = reference.f1_score(gold, said, labels=["a"], average="macro", zero_division=0)
    assert math.isclose(f1_of_class(gold, said, "a"), one, abs_tol=1e-9)
    every = reference.f1_score(gold, said, average="macro", zero_division=0)
    assert math.isclose(macro_f1(gold, said), every, abs_tol=1e-9)


values = st.sampled_from([0.0, 0.5, 1.0, 2.25, 4.0, 5.0])


@given(st.lists(st.tuples(values, values), min_size=3, max_size=40))
def test_correlations_are_those_of_scipy_ties_and_all(pairs: list[tuple[float, float]]) -> None:
    gold, said = (np.array([pair[side] for pair in pairs]) for side in (0, 1))
    if gold.std() and said.std():
        assert math.isclose(pearson(gold, said), stats.pearsonr(gold, said).statistic, abs_tol=1e-9)
        assert math.isclose(spearman(gold, said), stats.spearmanr(gold, said).statistic, abs_tol=1e-9)
    else:
        assert math.isnan(pearson(gold, said))


# SQuAD's and MLQA's scores once more from their definitions, in other words than the module's.
ARTICLES = {
    "en": {"a", "an", "the"},
    "es": {"un", "una", "unos", "unas", "el", "la", "los", "las"},
    "vi": {"của", "là", "cái", "chiếc", "những"},
    "de": {"ein", "eine", "einen", "einem", "eines", "einer", "der", "die", "das", "den", "dem", "des"},
}


def by_definition(text: str, language: str | None) -> list[str]:
    """`language` None: SQuAD's own normalisation."""
    import unicodedata

    kept = []
    for character in text.lower():
        ascii_mark = character in string.punctuation
        if not (ascii_mark or (language and unicodedata.category(character)[0] == "P")):
            kept.append(character)
    bare = "".join(kept)
    if language == "ar":
        return re.sub("ال", " ", bare).split()  # wherever it stands, as the script's pattern has it
    articles = ARTICLES.get(language or "en", set())
    pieces = re.split(r"(\W+)", bare)
    words = "".join(" " if piece in articles else piece for piece in pieces)
    if language == "zh":
        words = "".join(f" {c} " if "\u4e00" <= c <= "\u9fa5" else c for c in words)
    return words.split()


def score_by_definition(said: str, gold: list[str], language: str | None) -> tuple[float, float]:
    best_exact = best_f1 = 0.0
    for answer in gold:
        left, right = by_definition(said, language), by_definition(answer, language)
        common = sum(min(count, Counter(right)[word]) for word, count in Counter(left).items())
        best_exact = max(best_exact, float(left == right))
        if common:
            best_f1 = max(best_f1, 2 * common / (len(left) + len(right)))
    return best_exact, best_f1


WORDS = ["the", "The", "an", "der", "DIE", "las", "una", "là", "những", "cat", "Katze", "gato", "mèo", "1,000", "U.S."]
WORDS += ["北京", "在北京市", "(a)", "¿qué?", "“x”", "的", "a-b", "قط", "القط", "और", "।", "…", "Ωmega", "e\u0301"]
texts = st.lists(st.sampled_from(WORDS), max_size=6).map(" ".join)


@pytest.mark.parametrize("language", [None, "en", "es", "de", "vi", "zh", "hi", "ar"])
@given(data=st.data())
def test_answers_are_scored_as_squad_and_mlqa_define(language: str | None, data: st.DataObject) -> None:
    said, gold = data.draw(texts), data.draw(st.lists(texts, min_size=1, max_size=3))
    normalise = squad_words if language is None else mlqa_words(language)
    wanted = score_by_definition(said, gold, language)
    assert math.isclose(exact(said, gold, normalise), wanted[0], abs_tol=1e-9)
    assert math.isclose(f1(said, gold, normalise), wanted[1], abs_tol=1e-9)


@pytest.mark.parametrize(
    ("language", "text", "words"),
    [
        (None, "The U.S. Army's, an “army”", ["us", "armys", "“army”"]),
        ("en", "The “U.S.” Army", ["us", "army"]),
        ("de", "Die Stadt der Engel", ["stadt", "engel"]),
        ("zh", "在2008年，北京 Olympic games", ["在", "2008", "年", "北", "京", "olympic", "games"]),
        ("ar", "القط في البيت", ["قط", "في", "بيت"]),
    ],
)
def test_normalisation_of_examples_worked_by_hand(language: str | None, text: str, words: list[str]) -> None:
    assert (squad_words if language is None else mlqa_words(language))(text) == words
