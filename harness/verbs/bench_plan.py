"""babelscale bench plan: ten thousand cells expanded and priced, against checking as many recipes one by one."""

from __future__ import annotations

import json
import statistics
import time
from argparse import Namespace

from harness.verbs.show import console
from sweeps.corpora import known_bytes
from sweeps.grid import Run, expand
from sweeps.pace import DEVICES, Paces
from sweeps.plan import price
from sweeps.recipe import RecipeBlock
from sweeps.study import Study, parse_study

SEEDS = 4
_WIDTHS, _VOCABULARIES = range(64, 64 * 11, 64), range(8_000, 8_000 * 11, 8_000)
_STUDY = f"""
name: bench-plan
question: How long does a plan of ten thousand cells take?
corpus: cc100
axes:
  languages: [core-7, core-15, core-30, core-60, core-100]
  width: {list(_WIDTHS)}
  vocabulary: {list(_VOCABULARIES)}
  alpha: [0.1, 0.3, 0.5, 0.7, 1.0]
  seed: {list(range(SEEDS))}
exclude: [K < 0]
recipe:
  model: {{kind: xlm-r, layers: 12, width: 64, vocabulary: 8000}}
  tokenizer: {{sample_bytes: 1000000000}}
  budget: {{batch_tokens: 1048576, steps: 100000}}
  learning_rate: 0.0005
execution: {{devices: 8}}
"""


def bench(options: Namespace) -> int:
    seconds: dict[str, list[float]] = {"study and runs": [], "prices": [], "a recipe checked for each cell": []}
    runs: list[Run] = []
    for _ in range(options.repeats):
        began = time.perf_counter()
        study = parse_study(_STUDY, "bench plan")
        runs = expand(study, "key")
        expanded = time.perf_counter()
        _priced(study, runs)
        done = time.perf_counter()
        raw = study.recipe.model_dump()
        for _ in runs:
            RecipeBlock.model_validate(raw)
        checked = time.perf_counter()
        for name, value in zip(seconds, (expanded - began, done - expanded, checked - done), strict=True):
            seconds[name].append(value)
    middle = {name: statistics.median(times) for name, times in seconds.items()}
    whole = middle["study and runs"] + middle["prices"]
    result = {
        "runs": len(runs),
        "seconds": middle,
        "plan_seconds": whole,
        "ratio": middle["a recipe checked for each cell"] / whole,
        "repeats": options.repeats,
    }
    if options.json:
        print(json.dumps(result, indent=1))
        return 0
    parts = ", ".join(f"{name} {value:.2f} s" for name, value in middle.items())
    console.print(
        f"{len(runs):,} cells planned in {whole:.2f} s ({parts}; medians of {options.repeats})",
        highlight=False,
        soft_wrap=True,
    )
    return 0


def _priced(study: Study, runs: list[Run]) -> None:
    device = DEVICES["h100"]
    price(
        runs,
        {run.id: "waiting" for run in runs},
        study.execution,
        bytes_of=known_bytes("cc100"),
        bytes_per_token={},
        paces=Paces([], device),
        memory_bytes=device.memory_bytes,
        on_cpu=False,
        beside=1,
        overhead_seconds=0.0,
    )
