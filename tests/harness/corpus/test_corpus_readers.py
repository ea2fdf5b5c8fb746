"""The formats that text comes in: the same documents out of each, and one sentence for what is wrong."""

from __future__ import annotations

import gzip
import html
import json
import lzma
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import zstandard

from harness.corpus.artefact import SIDES, Corpus
from harness.corpus.build import add
from harness.corpus.readers import Reading
from harness.corpus.sources import find_inputs
from harness.corpus.split import SplitRule
from harness.store import Store, read_json
from sweeps.errors import BadInput

RULE = SplitRule(floor=100)
ROWS = [
    {"text": f"  Text {n} & <b>\n\n \u3000\nsecond line é{n} ", "lang": "sw" if n % 3 else "pt_BR"} for n in range(90)
]
PLAIN = [f"Text {n} & <b>\nsecond line é{n}" for n in range(90)]


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "root")


def everything(corpus: Corpus) -> dict[str, list[str]]:
    """All documents by language, sorted."""
    return {
        code: sorted(document for side in SIDES for document in corpus.documents(code, side))
        for code in sorted(corpus.languages)
    }


ALL_SWAHILI = {"sw": sorted(PLAIN)}
BY_RECORD = {
    "pt-BR": sorted(text for n, text in enumerate(PLAIN) if n % 3 == 0),
    "sw": sorted(text for n, text in enumerate(PLAIN) if n % 3),
}


def json_lines(rows: list[dict[str, Any]]) -> bytes:
    return "".join(json.dumps(row, ensure_ascii=n % 2 == 0) + "\n" for n, row in enumerate(rows)).encode()


def wiki(rows: list[dict[str, Any]]) -> bytes:
    """As WikiExtractor writes articles: a header, the title again, the text with &, < and > escaped."""
    return "".join(
        f'<doc id="{n}" url="https://sw.wikipedia.org/wiki?curid={n}" title="A "title" & {n}">\nA "title" &amp; {n}\n\n'
        f"{html.escape(row['text'], quote=False)}\n\n</doc>\n"
        for n, row in enumerate(rows)
    ).encode()


def wiki_json(rows: list[dict[str, Any]]) -> bytes:
    articles = (
        {"id": str(n), "url": "", "title": f"title {n}", "text": html.escape(row["text"], quote=False)}
        for n, row in enumerate(rows)
    )
    return "".join(json.dumps(article) + "\n" for article in articles).encode()


def parquet(rows: list[dict[str, Any]]) -> bytes:
    sink = pa.BufferOutputStream()
    pq.write_table(pa.Table.from_pylist(rows), sink, row_group_size=37)
    return sink.getvalue().to_pybytes()


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("sw.jsonl", json_lines(ROWS)),
        ("sw.json", json_lines(ROWS)),
        ("sw.jsonl.gz", gzip.compress(json_lines(ROWS[:40])) + gzip.compress(json_lines(ROWS[40:]))),
        ("sw.jsonl.zst", zstandard.compress(json_lines(ROWS[:40])) + zstandard.compress(json_lines(ROWS[40:]))),
        ("sw/data.ndjson.xz", lzma.compress(json_lines(ROWS)) + b"\0" * 8),
        ("sw.parquet", parquet(ROWS)),
        ("sw/train-00000-of-00001.parquet", parquet(ROWS)),
        ("sw/AA/wiki_00", wiki(ROWS)),
        ("sw/AA/wiki_00.bz2", None),
        ("sw/AB/wiki_17", wiki_json(ROWS)),
        ("sw.txt", "\n\n".join(PLAIN).encode()),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_each_format_gives_the_same_documents(store: Store, tmp_path: Path, name: str, data: bytes | None) -> None:
    path = tmp_path / "in" / name
    path.parent.mkdir(parents=True)
    if data is None:  # packed by the tool a user would use
        path.with_suffix("").write_bytes(wiki(ROWS))
        subprocess.run(["bzip2", path.with_suffix("")], check=True)
    else:
        path.write_bytes(data)
    corpus = add(store, "mine", [tmp_path / "in"], rule=RULE)
    assert everything(corpus) == ALL_SWAHILI
    assert add(store, "mine", [tmp_path / "in"], rule=RULE) == corpus


def test_the_language_may_stand_in_each_record(store: Store, tmp_path: Path) -> None:
    (tmp_path / "all.jsonl").write_bytes(json_lines(ROWS))
    (tmp_path / "all.parquet").write_bytes(parquet(ROWS))
    reading = Reading(language_field="lang")
    assert everything(add(store, "a", [tmp_path / "all.jsonl"], reading=reading, rule=RULE)) == BY_RECORD
    assert everything(add(store, "b", [tmp_path / "all.parquet"], reading=reading, rule=RULE)) == BY_RECORD
    coded = pa.Table.from_pylist(ROWS)
    coded = coded.set_column(1, "lang", coded["lang"].dictionary_encode())
    pq.write_table(coded, tmp_path / "coded.parquet")
    assert everything(add(store, "d", [tmp_path / "coded.parquet"], reading=reading, rule=RULE)) == BY_RECORD
    both = add(store, "c", [tmp_path / "all.parquet", tmp_path / "all.jsonl"], reading=reading, rule=RULE)
    assert everything(both) == BY_RECORD, "what stands in both files is kept once"
    assert sum(row["duplicates_dropped"] for row in both.manifest["languages"].values()) == 90


def test_the_text_may_stand_in_any_field_and_a_null_is_no_document(store: Store, tmp_path: Path) -> None:
    rows = [{"body": row["text"], "text": "not this"} for row in ROWS] + [{"body": None, "text": "x"}]
    (tmp_path / "sw.jsonl").write_bytes(json_lines(rows))
    (tmp_path / "sw.parquet").write_bytes(parquet(rows))
    for name in ("sw.jsonl", "sw.parquet"):
        corpus = add(store, name, [tmp_path / name], reading=Reading(text_field="body"), rule=RULE)
        assert everything(corpus) == ALL_SWAHILI


def test_data_sets_are_read_from_disk_and_as_the_hub_gives_them(store: Store, tmp_path: Path) -> None:
    datasets = pytest.importorskip("datasets")
    rows = datasets.Dataset.from_list(ROWS)
    datasets.disable_progress_bars()
    rows.save_to_disk(str(tmp_path / "saved" / "sw"))
    datasets.DatasetDict({"train": rows, "test": rows.select([0])}).save_to_disk(str(tmp_path / "both"))
    (tmp_path / "hub" / "data").mkdir(parents=True)
    (tmp_path / "hub" / "data" / "train-00000-of-00001.parquet").write_bytes(parquet(ROWS))
    (tmp_path / "hub" / "data" / "test-00000-of-00001.parquet").write_bytes(parquet(ROWS[:1]))

    saved = add(store, "saved", [tmp_path / "saved"], rule=RULE)
    assert everything(saved) == ALL_SWAHILI
    assert add(store, "saved", [tmp_path / "saved"], rule=RULE) == saved
    reading = Reading(language_field="lang")
    assert everything(add(store, "both", [tmp_path / "both"], reading=reading, rule=RULE)) == BY_RECORD
    mapped = add(store, "hub", [], mapped=[f"sw=hf:{tmp_path / 'hub'}"], rule=RULE)
    assert everything(mapped) == ALL_SWAHILI
    assert add(store, "hub", [], mapped=[f"sw=hf:{tmp_path / 'hub'}"], rule=RULE) == mapped
    named = add(store, "named", [f"hf:{tmp_path / 'hub'}:default@train"], reading=reading, rule=RULE)
    assert everything(named) == BY_RECORD
    with pytest.raises(BadInput, match="hub@nowhere cannot be read through datasets"):
        add(store, "no", [], mapped=[f"sw=hf:{tmp_path / 'hub'}@nowhere"], rule=RULE)
    with pytest.raises(BadInput, match=r"has no field 'words' \(there: text, lang\)"):
        add(store, "no", [], mapped=[f"sw=hf:{tmp_path / 'hub'}"], reading=Reading(text_field="words"), rule=RULE)


def test_without_a_network_a_hub_data_set_is_refused_in_one_sentence(tmp_path: Path) -> None:
    code = (
        "from harness.corpus.build import add; from harness.store import Store; from pathlib import Path\n"
        f"add(Store(Path({str(tmp_path)!r})), 'mine', ['hf:someone/something:20240101.sw'])"
    )
    environment = {**os.environ, "HF_HUB_OFFLINE": "1", "HF_HOME": str(tmp_path / "hf")}
    ended = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True)
    last = ended.stderr.strip().splitlines()[-1]
    assert "BadInput: hf:someone/something:20240101.sw cannot be read through datasets (" in last


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b'{"text": "a"}\n{"text": "b"\n', r"sw.jsonl line 2 is no JSON \(.*\): expected one object a line"),
        (b'{"text": "a"}\n\n["b"]\n', r"sw.jsonl line 3 is no JSON object"),
        (b'[\n{"text": "a"}]\n', r"sw.jsonl line 1 is no JSON"),
        (
            b'{"text": "a"}\n{"body": "b", "id": 1}\n',
            r"sw.jsonl line 2 has no field 'text' \(there: body, id\).*--text",
        ),
        (b'{"text": 3}\n', r"sw.jsonl line 1: the field 'text' is int, not text"),
        (b'{"text": " "}\n', r"sw.jsonl holds no text"),
        (b"[" * 100_000 + b"\n", r"sw.jsonl line 1 is no JSON"),
    ],
)
def test_bad_json_lines_are_named_by_file_line_and_field(
    store: Store, tmp_path: Path, data: bytes, message: str
) -> None:
    (tmp_path / "sw.jsonl").write_bytes(data)
    with pytest.raises(BadInput, match=message) as caught:
        add(store, "mine", [tmp_path / "sw.jsonl"])
    assert "\n" not in str(caught.value)


def test_records_without_a_usable_language_are_named(store: Store, tmp_path: Path) -> None:
    for row, message in (
        ({"text": "a"}, r"all.jsonl line 1 has no field 'lang' \(there: text\).*--language-field"),
        ({"text": "a", "lang": "Swahili"}, r"all.jsonl line 1: the language 'Swahili' is no code"),
        ({"text": "a", "lang": "../sw"}, r"all.jsonl line 1: the language '../sw' is no code"),
        ({"text": "a", "lang": None}, r"all.jsonl line 1: the language None is no code"),
    ):
        (tmp_path / "all.jsonl").write_bytes(json_lines([row]))
        with pytest.raises(BadInput, match=message):
            add(store, "mine", [tmp_path / "all.jsonl"], reading=Reading(language_field="lang"))


def test_bad_parquet_and_cut_articles_are_named(store: Store, tmp_path: Path) -> None:
    (tmp_path / "sw.parquet").write_bytes(parquet(ROWS)[:-10])
    with pytest.raises(BadInput, match=r"sw.parquet is no Parquet file that can be read"):
        add(store, "mine", [tmp_path / "sw.parquet"])
    (tmp_path / "sw.parquet").write_bytes(parquet(ROWS))
    with pytest.raises(BadInput, match=r"sw.parquet has no field 'body' \(there: text, lang\)"):
        add(store, "mine", [tmp_path / "sw.parquet"], reading=Reading(text_field="body"))
    (tmp_path / "sw.parquet").write_bytes(parquet([{"text": 1}]))
    with pytest.raises(BadInput, match=r"sw.parquet: the field 'text' holds int64, not text"):
        add(store, "mine", [tmp_path / "sw.parquet"])
    (tmp_path / "sw").mkdir()
    (tmp_path / "sw" / "wiki_00").write_bytes(wiki(ROWS)[:-7])
    with pytest.raises(BadInput, match=r"wiki_00 ends too early, inside the document 'A \"title\" & 89'"):
        add(store, "mine", [tmp_path / "sw" / "wiki_00"])


def test_text_that_is_not_unicode_is_counted_in_every_format(store: Store, tmp_path: Path) -> None:
    (tmp_path / "a" / "sw").mkdir(parents=True)
    lines = json_lines(ROWS)
    (tmp_path / "a" / "sw.jsonl").write_bytes(lines + b'{"text": "x\xffy"}\n{"text": "lone \\ud800."}\n')
    broken = pa.array([row["text"].encode() for row in ROWS] + [b"x\xffy"], pa.binary())
    text = pa.StringArray.from_buffers(len(broken), broken.buffers()[1], broken.buffers()[2])
    pq.write_table(pa.table({"text": text}), tmp_path / "a" / "sw.parquet")
    (tmp_path / "a" / "sw" / "wiki_00").write_bytes(wiki(ROWS) + b'<doc id="1" title="t">\nx\xffy\n</doc>\n')
    for name, invalid, first in (
        ("sw.jsonl", 2, f"byte {len(lines) + 11}"),
        ("sw.parquet", 1, "row 90"),
        ("sw/wiki_00", 1, "byte "),
    ):
        source = tmp_path / "a" / name
        with pytest.raises(BadInput, match=rf"is not UTF-8 at {first}.*\({invalid} invalid sequences in all\)"):
            add(store, "strict", [source], rule=RULE)
        short = name[-4:].strip("_")
        replaced = add(store, f"r{short}", [source], rule=RULE, reading=Reading(errors="replace"))
        assert "x\ufffdy" in everything(replaced)["sw"]
        dropped = add(store, f"d{short}", [source], rule=RULE, reading=Reading(errors="drop-line"))
        assert everything(dropped) == ALL_SWAHILI
        for corpus in (replaced, dropped):
            assert corpus.manifest["languages"]["sw"]["invalid_utf8"] == invalid
            assert read_json(corpus.folder / "inputs.json")[0]["invalid_utf8"] == invalid


def found(*sources: Path, mapped: tuple[str, ...] = (), **options: Any) -> dict[str, tuple[str, str]]:
    """What each file below the sources is taken for: its language and format, by name."""
    inputs = find_inputs(list(map(str, sources)), mapped, **options).inputs
    return {Path(entry.path).name: (entry.language, entry.format) for entry in inputs}


def test_languages_come_from_names_folders_and_mappings(tmp_path: Path) -> None:
    for name in ("zh-Hans.txt.xz", "my_zaw.txt", "README.md", "sw/AA/wiki_00", "sw/AB/wiki_01", "de/a.txt", ".de.txt"):
        path = tmp_path / "texts" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("text", encoding="utf-8")
    expected = {
        "zh-Hans.txt.xz": ("zh-Hans", "cc100"),
        "my_zaw.txt": ("my-zaw", "cc100"),
        "wiki_00": ("sw", "wikiextractor"),
        "wiki_01": ("sw", "wikiextractor"),
        "a.txt": ("de", "cc100"),
    }
    assert found(tmp_path / "texts") == expected
    assert find_inputs([str(tmp_path / "texts")]).left_aside == (str(tmp_path / "texts" / "README.md"),)
    assert found(tmp_path / "texts", mapped=(f"fr={tmp_path / 'texts' / 'de'}",)) == {
        **expected,
        "a.txt": ("fr", "cc100"),
    }
    assert found(tmp_path / "texts" / "de" / "a.txt") == {"a.txt": ("de", "cc100")}
    assert found(mapped=(f"fr={tmp_path / 'texts' / 'README.md'}",), format="cc100") == {"README.md": ("fr", "cc100")}
    both = (f"fr={tmp_path / 'texts' / 'de'}", f"fr={tmp_path / 'texts' / 'my_zaw.txt'}")
    assert {language for language, _ in found(mapped=both).values()} == {"fr"}


def test_a_language_from_two_unrelated_places_and_odd_mappings_are_refused(tmp_path: Path) -> None:
    for name in ("sw.txt", "sw/a.txt", "sw/b.txt", "other/sw/a.txt"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("text", encoding="utf-8")
    for sources in (["sw.txt", "sw"], ["sw", "other/sw"], ["."]):
        with pytest.raises(BadInput, match=r"the language sw comes twice, as .* and .*--language sw=FILE"):
            found(*(tmp_path / source for source in sources))
    with pytest.raises(BadInput, match="the language sw comes twice"):
        found(tmp_path / "sw.txt", mapped=(f"sw={tmp_path / 'sw'}",))
    for entry in ("sw", "sw=", "Swahili=x.txt", "=x.txt"):
        with pytest.raises(BadInput, match=f"--language {entry} is not understood: write CODE=SOURCE"):
            found(mapped=(entry,))


def test_a_path_that_is_not_utf8_is_refused(tmp_path: Path) -> None:
    folder = tmp_path / os.fsdecode(b"caf\xe9")
    folder.mkdir()
    (folder / "sw.txt").write_bytes(b"text")
    with pytest.raises(BadInput, match=r"the path .*caf.*sw.txt' is not UTF-8: rename"):
        found(tmp_path)


def test_a_walk_does_not_enter_the_root(tmp_path: Path) -> None:
    (tmp_path / "sw.txt").write_text("\n\n".join(PLAIN), encoding="utf-8")
    store = Store(tmp_path / "babelscale-data")
    corpus = add(store, "mine", [tmp_path], rule=RULE)
    assert add(store, "mine", [tmp_path], rule=RULE) == corpus
