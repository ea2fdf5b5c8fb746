"""How a study asks for its distribution over languages: strict, and one id for each meaning."""

from __future__ import annotations

import pytest

from sweeps.errors import BadInput
from sweeps.grid import Run, expand
from sweeps.study import parse_study

STUDY = """
name: keys
question: Which distribution?
corpus: text
axes: {{languages: [[en, sw]]{axes}}}
recipe:
  model: {{layers: 1, width: 32, vocabulary: 400}}
  budget: {{batch_tokens: 128, steps: 10}}
  row_tokens: 64
  learning_rate: 0.01
  {recipe}
"""


def run(recipe: str, axes: str = "") -> Run:
    (only,) = expand(parse_study(STUDY.format(recipe=recipe, axes=axes), "keys.yaml"), "key")
    return only


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("{}", "{kind: alpha, alpha: 0.3, count: bytes}"),
        ("{alpha: 0.5}", "{kind: temperature, temperature: 2}"),
        ("{alpha: 0}", "{kind: uniform}"),
        ("{alpha: 0}", "{alpha: 0, count: tokens}"),
    ],
)
def test_two_spellings_of_one_distribution_are_one_run(one: str, other: str) -> None:
    assert run(f"sampling: {one}").id == run(f"sampling: {other}").id


def test_other_distributions_are_other_runs() -> None:
    blocks = ["{}", "{count: tokens}", "{count: documents}", "{kind: uniform}"]
    blocks += ["{kind: unimax, max_epochs: 1}", "{kind: unimax, max_epochs: 4}"]
    assert len({run(f"sampling: {block}").id for block in blocks}) == len(blocks)
    assert run("sampling: {kind: unimax, max_epochs: 4}").id.startswith("k2-unimax-w32")


def test_a_mask_split_is_in_the_id_only_where_it_differs_from_80_10_10() -> None:
    assert run("mask_split: {mask: 0.8}").id == run("").id != run("mask_split: {mask: 1, random: 0}").id


@pytest.mark.parametrize(
    ("recipe", "axes", "words"),
    [
        ("sampling: {kind: uniform, alpha: 0.3}", "", "kind uniform has no alpha; remove alpha, or set kind to alpha"),
        ("sampling: {max_epochs: 3}", "", "kind alpha has no max_epochs; remove max_epochs, or set kind to unimax"),
        ("sampling: {kind: unimax}", "", "kind unimax needs the key max_epochs"),
        ("sampling: {kind: temperature}", "", "kind temperature needs the key temperature"),
        ("sampling: {kind: unimax, max_epochs: 2, count: bytes}", "", "kind unimax has no count"),
        ("sampling: {kind: uniform}", ", alpha: [0.3]", "kind uniform has no alpha"),
        ("mask_split: {mask: 0.9, random: 0.2}", "", "together are more than 1"),
    ],
)
def test_a_key_that_means_nothing_is_refused_in_one_sentence(recipe: str, axes: str, words: str) -> None:
    with pytest.raises(BadInput) as caught:
        run(recipe, axes)
    assert words in str(caught.value) and "\n" not in str(caught.value)


def test_whole_words_and_document_attention_are_in_the_id_only_where_they_are_asked_for() -> None:
    assert run("whole_word: false").id == run("attention: row").id == run("").id
    assert len({run("").id, run("whole_word: true").id, run("attention: document").id}) == 3
    assert run("attention: document").science["model"]["attention"] == "document"
