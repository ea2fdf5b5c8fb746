"""A benchmark as a stage of a run: which languages, which protocol, and records by the codes of the study."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any
from typing import Protocol as Protocol_

from harness.evaluate.benchmark import Benchmark
from harness.evaluate.data import Data, languages_of, located, scored
from harness.evaluate.driven import Means
from harness.evaluate.finetune import Recipe
from harness.evaluate.retrieval import score_retrieval
from harness.evaluate.rows import Encodes
from harness.evaluate.sides import Protocol
from harness.evaluate.task import Retrieval, Split, Task
from harness.evaluate.tasks import task_named
from harness.evaluate.tasks.questions import Questions
from harness.launch.stages import TOLD
from harness.store import write_json
from models.transformers_encoder import Body
from sweeps.codes import study_code
from sweeps.errors import BadInput

RECIPE = ("epochs", "batch_rows", "patience", "dropout")
"""Keys of a block that replace those of the task's recipe."""


class Encoders(Protocol_):
    """Where the encoders of a model come from."""

    def trained(self) -> Body:
        """The pretrained one, a new copy each time, on this machine's device."""

    def untrained(self, seed: int) -> Body:
        """The same architecture with weights drawn from `seed`."""


def score_stage(
    block: Mapping[str, Any],
    stage: str,
    tokenizer: Encodes,
    source: Encoders,
    folder: Path,
    *,
    languages: Sequence[str] | None,
    means: Means,
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
    task = scored(task, data, block.get("split"))
    wanted = _languages(block["languages"], task, data, languages, name)
    make_encoder = source.untrained if block["weights"] == "random" else lambda seed: source.trained()
    if isinstance(task, Retrieval):
        rows, problems = score_retrieval(task, data, wanted, tokenizer, make_encoder(0), bf16=means.bf16)
        notes: list[str] = []
    else:
        given = {key: block[key] for key in RECIPE if block[key] is not None}
        protocol = Protocol(
            data=data,
            train=located(block["train"], "train") if block["train"] else None,
            dev=located(block["dev"], "dev") if block["dev"] else None,
            test=located(block["test"], "test") if block["test"] else None,
            setting=block["setting"],
            select=block["select"],
            languages=tuple(wanted),
            rates=tuple(block["rates"] or task.rates),
            seeds=tuple(block["seeds"]),
            recipe=Recipe(learning_rate=0.0, **(dict(task.recipe) | given)),
            pool=block["pool"],
        )
        benchmark = Benchmark(task, protocol, tokenizer, make_encoder, folder, means)
        rows, problems, notes = benchmark.run(show=say), benchmark.sides.problems, benchmark.sides.notes
        notes += _astray(task, protocol, benchmark)
    as_studied = {study_code(code): code for code in languages or ()}  # nb is no to a benchmark
    told = {"problems": problems, "notes": notes}
    for sentence in (*problems, *notes):
        say(f"{name}: {sentence}")
    if means.ranks.first:
        folder.mkdir(parents=True, exist_ok=True)
        write_json(folder / TOLD, told)
    return [
        row
        | {
            "task": name,
            "language": as_studied.get(study_code(row["language"]), study_code(row["language"])),
            "details": row["details"] | {"stage": stage, "code": row["language"], "weights": block["weights"]},
        }
        for row in rows
    ]


def _astray(task: Task, protocol: Protocol, benchmark: Benchmark) -> list[str]:
    """A sentence for each file with answers that do not stand where it says."""
    if not isinstance(task, Questions):
        return []
    read: list[tuple[Data, Split, str, str]] = [
        (benchmark.sides.scored_data, task.test_split, language, language) for language in benchmark.languages
    ]
    read += [(protocol.train or protocol.data, "train", task.source, "the training side")]
    found = {who: task.astray(data, split, of) for data, split, of, who in read if isinstance(data, Path)}
    return [
        f"{who}: {len(ids)} questions have an answer that is not where the file says, such as {ids[0]}; they are "
        "scored by the answers' texts, and trained on where the context has them"
        for who, ids in found.items()
        if ids
    ]


def _languages(asked: Any, task: Task, data: Data, trained: Sequence[str] | None, name: str) -> list[str]:
    """The benchmark's codes that are scored."""
    there = languages_of(task, data)
    if asked == "all" or (asked == "run" and trained is None):
        return there
    if asked != "run":
        return list(asked)
    assert trained is not None
    known = set(map(study_code, trained))
    found = [code for code in there if study_code(code) in known]
    if not found:
        raise BadInput(
            f"tasks.{name}.languages: the run's languages ({', '.join(trained[:12])}) and the benchmark's have none in "
            "common: write languages: all, or a list of the benchmark's codes"
        )
    return found
