"""The artefacts that a run stands on: corpus, tokenizer, shards; and its batch stream over them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from harness.batches.stream import BatchStream
from harness.corpus.artefact import Corpus
from harness.corpus.shards import Shard, Split, ensure_shard, open_shard
from harness.corpus.tokenizer import Tokenizer, TokenizerSpec, ensure_tokenizer
from harness.store import Store
from sweeps.errors import BadInput
from sweeps.sampling import language_distribution


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
    """One split of every language of the run, written now if the store lacks it."""
    corpus, tokenizer = corpus_of(store, science), open_tokenizer(store, science)
    return {
        language: open_shard(ensure_shard(store, corpus, tokenizer, language), split)
        for language in science["languages"]
    }


def open_stream(store: Store, science: Mapping[str, Any]) -> BatchStream:
    """The run's batches. The distribution counts bytes of training text."""
    shards = open_shards(store, science, "train")
    sizes = {language: float(shard.text_bytes) for language, shard in shards.items()}
    try:
        return BatchStream(
            shards,
            language_distribution(sizes, science["alpha"]),
            seed=science["seed"],
            tokens_per_row=science["row_tokens"],
            mask_rate=science["mask_rate"],
            vocabulary=science["model"]["vocabulary"],
        )
    except ValueError as error:
        raise BadInput(str(error)) from error
