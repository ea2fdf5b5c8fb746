"""The artefacts that a run stands on: corpus, tokenizer, shards; and its batch stream over them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from harness.batches.masking import MaskSplit
from harness.batches.stream import BatchStream, rows_of
from harness.corpus.artefact import Corpus
from harness.corpus.shard_files import shard_damage
from harness.corpus.shards import Shard, Split, ensure_shards, open_shard, shard_key
from harness.corpus.tokenizer import (
    Notice,
    Tokenizer,
    TokenizerSpec,
    ensure_tokenizer,
    tokenizer_damage,
    tokenizer_key,
)
from harness.store import Store
from sweeps.errors import BadInput
from sweeps.sampling import TextSize, run_distribution


def corpus_of(store: Store, science: Mapping[str, Any]) -> Corpus:
    corpus = Corpus.of_key(store, science["corpus"], science["corpus"])
    if corpus is None:
        raise BadInput(
            f"the corpus {science['corpus']} is not under {store.root}: add it again with babelscale corpus add"
        )
    return corpus


def tokenizer_spec(science: Mapping[str, Any]) -> TokenizerSpec:
    block = science["tokenizer"]
    return TokenizerSpec(**block | {"languages": tuple(block["languages"])})


def open_tokenizer(store: Store, science: Mapping[str, Any]) -> Tokenizer:
    """The run's tokenizer, trained now if the store lacks it."""
    return ensure_tokenizer(store, corpus_of(store, science), tokenizer_spec(science))


def open_shards(store: Store, science: Mapping[str, Any], split: Split) -> dict[str, Shard]:
    """One split of every language of the run, written now if the store lacks it; of training text what it may use."""
    corpus, tokenizer = corpus_of(store, science), open_tokenizer(store, science)
    folders = ensure_shards(store, corpus, tokenizer, science["languages"])
    shards = {language: open_shard(folder, split) for language, folder in folders.items()}
    if split == "train" and "text_bytes" in science:
        return {language: shard.first(science["text_bytes"]) for language, shard in shards.items()}
    return shards


def prepare_shared(
    store: Store,
    sciences: Iterable[Mapping[str, Any]],
    *,
    workers: int,
    show: Callable[[str, int, int], None],
    notice: Notice | None = None,
) -> None:
    """Tokenizers and shards of many runs, each once, with `workers` processes.

    `show` is told the phase (tokenizer, shards), how much of it is done and how much there is (tokenizers counted;
    bytes of text encoded of one tokenizer's shards); what it raises ends the work, which a later call takes up.
    """
    wanted: dict[str, tuple[Corpus, TokenizerSpec, dict[str, None]]] = {}
    for science in sciences:
        corpus, spec = corpus_of(store, science), tokenizer_spec(science)
        entry = wanted.setdefault(tokenizer_key(corpus.key, spec), (corpus, spec, {}))
        entry[2].update(dict.fromkeys(science["languages"]))
    for number, (corpus, spec, languages) in enumerate(wanted.values()):
        show("tokenizer", number, len(wanted))
        tokenizer = ensure_tokenizer(store, corpus, spec, notice)
        ensure_shards(
            store,
            corpus,
            tokenizer,
            languages,
            workers=workers,
            progress=lambda done, total: show("shards", done, total),
            notice=notice,
        )


def is_prepared(store: Store, science: Mapping[str, Any]) -> bool:
    """Whether the run's tokenizer and shards are there, by their sizes."""
    key = tokenizer_key(science["corpus"], tokenizer_spec(science))
    if tokenizer_damage(store.tokenizers / key) is not None:
        return False
    return all(shard_damage(store.shards / shard_key(key, code)) is None for code in science["languages"])


def open_stream(store: Store, science: Mapping[str, Any]) -> BatchStream:
    """The run's batches. The distribution counts bytes of training text, unless its science says otherwise.

    Raises BadInput where the tokenizer and the model have tables of different sizes, or a language fills no row.
    """
    tokenizer, rows = open_tokenizer(store, science), science["model"]["vocabulary"]
    if tokenizer.table_rows != rows:
        raise BadInput(
            f"the tokenizer {tokenizer.folder} has {tokenizer.table_rows} rows with its special ones, the run's model "
            f"{rows}: set model.vocabulary to the tokenizer's {tokenizer.vocabulary} pieces, or submit the study again"
        )
    shards = open_shards(store, science, "train")
    held = {
        language: TextSize(shard.text_bytes, shard.text_tokens, shard.documents, rows_of(shard, science["row_tokens"]))
        for language, shard in shards.items()
    }
    split = science.get("mask_split", {})
    try:
        return BatchStream(
            shards,
            run_distribution(science, held),
            seed=science["seed"],
            tokens_per_row=science["row_tokens"],
            mask_rate=science["mask_rate"],
            vocabulary=science["model"]["vocabulary"],
            split=MaskSplit(**split),
            word_starts=tokenizer.word_starts() if science.get("whole_word") else None,
        )
    except ValueError as error:
        raise BadInput(str(error)) from error
