"""babelscale evaluate: a study's runs, or a model folder, on one more task."""

from __future__ import annotations

import json
import re
import statistics
from argparse import Namespace
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pydantic import ValidationError
from rich.console import Console
from rich.table import Table

from harness.branches import WEIGHTS
from harness.corpus.sources import HUB
from harness.launch import queue
from harness.launch.freeze import frozen_study
from harness.launch.observe import observe
from harness.launch.stages import (
    PATHS,
    TOLD,
    found,
    keep_stages,
    missing_path,
    must_hold_its_task,
    with_its_files,
    without_those_replaced,
)
from harness.store import Store, digest, now, read_json, read_lines, write_json
from harness.verbs.look import study_name, those_where
from harness.verbs.show import console, stderr, watch_study
from harness.verbs.studies import not_in_slurm, queue_ended
from sweeps.errors import BadInput
from sweeps.study import load_study
from sweeps.tasks import BUILT_IN, TaskBlock, stage_of

_GIVEN = (*PATHS, "split", "setting", "select", "epochs", "batch_rows", "patience", "dropout", "pool", "weights")
_LISTS = {"rates": float, "seeds": int, "languages": str}


def evaluate(options: Namespace) -> int:
    """Ask for one more task: the study's frozen list grows, and what lacks it is scored."""
    if options.model is not None:
        return _evaluate_folder(options)
    if options.study is None:
        raise BadInput("name a study, or a model folder with --model")
    store = Store(options.root)
    name = study_name(store, options)
    before = frozen_study(store, name)
    if not queue_ended(store, name):
        raise BadInput(f"the runs of {name} are still going: babelscale watch {name}, then evaluate")
    not_in_slurm(store, name)
    stage = _stage(store, options)
    trained = [run for run in before["runs"] if (store.run(run) / WEIGHTS).is_file()]
    if not trained:
        raise BadInput(f"no run of {name} is trained yet: babelscale submit {name} comes first")
    kept = set(before["evaluate"]) if stage in BUILT_IN else without_those_replaced(store, before["evaluate"], stage)
    tasks = sorted({*_not_in_vain(store, kept, stage, trained), stage})
    if tasks != before["evaluate"]:
        write_json(store.studies / f"{name}.json", before | {"evaluate": tasks})
    rows = those_where([observe(store, run, tasks) for run in trained], options.where)
    lacking = [row.run for row in rows if row.state != "done"]
    finished = _score(store, name, lacking, options) if lacking else True
    problems = _told(stderr, [store.run(run) / "tasks" / stage for run in lacking])
    records = {row.run: _records(store, row.run, stage) for row in rows}
    now_scored = [run for run in lacking if records[run]]
    untrained = len(before["runs"]) - len(trained)
    told = {"study": name, "task": options.task, "stage": stage, "scored": len(now_scored), "problems": problems}
    told |= {"failed": len(lacking) - len(now_scored), "not_trained": untrained}
    if options.json:
        print(json.dumps(told))
    else:
        _show(name, options.task, told, [row for run in records.values() for row in run], len(rows) - len(lacking))
    if told["failed"] or not (finished or untrained):
        return 1
    return 2 if problems else 0


def _show(name: str, task: str, told: Mapping[str, Any], records: Sequence[Mapping[str, Any]], had: int) -> None:
    """The scores by language, over all runs that have them, and what became of the runs."""
    values: dict[tuple[str, str], list[float]] = {}
    for row in records:
        if isinstance(row["value"], int | float):
            values.setdefault((row["language"], row["metric"]), []).append(float(row["value"]))
    if values:
        table = Table("language", "metric", "runs", "mean", "lowest", "highest")
        for (language, metric), own in sorted(values.items()):
            numbers = (statistics.fmean(own), min(own), max(own))
            table.add_row(language, metric, str(len(own)), *(f"{number:.3f}" for number in numbers))
        console.print(table)
    words = [f"{told['scored']} runs scored on {task}", f"{had} had it"]
    words += [f"{told['failed']} failed (babelscale why {name})"] if told["failed"] else []
    words += [f"{told['not_trained']} are not trained yet and left out"] if told["not_trained"] else []
    console.print(f"{name}: {', '.join(words)}; by cell, with intervals: babelscale report {name}", soft_wrap=True)


def _records(store: Store, run: str, stage: str) -> list[dict[str, Any]]:
    """A run's records of a stage, or of a task that needs no block."""
    found = read_lines(store.run(run) / "records.jsonl")
    return [row for row in found if str((row.get("details") or {}).get("stage", row["task"])) == stage]


def _not_in_vain(store: Store, stages: set[str], stage: str, runs: Sequence[str]) -> set[str]:
    """Without other stages of the same name that no run has a record of: asked for once, with what could not be scored,
    they would fail every run again."""
    name = stage.partition("@")[0]
    rivals = {each for each in stages if "@" in each and each != stage and each.partition("@")[0] == name}
    return stages - {rival for rival in rivals if not any(_records(store, run, rival) for run in runs)}


def _told(show: Console, folders: Sequence[Path]) -> list[str]:
    """What stages of some models say, each sentence once; the problems among it."""
    found: dict[str, Counter[str]] = {"problems": Counter(), "notes": Counter()}
    for folder in folders:
        if (folder / TOLD).exists():
            told = read_json(folder / TOLD)
            for kind, sentences in found.items():
                sentences.update(told[kind])
    for sentences in found.values():
        for sentence, runs in sentences.items():
            show.print(f"{sentence}{f' ({runs} runs)' if runs > 1 else ''}", soft_wrap=True, markup=False)
    return list(found["problems"])


def _score(store: Store, name: str, lacking: Sequence[str], options: Namespace) -> bool:
    study = frozen_study(store, name)
    if study.get("cluster") == "slurm":
        from harness.verbs.slurm import send

        send(store, study, lacking, None, options.json)
    else:
        queue.start(store, name, None, list(lacking))
    return watch_study(store, name, console=stderr if options.json else console)


def _stage(store: Store, options: Namespace) -> str:
    """The stage that is asked for, its block written down for the jobs."""
    given = [key for key in (*_GIVEN, *_LISTS) if getattr(options, key) is not None]
    if options.task in BUILT_IN:
        if given:
            raise BadInput(f"--{given[0].replace('_', '-')} is for benchmarks; {options.task} takes nothing")
        return str(options.task)
    blocks = _blocks(options)
    if options.task in blocks and not given:
        name, block = options.task, blocks[options.task]
    else:
        name, block = _name(options), _block(store, options)
    if missing := missing_path(store, block):
        raise BadInput(f"tasks.{name}.{missing[0]}: {missing[1]} is neither here nor under {store.benchmarks}")
    must_hold_its_task(store, name, block)
    block = with_its_files(store, name, block)
    stage = stage_of(name, block)
    keep_stages(store, {stage: block.frozen()})
    return stage


def _name(options: Namespace) -> str:
    """What records call it."""
    name = options.name or Path(options.task).stem + ("-random" if options.weights == "random" else "")
    if not re.fullmatch("[a-z0-9][a-z0-9-]{0,63}", name):
        raise BadInput(f"--name {name}: small letters, digits and - were expected")
    return str(name)


def _blocks(options: Namespace) -> dict[str, TaskBlock]:
    """Those of the study's file, where there is one."""
    if options.study is None:
        return {}
    try:
        return load_study(options.study, options.profile).tasks
    except BadInput:
        return {}


def _block(store: Store, options: Namespace) -> TaskBlock:
    from harness.evaluate.data import asked
    from harness.evaluate.tasks import task_named

    task = task_named(options.task)  # a name that is none is told before anything else
    if options.data is None:
        raise BadInput(f"--task {options.task}: name the folder of its official files with --data, or hf:NAME")
    values: dict[str, Any] = {key: getattr(options, key) for key in _GIVEN if getattr(options, key) is not None}
    for key, kind in _LISTS.items():
        if (text := getattr(options, key)) is not None:
            values[key] = text if text == "all" else _list(key, text, kind)
    for key in PATHS:
        if key in values:
            if not values[key].startswith(HUB) and found(store, values[key]) is None:
                raise BadInput(f"--{key} {values[key]}: there is no such folder, here or under {store.benchmarks}")
            asked(task, values[key])
    if _name(options) != options.task:
        values["task"] = options.task
    try:
        return TaskBlock.model_validate(values)
    except ValidationError as error:
        first = error.errors()[0]
        where = f"--{str(first['loc'][0]).replace('_', '-')}" if first["loc"] else f"--task {options.task}"
        raise BadInput(f"{where}: {first['msg'].removeprefix('Value error, ')}") from error


def _list(key: str, text: str, kind: Any) -> list[Any]:
    try:
        return [kind(part) for part in text.split(",") if part]
    except ValueError as error:
        raise BadInput(f"--{key} {text}: numbers with commas between were expected") from error


def _evaluate_folder(options: Namespace) -> int:
    """A published model, scored by the same code; its records lie under `evaluations`."""
    if options.study is not None:
        raise BadInput("name a study or --model, not both")
    store = Store(options.root)
    if options.task in BUILT_IN:
        raise BadInput(f"--model is scored on benchmarks; {options.task} needs a run's corpus")
    from harness.evaluate.driven import alone
    from harness.evaluate.published import open_published
    from harness.evaluate.stage import score_stage

    stage = _stage(store, options)
    model = open_published(options.model)
    folder = store.root / "evaluations" / f"{options.model.name}-{model.digest}" / stage
    block = read_json(store.stage(stage))
    say = (stderr if options.json else console).print
    with alone(bf16=model.bf16) as means:
        rows = score_stage(block, stage, model.tokenizer, model, folder, languages=None, means=means, say=say)
    folder.mkdir(parents=True, exist_ok=True)
    about = {"model": str(options.model), "digest": model.digest, "stage": stage, "time": now()}
    write_json(folder / "records.json", about | {"block": block, "records": rows, "key": digest(block)})
    problems: list[str] = read_json(folder / TOLD)["problems"]
    if options.json:
        print(json.dumps({"stage": stage, "records": rows, "problems": problems}, indent=1))
        return 2 if problems else 0
    table = Table("language", "metric", "value", "95 % interval", "majority", "items")
    for row in rows:
        details = row["details"]
        sure = "{:.3f} to {:.3f}".format(*details["interval"])
        level = f"{details['majority']:.3f}" if "majority" in details else ""
        table.add_row(row["language"], row["metric"], f"{row['value']:.3f}", sure, level, str(row["n"]))
    console.print(table)
    return 2 if problems else 0
