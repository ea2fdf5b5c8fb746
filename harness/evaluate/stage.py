"""A benchmark as a stage of a run: which languages, which protocol, and records by the codes of the study."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from harness.evaluate.benchmark import Benchmark, Protocol
from harness.evaluate.data import Data, languages_of, located, scored
from harness.evaluate.finetune import Recipe
from harness.evaluate.retrieval import score_retrieval
from harness.evaluate.rows import Encodes
from harness.evaluate.task import Retrieval, Task
from harness.evaluate.tasks import task_named
from models.encoder import Encoder
from sweeps.codes import study_code
from sweeps.errors import BadInput


def score_stage(
    block: Mapping[str, Any],
    stage: str,
    tokenizer: Encodes,
    make_encoder: Callable[[], Encoder],
    folder: Path,
    *,
    languages: Sequence[str] | None,
    bf16: bool,
    say: Callable[[str], None] = lambda text: print(text, flush=True),
) -> list[dict[str, Any]]:
    """Records of a model on the benchmark of `block` (a `sweeps.tasks.TaskBlock`'s values).

    `languages`: what the model was trained on, by the study's codes; None where that is not known. `folder` keeps what
    is done. Raises BadInput when nothing can be scored.
    """
    name = stage.partition("@")[0]
    task = task_named(block["task"] or name)
    data = located(block["data"], "test")
    if isinstance(data, Path) and not data.is_dir():
        raise BadInput(
            f"tasks.{name}.data: {data} is not a folder on this machine: name the one of the benchmark's files"
        )
    task = scored(task, data)
    wanted = _languages(block["languages"], task, data, languages, name)
    if isinstance(task, Retrieval):
        rows, problems = score_retrieval(task, data, wanted, tokenizer, make_encoder(), bf16=bf16)
    else:
        protocol = Protocol(
            data=data,
            train=located(block["train"], "train") if block["train"] else None,
            dev=located(block["dev"], "dev") if block["dev"] else None,
            setting=block["setting"],
            select=block["select"],
            languages=tuple(wanted),
            rates=tuple(block["rates"]),
            seeds=tuple(block["seeds"]),
            recipe=Recipe(
                learning_rate=0.0,
                **{key: block[key] for key in ("epochs", "batch_rows", "patience", "dropout")},
            ),
        )
        benchmark = Benchmark(task, protocol, tokenizer, make_encoder, folder)
        rows, problems = benchmark.run(bf16=bf16, show=say), benchmark.problems
    for problem in problems:
        say(f"{name}: not scored: {problem}")
    return [
        row
        | {
            "task": name,
            "language": study_code(row["language"]),
            "details": row["details"] | {"stage": stage, "code": row["language"]},
        }
        for row in rows
    ]


def _languages(asked: Any, task: Task, data: Data, trained: Sequence[str] | None, name: str) -> list[str]:
    """The benchmark's codes that are scored."""
    there = languages_of(task, data)
    if asked == "all" or (asked == "run" and trained is None):
        return there
    if asked != "run":
        return list(asked)
    assert trained is not None
    found = [code for code in there if study_code(code) in trained]
    if not found:
        raise BadInput(
            f"tasks.{name}.languages: the run's languages ({', '.join(trained[:12])}) and the benchmark's have none in "
            "common: write languages: all, or a list of the benchmark's codes"
        )
    return found
