"""babelscale evaluate: a study's runs, or a model folder, on one more task."""

from __future__ import annotations

import json
import re
from argparse import Namespace
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pydantic import ValidationError
from rich.console import Console
from rich.table import Table

from harness.corpus.sources import HUB
from harness.launch import queue
from harness.launch.freeze import frozen_study
from harness.launch.observe import observe
from harness.launch.stages import PATHS, TOLD, found, keep_stages, missing_path, with_its_files, without_those_replaced
from harness.store import Store, digest, now, read_json, write_json
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
    kept = set(before["evaluate"]) if stage in BUILT_IN else without_those_replaced(store, before["evaluate"], stage)
    tasks = sorted({*kept, stage})
    if tasks != before["evaluate"]:
        write_json(store.studies / f"{name}.json", before | {"evaluate": tasks})
    rows = those_where([observe(store, run, tasks) for run in before["runs"]], options.where)
    lacking = [row.run for row in rows if row.state != "done"]
    finished = _score(store, name, lacking, options) if lacking else True
    problems = _told(stderr, [store.run(run) / "tasks" / stage for run in lacking])
    told = {"study": name, "task": options.task, "stage": stage, "scored": len(lacking), "problems": problems}
    if options.json:
        print(json.dumps(told))
    else:
        console.print(f"{name}: {len(lacking)} runs scored on {options.task}, {len(rows) - len(lacking)} had it")
    return 1 if not finished else 2 if problems else 0


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
