"""What the split promises: it depends on content alone, and no text stands on two sides."""

from __future__ import annotations

import hashlib
import itertools
import random
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from harness.corpus.artefact import SIDES, Corpus, text_bytes
from harness.corpus.build import add
from harness.corpus.gather import ROW
from harness.corpus.split import SplitRule, choose, is_heldout
from harness.corpus.spread import Place
from harness.store import Store
from sweeps.errors import BadInput

WORDS = st.text(alphabet="abcdé日\u0085\u3000", min_size=1, max_size=8)
DOCUMENTS = st.lists(st.lists(WORDS, min_size=1, max_size=3).map("\n".join), min_size=1, max_size=40)
RULE = SplitRule(share=0.2, floor=1)


def clean(documents: list[str]) -> list[str]:
    """What reading makes of them, told apart from the code under test by going character by character."""
    kept = []
    for document in documents:
        lines = [line.strip() for line in document.split("\n")]
        if text := "\n".join(line for line in lines if line):
            kept.append(text)
    return kept


def hash_of(document: str) -> bytes:
    return hashlib.blake2b(document.encode(), digest_size=16).digest()


def rows_file(path: Path, documents: list[str]) -> Path:
    rows = np.zeros(len(documents), ROW)
    for row, document in zip(rows, documents, strict=True):
        row["high"], row["low"] = np.frombuffer(hash_of(document), ">u8")
        row["bytes"], row["characters"] = len(document.encode()), len(document)
    path.write_bytes(rows.tobytes())
    return path


def by_choice(files: list[list[str]], rule: SplitRule, bucket: int) -> tuple[list[str], list[str]]:
    """Both sides, in order, as `choose` says; each inner list is one file."""
    with TemporaryDirectory() as folder:
        scratch = Path(folder) / "scratch"
        scratch.mkdir()
        paths = [rows_file(Path(folder) / f"{number}.rows", file) for number, file in enumerate(files)]
        choice = choose(paths, rule, scratch, bucket=bucket)
        assert not list(scratch.iterdir())
        sides: tuple[list[str], list[str]] = ([], [])
        first = 0
        for path, file in zip(paths, files, strict=True):
            for side, chosen in zip(sides, choice.sides(np.fromfile(path, ROW), first), strict=True):
                side += [document for document, yes in zip(file, chosen, strict=True) if yes]
            first += len(file)
    return sides


def by_definition(documents: list[str], rule: SplitRule) -> tuple[list[str], list[str]]:
    """The same from the definition, in memory."""
    distinct = list(dict.fromkeys(documents))
    wanted = min(max(rule.share * text_bytes(distinct), rule.floor), rule.ceiling)
    held: set[str] = set()
    for document in sorted(distinct, key=hash_of):
        if text_bytes(held) >= wanted:
            break
        held.add(document)
    return [d for d in distinct if d not in held], [d for d in distinct if d in held]


@given(
    documents=st.lists(st.text("ab", min_size=1, max_size=5), min_size=1, max_size=80),
    cuts=st.lists(st.integers(0, 80), max_size=3),
    share=st.floats(0.01, 0.9),
    floor=st.integers(1, 40),
    room=st.integers(0, 200),
    bucket=st.sampled_from([1, 3, 16, 1000]),
)
@example(documents=["a"] * 50 + ["b"], cuts=[1], share=0.5, floor=1, room=0, bucket=1)
def test_any_bucketing_gives_the_sides_of_the_definition(
    documents: list[str], cuts: list[int], share: float, floor: int, room: int, bucket: int
) -> None:
    rule = SplitRule(share, floor, floor + room)
    edges = [0, *sorted(cuts), len(documents)]
    files = [documents[a:b] for a, b in itertools.pairwise(edges)]
    assert by_choice(files, rule, bucket) == by_definition([d for file in files for d in file], rule)


def test_hashes_that_agree_in_their_first_half_are_told_apart(tmp_path: Path) -> None:
    rows = np.zeros(4, ROW)
    rows["high"], rows["low"], rows["bytes"] = 7, [5, 3, 5, 4], 10
    (tmp_path / "a.rows").write_bytes(rows.tobytes())
    (tmp_path / "scratch").mkdir()
    choice = choose([tmp_path / "a.rows"], SplitRule(share=0.5, floor=1), tmp_path / "scratch")
    train, heldout = choice.sides(rows, 0)
    assert train.tolist() == [True, False, False, False]  # the third repeats the first
    assert heldout.tolist() == [False, True, False, True]


def written(folder: Path, documents: list[str], cuts: list[int]) -> Path:
    """The documents as the files of a folder named by their language."""
    edges = [0, *sorted(min(cut, len(documents)) for cut in cuts), len(documents)]
    (folder / "sw").mkdir(parents=True)
    for number, (a, b) in enumerate(itertools.pairwise(edges)):
        if any(clean(documents[a:b])):
            (folder / "sw" / f"part{number}.txt").write_text("\n\n".join(documents[a:b]) + "\n", encoding="utf-8")
    return folder


def sides_of(corpus: Corpus) -> tuple[list[str], list[str]]:
    train, heldout = (list(corpus.documents("sw", side)) for side in SIDES)
    return train, heldout


@given(documents=DOCUMENTS, cuts=st.lists(st.integers(0, 40), max_size=3), order=st.randoms(use_true_random=False))
@settings(max_examples=40)
def test_no_shuffle_and_no_cut_into_files_moves_a_document_and_none_is_on_two_sides(
    documents: list[str], cuts: list[int], order: random.Random
) -> None:
    shuffled = list(documents)
    order.shuffle(shuffled)
    found = []
    with TemporaryDirectory() as folder:
        for number, (texts, at) in enumerate(((documents, []), (shuffled, cuts))):
            source = written(Path(folder) / str(number), texts, at)
            try:
                train, heldout = sides_of(add(Store(Path(folder) / f"root{number}"), "mine", [source], rule=RULE))
            except BadInput as error:
                found.append(str(error).partition("sw")[2] if "too small" in str(error) else "no text")
                continue
            assert len(train) == len(set(train)) and len(heldout) == len(set(heldout))
            assert not set(train) & set(heldout)
            assert {*train, *heldout} == set(clean(documents))
            found.append((sorted(train), sorted(heldout)))
    assert found[0] == found[1]


@pytest.mark.parametrize(
    "place", [Place(workers=2), Place(workers=3), Place(workers=2, cluster="local")], ids=["two", "three", "jobs"]
)
def test_no_number_of_workers_and_no_cluster_changes_a_byte(tmp_path: Path, place: Place) -> None:
    (tmp_path / "in").mkdir()
    for language, count in (("sw", 700), ("de", 300), ("ur", 90)):
        texts = [f"{language} text {n % (count - 9)}\nits second line {n % (count - 9)}" for n in range(count)]
        (tmp_path / "in" / f"{language}.txt").write_text("\n\n".join(texts), encoding="utf-8")
    alone = add(Store(tmp_path / "alone"), "mine", [tmp_path / "in"], rule=SplitRule(floor=100), place=Place(workers=1))
    spread = add(Store(tmp_path / "spread"), "mine", [tmp_path / "in"], rule=SplitRule(floor=100), place=place)
    assert [alone.manifest["languages"][code]["duplicates_dropped"] for code in alone.languages] == [9, 9, 9]
    files = sorted(path.relative_to(alone.folder) for path in alone.folder.rglob("*") if path.is_file())
    assert files == sorted(path.relative_to(spread.folder) for path in spread.folder.rglob("*") if path.is_file())
    for path in files:
        assert (alone.folder / path).read_bytes() == (spread.folder / path).read_bytes(), path


def test_the_ceiling_bounds_the_heldout_side_to_within_a_document(tmp_path: Path) -> None:
    (tmp_path / "sw.txt").write_text("\n\n".join(f"text {n:04d}" for n in range(1000)), encoding="utf-8")
    corpus = add(Store(tmp_path / "root"), "mine", [tmp_path], rule=SplitRule(0.5, 90, 450))
    assert corpus.manifest["languages"]["sw"]["heldout_bytes"] == 450
    assert corpus.train_bytes("sw") == 9000 - 450


def test_keys_are_held_out_at_about_the_share_and_a_salt_redraws_them() -> None:
    keys = [f"component-{number}" for number in range(2000)]
    held = {key for key in keys if is_heldout(key, 0.1)}
    assert 150 < len(held) < 250
    assert held != {key for key in keys if is_heldout(key, 0.1, "other")}
    assert held == {key for key in reversed(keys) if is_heldout(key, 0.1)}
