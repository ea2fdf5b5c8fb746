"""collect, figures, report, export."""

from __future__ import annotations

import json
import math
from argparse import Namespace
from pathlib import Path

from harness.launch.freeze import frozen_study
from harness.store import Store, read_json
from harness.verbs.look import pick, study_name
from harness.verbs.show import console
from sweeps.errors import BadInput


def _open(options: Namespace) -> tuple[Store, str]:
    store = Store(options.root, create=False)
    name = study_name(store, options)
    frozen_study(store, name)
    return store, name


def collect(options: Namespace) -> int:
    from analysis import records

    store, name = _open(options)
    study = records.load_study(store.root, name)
    table = records.collect(store.root, study)
    whole = records.completeness(store.root, study)
    path = store.reports(name) / "records.parquet"
    path.parent.mkdir(parents=True, exist_ok=True)
    records.write_parquet(table, path)
    if options.json:
        print(json.dumps({"study": name, "rows": len(table), "missing": whole.missing, "table": str(path)}))
    else:
        console.print(f"{len(table)} records of {whole.done} of {whole.expected} runs")
        print(path)
    return 0


def figures(options: Namespace) -> int:
    from analysis import figures as drawing
    from analysis import records

    store, name = _open(options)
    study = records.load_study(store.root, name)
    table, whole = records.collect(store.root, study), records.completeness(store.root, study)
    drawings = drawing.draw_all(table, study, whole, store.reports(name) / "figures")
    if options.json:
        rows = [
            {"name": d.name, "files": {kind: str(path) for kind, path in d.paths.items()}, "skipped": d.skipped}
            for d in drawings
        ]
        print(json.dumps({"study": name, "figures": rows}, indent=1))
        return 0
    for entry in drawings:
        print(f"{entry.name}: not drawn, {entry.skipped}" if entry.skipped else f"{entry.name}: {entry.paths['pdf']}")
    return 0


def report(options: Namespace) -> int:
    from analysis import report as reporting

    store, name = _open(options)
    made = reporting.build(store.root, name)
    if options.json:
        verdicts = [
            {
                "finding": v.finding,
                "outcome": v.outcome,
                "verdict": v.verdict,
                "effect": _number(v.effect),
                "low": _number(v.low),
                "high": _number(v.high),
            }
            for v in made.verdicts
        ]
        found = {"verdicts": verdicts, "plateau": made.plateau}
        print(json.dumps({"study": name, "report": str(made.report)} | found, indent=1))
        return 0
    for line in reporting.verdict_lines(made.verdicts):
        console.print(line, highlight=False, soft_wrap=True)
    if made.plateau:
        console.print(made.plateau, highlight=False, soft_wrap=True)
    print(f"report: {made.report}")
    return 0


def _number(value: float) -> float | None:
    """JSON has no NaN."""
    return None if math.isnan(value) else value


def export(options: Namespace) -> int:
    from harness.branches import WEIGHTS
    from harness.evaluate.score import load_model
    from harness.prepare import open_tokenizer
    from models.huggingface import export_folder

    store = Store(options.root, create=False)
    known = sorted(path.parent.parent.name for path in store.runs.glob(f"*/{WEIGHTS}"))
    run = pick(known, options.run)
    science = read_json(store.run(run) / "run.json")["science"]
    target = Path(options.folder)
    if target.exists():
        raise BadInput(f"{target} exists already: name a folder that does not")
    try:
        export_folder(
            load_model(store.run(run) / WEIGHTS, science).cpu(),
            open_tokenizer(store, science).folder / "sentencepiece.model",
            target,
        )
    except ValueError as error:
        raise BadInput(f"{run} cannot be exported: {error}") from error
    console.print(
        f"{run} written; transformers loads it with AutoModelForMaskedLM.from_pretrained({str(target)!r})",
        soft_wrap=True,
    )
    return 0
