"""What the harness leaves in a run's folder beside its records: attempts, metrics, a heartbeat; and tokenizers."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

CODE, COMMIT = "0123456789ab", "4154961fd1a5a0c5be5bf1b3a1c7dd4bbd3b8f5c"
TOKENIZER = {"languages": ["en", "sv"], "vocabulary": 4000, "alpha": 0.3, "algorithm": "unigram"}


def stamp(seconds: float) -> str:
    """A time as records write it."""
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(1_790_000_000 + seconds))


def _write(path: Path, value: Any) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(value), encoding="utf-8")


def attempt(
    folder: Path,
    number: int,
    steps: tuple[int, int],
    *,
    began: float = 0.0,
    hours: float | None = 0.5,
    state: str = "done",
    code: str = CODE,
    devices: int = 1,
    every: int = 100,
) -> None:
    """One go at a run: from the first to the last of `steps`, ended after `hours`; None where it left no word."""
    settings = {
        "execution": {"devices": devices, "threads": 1, "zero": 1, "hours": 24.0, "device": "cpu"},
        "cluster": "local", "slots": 2, "started": stamp(began), "git_commit": COMMIT, "code": code,
        "python": "3.12.3", "packages": {"babelscale": "0.1.0", "torch": "2.13.0", "deepspeed": "0.19.8"},
        "host": "secret-host", "environment": {},
    }  # fmt: skip
    _write(folder / "attempts" / f"{number:03d}" / "execution.json", settings)
    if hours is not None:
        ended = {"state": state, "error": "", "cause": "node" if state == "killed" else ""}
        _write(folder / "attempts" / f"{number:03d}" / "exit.json", ended | {"time": stamp(began + 3600 * hours)})
    with (folder / "metrics.jsonl").open("a", encoding="utf-8") as stream:
        for step in range(steps[0] + every, steps[1] + 1, every):
            row = {"attempt": number, "step": step, "loss": 6.0 - step / 1000, "bits_per_byte": 3.0 - step / 3000}
            stream.write(json.dumps(row | {"tokens": step * 1024, "tokens_per_second": 9000, "skipped": 2}) + "\n")


def describe(folder: Path, **science: Any) -> None:
    """Give a run the science that its axes came from."""
    described = json.loads((folder / "run.json").read_text(encoding="utf-8"))
    block = {"corpus": "demo-0f3a", "tokenizer": TOKENIZER, "version": 1}
    _write(folder / "run.json", described | {"science": block | science})


def finish(folder: Path, device: str = "cpu", seconds: float = 1500.0) -> None:
    """A done.json as a run of today writes it."""
    done = {"schema": 1, "finished": stamp(9000), "tasks": ["heldout"], "attempts": 1, "device": device}
    _write(folder / "done.json", done | {"train_seconds": seconds})


def tokenizer(root: Path, key: str = "7f3e55aa01bc", **spec: Any) -> None:
    """A tokenizer's manifest under the root."""
    _write(root / "tokenizers" / key / "manifest.json", {"key": key, "corpus": "demo-0f3a", "spec": TOKENIZER | spec})


def everything(store: Any, truths: Any) -> Any:
    """A store that a report has something to say of in every section: two studies, `demo` with gaps and stale runs."""
    store.grid(ks=(2, 4, 8, 16), accuracy=truths["transfer"], seeds=2)
    store.alphas(seeds=2)
    for i, run in enumerate(list(store.ids)):
        folder = store.root / "runs" / run
        describe(folder)
        if i == 0:
            attempt(folder, 1, (0, 1500), hours=0.3, state="killed")
            attempt(folder, 2, (1000, 3000), began=4000, hours=0.4)
        else:
            attempt(folder, 1, (0, 3000), began=100 * i, code="ba9876543210" if i == 5 else CODE)
        finish(folder)
    tokenizer(store.root)
    late = store.run(8, 128, 9, done=False)
    describe(store.root / "runs" / store.run(16, 512, 0, done=False))
    describe(store.root / "runs" / late)
    attempt(store.root / "runs" / late, 1, (0, 700), hours=None)
    findings = ["F1", "F2", "F3", "F4", "F5", "F6", "F7", "F8", "F15"]
    groups = {"high": ["en", "de"], "low": ["sv", "da"], "core": ["en", "sv"], "none": ["xx"]}
    store.study(findings=findings, groups=groups, evaluate=["heldout"])
    store.study("other_study", findings=["F1", "F6"], question="50 % of <b>what</b> & how_much for Čeština, 中文?")
    return store
