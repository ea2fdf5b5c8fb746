"""Bringing text in: what comes out, and what every bad input says."""

from __future__ import annotations

import gzip
import lzma
from pathlib import Path

import pytest

from harness.corpus.artefact import SIDES, Corpus, text_bytes
from harness.corpus.build import add, list_corpora
from harness.corpus.readers import read_documents
from harness.store import Store, file_digest, read_json
from sweeps.errors import BadInput


def documents(language: str, count: int = 60) -> list[str]:
    return [f"{language} document number {n}\nwith a second line é{n}" for n in range(count)]


def write(path: Path, texts: list[str]) -> Path:
    data = ("\n\n".join(texts) + "\n").encode()
    if path.suffix == ".xz":
        data = lzma.compress(data)
    if path.suffix == ".gz":
        data = gzip.compress(data, mtime=0)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    return path


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "root")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("sw.txt", "pt-BR.txt.xz", "zh-Hans.txt.gz"):
        write(tmp_path / "in" / name, documents(name.split(".")[0]))
    return tmp_path / "in"


def test_a_folder_of_plain_xz_and_gz_files_becomes_a_corpus(store: Store, folder: Path) -> None:
    corpus = add(store, "mine", [folder], heldout_floor=200)
    assert set(corpus.languages) == {"sw", "pt-BR", "zh-Hans"}
    for language in corpus.languages:
        train, heldout = (list(corpus.documents(language, side)) for side in SIDES)
        assert sorted(train + heldout) == sorted(documents(language))
        assert not set(train) & set(heldout)
        assert corpus.train_bytes(language) == text_bytes(train)
        assert corpus.manifest["languages"][language]["heldout_bytes"] == text_bytes(heldout) >= 200


def test_what_add_returns_is_what_open_finds_again(store: Store, folder: Path) -> None:
    corpus = add(store, "mine", [folder], heldout_floor=200)
    assert Corpus.open(store, "mine") == corpus
    assert Corpus.open(store, "other") is None
    assert list_corpora(store) == [corpus]


def test_the_same_text_gives_the_same_key_and_the_same_bytes_in_another_root(
    store: Store, folder: Path, tmp_path: Path
) -> None:
    first = add(store, "mine", [folder], heldout_floor=200)
    second = add(Store(tmp_path / "second"), "mine", sorted(folder.iterdir(), reverse=True), heldout_floor=200)
    assert first.key == second.key
    assert (first.folder / "manifest.json").read_bytes() == (second.folder / "manifest.json").read_bytes()
    for relative, expected in first.manifest["digests"].items():
        assert file_digest(second.folder / relative) == expected


def test_files_hold_documents_between_single_blank_lines(store: Store, tmp_path: Path) -> None:
    messy = "\r\n\n  one \r\n\ttwo\n\n\n \n" + "\n\n\n".join(documents("sw")) + "\n\n\n"
    (tmp_path / "sw.txt").write_bytes(b"\xef\xbb\xbf" + messy.encode())
    corpus = add(store, "mine", [tmp_path / "sw.txt"], heldout_floor=100)
    assert "one\ntwo" in {*corpus.documents("sw", "train"), *corpus.documents("sw", "heldout")}
    for side in SIDES:
        text = (corpus.folder / side / "sw.txt").read_text(encoding="utf-8")
        assert "\n\n\n" not in text and not text.startswith("\n") and text.endswith("\n") and not text.endswith("\n\n")
        assert text == "\n\n".join(corpus.documents("sw", side)) + "\n"


def test_repeated_documents_are_dropped_and_counted(store: Store, tmp_path: Path) -> None:
    write(tmp_path / "sw.txt", documents("sw") + documents("sw")[:7])
    corpus = add(store, "mine", [tmp_path / "sw.txt"], heldout_floor=100)
    assert corpus.manifest["languages"]["sw"]["duplicates_dropped"] == 7


def test_a_second_time_nothing_is_written(store: Store, folder: Path) -> None:
    corpus = add(store, "mine", [folder], heldout_floor=200)
    before = {path: path.stat().st_mtime_ns for path in corpus.folder.rglob("*")}
    assert add(store, "mine", [folder], heldout_floor=200) == corpus
    assert {path: path.stat().st_mtime_ns for path in corpus.folder.rglob("*")} == before


def test_a_build_killed_before_its_name_was_written_goes_on_to_the_same_corpus(store: Store, folder: Path) -> None:
    corpus = add(store, "mine", [folder], heldout_floor=200)
    (store.corpora / "mine.json").unlink()
    half = store.corpora / f".{corpus.key}.dead.tmp"
    (half / "train").mkdir(parents=True)
    assert add(store, "mine", [folder], heldout_floor=200) == corpus
    assert read_json(store.corpora / "mine.json") == {"name": "mine", "key": corpus.key}


def test_a_byte_that_is_not_utf8_is_named_by_its_offset_even_across_blocks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("harness.corpus.readers._BLOCK", 5)
    good = "abcé日本\n".encode()
    for bad in (good + b"x\xff\n", good + "日".encode()[:2] + b"\n", good + "日".encode()[:2]):
        (tmp_path / "sw.txt").write_bytes(bad)
        with pytest.raises(BadInput, match=rf"sw\.txt is not UTF-8 at byte {_first_bad(bad)} "):
            list(read_documents(tmp_path / "sw.txt"))


def _first_bad(data: bytes) -> int:
    try:
        data.decode()
    except UnicodeDecodeError as error:
        return error.start
    raise AssertionError("the bytes are UTF-8")


def test_each_bad_input_says_what_and_where(store: Store, tmp_path: Path) -> None:
    good = write(tmp_path / "sw.txt", documents("sw"))
    cut = tmp_path / "cut" / "sw.txt.xz"
    write(cut, documents("sw", 400))
    cut.write_bytes(cut.read_bytes()[:-40])
    cut_gz = write(tmp_path / "cut" / "ur.txt.gz", documents("ur", 400))
    cut_gz.write_bytes(cut_gz.read_bytes()[:-20])
    broken = tmp_path / "broken" / "sw.txt.xz"
    broken.parent.mkdir()
    broken.write_bytes(b"not xz at all, whatever its name says")
    empty = tmp_path / "empty" / "sw.txt"
    empty.parent.mkdir()
    empty.write_bytes(b"\n \n")
    (tmp_path / "nothing").mkdir()
    single = write(tmp_path / "single" / "sw.txt", ["\n".join(f"line {n}" for n in range(2000))])
    small = write(tmp_path / "small" / "sw.txt", documents("sw", 3))
    odd = write(tmp_path / "README.txt", ["text"])
    cases = [
        ([], "no files given"),
        ([tmp_path / "gone.txt"], "gone.txt does not exist"),
        ([tmp_path / "nothing"], "nothing holds no text"),
        ([odd], "README.txt does not say its language"),
        ([good, small], "the language sw comes twice"),
        ([cut], "cut/sw.txt.xz ends too early"),
        ([cut_gz], "cut/ur.txt.gz ends too early"),
        ([broken], "broken/sw.txt.xz is damaged"),
        ([empty], "empty/sw.txt holds no text"),
        ([single], r"single/sw.txt \(sw\) is a single document"),
        ([small], r"small/sw.txt \(sw\) is too small to be split: \d+ bytes in 3 documents"),
    ]
    for sources, message in cases:
        with pytest.raises(BadInput, match=message):
            add(store, "mine", sources)
        assert list_corpora(store) == []
        assert not [path for path in store.corpora.iterdir() if not path.name.endswith(".lock")]


def test_a_taken_name_a_reserved_name_and_odd_options_are_refused(store: Store, folder: Path, tmp_path: Path) -> None:
    add(store, "mine", [folder], heldout_floor=200)
    with pytest.raises(BadInput, match="the name mine is taken by a corpus of other text"):
        add(store, "mine", [folder / "sw.txt"], heldout_floor=200)
    for name, message in (("demo", "belongs to the built-in"), ("a/b", "not usable"), ("", "not usable")):
        with pytest.raises(BadInput, match=message):
            add(store, name, [folder])
    with pytest.raises(BadInput, match=r"held-out share is 1\.5"):
        add(store, "other", [folder], heldout_share=1.5)
    with pytest.raises(BadInput, match="held-out floor is 0"):
        add(store, "other", [folder], heldout_floor=0)
