"""A few timed steps of a run's shape, as `babelscale plan --calibrate` asks for them: the trainer's own engine and
updater on random pieces, with the run's threads, and beside as many like it as will share the machine.

`measure` starts processes of this module; each reads one line of JSON, answers `ready` and, told to go on, with what it
measured.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness.memory import with_huge_pages

if TYPE_CHECKING:
    from harness.train.ranks import Ranks

WARM_UP, LEAST_STEPS, MOST_STEPS = 3, 8, 200
SECONDS = 4.0
"""How long steps are timed, at least LEAST_STEPS of them."""


def measure(science: Mapping[str, Any], *, threads: int, beside: int) -> tuple[float, float, float]:
    """(median seconds of a step, relative spread, seconds until the first step) of one rank, beside others like it.

    Raises RuntimeError where a process ends without an answer.
    """
    spec = json.dumps({"science": dict(science), "threads": threads})
    environment = with_huge_pages(os.environ) | {"OMP_NUM_THREADS": str(threads), "DS_ACCELERATOR": "cpu"}
    if Path("/dev/nvidia0").exists():
        del environment["DS_ACCELERATOR"]
    command = [sys.executable, "-m", "harness.calibrate"]
    began = time.monotonic()
    processes = [
        subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment)
        for _ in range(beside)
    ]
    try:
        for process in processes:
            _tell(process, spec)
        for process in processes:
            _hear(process)
        start_seconds = time.monotonic() - began
        for process in processes:
            _tell(process, "go on")
        answers = [_hear(process) for process in processes]
    finally:
        for process in processes:
            process.kill()
            process.wait()
    seconds = statistics.median(answer["seconds"] for answer in answers)
    spread = max(answer["spread"] for answer in answers)
    return seconds, spread, start_seconds


def _tell(process: subprocess.Popen[str], line: str) -> None:
    assert process.stdin is not None
    print(line, file=process.stdin, flush=True)


def _hear(process: subprocess.Popen[str]) -> dict[str, Any]:
    assert process.stdout is not None
    line = process.stdout.readline()
    if not line:
        raise RuntimeError(f"a calibrating process ended with status {process.wait()}; see its words above")
    answer: dict[str, Any] = json.loads(line)
    return answer


def main() -> None:
    answers, sys.stdout = sys.stdout, sys.stderr  # libraries that print must not speak between the answers
    spec = json.loads(sys.stdin.readline())
    from harness.train.ranks import joined

    with tempfile.TemporaryDirectory() as folder, joined(0, 1, 0, Path(folder) / "rendezvous") as ranks:
        step = _step(spec, ranks)
        for _ in range(WARM_UP):
            step()
        print(json.dumps("ready"), file=answers, flush=True)
        sys.stdin.readline()
        seconds: list[float] = []
        while len(seconds) < LEAST_STEPS or (sum(seconds) < SECONDS and len(seconds) < MOST_STEPS):
            began = time.perf_counter()
            step()
            seconds.append(time.perf_counter() - began)
    # The mean is what a run's steps add up to; halves tell how steady it was.
    half = len(seconds) // 2
    parts = [statistics.fmean(seconds[:half]), statistics.fmean(seconds[half:])]
    mean = statistics.fmean(seconds)
    spread = abs(parts[0] - parts[1]) / 2 / mean
    print(json.dumps({"seconds": mean, "spread": spread}), file=answers, flush=True)


def _step(spec: dict[str, Any], ranks: Ranks) -> Callable[[], float]:
    import numpy as np
    import torch

    from harness.batches.keyed import key
    from harness.batches.masking import mask_rows, masks_per_row
    from harness.memory import keep_freed_memory
    from harness.train.engine import build_engine, set_learning_rate
    from harness.train.update import Updater
    from models.heads import build_masked_lm
    from models.sizes import EncoderConfig

    science = spec["science"]
    torch.set_num_threads(spec["threads"])
    keep_freed_memory()
    config = EncoderConfig(**science["model"])
    rows, tokens = science["batch_rows"], science["row_tokens"]
    engine = build_engine(
        build_masked_lm(config, 0),
        ranks,
        optimizer=science["optimizer"],
        bf16=science["precision"] == "bf16",
        zero_stage=0,
        micro_rows=rows,
        accumulation=1,
    )
    engine.train()
    updater = Updater(engine, ranks, zero_stage=0, clip=science["optimizer"]["clip"])
    rng = np.random.Generator(np.random.Philox(key=key(0, "calibrate")))
    count = masks_per_row(science["mask_rate"], tokens)
    row_keys = np.arange(rows, dtype=np.uint64)

    def step() -> float:
        # Drawn and masked anew at each step, as the loader does.
        ids_BT = rng.integers(4, config.vocabulary - 1, (rows, tokens))
        masked = mask_rows(ids_BT, row_keys, count=count, vocabulary=config.vocabulary)
        arrays = (masked.ids_BT, masked.index_N, masked.labels_N)
        loss = engine(*(torch.from_numpy(array).to(ranks.device) for array in arrays))
        set_learning_rate(engine, 1e-4)
        engine.backward(loss)
        updater.step(loss)
        return float(loss.detach())

    return step


if __name__ == "__main__":
    main()
