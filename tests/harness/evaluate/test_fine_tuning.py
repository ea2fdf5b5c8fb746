"""Items become rows and predictions come back; heads learn what can be learned; what is done is not done again."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from learnable import RECIPE, Letters, Run, Vowels, Which, encoder
from tiny import documents

from harness.batches.keyed import generator
from harness.batches.stream import BEGIN_ID
from harness.corpus.tokenizer import END_ID, Tokenizer
from harness.evaluate.batching import padded, scoring_batches, training_batches
from harness.evaluate.benchmark import Benchmark
from harness.evaluate.driven import Means
from harness.evaluate.formats import find, read_text, squad
from harness.evaluate.predict import answers_said, tags_said
from harness.evaluate.rows import UNSCORED, question_rows, text_rows, word_rows
from harness.evaluate.sides import Protocol
from harness.evaluate.task import Item, QuestionItem, Split, TaggedItem
from harness.store import Store
from sweeps.errors import BadInput

DATA = Path(__file__).resolve().parents[4] / "shared" / "data"


@pytest.fixture(scope="module")
def tokenizer(tiny_store: Callable[[str], Store]) -> Tokenizer:
    store = tiny_store("tasks")
    return Tokenizer(next(path.parent for path in store.tokenizers.glob("*/manifest.json")))


@given(st.text("ab ", max_size=40), st.text("cd ", max_size=40), st.integers(5, 60))
def test_pairs_are_cut_to_the_row_the_longer_side_first(first: str, second: str, most: int) -> None:
    (row,) = text_rows([Item("1", first, "x", second)], ["x"], Letters(), most)
    assert len(row) <= most and row.ids[0] == BEGIN_ID and row.ids[-1] == END_ID
    if second:
        middle = row.ids.index(END_ID)
        assert row.ids[middle + 1] == END_ID
        left, right = middle - 1, len(row) - middle - 3
        if left < len(first) and right < len(second):
            assert abs(left - right) <= 1, "what was cut was cut from the longer"


@given(st.lists(st.text("abc", min_size=0, max_size=9), min_size=1, max_size=30), st.integers(6, 40))
def test_every_word_has_one_prediction_however_long_the_sentence(words: list[str], most: int) -> None:
    labels = ["O", "X"]
    item = TaggedItem("1", tuple(words), tuple(labels[len(word) % 2] for word in words))
    rows = word_rows([item], labels, Letters(), most)
    assert all(len(row) <= most for row in rows)
    told = []
    for row in rows:
        assert isinstance(row.target, list) and len(row.target) == len(row.ids)
        scored = [place for place, target in enumerate(row.target) if target != UNSCORED]
        assert scored == row.words
        told.append(torch.nn.functional.one_hot(torch.tensor([max(0, t) for t in row.target]), 2).float().numpy())
    assert tags_said([item], rows, told, labels) == [item.tags], (
        "predictions that are the targets come back as the tags"
    )


@given(st.data())
def test_a_windowed_answer_comes_back_from_its_places(data: st.DataObject) -> None:
    context = data.draw(st.text("abcd efg", min_size=1, max_size=120))
    start = data.draw(st.integers(0, len(context) - 1))
    end = data.draw(st.integers(start + 1, min(len(context), start + 8)))
    item = QuestionItem("1", "who", context, ((context[start:end], start),))
    rows = question_rows([item], Letters(), 32, 8)
    covered = {place for row in rows for begin, stop in row.offsets for place in range(begin, stop)}
    assert covered == set(range(len(context))), "each character of the context is in a window"
    held = [row for row in rows if row.target != [0, 0]]
    assert held, "windows overlap by more than the answer's length"
    for row in held:
        assert isinstance(row.target, list)
        logits = torch.zeros(len(row), 2)
        logits[row.target[0], 0] = logits[row.target[1], 1] = 9.0
        assert answers_said([item], [row], [logits.numpy()], 30) == [context[start:end].strip()]


@pytest.mark.skipif(not DATA.is_dir(), reason="the benchmarks are not at hand")
@pytest.mark.parametrize("language", ["en", "zh", "ar", "th"])
def test_answers_of_xquad_come_back_through_a_real_tokenizer(tokenizer: Tokenizer, language: str) -> None:
    path = find(DATA / "xquad", f"xquad.{language}.json")
    assert path is not None
    items = [QuestionItem(one.id, one.question, one.context, one.answers) for one in squad(read_text(path)).items[:40]]
    rows = question_rows(items, tokenizer, 384, 128)
    said = {}
    for row in rows:
        assert isinstance(row.target, list)
        if row.target != [0, 0]:
            logits = torch.zeros(len(row), 2)
            logits[row.target[0], 0] = logits[row.target[1], 1] = 9.0
            said[row.item] = answers_said(items, [row], [logits.numpy()], 384)[row.item]
    assert len(said) >= 36, "few answers are longer than what two windows share"
    for index, text in said.items():
        gold = items[index].answers[0][0].strip()
        assert gold in text and len(text) <= len(gold) + 12, "whole tokens around the answer"


def test_ends_of_tokens_cover_the_text_in_every_script(tokenizer: Tokenizer) -> None:
    texts = [text for language in ("en", "ru", "th", "zh", "ar") for text in documents(language, 3)] + ["a𝒳😀é", ""]
    for text, (ids, ends) in zip(texts, tokenizer.encode_with_ends(texts), strict=True):
        assert ids == tokenizer.encode([text])[0]
        assert ends == sorted(ends) and (not ends or ends[-1] == len(text))


@given(st.lists(st.integers(1, 60), min_size=1, max_size=300), st.integers(1, 16))
def test_an_epoch_sees_every_row_once_and_batches_hold_like_lengths(lengths: list[int], batch: int) -> None:
    rows = [[0] * length for length in lengths]
    batches = list(training_batches(rows, batch, seed=0, epoch=0))
    assert sorted(index for each in batches for index in each) == list(range(len(rows)))
    scored = list(scoring_batches(rows, 64))
    assert sorted(index for each in scored for index in each) == list(range(len(rows)))
    assert all(len(each) == 1 or len(each) * max(lengths[i] for i in each) <= 64 for each in scored)


def test_length_batches_hold_half_the_padded_tokens_of_plain_ones() -> None:
    draws = generator(0, "lengths")
    lengths = [min(128, int(length)) for length in draws.lognormal(3.3, 0.6, 4000)]
    rows = [[1] * length for length in lengths]

    def cost(batches: Iterable[Sequence[int]]) -> int:
        return sum(padded([rows[index] for index in batch])[0].numel() for batch in batches)

    plain = [range(first, min(first + 32, len(rows))) for first in range(0, len(rows), 32)]
    assert cost(training_batches(rows, 32, seed=0, epoch=0)) < 0.6 * cost(plain)


@pytest.mark.parametrize(
    ("task", "metric", "at_least"), [(Which(), "accuracy", 0.9), (Vowels(), "f1", 0.9), (Run(), "f1", 0.8)]
)
def test_each_head_learns_what_can_be_learned_and_what_is_done_is_read_again(
    task: Any, metric: str, at_least: float, tmp_path: Path, means: Means, monkeypatch: pytest.MonkeyPatch
) -> None:
    protocol = Protocol(tmp_path, rates=(1e-5, 1e-2), seeds=(0, 1), recipe=RECIPE, select="source")
    benchmark = Benchmark(task, protocol, Letters(), encoder, tmp_path / "kept", means)
    records = benchmark.run()
    row = next(one for one in records if one["metric"] == metric and one["language"] == "en")
    assert row["value"] >= at_least, row
    assert row["details"]["learning_rate"] == 1e-2, "dev chose it"
    assert row["n"] == 40 and len(row["details"]["by_seed"]) == 2
    monkeypatch.setattr("harness.evaluate.benchmark.FineTuning", None)  # nothing may be trained again
    assert Benchmark(task, protocol, Letters(), encoder, tmp_path / "kept", means).run() == records


def test_a_language_without_a_file_is_told_and_the_others_keep_their_results(tmp_path: Path, means: Means) -> None:
    protocol = Protocol(tmp_path, rates=(1e-2,), seeds=(0,), recipe=RECIPE, select="source")
    benchmark = Benchmark(Which(), protocol, Letters(), encoder, tmp_path / "kept", means)
    assert benchmark.sides.problems == ["no is not scored: the language no has no file"]
    records = benchmark.run()
    assert {row["language"] for row in records} == {"en", "xx"}
    with pytest.raises(BadInput, match="no language of which can be scored"):
        Benchmark(Which(), Protocol(tmp_path, languages=("no",)), Letters(), encoder, tmp_path, means)


@pytest.mark.parametrize(
    ("setting", "select", "models"),
    [
        ("zero-shot", "joint", 1),
        ("zero-shot", "each", 1),
        ("translate-train", "each", 2),
        ("translate-train-all", "joint", 1),
    ],
)
def test_settings_train_on_the_sides_they_name(
    tmp_path: Path, means: Means, setting: Any, select: Any, models: int
) -> None:
    protocol = Protocol(
        tmp_path, rates=(1e-2,), seeds=(0,), recipe=RECIPE, setting=setting, select=select, languages=("en", "xx")
    )
    benchmark = Benchmark(Which(), protocol, Letters(), encoder, tmp_path / "kept", means)
    records = benchmark.run()
    assert {row["language"] for row in records} == {"en", "xx"}
    assert len(list((tmp_path / "kept").glob("*-*.json"))) == models
    assert all(row["value"] > 0.85 for row in records)


def test_numbers_are_learned_too(tmp_path: Path, means: Means) -> None:
    class Count(Which):
        name = "count"
        labels = ()

        def read(self, data: Path, split: Split, language: str) -> Iterable[Item]:
            for item in super().read(data, split, "en"):
                yield Item(item.id, item.text, str(float(item.label == "b")))

        def scores(self, items: Sequence[Item], said: Sequence[str], language: str) -> Any:
            from harness.evaluate.metrics import pearson
            from harness.evaluate.task import Score

            gold, found = [float(item.label) for item in items], [float(one) for one in said]
            value = pearson(gold, found)
            return [Score("pearson", 0.0 if math.isnan(value) else value, torch.tensor([gold, found]).T.numpy())]

    protocol = Protocol(tmp_path, rates=(1e-2,), seeds=(0,), recipe=RECIPE, select="source", languages=("en",))
    (row,) = Benchmark(Count(), protocol, Letters(), encoder, tmp_path / "kept", means).run()
    assert row["value"] > 0.8
