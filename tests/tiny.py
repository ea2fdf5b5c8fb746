"""Small real things that several tests stand on: text in a dozen scripts, a corpus made of it, a study over it."""

from __future__ import annotations

import itertools
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from harness.corpus.artefact import Corpus, LanguageText, point, write_corpus
from harness.launch.freeze import freeze, frozen_study
from harness.prepare import open_shards
from harness.store import Store, read_json
from sweeps.grid import Run, expand
from sweeps.study import Study, parse_study

SENTENCES = {
    "en": ("the window|a light|this room|our garden", "opens|stays dark|is warm", "in the evening|every day|at noon"),
    "de": ("das Fenster|ein Licht|dieser Raum|der Garten", "geht auf|bleibt dunkel|ist warm", "am Abend|täglich|früh"),
    "ru": ("это окно|наш свет|эта комната|сад", "открыт вечером|темнеет|тёплый", "каждый день|в полдень|зимой"),
    "el": ("το παράθυρο|ένα φως|ο κήπος", "ανοίγει|μένει σκοτεινό|είναι ζεστό", "το βράδυ|κάθε μέρα|το μεσημέρι"),
    "he": ("החלון|האור|החדר הזה", "נפתח|נשאר חשוך|חם", "בערב|כל יום|בצהריים"),
    "ar": ("النافذة|الضوء|هذه الغرفة", "تفتح|تبقى مظلمة|دافئة", "في المساء|كل يوم|عند الظهر"),
    "hi": ("यह खिड़की|एक बत्ती|यह कमरा", "खुलती है|बंद रहती है|गरम है", "शाम को|हर दिन|दोपहर में"),
    "th": ("หน้าต่าง|แสงไฟ|ห้องนี้", "เปิด|มืดอยู่|อุ่น", "ตอนเย็น|ทุกวัน|ตอนเที่ยง"),
    "ka": ("ფანჯარა|სინათლე|ეს ოთახი", "იღება|ბნელია|თბილია", "საღამოს|ყოველდღე|შუადღეს"),
    "ko": ("창문이|불빛이|이 방은", "열린다|어둡다|따뜻하다", "저녁에|매일|정오에"),
    "ja": ("窓が|明かりが|この部屋は", "開く|暗いままだ|暖かい", "夕方に|毎日|正午に"),
    "zh": ("窗户|一盏灯|这个房间", "打开|很暗|很暖和", "在晚上|每天|在中午"),
}
"""Subjects, predicates and times of a language; a document is two sentences of them, numbered."""


def documents(language: str, count: int) -> list[str]:
    """Distinct documents of one language, in a fixed order."""
    parts = [part.split("|") for part in SENTENCES[language]]
    sentences = [" ".join(words) for words in itertools.product(*parts)]
    pairs = itertools.cycle(itertools.permutations(sentences, 2))
    return [f"{first} {number}.\n{second}!" for number, (first, second) in zip(range(count), pairs, strict=False)]


def make_corpus(store: Store, name: str, counts: dict[str, int], heldout: int = 12) -> Corpus:
    """A corpus of `counts` training documents a language, pointed at by `name`."""
    texts = (
        (language, LanguageText(every[heldout:], every[:heldout], {}))
        for language, count in counts.items()
        for every in [documents(language, count + heldout)]
    )
    corpus = write_corpus(store, name, {"made": "by the tests", "counts": counts}, "written by the tests", texts, {})
    point(store, name, corpus.key)
    return corpus


STUDY = """
name: {name}
question: Does a tiny run do what a large one must?
corpus: tiny
axes: {axes}
recipe:
  model: {{kind: modern, layers: 1, width: 16, vocabulary: 340}}
  tokenizer: {{byte_fallback: true, sample_bytes: 40000}}
  budget: {{batch_tokens: 128, steps: {steps}}}
  row_tokens: 16
  mask_rate: 0.2
  learning_rate: 0.01
  precision: fp32
evaluate: [heldout]
groups: {{high: [en], low: [ru], core: [en, ru]}}
execution: {execution}
"""
COUNTS = {"en": 400, "de": 160, "ru": 60}


def study_text(
    name: str = "tiny",
    axes: str = "{languages: [[en, de, ru]], seed: [0]}",
    steps: int = 12,
    execution: str = "{}",
) -> str:
    return STUDY.format(name=name, axes=axes, steps=steps, execution=execution)


def submit_here(store: Store, text: str) -> tuple[Study, list[Run]]:
    """Freeze a study, as `babelscale submit` does, without starting anything."""
    study = parse_study(text, "tiny.yaml")
    corpus = Corpus.open(store, study.corpus)
    assert corpus is not None
    runs = expand(study, corpus.key, {code: corpus.train_bytes(code) for code in corpus.languages})
    freeze(store, study, runs, corpus_note="tiny", command="none")
    return study, runs


def prepare_tiny_root(root: Path) -> Path:
    """A root with the tiny corpus, its tokenizer and its shards, and no runs: a template of others."""
    store = Store(root)
    make_corpus(store, "tiny", COUNTS)
    _, runs = submit_here(store, study_text())
    open_shards(store, runs[0].science, "train")
    for folder in (store.runs, store.studies):
        shutil.rmtree(folder)
    return store.root


def start_queue(
    store: Store, study: str, slots: int = 1, only: Sequence[str] = (), *, largest_file: int = 0
) -> subprocess.Popen[bytes]:
    """The real queue, as a process of ours that can be waited for.

    `largest_file`: bytes that any file it or its jobs write may have, 0 for any; the kernel answers EFBIG beyond.
    """
    command = [sys.executable, "-m", "harness.launch.queue", str(store.root), study, str(slots), *only]
    if largest_file:
        limit = "import os, resource, sys; resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[1]),) * 2); "
        command = [sys.executable, "-c", limit + "os.execv(sys.argv[2], sys.argv[2:])", str(largest_file), *command]
    return subprocess.Popen(command, cwd="/", stdout=subprocess.DEVNULL)


def finish(store: Store, study: str, slots: int = 1, seconds: float = 240.0) -> None:
    """Run the study's queue to its end."""
    assert frozen_study(store, study)
    assert start_queue(store, study, slots).wait(seconds) == 0


def last_exit(store: Store, run: str) -> dict[str, Any]:
    record: dict[str, Any] = read_json(sorted((store.run(run) / "attempts").glob("*/exit.json"))[-1])
    return record
