"""Shards: what they hold, that nothing but the text decides it, and that damage is named and mended."""

from __future__ import annotations

import hashlib
import itertools
import json
import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from tiny import SENTENCES, make_corpus

from harness import cli
from harness.corpus import chunks
from harness.corpus.artefact import SIDES, Corpus
from harness.corpus.chunks import chunks_of, write_chunk
from harness.corpus.shard_files import shard_damage, verify_shard
from harness.corpus.shards import ensure_shard, ensure_shards, open_shard, shard_key
from harness.corpus.tokenizer import END_ID, Tokenizer, TokenizerSpec, ensure_tokenizer
from harness.corpus.verify import verify_all
from harness.store import Store
from sweeps.errors import BadInput

LANGUAGES = tuple(SENTENCES)


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    return Store(tmp_path_factory.mktemp("shards"))


@pytest.fixture(scope="module")
def corpus(store: Store) -> Corpus:
    return make_corpus(store, "tiny", {code: 40 + 10 * number for number, code in enumerate(LANGUAGES)})


@pytest.fixture(scope="module")
def tokenizer(store: Store, corpus: Corpus) -> Tokenizer:
    return ensure_tokenizer(
        store, corpus, TokenizerSpec(languages=LANGUAGES, vocabulary=600, alpha=0.3, sample_bytes=60_000)
    )


@pytest.fixture
def elsewhere(tmp_path: Path) -> Store:
    return Store(tmp_path / "elsewhere")


def contents(store: Store) -> dict[str, str]:
    return {
        str(path.relative_to(store.shards)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(store.shards.rglob("*"))
        if path.is_file() and path.suffix != ".lock"
    }


@pytest.mark.parametrize("side", SIDES)
def test_a_shard_holds_every_document_closed_and_where_it_begins(
    store: Store, corpus: Corpus, tokenizer: Tokenizer, side: str
) -> None:
    for language in ("en", "zh", "th"):
        shard = open_shard(ensure_shard(store, corpus, tokenizer, language), side)  # type: ignore[arg-type]
        texts = list(corpus.documents(language, side))  # type: ignore[arg-type]
        expected = [[*ids, END_ID] for ids in tokenizer.encode(texts)]
        found = [
            shard.ids[int(first) : int(stop)].tolist()
            for first, stop in zip(shard.offsets, shard.offsets[1:], strict=False)
        ]
        assert found == expected and int(shard.offsets[-1]) == len(shard.ids)
        assert (shard.documents, shard.text_tokens) == (len(texts), sum(map(len, expected)) - len(texts))
        assert shard.text_bytes == sum(len(text.encode()) for text in texts)
        assert shard.bytes_of_documents(2, 7) == sum(len(text.encode()) for text in texts[2:7])


def test_the_bytes_of_the_first_ids_are_whole_documents_and_a_share_of_the_one_that_is_cut(
    store: Store, corpus: Corpus, tokenizer: Tokenizer
) -> None:
    shard = open_shard(ensure_shard(store, corpus, tokenizer, "ru"), "train")
    found = [shard.bytes_before(token) for token in range(len(shard.ids) + 1)]
    assert found[0] == 0 and found[-1] == shard.text_bytes
    assert all(before <= after for before, after in itertools.pairwise(found))
    assert [found[int(offset)] for offset in shard.offsets] == shard.byte_offsets.tolist()


def test_the_first_of_a_text_are_whole_documents_within_the_bytes_that_were_asked_for(
    store: Store, corpus: Corpus, tokenizer: Tokenizer
) -> None:
    shard = open_shard(ensure_shard(store, corpus, tokenizer, "ru"), "train")
    for count in (1, 2, shard.documents - 1):
        asked = shard.bytes_of_documents(0, count)
        for text_bytes in (asked, asked + 1):  # the next document is longer than a byte
            part = shard.first(text_bytes)
            assert (part.documents, part.text_bytes) == (count, asked)
            assert part.ids.tolist() == shard.ids[: int(shard.offsets[count])].tolist()
            assert part.text_tokens == len(part.ids) - count and part.byte_offsets[-1] == asked
            assert part.bytes_before(len(part.ids)) == asked
    assert shard.first(1).documents == 1, "never nothing"
    assert shard.first(shard.text_bytes) is shard.first(10**12) is shard


@pytest.mark.parametrize("vocabulary, dtype", [(90, np.uint8), (340, np.uint16)])
def test_ids_take_the_smallest_unsigned_type_that_holds_the_table(
    store: Store, corpus: Corpus, vocabulary: int, dtype: type
) -> None:
    spec = TokenizerSpec(
        languages=("en", "de"), vocabulary=vocabulary, alpha=0.3, sample_bytes=20_000, byte_fallback=False,
        algorithm="bpe",
    )  # fmt: skip
    small = ensure_tokenizer(store, corpus, spec)
    assert open_shard(ensure_shard(store, corpus, small, "en"), "train").ids.dtype == dtype


def test_neither_workers_nor_where_a_chunk_ends_change_a_token(
    store: Store,
    corpus: Corpus,
    tokenizer: Tokenizer,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(chunks, "CHUNK_BYTES", 1_000)
    monkeypatch.setattr("harness.corpus.shards._ALONE_BYTES", 0)
    made = []
    for workers in (1, 3):
        there = Store(tmp_path / str(workers))
        ensure_shards(there, corpus, tokenizer, ["en", "ja", "ka"], workers=workers)
        made.append(contents(there))
        assert not list(there.shards.glob(".*.work"))
    assert made[0] == made[1]
    whole = ensure_shard(store, corpus, tokenizer, "ja")
    cut = tmp_path / "1" / "shards" / whole.name
    assert len(json.loads((cut / "manifest.json").read_text(encoding="utf-8"))["splits"]["train"]["pieces"]) > 3
    for side in SIDES:
        for name in ("ids", "offsets", "bytes"):
            assert (cut / f"{side}.{name}").read_bytes() == (whole / f"{side}.{name}").read_bytes()
    assert verify_shard(cut) is None


def test_a_stopped_sharding_goes_on_at_the_first_chunk_that_is_missing(
    elsewhere: Store, corpus: Corpus, tokenizer: Tokenizer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(chunks, "CHUNK_BYTES", 1_000)
    work = elsewhere.shards / f".{shard_key(tokenizer.key, 'el')}.work"
    every = chunks_of(corpus.documents("el", "train"), tokenizer, work)
    for chunk in every[:2]:
        write_chunk(chunk, lambda count: None)
    told: list[tuple[int, int]] = []
    ensure_shards(
        elsewhere, corpus, tokenizer, ["el"], workers=1, progress=lambda done, total: told.append((done, total))
    )
    total = sum(corpus.documents("el", side).bytes_of(0, len(corpus.documents("el", side))) for side in SIDES)
    assert told[-1] == (total, total)
    kept = sum(corpus.documents("el", "train").bytes_of(chunk.start, chunk.stop) for chunk in every[:2])
    assert told[0][0] > kept
    assert len(told) == len(every) - 2 + len(chunks_of(corpus.documents("el", "heldout"), tokenizer, work))
    assert verify_shard(elsewhere.shards / shard_key(tokenizer.key, "el")) is None and not work.exists()


def cut_short(path: Path) -> None:
    os.truncate(path, path.stat().st_size - 2)


def flip_a_bit(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


@pytest.mark.parametrize("name", ["train.ids", "heldout.offsets", "train.bytes"])
@pytest.mark.parametrize("damage, quick", [(cut_short, True), (Path.unlink, True), (flip_a_bit, False)])
def test_a_damaged_file_is_named_and_rebuilt_as_it_was(
    elsewhere: Store,
    corpus: Corpus,
    tokenizer: Tokenizer,
    name: str,
    damage: Callable[[Path], None],
    quick: bool,
) -> None:
    folder = ensure_shard(elsewhere, corpus, tokenizer, "he")
    sound = contents(elsewhere)
    damage(folder / name)
    assert name in (verify_shard(folder) or "")
    told: list[str] = []
    if quick:
        with pytest.raises(BadInput, match=name):
            open_shard(folder, "train" if name.startswith("train") else "heldout")
        ensure_shards(elsewhere, corpus, tokenizer, ["he"], notice=told.append)
        assert len(told) == 1 and name in told[0]
    else:
        assert shard_damage(folder) is None
        return  # `babelscale tokenizer verify --repair` mends it, below
    assert contents(elsewhere) == sound


def test_verify_names_what_is_damaged_and_repair_mends_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    store = Store(tmp_path)
    corpus = make_corpus(store, "tiny", {"en": 80, "ru": 40})
    spec = TokenizerSpec(languages=("en", "ru"), vocabulary=340, alpha=0.3, sample_bytes=20_000)
    tokenizer = ensure_tokenizer(store, corpus, spec)
    folders = ensure_shards(store, corpus, tokenizer, ["en", "ru"])
    sound = contents(store)
    model = tokenizer.folder / "sentencepiece.model"
    model_bytes = model.read_bytes()
    root = ["--root", str(tmp_path)]

    assert cli.main(["tokenizer", "verify", *root]) == 0
    flip_a_bit(folders["ru"] / "train.ids")
    flip_a_bit(model)
    assert {(entry.kind, entry.language) for entry in verify_all(store, corpus) if entry.damage} == {
        ("tokenizer", ""),
        ("shard", "ru"),
    }
    capsys.readouterr()
    assert cli.main(["tokenizer", "verify", *root]) == 1
    assert "train.ids" in capsys.readouterr().out
    assert cli.main(["tokenizer", "verify", "--repair", "--json", *root]) == 0
    mended = [row for row in json.loads(capsys.readouterr().out) if row["damage"]]
    assert [row["repair"] for row in mended] == ["made anew"] * 2
    assert contents(store) == sound and model.read_bytes() == model_bytes
    assert cli.main(["tokenizer", "verify", *root]) == 0


def test_the_verb_shows_tokenizers_and_their_statistics(
    store: Store, tokenizer: Tokenizer, capsys: pytest.CaptureFixture[str]
) -> None:
    root = ["--root", str(store.root)]
    assert cli.main(["tokenizer", "list", "--json", *root]) == 0
    listed = {row["key"]: row for row in json.loads(capsys.readouterr().out)}
    assert listed[tokenizer.key]["vocabulary"] == 600 and listed[tokenizer.key]["corpus"] == "tiny"
    assert cli.main(["tokenizer", "stats", tokenizer.key, "--json", *root]) == 0
    assert json.loads(capsys.readouterr().out)["statistics"] == tokenizer.manifest["statistics"]
    assert cli.main(["tokenizer", "stats", tokenizer.key, *root]) == 0
    assert "tokens/word" in capsys.readouterr().out
    assert cli.main(["tokenizer", "stats", "zzz", *root]) == 2
    assert tokenizer.key in capsys.readouterr().err
