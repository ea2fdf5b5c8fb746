"""A process that stands where rank 0 stands: it starts the feeder, writes lines of metrics, and ends as it is told.

ROOT RUN ATTEMPT FIRST LAST; then a word on standard input says how the attempt ended."""

from __future__ import annotations

import sys

from harness.launch.attempts import EXECUTION
from harness.store import Store, read_json
from harness.track.beside import Beside
from harness.train.heartbeat import Journal

BATCH_TOKENS = 128


def line(attempt: int, step: int) -> dict[str, object]:
    return {
        "attempt": attempt,
        "step": step,
        "loss": 6.0 / step,
        "bits_per_byte": 5.0 / step,
        "learning_rate": 0.01,
        "gradient_norm": 1.5,
        "tokens": step * BATCH_TOKENS,
        "tokens_per_second": 1000 * attempt,
        "mfu": 0.25,
        "memory_gb": 1.25,
        "epochs": {"en": step / 100, "ru": step / 10},
        "skipped": int(step >= 6),
    }


def main(root: str, run: str, attempt: int, first: int, last: int) -> None:
    store = Store(root)
    folder = store.run(run)
    execution = read_json(folder / "attempts" / f"{attempt:03d}" / EXECUTION)["execution"]
    beside = Beside.start(store, run, attempt, execution)
    journal = Journal(folder / "metrics.jsonl")
    for step in range(first, last + 1):
        journal.write(line(attempt, step))
    print("written", flush=True)
    for word in sys.stdin:
        if word.startswith("write "):
            journal.write(line(attempt, int(word.split()[1])))
            print("written", flush=True)
        else:
            beside.end(word.strip())
            return


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], *map(int, sys.argv[3:]))
