"""collect, figures, report, export."""

from __future__ import annotations

import json
from argparse import Namespace
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from harness.launch.freeze import frozen_study
from harness.store import Store, read_json
from harness.verbs.look import pick, study_name
from harness.verbs.show import console, stderr
from sweeps.errors import BadInput


def _gathered(options: Namespace, bar: Progress) -> list[Any]:
    """Every study that was named, read before anything is written."""
    from analysis.report import gather_all

    store = Store(options.root, create=False)
    names = [study_name(store, Namespace(study=one, profile=options.profile)) for one in options.study]
    for name in names:
        frozen_study(store, name)
    return gather_all(store.root, names, _teller(bar))


def collect(options: Namespace) -> int:
    from analysis import records
    from analysis.export import csv_bytes
    from analysis.report import means_tex

    with _bar(options) as bar:
        found = _gathered(options, bar)
        told = []
        for one in found:
            paths = {"table": one.folder / "records.parquet"}
            records.write_parquet(one.df, paths["table"])
            if options.csv:
                paths["csv"] = one.folder / "records.csv"
                records.write_whole(paths["csv"], csv_bytes(one.df))
            if options.latex:
                paths["latex"] = one.folder / "means.tex"
                records.write_whole(paths["latex"], means_tex(one).encode())
            told.append((one, paths))
    if options.json:
        _print_json(
            [
                {"study": one.study.name, "rows": len(one.df), "missing": one.state.missing, "cautions": one.cautions}
                | {kind: str(path) for kind, path in paths.items()}
                for one, paths in told
            ]
        )
        return 0
    for one, paths in told:
        _say(f"{_prefix(one, told)}{len(one.df)} records of {one.state.done} of {one.state.expected} runs")
        _warn(one.cautions)
        for path in paths.values():
            print(path)
    return 0


def figures(options: Namespace) -> int:
    from analysis.report import draw

    with _bar(options) as bar:
        found = _gathered(options, bar)
        drawn = [(one, draw(one, one.cautions, _teller(bar, one.study.name))) for one in found]
    if options.json:
        _print_json(
            [
                {
                    "study": one.study.name,
                    "cautions": one.cautions,
                    "figures": [
                        {
                            "name": d.name,
                            "files": {kind: str(path) for kind, path in d.paths.items()},
                            "skipped": d.skipped,
                        }
                        for d in drawings
                    ],
                }
                for one, drawings in drawn
            ]
        )
        return 0
    for one, drawings in drawn:
        if len(drawn) > 1:
            _say(one.study.name)
        for entry in drawings:
            print(
                f"{entry.name}: not drawn, {entry.skipped}" if entry.skipped else f"{entry.name}: {entry.paths['pdf']}"
            )
        _warn(one.cautions)
    return 0


def report(options: Namespace) -> int:
    from analysis import report as reporting
    from analysis.report import told

    with _bar(options) as bar:
        found = _gathered(options, bar)
        more = {"resamples": options.resamples} if getattr(options, "resamples", None) else {}
        made = [reporting.write(one, _teller(bar, one.study.name), **more) for one in found]
        over = reporting.overview(found[0].root, made) if len(made) > 1 else None
    if options.json:
        rows = [told.report(one) for one in made]
        if over is None:
            _print_json(rows)
        else:
            print(json.dumps({"studies": rows} | told.overview(over), indent=1))
        return 0
    for one in made:
        if over is not None:
            _say(one.name)
        for line in reporting.verdict_lines(one.verdicts):
            _say(line)
        for law in one.laws:
            _say(f"law  {law.name}: {f'not fitted, {law.absent}' if law.absent else f'fitted on {law.support}'}")
        if one.plateau:
            _say(one.plateau)
        _warn(one.cautions)
        print(f"report: {one.report}")
        print(f"latex: {one.latex}")
    if over is not None:
        print(f"overview: {over.path}")
    return 0


def _print_json(rows: list[dict[str, Any]]) -> None:
    """One study's answer as it is, several under `studies`."""
    print(json.dumps(rows[0] if len(rows) == 1 else {"studies": rows}, indent=1))


def _say(text: str) -> None:
    console.print(text, highlight=False, soft_wrap=True, markup=False)


def _warn(cautions: Sequence[str]) -> None:
    for text in cautions:
        _say(f"note: {text}")


def _prefix(one: Any, told: Sequence[object]) -> str:
    return f"{one.study.name}: " if len(told) > 1 else ""


def _bar(options: Namespace) -> Progress:
    """On a terminal only, and gone when the work is done."""
    shown = stderr if options.json else console
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    return Progress(*columns, console=shown, transient=True, disable=not shown.is_terminal)


def _teller(bar: Progress, study: str = "") -> Callable[[str, int, int], None]:
    task = bar.add_task(study, total=None)

    def tell(what: str, done: int, of: int) -> None:
        bar.update(task, description=f"{study} {what}".strip(), completed=done, total=of)

    return tell


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
