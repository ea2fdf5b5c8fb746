"""What `babelscale corpus` shows: the command itself, on a small corpus."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

COMMAND = Path(sys.executable).with_name("babelscale")


def babelscale(*words: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run([str(COMMAND), *map(str, words)], capture_output=True, text=True, check=False)


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("stats")
    (folder / "in").mkdir()
    for code, count in (("sw", 400), ("pt-BR", 40), ("th", 2)):
        texts = [f"{code} {n}\nsecond line é" for n in range(count)]
        text = "\n\n".join([*texts, texts[0]]) + "\n\n"
        (folder / "in" / f"{code}.txt").write_bytes(text.encode() + b"bad \xff\n")
    added = babelscale(
        *("corpus", "add", "mine", folder / "in", "--root", folder / "root", "--heldout-share", "0.2"),
        *("--heldout-floor", "50", "--heldout-ceiling", "300", "--errors", "replace", "--skip-small"),
        *("--workers", "2"),
    )
    assert added.returncode == 0, added.stderr
    return folder / "root"


def answer(*words: object) -> Any:
    ended = babelscale(*words, "--json")
    assert ended.returncode == 0, ended.stderr
    return json.loads(ended.stdout)


def test_stats_count_every_language_and_all(root: Path) -> None:
    found = answer("corpus", "stats", "mine", "--root", root)
    assert list(found["languages"]) == ["pt-BR", "sw"]
    assert list(found["skipped"]) == ["th"]
    for code, count in (("sw", 400), ("pt-BR", 40)):
        row = found["languages"][code]
        documents = [f"{code} {n}\nsecond line é" for n in range(count)] + ["bad \ufffd"]
        assert row["documents"] + row["heldout_documents"] == len(documents)
        assert row["bytes"] + row["heldout_bytes"] == sum(len(document.encode()) for document in documents)
        assert row["characters"] + row["heldout_characters"] == sum(map(len, documents))
        assert row["duplicates_dropped"] == 1 and row["invalid_utf8"] == 1
    assert found["totals"]["bytes"] == sum(row["bytes"] for row in found["languages"].values())
    assert 300 <= found["languages"]["sw"]["heldout_bytes"] < 300 + 30
    shown = babelscale("corpus", "stats", "mine", "--root", root).stdout
    assert "invalid" in shown and "pt-BR" in shown and "left out th:" in shown


def test_list_shows_what_there_is(root: Path) -> None:
    (row,) = answer("corpus", "list", "--root", root)
    assert row["name"] == "mine" and row["languages"] == 2 and row["duplicates_dropped"] == 2
    assert "mine" in babelscale("corpus", "list", "--root", root).stdout


@pytest.mark.parametrize(("ending", "magic"), [("png", b"\x89PNG"), ("pdf", b"%PDF"), ("svg", b"<?xml")])
def test_the_picture_is_drawn_and_is_the_same_each_time(root: Path, tmp_path: Path, ending: str, magic: bytes) -> None:
    drawn = []
    for number in (1, 2):
        path = tmp_path / f"{number}.{ending}"
        assert babelscale("corpus", "stats", "mine", "--root", root, "--picture", path).returncode == 0
        drawn.append(path.read_bytes())
    assert drawn[0].startswith(magic) and drawn[0] == drawn[1]


def test_a_picture_of_another_kind_and_a_mistyped_option_are_refused_in_one_line(root: Path, tmp_path: Path) -> None:
    for words, message in (
        (("stats", "mine", "--picture", tmp_path / "x.jpg"), "x.jpg is of no kind that is drawn"),
        (("add", "other", "--language", "swahili=x"), "--language swahili=x is not understood"),
        (("add", "other", tmp_path, "--heldout-share", "2"), "the held-out share is 2.0"),
    ):
        ended = babelscale("corpus", *words, "--root", root)
        assert ended.returncode == 2 and message in ended.stderr and ended.stderr.count("\n") == 1
