"""babelscale bench tokenize: text into shards, against a plain SentencePiece loop over the same documents.

The baseline is `for document in documents: processor.encode(document)` on text that lies in memory already, and keeps
nothing. Ours reads the corpus, encodes, writes, digests, flushes to the disk and puts the shards together.
"""

from __future__ import annotations

import json
import os
import shutil
import statistics
import time
import uuid
from argparse import Namespace
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from harness.corpus import build, demo
from harness.corpus.artefact import SIDES, Corpus, LanguageText, write_corpus
from harness.corpus.shards import ensure_shards
from harness.corpus.tokenizer import Tokenizer, TokenizerSpec, ensure_tokenizer
from harness.store import Store
from harness.verbs.show import console, human
from sweeps.errors import BadInput

PROCESSES = 2
_SAMPLE_BYTES = 3_000_000


def bench(options: Namespace) -> int:
    store = Store(options.root)
    corpus = build.ensure_demo(store) if options.corpus == demo.NAME else Corpus.open(store, options.corpus)
    if corpus is None:
        raise BadInput(f"there is no corpus {options.corpus!r} under {store.root}: babelscale corpus list")
    spec = TokenizerSpec(
        languages=corpus.languages,
        vocabulary=options.vocabulary,
        alpha=0.3,
        algorithm=options.algorithm,
        sample_bytes=_SAMPLE_BYTES,
    )
    tokenizer = ensure_tokenizer(store, corpus, spec)
    # Under the root, so that the shards go to the disk that real ones go to.
    scratch = store.root / f".bench-{uuid.uuid4().hex}"
    try:
        result = _measure(Store(scratch), corpus, tokenizer, options)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    if options.json:
        print(json.dumps(result, indent=1))
        return 0
    speeds = ", ".join(f"{name} {human(value)}B/s" for name, value in result["bytes_per_second"].items())
    console.print(
        f"{human(result['text_bytes'])}B of {corpus.name}, {options.algorithm} of {options.vocabulary:,}: {speeds}; "
        f"one process / plain loop {result['per_core_ratio']:.2f}, "
        f"{PROCESSES} processes / one {result['processes_ratio']:.2f} (medians of {options.repeats} turns, "
        f"{result['cores']} cores)",
        highlight=False,
        soft_wrap=True,
    )
    return 0


def _measure(scratch: Store, corpus: Corpus, tokenizer: Tokenizer, options: Namespace) -> dict[str, Any]:
    text = _repeated(scratch, corpus, options.megabytes * 1_000_000)
    size = sum(text.documents(code, side).path.stat().st_size for code in text.languages for side in SIDES)
    sides = {"plain loop": 0, "one process": 1, f"{PROCESSES} processes": PROCESSES}
    seconds: dict[str, list[float]] = {name: [] for name in sides}
    # Each turn in a process of its own: on a heap that another side has used, the same loop was seen to take half as
    # long again.
    with ProcessPoolExecutor(1, get_context("spawn"), max_tasks_per_child=1) as fresh:
        for _ in range(options.repeats):
            for name, workers in sides.items():  # in turn, so that a slow moment of the machine meets all
                seconds[name].append(fresh.submit(_turn, scratch.root, text.key, tokenizer.folder, workers).result())
                shutil.rmtree(scratch.shards, ignore_errors=True)
    loop, one, many = seconds.values()
    return {
        "corpus": corpus.name,
        "tokenizer": tokenizer.manifest["spec"] | {"languages": len(corpus.languages)},
        "text_bytes": size,
        "cores": os.cpu_count(),
        "repeats": options.repeats,
        "bytes_per_second": {name: size / statistics.median(times) for name, times in seconds.items()},
        "seconds": seconds,
        "per_core_ratio": statistics.median(a / b for a, b in zip(loop, one, strict=True)),
        "processes_ratio": statistics.median(a / b for a, b in zip(one, many, strict=True)),
    }


def _turn(root: Path, corpus: str, tokenizer_folder: Path, workers: int) -> float:
    """Seconds of one side: the plain loop for no workers, else shards written by so many."""
    store, tokenizer = Store(root), Tokenizer(tokenizer_folder)
    text = Corpus.of_key(store, corpus, "bench")
    assert text is not None
    documents = [] if workers else [d for code in text.languages for side in SIDES for d in text.documents(code, side)]
    began = time.perf_counter()
    if workers:
        ensure_shards(store, text, tokenizer, text.languages, workers=workers)
    for document in documents:
        tokenizer.processor.encode(document)
    return time.perf_counter() - began


def _repeated(scratch: Store, corpus: Corpus, wanted: int) -> Corpus:
    """About `wanted` bytes of the corpus: its languages from the largest on, over and over where it holds less.

    Raises BadInput where its largest language alone is more than memory should hold: the plain loop wants a list.
    """
    chosen: list[str] = []
    held = 0
    for code in corpus.languages:
        if held < wanted:
            chosen.append(code)
            held += corpus.train_bytes(code)
    if held > 4 * wanted:
        raise BadInput(
            f"{chosen[0]} alone has {human(held)}B, far more than the {human(wanted)}B to measure: raise --megabytes, "
            "or name a smaller --corpus"
        )
    times = max(1, wanted // held)

    def text(code: str) -> LanguageText:
        train = list(corpus.documents(code, "train"))
        return LanguageText(train * times, list(corpus.documents(code, "heldout")), {})

    texts = ((code, text(code)) for code in chosen)
    return write_corpus(scratch, "bench", {"of": corpus.key, "times": times}, "for bench tokenize", texts, {})
