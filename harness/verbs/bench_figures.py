"""babelscale bench figures: all figures of a study of a thousand runs, as the command draws them, against as many plain
figures of matplotlib."""

from __future__ import annotations

import json
import math
import os
import statistics
import subprocess
import sys
import tempfile
import time
from argparse import Namespace
from io import BytesIO
from pathlib import Path

import numpy as np

from harness.launch.freeze import freeze
from harness.store import SCHEMA, Store, write_json
from harness.verbs.show import console
from sweeps.grid import Run, expand
from sweeps.study import parse_study

SETS, WIDTHS, ALPHAS = ("core-7", "core-15", "core-30", "core-60"), (128, 256, 384, 512, 768), (0.1, 0.3, 0.5, 0.7, 1.0)
_LOGGED = 200
"""Lines of a run's metrics."""


def bench(options: Namespace) -> int:
    with tempfile.TemporaryDirectory(prefix="babelscale-bench-") as folder:
        store = Store(Path(folder), create=True)
        runs = _fill(store, options.seeds)
        walls: list[float] = []
        processors: list[float] = []
        files: list[str] = []
        for _ in range(options.repeats):
            wall, processor, files = _drawn(store)
            walls.append(wall)
            processors.append(processor)
    drawn = len(files)
    plain = statistics.median(_plain(drawn) for _ in range(options.repeats))
    wall, processor = statistics.median(walls), statistics.median(processors)
    result = {
        "runs": len(runs),
        "figures": drawn,
        "seconds": wall,
        "cpu_seconds": processor,
        "plain_seconds": plain,
        "ratio": wall / plain,
        "repeats": options.repeats,
    }
    if options.json:
        print(json.dumps(result, indent=1))
        return 0
    console.print(
        f"{drawn} figures of {len(runs):,} runs in {wall:.1f} s, {processor:.1f} s of CPU; as many plain ones of one "
        f"panel in {plain:.1f} s: ratio {wall / plain:.1f} (medians of {options.repeats})",
        highlight=False,
        soft_wrap=True,
    )
    return 0


def _fill(store: Store, seeds: int) -> list[Run]:
    """A study whose runs are all done, with made-up records and loss curves."""
    text = f"""
name: bench
question: How long do the figures of a large study take?
findings: [F1, F2, F4, F5, F6, F7, F8]
corpus: cc100
axes:
  languages: [{", ".join(SETS)}]
  width: {list(WIDTHS)}
  alpha: {list(ALPHAS)}
  seed: {list(range(seeds))}
recipe:
  model: {{kind: xlm-r, layers: 12, width: 128, vocabulary: 64000}}
  tokenizer: {{sample_bytes: 1000000000}}
  budget: {{batch_tokens: 65536, steps: 50000}}
  learning_rate: 0.0005
groups: {{high: [en, fr], low: [sw, ur], core: [en, fr, de, ru, zh, sw, ur]}}
"""
    study = parse_study(text, "bench figures")
    runs = expand(study, "key")
    freeze(store, study, runs, corpus_note="made up", command="babelscale bench figures")
    draw = np.random.default_rng([0, 0x66696773])
    for run in runs:
        folder = store.run(run.id)
        (folder / "records.jsonl").write_text("".join(_records(run, draw)), encoding="utf-8")
        (folder / "metrics.jsonl").write_text("".join(_metrics(run, draw)), encoding="utf-8")
        write_json(folder / "done.json", {"schema": SCHEMA, "finished": "2026-01-01T00:00:00Z", "attempts": 1})
    return runs


def _records(run: Run, draw: np.random.Generator) -> list[str]:
    k, languages = run.axes["K"], run.axes["languages"]
    fixed = {"schema": SCHEMA, "run": run.id, "step": run.axes["steps"], "standard_error": 0.01, "n": 1000}
    lines = []
    for place, language in enumerate(languages):
        alpha = run.axes["alpha"] * (0.2 if place < k / 2 else -0.2)
        bits = 1.5 + 0.1 * math.log2(k) + 20 / run.axes["width"] - alpha + draw.normal(0, 0.03)
        tokens = run.axes["tokens"] / k
        for task, split, metric, value in (
            ("heldout", "heldout", "bits_per_byte", bits),
            ("intents", "test", "accuracy", 1 / (1 + math.exp(2 * (bits - 2)))),
            ("training", "train", "tokens", tokens),
            ("training", "train", "epochs", tokens / 1e8),
        ):
            row = {"task": task, "split": split, "language": language, "metric": metric, "value": value, "details": {}}
            lines.append(json.dumps(fixed | row) + "\n")
    return lines


def _metrics(run: Run, draw: np.random.Generator) -> list[str]:
    lines = []
    for step in np.linspace(1, run.axes["steps"], _LOGGED).astype(int).tolist():
        bits = 1.5 + 6 / step**0.25 + draw.normal(0, 0.02)
        tokens = step * run.axes["batch_tokens"]
        row = {"attempt": 1, "step": step, "loss": 3 * bits, "bits_per_byte": bits, "tokens": tokens, "skipped": 0}
        lines.append(json.dumps(row) + "\n")
    return lines


def _drawn(store: Store) -> tuple[float, float, list[str]]:
    """Seconds by the clock and of CPU that the command took, and the figures it drew."""
    command = [sys.executable, "-m", "harness.cli", "figures", "bench", "--root", str(store.root), "--json"]
    before, began = os.times(), time.perf_counter()
    told = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    wall, after = time.perf_counter() - began, os.times()
    processor = after.children_user + after.children_system - before.children_user - before.children_system
    return wall, processor, [one["name"] for one in json.loads(told)["figures"] if one["files"]]


def _plain(figures: int) -> float:
    """Seconds for figures of one panel with one line of ten points, saved as PNG, SVG and PDF."""
    from matplotlib.figure import Figure

    began = time.perf_counter()
    for _ in range(figures):
        figure = Figure(figsize=(3.4, 2.9), layout="constrained")
        figure.subplots().plot(range(10), range(10), "o-")
        for ending in ("png", "svg", "pdf"):
            figure.savefig(BytesIO(), format=ending)
    return time.perf_counter() - began
