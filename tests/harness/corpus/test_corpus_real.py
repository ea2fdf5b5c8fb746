"""Real text through every reader, against counts made with standard tools and with none of the code under test."""

from __future__ import annotations

import csv
import gzip
import json
import subprocess
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import zstandard

from harness.corpus.artefact import SIDES, Corpus
from harness.corpus.build import add
from harness.corpus.readers import Reading
from harness.corpus.split import SplitRule
from harness.corpus.spread import Place
from harness.store import Store

DATA = Path(__file__).resolve().parents[4] / "shared" / "data" / "pretrain"
LANGUAGES = ("sw", "ka", "th", "yue", "zh-Hant", "fy")
RULE = SplitRule(floor=1000)

pytestmark = pytest.mark.skipif(not DATA.is_dir(), reason="the pretraining text is not beside the repository")

AWK = r"""
# Documents and their bytes: records are separated by blank lines; lines are stripped of blanks, their feeds counted.
BEGIN { RS = ""; FS = "\n" }
{
  text = ""
  for (i = 1; i <= NF; i++) {
    line = $i; gsub(/^[ \t\r]+|[ \t\r]+$/, "", line)
    if (line != "") text = (text == "" ? line : text "\n" line)
  }
  if (text == "") next
  documents++
  if (!(text in seen)) { seen[text] = 1; distinct++; bytes += length(text) }
}
END { printf "%d %d %d\n", documents, distinct, bytes }
"""


def counted(packed: Path) -> tuple[int, int, int]:
    """Documents, distinct ones, and the bytes of those: by xz and awk."""
    command = 'xz -dc "$0" | LC_ALL=C awk "$1"'
    ended = subprocess.run(["sh", "-c", command, packed, AWK], capture_output=True, text=True, check=True)
    documents, distinct, size = map(int, ended.stdout.split())
    return documents, distinct, size


def texts(language: str) -> list[str]:
    text = subprocess.run(["xz", "-dc", DATA / f"{language}.txt.xz"], capture_output=True, check=True).stdout.decode()
    return text.strip("\n").split("\n\n")


def assert_counts(corpus: Corpus, language: str) -> None:
    documents, distinct, size = counted(DATA / f"{language}.txt.xz")
    row = corpus.manifest["languages"][language]
    assert row["documents"] + row["heldout_documents"] == distinct
    assert row["duplicates_dropped"] == documents - distinct
    assert row["bytes"] + row["heldout_bytes"] == size
    assert row["invalid_utf8"] == 0
    both = [document for side in SIDES for document in corpus.documents(language, side)]
    assert sum(map(len, both)) == row["characters"] + row["heldout_characters"]


@pytest.fixture(scope="module")
def packed(tmp_path_factory: pytest.TempPathFactory) -> Corpus:
    """The corpus as the files give it."""
    root = tmp_path_factory.mktemp("packed")
    files = [DATA / f"{language}.txt.xz" for language in LANGUAGES]
    return add(Store(root), "real", files, rule=RULE, place=Place(workers=1))


def test_the_files_as_they_are_match_the_count_of_standard_tools(packed: Corpus) -> None:
    assert {*packed.languages} == {*LANGUAGES}
    for language in LANGUAGES:
        assert_counts(packed, language)


@pytest.mark.parametrize("kind", ["txt.gz", "txt.zst", "parts", "jsonl", "field.jsonl.zst", "parquet", "wiki"])
def test_the_same_text_in_any_format_has_the_same_sides(packed: Corpus, tmp_path: Path, kind: str) -> None:
    reading, folder = Reading(), tmp_path / "in"
    folder.mkdir()
    if kind == "field.jsonl.zst":
        reading = Reading(language_field="lang", text_field="body")
        rows = [{"lang": language, "body": text} for language in LANGUAGES for text in texts(language)]
        lines = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
        (folder / "all.jsonl.zst").write_bytes(zstandard.compress(lines.encode()))
    else:
        for language in LANGUAGES:
            write(folder, kind, language, texts(language))
    corpus = add(Store(tmp_path / "root"), "real", [folder], reading=reading, rule=RULE, place=Place(workers=1))
    for language in LANGUAGES:
        for side in SIDES:
            assert sorted(corpus.documents(language, side)) == sorted(packed.documents(language, side))
        assert corpus.manifest["languages"][language] == packed.manifest["languages"][language]


def write(folder: Path, kind: str, language: str, documents: list[str]) -> None:
    text = "\n\n".join(documents).encode()
    if kind == "txt.gz":
        (folder / f"{language}.txt.gz").write_bytes(gzip.compress(text))
    elif kind == "txt.zst":
        (folder / f"{language}.txt.zst").write_bytes(zstandard.compress(text))
    elif kind == "parts":
        (folder / language).mkdir()
        for number in range(3):
            (folder / language / f"part{number}.txt").write_text("\n\n".join(documents[number::3]), encoding="utf-8")
    elif kind == "jsonl":
        lines = "".join(json.dumps({"text": document, "id": n}) + "\n" for n, document in enumerate(documents))
        (folder / f"{language}.jsonl").write_text(lines, encoding="utf-8")
    elif kind == "parquet":
        pq.write_table(pa.table({"text": documents}), folder / f"{language}.parquet")
    else:
        (folder / language / "AA").mkdir(parents=True)
        articles = (
            f'<doc id="{n}" url="" title="t{n}">\nt{n}\n\n{document}\n</doc>\n' for n, document in enumerate(documents)
        )
        escaped = "".join(articles).replace("&", "&amp;")
        (folder / language / "AA" / "wiki_00").write_text(escaped, encoding="utf-8")


@pytest.mark.slow
def test_all_137_languages_match_the_count_of_standard_tools_and_their_own_manifest(tmp_path: Path) -> None:
    corpus = add(Store(tmp_path), "real", [DATA], rule=RULE, skip_small=True)
    with (DATA / "MANIFEST.tsv").open(encoding="utf-8") as stream:
        rows = list(csv.DictReader(stream, delimiter="\t"))
    assert {*corpus.languages} | {*corpus.manifest["skipped"]} == {row["lang"] for row in rows}
    for language in corpus.languages:
        assert_counts(corpus, language)
        row = corpus.manifest["languages"][language]
        found = row["documents"] + row["heldout_documents"] + row["duplicates_dropped"]
        assert found == sum(int(other["docs"]) for other in rows if other["lang"] == language)
