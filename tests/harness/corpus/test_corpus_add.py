"""Bringing text in: what comes out, and what every bad input says."""

from __future__ import annotations

import bz2
import gzip
import lzma
import os
import subprocess
from pathlib import Path

import pytest
import zstandard

from harness.corpus.artefact import SIDES, Corpus, text_bytes
from harness.corpus.build import add, list_corpora
from harness.corpus.readers import Reading
from harness.corpus.split import SplitRule
from harness.corpus.utf8 import Errors
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
    if path.suffix == ".bz2":
        data = bz2.compress(data)
    if path.suffix == ".zst":
        data = zstandard.compress(data)
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
    corpus = add(store, "mine", [folder], rule=SplitRule(floor=200))
    assert set(corpus.languages) == {"sw", "pt-BR", "zh-Hans"}
    for language in corpus.languages:
        train, heldout = (list(corpus.documents(language, side)) for side in SIDES)
        assert sorted(train + heldout) == sorted(documents(language))
        assert not set(train) & set(heldout)
        assert corpus.train_bytes(language) == text_bytes(train)
        assert corpus.manifest["languages"][language]["heldout_bytes"] == text_bytes(heldout) >= 200


def test_what_add_returns_is_what_open_finds_again(store: Store, folder: Path) -> None:
    corpus = add(store, "mine", [folder], rule=SplitRule(floor=200))
    assert Corpus.open(store, "mine") == corpus
    assert Corpus.open(store, "other") is None
    assert list_corpora(store) == [corpus]


def test_the_same_text_gives_the_same_key_and_the_same_bytes_in_another_root(
    store: Store, folder: Path, tmp_path: Path
) -> None:
    first = add(store, "mine", [folder], rule=SplitRule(floor=200))
    second = add(Store(tmp_path / "second"), "mine", sorted(folder.iterdir(), reverse=True), rule=SplitRule(floor=200))
    assert first.key == second.key
    assert (first.folder / "manifest.json").read_bytes() == (second.folder / "manifest.json").read_bytes()
    for relative, expected in first.manifest["digests"].items():
        assert file_digest(second.folder / relative) == expected


def test_files_hold_documents_between_single_blank_lines(store: Store, tmp_path: Path) -> None:
    messy = "\r\n\n  one \r\n\ttwo\n\n\n \n" + "\n\n\n".join(documents("sw")) + "\n\n\n"
    (tmp_path / "sw.txt").write_bytes(b"\xef\xbb\xbf" + messy.encode())
    corpus = add(store, "mine", [tmp_path / "sw.txt"], rule=SplitRule(floor=100))
    assert "one\ntwo" in {*corpus.documents("sw", "train"), *corpus.documents("sw", "heldout")}
    for side in SIDES:
        text = (corpus.folder / side / "sw.txt").read_text(encoding="utf-8")
        assert "\n\n\n" not in text and not text.startswith("\n") and text.endswith("\n") and not text.endswith("\n\n")
        assert text == "\n\n".join(corpus.documents("sw", side)) + "\n"


def test_repeated_documents_are_dropped_and_counted(store: Store, tmp_path: Path) -> None:
    write(tmp_path / "sw.txt", documents("sw") + documents("sw")[:7])
    corpus = add(store, "mine", [tmp_path / "sw.txt"], rule=SplitRule(floor=100))
    assert corpus.manifest["languages"]["sw"]["duplicates_dropped"] == 7


def test_a_second_time_nothing_is_written(store: Store, folder: Path) -> None:
    corpus = add(store, "mine", [folder], rule=SplitRule(floor=200))
    before = {path: path.stat().st_mtime_ns for path in corpus.folder.rglob("*")}
    assert add(store, "mine", [folder], rule=SplitRule(floor=200)) == corpus
    assert {path: path.stat().st_mtime_ns for path in corpus.folder.rglob("*")} == before


def test_a_build_killed_before_its_name_was_written_goes_on_to_the_same_corpus(store: Store, folder: Path) -> None:
    corpus = add(store, "mine", [folder], rule=SplitRule(floor=200))
    (store.corpora / "mine.json").unlink()
    half = store.corpora / f".{corpus.key}.dead.tmp"
    (half / "train").mkdir(parents=True)
    assert add(store, "mine", [folder], rule=SplitRule(floor=200)) == corpus
    assert read_json(store.corpora / "mine.json") == {"name": "mine", "key": corpus.key}


def test_neither_paths_nor_names_of_files_are_in_the_key(store: Store, folder: Path, tmp_path: Path) -> None:
    first = add(store, "mine", [folder], rule=SplitRule(floor=200))
    moved = tmp_path / "moved" / "sw"
    moved.mkdir(parents=True)
    (folder / "sw.txt").rename(moved / "part.txt")
    again = add(Store(tmp_path / "second"), "mine", [tmp_path / "moved", folder], rule=SplitRule(floor=200))
    assert again.key == first.key
    assert (again.folder / "manifest.json").read_bytes() == (first.folder / "manifest.json").read_bytes()


def test_files_that_were_only_touched_or_moved_are_the_same_corpus_and_changed_ones_are_refused(
    store: Store, folder: Path, tmp_path: Path
) -> None:
    corpus = add(store, "mine", [folder], rule=SplitRule(floor=200))
    os.utime(folder / "sw.txt", (1, 1))
    assert add(store, "mine", [folder], rule=SplitRule(floor=200)) == corpus
    folder = folder.rename(tmp_path / "elsewhere")
    assert add(store, "mine", [folder], rule=SplitRule(floor=200)) == corpus
    write(folder / "sw.txt", documents("sw", 61))
    with pytest.raises(BadInput, match="the name mine is taken by a corpus of other text"):
        add(store, "mine", [folder], rule=SplitRule(floor=200))
    with pytest.raises(BadInput, match="the name mine is taken by a corpus of other text"):
        add(store, "mine", [folder], rule=SplitRule(floor=201))
    assert Corpus.open(store, "mine") == corpus
    assert not list(store.corpora.glob(".*.work")), "a refused add leaves nothing behind"


def test_two_names_of_one_text_share_it(store: Store, folder: Path) -> None:
    one = add(store, "one", [folder], rule=SplitRule(floor=200))
    other = add(store, "other", [folder], rule=SplitRule(floor=200))
    assert one.folder == other.folder
    assert [corpus.name for corpus in list_corpora(store)] == ["one", "other"]


def test_after_bad_input_the_parts_that_were_read_are_not_read_again(
    store: Store, folder: Path, tmp_path: Path
) -> None:
    good = (folder / "zh-Hans.txt.gz").read_bytes()
    (folder / "zh-Hans.txt.gz").write_bytes(good[:-20])
    with pytest.raises(BadInput, match=r"zh-Hans.txt.gz ends too early"):
        add(store, "mine", [folder], rule=SplitRule(floor=200))
    assert list_corpora(store) == []
    assert list(store.corpora.glob(".mine.*.work/parts/*/part.json")), "the largest file was read first"
    # Were it read again, this would be noticed: only the file's size and time tell that it is the same.
    state = (folder / "sw.txt").stat()
    (folder / "sw.txt").write_bytes(b"x" * state.st_size)
    os.utime(folder / "sw.txt", ns=(state.st_atime_ns, state.st_mtime_ns))
    (folder / "zh-Hans.txt.gz").write_bytes(good)
    corpus = add(store, "mine", [folder], rule=SplitRule(floor=200))
    assert sorted([*corpus.documents("sw", "train"), *corpus.documents("sw", "heldout")]) == sorted(documents("sw"))
    assert not list(store.corpora.glob(".*.work"))


def test_each_bad_input_says_what_and_where(store: Store, tmp_path: Path) -> None:
    good = write(tmp_path / "sw.txt", documents("sw"))
    cut = {}
    for number, ending in enumerate((".xz", ".gz", ".zst", ".bz2")):
        cut[ending] = write(tmp_path / f"cut{number}" / f"sw.txt{ending}", documents("sw", 400))
        cut[ending].write_bytes(cut[ending].read_bytes()[:-20])
    broken = [tmp_path / f"broken{number}" / f"sw.txt{ending}" for number, ending in enumerate(cut)]
    for path in broken:
        path.parent.mkdir()
        path.write_bytes(b"not packed at all, whatever its name says")
    flipped = write(tmp_path / "flipped" / "sw.txt.gz", documents("sw", 400))
    data = bytearray(flipped.read_bytes())
    data[len(data) // 2] ^= 0x10
    flipped.write_bytes(bytes(data))
    empty = tmp_path / "empty" / "sw.txt"
    empty.parent.mkdir()
    empty.write_bytes(b"\n \n")
    (tmp_path / "nothing").mkdir()
    single = write(tmp_path / "single" / "sw.txt", ["\n".join(f"line {n}" for n in range(2000))])
    small = write(tmp_path / "small" / "sw.txt", documents("sw", 3))
    odd = write(tmp_path / "README.txt", ["text"])
    unknown = write(tmp_path / "sw.doc", ["text"])
    cases: list[tuple[list[Path], str]] = [
        ([], "no files given"),
        ([tmp_path / "gone.txt"], "gone.txt does not exist"),
        ([tmp_path / "nothing"], "nothing holds no text"),
        ([odd], "README.txt does not say its language"),
        ([unknown], "sw.doc has no ending that names a reader"),
        ([good, small], "the language sw comes twice"),
        *(([path], f"{path.name} ends too early") for path in cut.values()),
        *(([path], f"{path.name} is damaged") for path in broken),
        ([flipped], "sw.txt.gz is damaged"),
        ([empty], "empty/sw.txt holds no text"),
        ([single], r"language sw is too small to be split: \d+ bytes in a single document: put a blank line"),
        ([small], r"language sw is too small to be split: \d+ bytes in 3 documents leave \d+ to train on and \d+ "),
    ]
    for sources, message in cases:
        with pytest.raises(BadInput, match=message) as caught:
            add(store, "mine", sources)
        assert "\n" not in str(caught.value)
        assert list_corpora(store) == []
        left = [path.name for path in store.corpora.iterdir() if not path.name.endswith(".lock")]
        assert len(left) <= 1 and all(name.endswith(".work") for name in left)


def test_small_languages_are_named_with_their_sizes_or_left_out(store: Store, folder: Path) -> None:
    write(folder / "ur.txt", documents("ur", 3))
    write(folder / "de.txt", documents("de", 4))
    with pytest.raises(BadInput, match=r"language de is too small .*held out, and each side needs 200 \(so is ur\)"):
        add(store, "mine", [folder], rule=SplitRule(floor=200))
    corpus = add(store, "mine", [folder], rule=SplitRule(floor=200), skip_small=True)
    assert set(corpus.languages) == {"sw", "pt-BR", "zh-Hans"}
    assert set(corpus.manifest["skipped"]) == {"de", "ur"}
    assert str(text_bytes(documents("ur", 3))) in corpus.manifest["skipped"]["ur"]
    with pytest.raises(BadInput, match="language de is too small"):
        add(store, "other", [folder / "de.txt"], rule=SplitRule(floor=200), skip_small=True)


def test_a_line_without_end_is_refused_before_it_fills_memory(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("harness.corpus.streams.MOST_DOCUMENT_BYTES", 1 << 20)
    monkeypatch.setattr("harness.corpus.readers.MOST_DOCUMENT_BYTES", 1 << 20)
    (tmp_path / "sw.txt").write_bytes(b"word " * (1 << 20))
    with pytest.raises(BadInput, match=r"sw.txt has a line of more than 1 MiB at byte 0 "):
        add(store, "mine", [tmp_path / "sw.txt"])
    monkeypatch.setattr("harness.corpus.gather.MOST_DOCUMENT_BYTES", 1 << 20)
    (tmp_path / "sw.txt").write_bytes(b"word\n" * (1 << 20))
    with pytest.raises(BadInput, match=r"sw.txt holds a document of more than 1 MiB"):
        add(store, "mine", [tmp_path / "sw.txt"])
    (tmp_path / "sw.jsonl").write_bytes(b'{"text": "' + "é".encode() * (1 << 19) + b'."}')
    with pytest.raises(BadInput, match=r"sw.jsonl holds a document of more than 1 MiB"):
        add(store, "mine", [tmp_path / "sw.jsonl"])


def test_invalid_utf8_is_counted_placed_and_dealt_with_as_asked(store: Store, tmp_path: Path) -> None:
    text = "\n\n".join(documents("sw")).encode()
    at = text.index(b"number 7\n")
    bad = text[:at] + b"\xff\xe6\x97" + text[at:] + b"\n\nlast \xc3"
    (tmp_path / "sw.txt").write_bytes(bad)
    with pytest.raises(UnicodeDecodeError) as found:
        bad.decode()
    message = rf"sw\.txt is not UTF-8 at byte {found.value.start} of its text \(3 invalid sequences in all\)"
    with pytest.raises(BadInput, match=message):
        add(store, "strict", [tmp_path], rule=SplitRule(floor=100))
    replaced = add(store, "replaced", [tmp_path], rule=SplitRule(floor=100), reading=Reading(errors="replace"))
    assert "sw document \ufffd\ufffdnumber 7\nwith a second line é7" in everything(replaced)
    assert "last \ufffd" in everything(replaced)
    dropped = add(store, "dropped", [tmp_path], rule=SplitRule(floor=100), reading=Reading(errors="drop-line"))
    assert "with a second line é7" in everything(dropped)
    assert len(everything(dropped)) == 60 and not any("\ufffd" in document for document in everything(dropped))
    for corpus in (replaced, dropped):
        assert corpus.manifest["languages"]["sw"]["invalid_utf8"] == 3
        (read,) = read_json(corpus.folder / "inputs.json")
        assert read["invalid_utf8"] == 3 and read["first_invalid"] == f"byte {found.value.start}"
    assert len({replaced.key, dropped.key}) == 2


@pytest.mark.parametrize("errors", ["strict", "replace", "drop-line"])
def test_where_blocks_are_cut_changes_nothing(
    store: Store, tmp_path: Path, errors: Errors, monkeypatch: pytest.MonkeyPatch
) -> None:
    lines = ["one  \n", "\n", "\r\n", "二日\n", " \u3000\n", "trei\u0085\n", "x\n", "\n", "\n\n", "fünf"]
    found = []
    for number, size in enumerate((1, 3, 5, 1 << 20)):
        monkeypatch.setattr("harness.corpus.streams._BLOCK", size)
        monkeypatch.setattr("harness.corpus.streams._PLAIN_READ", size)
        path = tmp_path / str(number) / "sw.txt"
        path.parent.mkdir()
        path.write_bytes("".join(lines).encode() + (b"" if errors == "strict" else b"\n\n\xff\nsechs"))
        corpus = add(store, f"c{number}", [path], rule=SplitRule(floor=1, ceiling=1), reading=Reading(errors=errors))
        found.append(sorted(everything(corpus)))
    last = {"strict": [], "replace": ["\ufffd\nsechs"], "drop-line": ["sechs"]}[errors]
    assert found == [sorted(["one", "二日", "trei\nx", "fünf", *last])] * 4


def everything(corpus: Corpus) -> list[str]:
    return [document for side in SIDES for document in corpus.documents("sw", side)]


def test_a_full_disk_is_one_sentence_and_the_next_try_goes_on(tmp_path: Path) -> None:
    disk, texts = tmp_path / "disk", tmp_path / "texts"
    disk.mkdir()
    for language in ("sw", "de", "fr"):
        write(texts / f"{language}.txt", documents(language, 20_000))
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=4m", "none", str(disk)], capture_output=True)
    if mounted.returncode:
        pytest.skip("a small disk of its own needs the right to mount one")
    try:
        store = Store(disk)
        with pytest.raises(BadInput, match="no space left on the disk"):
            add(store, "mine", [texts])
        assert list_corpora(store) == []
        kept = {path: path.stat().st_mtime_ns for path in disk.rglob("part.json")}
        assert kept, "the first file fits, and is kept"
        subprocess.run(["mount", "-o", "remount,size=64m", str(disk)], check=True)
        corpus = add(store, "mine", [texts])
        assert {*corpus.languages} == {"sw", "de", "fr"}
        assert not list(disk.rglob("*.tmp"))
    finally:
        subprocess.run(["umount", str(disk)], check=True)


def test_a_taken_name_a_reserved_name_and_odd_options_are_refused(store: Store, folder: Path) -> None:
    add(store, "mine", [folder], rule=SplitRule(floor=200))
    with pytest.raises(BadInput, match="the name mine is taken by a corpus of other text"):
        add(store, "mine", [folder / "sw.txt"], rule=SplitRule(floor=200))
    for name, message in (("demo", "belongs to the built-in"), ("a/b", "not usable"), ("", "not usable")):
        with pytest.raises(BadInput, match=message):
            add(store, name, [folder])
    for rule, message in (
        (SplitRule(share=1.5), r"held-out share is 1\.5"),
        (SplitRule(floor=0), "held-out floor is 0"),
        (SplitRule(floor=10, ceiling=9), "held-out ceiling is 9 bytes, below the floor of 10"),
    ):
        with pytest.raises(BadInput, match=message):
            add(store, "other", [folder], rule=rule)
