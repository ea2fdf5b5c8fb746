"""Axes that move together, axes that a profile drops, and what must hold across all cells."""

from __future__ import annotations

import pytest

from sweeps.errors import BadInput
from sweeps.grid import Run, expand
from sweeps.study import Study, parse_study

BASE = """
name: pairs
question: Do they move together?
corpus: text
axes: {languages: [[en, lb], [en, lb, da]], seed: [0, 1]}
recipe:
  model: {layers: 3, width: 32, vocabulary: 4000}
  budget: {batch_tokens: 1024, steps: 700}
  row_tokens: 64
  learning_rate: 0.006
"""


def runs(text: str, sizes: dict[str, int] | None = None) -> list[Run]:
    return expand(parse_study(text, "pairs.yaml"), "key", sizes)


def refused(text: str, sizes: dict[str, int] | None = None) -> str:
    with pytest.raises(BadInput) as caught:
        runs(text, sizes)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_a_pair_is_one_axis_of_several_values() -> None:
    found = runs(BASE + "pairs: [{width: [32, 64], layers: [3, 6]}]\n")
    assert {(run.axes["width"], run.axes["layers"]) for run in found} == {(32, 3), (64, 6)}
    assert len(found) == 2 * 2 * 2


def test_null_in_a_pair_leaves_the_recipes_value() -> None:
    pair = "{sampling.kind: [alpha, unimax], alpha: [1.0, null], sampling.max_epochs: [null, 4]}"
    found = runs(BASE + f"pairs: [{pair}]\n")
    assert {run.axes["alpha"] for run in found} == {1.0, None}
    assert {str(run.science.get("sampling")) for run in found} == {
        "None",
        "{'kind': 'unimax', 'max_epochs': 4.0}",
    }


def test_languages_may_stand_in_a_pair() -> None:
    text = BASE.replace("languages: [[en, lb], [en, lb, da]], ", "")
    found = runs(text + "pairs: [{languages: [[en, lb], [en, lb, da]], vocabulary: [2000, 3000]}]\n")
    assert {(run.axes["K"], run.axes["vocabulary"]) for run in found} == {(2, 2000), (3, 3000)}


@pytest.mark.parametrize(
    ("block", "words"),
    [
        ("pairs: [{width: [32, 64], layers: [3]}]", "the lists of a pair are of one length; width has 2, layers has 1"),
        ("pairs: [{}]", "the lists of a pair are of one length; it names no axis"),
        ("pairs: [{width: [], layers: []}]", "the list is empty"),
        ("pairs: [{wdth: [3]}]", "unknown axis wdth; did you mean width?"),
        ("pairs: [{seed: [3]}]", "seed sets seed, and so does another axis; keep one"),
        ("pairs: [{width: [32]}, {model.width: [64]}]", "width sets model.width, and so does another axis"),
        ("pairs: {width: [32]}", "pairs: input should be a valid"),
    ],
)
def test_a_pair_that_cannot_be_is_refused_with_its_line(block: str, words: str) -> None:
    said = refused(BASE + block + "\n")
    assert words in said and said.startswith("pairs.yaml, line")


def test_null_drops_an_axis_that_a_profile_does_not_want() -> None:
    text = BASE.replace("seed: [0, 1]", "seed: [0, 1], width: [32, 64]")
    assert len(runs(text + "profiles: {one: {axes: {width: null}}}\n")) == 4 == len(runs(text)) // 2


def test_conditions_may_name_an_axis_by_its_path() -> None:
    text = BASE.replace("seed: [0, 1]", "seed: [0], optimizer.beta2: [0.95, 0.98]")
    found = runs(text + "exclude: [optimizer.beta2 > 0.96 and K == 2]\n")
    assert [(run.axes["K"], run.axes["optimizer.beta2"]) for run in found] == [(2, 0.95), (3, 0.95), (3, 0.98)]


def test_the_policy_of_the_tokenizer_is_an_axis_with_a_short_name() -> None:
    found = runs(BASE.replace("seed: [0, 1]", "seed: [0], policy: [frozen-superset, retrained]"))
    assert [(run.axes["K"], run.axes["policy"], len(run.science["tokenizer"]["languages"])) for run in found] == [
        (2, "frozen-superset", 3),
        (2, "retrained", 2),
        (3, "frozen-superset", 3),  # of all languages either way: one run
    ]


def test_text_per_language_is_science_and_an_axis() -> None:
    found = runs(BASE.replace("seed: [0, 1]", "seed: [0], text_bytes: [100000, 1000000]"))
    assert [run.science["text_bytes"] for run in found] == [100_000, 1_000_000] * 2
    assert len({run.id for run in found}) == 4
    assert "text_bytes" not in runs(BASE)[0].science, "a key younger than the first runs leaves their ids alone"


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("[[en, lb], [en, lb, da]]", "[[en, de], [en, lb, da]]", "not nested: en+lb+da lacks de of en+de"),
        ("seed: [0, 1]", "seed: [0], steps: [700, 800]", "cells differ in batch_tokens"),
        ("vocabulary: 4000", "vocabulary: 2000000", "a vocabulary of 2,000,000 cannot be filled from 10,000,000 bytes"),
    ],
)  # fmt: skip
def test_cells_that_differ_in_what_they_should_not_are_refused_unless_it_is_meant(
    old: str, new: str, words: str
) -> None:
    sizes = dict.fromkeys(("en", "lb", "da", "de"), 10**8)
    text = BASE.replace(old, new)
    if "batch_tokens" in words:
        text = text.replace("{batch_tokens: 1024, steps: 700}", "{steps: 700}")
        text += "derive: {batch_tokens: {rule: equal-tokens, tokens: 716800}}\n"
    said = refused(text, sizes)
    assert words in said
    meant = said.split("where that is meant, write ")[1]
    assert runs(text + meant + "\n", sizes)


def test_a_study_is_built_in_python_as_well() -> None:
    built = Study.model_validate(
        {
            "name": "pairs",
            "question": "Do they move together?",
            "corpus": "text",
            "axes": {"languages": [["en", "lb"], ["en", "lb", "da"]], "seed": [0, 1]},
            "recipe": {
                "model": {"layers": 3, "width": 32, "vocabulary": 4000},
                "budget": {"batch_tokens": 1024, "steps": 700},
                "row_tokens": 64,
                "learning_rate": 0.006,
            },
        }
    )
    assert [run.id for run in expand(built, "key")] == [run.id for run in runs(BASE)]
    with pytest.raises(BadInput, match=r"study pairs, axes\.seed: -1 is not a whole number"):
        expand(built.model_copy(update={"axes": built.axes | {"seed": [-1]}}), "key")


def test_a_grid_of_any_size_can_be_forced(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sweeps.grid.MOST_CELLS", 3)
    assert "the grid has 4 points, more than 3; split the study, or add --force" in refused(BASE)
    assert len(expand(parse_study(BASE, "pairs.yaml"), "key", force=True)) == 4
