"""babelscale plan: a study priced before anything is spent. Reads the store, writes nothing there but a calibration."""

from __future__ import annotations

import json
from argparse import Namespace
from collections.abc import Mapping, Sequence
from typing import Any

from rich.progress import track

from harness.corpus.artefact import Corpus
from harness.corpus.demo import NAME as DEMO_CORPUS
from harness.corpus.demo import demo_source
from harness.launch.observe import observe
from harness.launch.queue import default_slots, visible_gpus
from harness.launch.stages import with_those_at_hand
from harness.memory import available_bytes
from harness.points import calibrated_points, keep_calibration, seen_points, step_flops
from harness.store import Store, digest, read_json
from harness.verbs.plan_table import markdown, table, words
from harness.verbs.show import console, stderr
from models.sizes import EncoderConfig
from sweeps.corpora import known_bytes
from sweeps.diff import difference
from sweeps.errors import BadInput
from sweeps.execution import ExecutionBlock, execution_of
from sweeps.grid import Run, expand
from sweeps.pace import DEVICES, Device, Paces, Point, shape_of
from sweeps.plan import Cell, Plan, cheapest_trim, price, tokenizer_name
from sweeps.study import Study, load_study
from sweeps.where import matches

OVER_BUDGET = 4
CALIBRATED_SHAPES = 5
_TIMED_FLOPS = 4e11
"""Of a calibrating step on a CPU, some seconds; larger batches are timed in part."""


def plan(options: Namespace) -> int:
    store = Store(options.root, create=False)
    study, runs, at_hand = _resolve(store, options)
    if options.diff:
        return _diff(store, options, study, runs)
    device = DEVICES[options.device or study.execution.device or "cpu"]
    beside = _beside(study, device)
    if options.calibrate:
        _calibrate(Store(options.root), study, runs, device, beside)
    seen, overhead = seen_points(store, device)
    calibrated, start = calibrated_points(store, device)
    priced = price(
        runs,
        {run.id: observe(store, run.id, study.stages).state for run in runs},
        study.execution,
        bytes_of=_sizes(store, study, at_hand),
        bytes_per_token=_bytes_per_token(store, runs),
        paces=Paces([*seen, *calibrated], device),
        memory_bytes=available_bytes() / beside if device.name == "cpu" else device.memory_bytes,
        on_cpu=device.name == "cpu",
        beside=beside,
        overhead_seconds=overhead or start,
    )
    trim = cheapest_trim(priced, options.budget) if options.budget and priced.missing_hours > options.budget else None
    over = bool(options.budget and priced.missing_hours > options.budget)
    facts = words(
        priced, study, device=device, beside=beside, price=options.price, budget=options.budget, trim=trim,
        at_hand=at_hand, tokenizers_at_hand=len(_tokenizers(store, runs)),
    )  # fmt: skip
    if options.json:
        print(json.dumps(_as_json(study, runs, priced, device, facts, options, at_hand), indent=1))
    elif options.markdown:
        print(markdown(priced, study, facts))
    else:
        console.print(table(priced, study))
        for line in facts:
            console.print(line, highlight=False, soft_wrap=True)
    return OVER_BUDGET if over else 0


def _resolve(store: Store, options: Namespace, *, where: bool = True) -> tuple[Study, list[Run], bool]:
    """The study, its runs, and whether its corpus is at hand (the demo's text is pinned, so known before it is)."""
    study, _ = with_those_at_hand(store, load_study(options.study, options.profile))
    corpus = Corpus.open(store, study.corpus)
    if corpus is not None:
        sizes = {code: corpus.train_bytes(code) for code in corpus.languages}
        runs = expand(study, corpus.key, sizes, force=options.force)
    elif study.corpus == DEMO_CORPUS:
        runs = expand(study, digest(demo_source()), force=options.force)
    else:
        runs = expand(study, f"not at hand: {study.corpus}", force=options.force)
        known = known_bytes(study.corpus)
        lacking = sorted({code for run in runs for code in run.science["languages"] if code not in known})
        if lacking:
            raise BadInput(
                f"{study.at('corpus')}: the corpus {study.corpus!r} is not under {store.root}, and CC-100, with whose "
                f"sizes a plan reckons then, has no {', '.join(lacking[:5])}: babelscale corpus add {study.corpus} "
                "FOLDER first"
            )
    if where and options.where:
        runs = [run for run in runs if matches(options.where, run.axes | {"id": run.id})]
        if not runs:
            raise BadInput(f"study {study.name}: no cell meets --where {options.where!r}")
    return study, runs, corpus is not None or study.corpus == DEMO_CORPUS


def _sizes(store: Store, study: Study, at_hand: bool) -> Mapping[str, float]:
    corpus = Corpus.open(store, study.corpus) if at_hand else None
    if corpus is None:
        return known_bytes(study.corpus)
    return {code: float(corpus.train_bytes(code)) for code in corpus.languages}


def _beside(study: Study, device: Device) -> int:
    """Runs at the same time on one machine: on a CPU they share its memory and its caches."""
    if device.name != "cpu":
        return 1
    execution = study.execution.model_dump(exclude={"rules"})
    return study.execution.slots or default_slots({"execution": execution})


def _tokenizers(store: Store, runs: Sequence[Run]) -> dict[str, dict[str, Any]]:
    """Manifests of the tokenizers that runs stand on, by `tokenizer_name`, as far as they are there."""
    wanted = {tokenizer_name(run.science["tokenizer"]) for run in runs}
    found: dict[str, dict[str, Any]] = {}
    for path in sorted(store.tokenizers.glob("*/manifest.json")):
        try:
            manifest = read_json(path)
            name = tokenizer_name({key: value for key, value in manifest["spec"].items() if key != "seed"})
            if name in wanted and manifest["corpus"] == runs[0].science["corpus"]:
                found[name] = manifest
        except (OSError, ValueError, KeyError, TypeError):
            continue  # one that is being made, or damaged: a plan can do without
    return found


def _bytes_per_token(store: Store, runs: Sequence[Run]) -> dict[str, dict[str, float]]:
    """Measured on held-out text, by tokenizer and language."""
    found = {}
    for name, manifest in _tokenizers(store, runs).items():
        languages = manifest["statistics"]["languages"]
        found[name] = {
            code: 1 / entry["tokens_per_byte"] for code, entry in languages.items() if entry.get("tokens_per_byte")
        }
    return found


def _calibrate(store: Store, study: Study, runs: Sequence[Run], device: Device, beside: int) -> None:
    from harness.calibrate import measure

    gpu = bool(visible_gpus())
    if (device.name == "cpu") == gpu:
        here = "a GPU" if gpu else "a CPU"
        raise BadInput(f"--calibrate times steps here, on {here}, and the plan is for {device.name}: set --device")
    shapes: dict[Any, tuple[Run, ExecutionBlock]] = {}
    for run in sorted(runs, key=lambda run: float(run.axes["flops"]) / int(run.axes["steps"])):
        how = execution_of(study.execution, run.axes)
        shapes.setdefault(shape_of(run.science, how.model_dump(), beside), (run, how))
    chosen = list(shapes.items())
    if len(chosen) > CALIBRATED_SHAPES:  # the smallest, the largest, and evenly between
        last = len(chosen) - 1
        chosen = [chosen[round(n * last / (CALIBRATED_SHAPES - 1))] for n in range(CALIBRATED_SHAPES)]
    points, starts = [], []
    for shape, (run, how) in track(chosen, "timing steps", console=stderr, transient=True):
        config = EncoderConfig(**run.science["model"])
        flops = step_flops(config, run.science)
        rows = max(1, run.science["batch_rows"] // how.devices)
        limit = _TIMED_FLOPS if device.name == "cpu" else _TIMED_FLOPS * 1000
        timed = max(1, min(rows, int(limit / (flops / run.science["batch_rows"]))))
        seconds, spread, start = measure(
            run.science | {"batch_rows": timed},
            threads=how.threads,
            beside=beside * (how.devices if device.name == "cpu" else 1),
        )
        parameters = run.axes["body_parameters"] + run.axes["embedding_parameters"]
        points.append(Point(shape, flops, parameters, seconds * rows / timed, spread))
        starts.append(start)
    keep_calibration(store, device, points, min(starts))


def _diff(store: Store, options: Namespace, study: Study, runs: list[Run]) -> int:
    other, others, _ = _resolve(
        store,
        Namespace(study=options.diff, profile=options.diff_profile, force=options.force, where=None),
    )
    found = difference(study, runs, other, others)
    if options.json:
        print(json.dumps(found, indent=1))
        return 0
    console.print(
        f"{study.name} ({study.profile}) {len(runs)} runs, {other.name} ({other.profile}) {len(others)} runs, "
        f"{found['shared']} in both",
        highlight=False,
    )
    for what in ("science", "execution"):
        if not found[what]:
            console.print(f"{what}: no difference", highlight=False)
        for key, (mine, theirs) in found[what].items():
            console.print(f"{what}, {key}: {_short(mine)} | {_short(theirs)}", highlight=False, soft_wrap=True)
    return 0


def _short(values: Sequence[Any]) -> str:
    shown = ", ".join(json.dumps(value) for value in values[:6])
    shown = shown if len(shown) <= 160 else shown[:157] + "..."
    return (shown + (f" and {len(values) - 6} more" if len(values) > 6 else "")) or "nothing"


def _as_json(
    study: Study,
    runs: Sequence[Run],
    priced: Plan,
    device: Device,
    facts: Sequence[str],
    options: Namespace,
    at_hand: bool,
) -> dict[str, Any]:
    state = {run.id: name for cell in priced.cells for run, name in zip(cell.runs, cell.run_states, strict=True)}
    low, high = priced.low_high
    return {
        "study": study.name,
        "profile": study.profile,
        "corpus_at_hand": at_hand,
        "device": device.name,
        "cells": [_cell_as_json(cell) for cell in priced.cells],
        "runs": [{"id": run.id, "state": state[run.id], "axes": run.axes} | _branch(run) for run in runs],
        "states": dict(priced.states),
        "tokenizers": priced.tokenizers,
        "shards": priced.shards,
        "missing_device_hours": priced.missing_hours,
        "missing_device_hours_range": [low, high],
        "money": priced.missing_hours * options.price if options.price else None,
        "warnings": list(priced.warnings),
        "words": list(facts),
    }


def _cell_as_json(cell: Cell) -> dict[str, Any]:
    epochs = {
        name: {"language": entry.language, "epochs": entry.count}
        for name, entry in (("fewest_epochs", cell.fewest), ("most_epochs", cell.most))
        if entry is not None
    }
    return {
        "runs": [run.id for run in cell.runs],
        "axes": {name: value for name, value in cell.axes.items() if name not in ("seed", "languages")},
        "states": dict(cell.states),
        **epochs,
        "devices": cell.execution.devices,
        "zero": cell.execution.zero,
        "micro_rows": cell.micro_rows,
        "accumulation": cell.accumulation,
        "seconds_per_step": cell.pace.seconds,
        "error": cell.pace.error,
        "basis": cell.pace.basis,
        "hours_per_run": cell.run_hours,
        "device_hours": cell.device_hours,
    }


def _branch(run: Run) -> dict[str, Any]:
    return {"trunk": {"run": run.trunk.run, "step": run.trunk.step}} if run.trunk else {}
