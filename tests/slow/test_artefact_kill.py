"""Tokenizer training and sharding, killed at random moments, end with the bytes of ones that were left alone."""

from __future__ import annotations

import hashlib
import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from tiny import SENTENCES, make_corpus

from harness.store import Store

KILLS = 20
DOCUMENTS = 3_000
FOLDERS = {"tokenizer": "tokenizers", "shards": "shards"}
WORK = """
import sys
from harness.corpus import chunks
from harness.corpus.artefact import Corpus
from harness.corpus.shards import ensure_shards
from harness.corpus.tokenizer import TokenizerSpec, ensure_tokenizer
from harness.store import Store

if __name__ == "__main__":
    chunks.CHUNK_BYTES = 40_000
    store = Store(sys.argv[1])
    corpus = Corpus.open(store, "tiny")
    spec = TokenizerSpec(languages=corpus.languages, vocabulary=600, alpha=0.3, sample_bytes=2_000_000)
    tokenizer = ensure_tokenizer(store, corpus, spec)
    if sys.argv[2] == "shards":
        ensure_shards(store, corpus, tokenizer, corpus.languages, workers=2)
"""

pytestmark = pytest.mark.slow


def work(script: Path, root: Path, what: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen([sys.executable, str(script), str(root), what], cwd=Path(__file__).parent.parent.parent)


def contents(root: Path) -> dict[str, str]:
    return {
        str(path.relative_to(root)): hashlib.sha256(path.read_bytes()).hexdigest()
        for folder in ("tokenizers", "shards")
        for path in sorted((root / folder).rglob("*"))
        if path.is_file() and path.suffix != ".lock"
    }


def unfinished(place: Path) -> list[Path]:
    return [path for path in place.iterdir() if path.name.endswith((".work", ".tmp"))]


@pytest.mark.parametrize("what", ["tokenizer", "shards"])
def test_killed_at_random_moments_the_artefacts_come_out_byte_identical(tmp_path: Path, what: str) -> None:
    script = tmp_path / "work.py"
    script.write_text(WORK, encoding="utf-8")
    alone, disturbed = tmp_path / "alone", tmp_path / "disturbed"
    make_corpus(Store(alone), "tiny", dict.fromkeys(SENTENCES, DOCUMENTS))
    if what == "shards":
        assert work(script, alone, "tokenizer").wait(300) == 0
    shutil.copytree(alone, disturbed)
    began = time.monotonic()
    assert work(script, alone, what).wait(300) == 0
    whole = time.monotonic() - began

    place = disturbed / FOLDERS[what]
    moments, landed = random.Random(what), 0
    for _ in range(KILLS):
        if landed and not unfinished(place):  # it got to the end: from the beginning again
            shutil.rmtree(place)
            place.mkdir()
        process = work(script, disturbed, what)
        time.sleep(whole * moments.uniform(0.1, 0.95))
        process.send_signal(signal.SIGKILL)
        landed += process.wait() == -signal.SIGKILL
    assert landed >= KILLS // 2, "the kills came after the work"
    assert work(script, disturbed, what).wait(300) == 0
    assert contents(disturbed) == contents(alone)
    assert not unfinished(place), "a half-made artefact was left behind"
