"""Benchmark files that are broken say where, in one sentence."""

from __future__ import annotations

import json
import lzma
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from harness.evaluate.formats import MOST_WORDS, Text, aligned, conllu, one_of, read_text, squad, table, tagged
from sweeps.errors import BadInput


def text(path: Path, content: str) -> Text:
    path.write_text(content, encoding="utf-8")
    return read_text(path)


def test_packed_files_read_like_plain_ones_with_the_digest_of_their_bytes(tmp_path: Path) -> None:
    plain = text(tmp_path / "a.tsv", "a\tb\nx\t\u2028y\r\n")
    (tmp_path / "a.tsv.xz").write_bytes(lzma.compress("a\tb\nx\t\u2028y\r\n".encode()))
    packed = read_text(tmp_path / "a.tsv.xz")
    assert packed.lines == plain.lines == ["a\tb", "x\t\u2028y"], "only line feeds part lines"
    assert packed.sha256 != plain.sha256
    assert list(table(plain, ["b"])) == [(2, ["\u2028y"])]


TABLE = "language\tgold_label\tsentence1\nen\tneutral\tone\nde\tneutral\n"


@pytest.mark.parametrize(
    ("read", "content", "words"),
    [
        (lambda t: list(table(t, ["premise"])), TABLE, ":1: the column 'premise' is missing; the columns are language"),
        (lambda t: list(table(t, ["sentence1"])), TABLE, ":3: 2 columns, 'sentence1' is number 3"),
        (lambda t: list(tagged(t)), "one O\ntwo\n\n", ":2: a word and its tag were expected"),
        (lambda t: list(tagged(t)), "one NN O\ntwo O\n\n", ":2: 2 columns, the lines before have 3"),
        (lambda t: list(tagged(t)), "a O\n" * (MOST_WORDS + 1), ":1: a sentence of more than"),
        (lambda t: list(conllu(t)), "1\ta\n\n", ":1: 2 columns, CoNLL-U has 10"),
        (squad, '{"data": [\n', ":2: no JSON"),
        (squad, '{"data": [{"paragraphs": [{"qas": []}]}]}', "KeyError: 'context'"),
        (squad, "[1]", "not SQuAD v1.1's JSON"),
    ],
)
def test_what_is_wrong_is_told_with_file_and_line(
    tmp_path: Path, read: Callable[[Text], Any], content: str, words: str
) -> None:
    with pytest.raises(BadInput) as raised:
        read(text(tmp_path / "broken", content))
    assert words in str(raised.value) and str(raised.value).startswith(str(tmp_path / "broken"))


def test_bytes_that_are_no_utf8_a_file_that_is_cut_and_one_that_is_not_there(tmp_path: Path) -> None:
    (tmp_path / "latin").write_bytes("a\nGarc\xeda\n".encode("latin-1"))
    (tmp_path / "cut.xz").write_bytes(lzma.compress(b"a" * 9999)[:-20])
    for name, words in (("latin", ":2: not UTF-8 (byte 0xed)"), ("cut.xz", "ends too early"), ("gone", "is not there")):
        with pytest.raises(BadInput) as raised:
            read_text(tmp_path / name)
        assert words in str(raised.value)


def test_a_label_outside_the_set_names_its_line_and_the_set() -> None:
    with pytest.raises(BadInput, match=r"xnli\.tsv:7: the label 'maybe' is none of entailment, neutral"):
        one_of("maybe", ("entailment", "neutral"), "xnli.tsv:7")


def test_an_answer_that_stands_elsewhere_is_found_and_counted_and_one_that_stands_nowhere_is_kept(
    tmp_path: Path,
) -> None:
    answers = [{"text": "two", "answer_start": 0}, {"text": "nine", "answer_start": 4}]
    paragraph = {"context": "one two", "qas": [{"id": 1, "question": "?", "answers": answers}]}
    found = squad(text(tmp_path / "q.json", json.dumps({"data": [{"paragraphs": [paragraph]}]})))
    assert found.items[0].answers == (("two", 4), ("nine", -1)) and found.astray == ("1",)


def test_multiword_tokens_and_empty_nodes_are_no_words(tmp_path: Path) -> None:
    rows = ["# text = au", "1-2\tau" + "\t_" * 8, "1\tà\t_\tADP" + "\t_" * 6, "2\tle\t_\tDET" + "\t_" * 6]
    rows += ["2.1\tx" + "\t_" * 8, "", "1\tz\t_\tX" + "\t_" * 6]
    found = list(conllu(text(tmp_path / "a.conllu", "\n".join(rows))))
    assert [(one.words, one.tags) for one in found] == [(("à", "le"), ("ADP", "DET")), (("z",), ("X",))]


def test_files_that_are_not_aligned_are_told_with_their_lengths(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=r"2 lines and .*right 1: they are not aligned"):
        aligned(text(tmp_path / "left", "a\nb\n"), text(tmp_path / "right", "a\n"))
