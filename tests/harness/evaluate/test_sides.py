"""Whose sides train, choose and are scored; a side that is missing costs its language alone; records name the set."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest
from learnable import RECIPE, Letters, Which, encoder

from harness.evaluate.benchmark import Benchmark
from harness.evaluate.driven import Means
from harness.evaluate.rows import text_rows
from harness.evaluate.sides import Protocol, Sides
from harness.evaluate.task import Item, Split
from harness.evaluate.tasks import BY_NAME
from sweeps.errors import BadInput

HERE, ELSEWHERE = Path("here"), Path("elsewhere")


class Some(Which):
    """en, xx and yy: xx has no dev side, yy nothing to train on; `elsewhere` has what en has."""

    def languages(self, data: Path) -> list[str]:
        return ["en", "xx", "yy"]

    def read(self, data: Path, split: Split, language: str) -> Iterable[Item]:
        if (split, language) in (("dev", "xx"), ("train", "yy")) or (data == ELSEWHERE and language != "en"):
            raise BadInput(f"{data} has no {split} side of {language}")
        return super().read(data, split, f"{language}{'' if data == HERE else data}")


def sides(**protocol: Any) -> Sides:
    task = Some()
    return Sides(task, Protocol(HERE, **protocol), lambda items: text_rows(items, task.labels, Letters(), 64))


def chosen(made: Sides, scored: tuple[str, ...] = ("en", "xx", "yy")) -> dict[str, list[str]]:
    return {group: list(found) for group, found in made.dev(("en",), scored).items()}


def test_languages_without_a_dev_side_have_no_say_and_are_named_once() -> None:
    made = sides()
    assert chosen(made) == chosen(made) == {"all": ["en", "yy"]}
    assert made.notes == ["xx has no say in the choice of rate and epoch: here has no dev side of xx"]
    assert made.problems == []


def test_of_models_chosen_each_on_its_own_dev_set_those_without_one_take_that_of_all_others() -> None:
    assert chosen(sides(select="each")) == {"en": ["en"], "yy": ["yy"], "all": ["en", "yy"]}
    assert chosen(sides(select="each"), ("en", "yy")) == {"en": ["en"], "yy": ["yy"]}


def test_where_no_scored_language_has_a_dev_side_the_sources_chooses() -> None:
    assert chosen(sides(), ("xx",)) == {"all": ["en"]}


@pytest.mark.parametrize(("select", "scored"), [("source", ("yy",)), ("joint", ("en", "yy")), ("joint", ("yy",))])
def test_a_dev_side_from_elsewhere_is_the_sources_under_every_choice(select: Any, scored: tuple[str, ...]) -> None:
    made = sides(select=select, dev=ELSEWHERE)
    (found,) = made.dev(("en",), scored).values()
    assert found["en"].items == list(Some().read(ELSEWHERE, "dev", "en")) != list(Some().read(HERE, "dev", "en"))
    assert list(found) == (["en"] if select == "source" else sorted({"en", "yy"}, key=[*scored, "en"].index))


def test_without_any_dev_side_the_way_out_is_named() -> None:
    made = Sides(Some(), Protocol(HERE, select="source"), lambda items: [])
    with pytest.raises(BadInput, match=r"xx has no dev side that could choose the epoch: .* named with --dev"):
        made.dev(("xx",), ("xx",))


def test_translated_training_sides_that_are_missing_cost_their_language_alone() -> None:
    each, together = sides(setting="translate-train"), sides(setting="translate-train-all")
    assert each.models(("en", "xx", "yy")) == {"en": (("en",), ("en",))}
    assert [problem.split(":")[0] for problem in each.problems] == ["yy is not scored", "xx is not scored"]
    assert "has no train side of yy" in each.problems[0] and "no dev side" in each.problems[1]
    assert together.models(("en", "xx", "yy")) == {"all": (("en", "xx"), ("en", "xx", "yy"))}
    assert together.problems == ["yy is not trained on: here has no train side of yy"]
    with pytest.raises(BadInput, match="no language of which can be trained on: yy is not scored"):
        sides(setting="translate-train").models(("yy",))


def test_a_source_without_training_items_says_how_another_set_is_named() -> None:
    with pytest.raises(BadInput, match=r"here has no train side of yy \(another set to train on is named with --train"):
        sides().training("yy")


def test_records_say_on_what_was_trained_and_which_dev_sets_chose(tmp_path: Path, means: Means) -> None:
    protocol = Protocol(HERE, train=ELSEWHERE, rates=(1e-2,), seeds=(0,), recipe=RECIPE)
    records = Benchmark(Some(), protocol, Letters(), encoder, tmp_path, means).run()
    assert [row["language"] for row in records] == ["en", "xx", "yy"]
    for row in records:
        assert row["details"]["train"] == "elsewhere" and row["details"]["trained_on"] == {"en": 96}
        assert row["details"]["chosen_on"] == ["en", "yy"]


def test_translate_train_keeps_the_results_of_the_languages_that_it_can_train(tmp_path: Path, means: Means) -> None:
    protocol = Protocol(HERE, setting="translate-train", rates=(1e-2,), seeds=(0,), recipe=RECIPE)
    benchmark = Benchmark(Some(), protocol, Letters(), encoder, tmp_path, means)
    records = benchmark.run()
    assert {row["language"]: row["details"]["trained_on"] for row in records} == {"en": {"en": 96}}
    assert len(benchmark.sides.problems) == 2


def test_squads_own_files_are_of_english_alone(tmp_path: Path) -> None:
    (tmp_path / "dev-v1.1.json").write_text('{"data": []}', encoding="utf-8")
    xquad: Any = BY_NAME["xquad"]
    assert list(xquad.read(tmp_path, "dev", "en")) == []
    with pytest.raises(BadInput, match=r"has no dev-v1\.1\.json of de: leave de out"):
        list(xquad.read(tmp_path, "dev", "de"))


@pytest.mark.parametrize(
    ("name", "files"),
    [
        ("xnli", ("xnli.dev.tsv",)),
        ("conll", ("esp.testa",)),
        ("sib200", ("eng_Latn/dev.tsv",)),
        ("mlqa", ("dev-context-de-question-de.json",)),
        ("udpos", ("dev-de.tsv",)),
        ("ud-pos", ("UD_German-GSD/de_gsd-ud-dev.conllu",)),
    ],
)
def test_a_benchmark_of_which_dev_alone_is_at_hand_is_found_when_dev_is_what_is_scored(
    name: str, files: tuple[str, ...], tmp_path: Path
) -> None:
    from harness.evaluate.data import scored

    for file in files:
        (tmp_path / file).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / file).write_text("language\tgold_label\nde\tneutral\n", encoding="utf-8")
    task = scored(BY_NAME[name], tmp_path, "dev")
    assert task.test_split == "dev" and len(task.languages(tmp_path)) == 1
    if name != "udpos":  # which scores dev by default
        with pytest.raises(BadInput):
            BY_NAME[name].languages(tmp_path)
