"""One study as one page: records to Parquet, figures, and a self-contained HTML report; every word of it from data."""

from __future__ import annotations

import base64
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from analysis import tables
from analysis.figures import Drawing, draw_all
from analysis.findings import CANNOT_TELL, NOT_SUPPORTED, SUPPORTED, Verdict, effect_text, judge, verdict_lines
from analysis.page import TEMPLATE
from analysis.plateau import margins, sentence
from analysis.records import SCHEMA, collect, completeness, load_study, write_parquet, write_whole
from analysis.statistics import ACCURACY, BITS, Outcome, final

__all__ = ["ReportPaths", "build", "verdict_lines"]

_EPOCHS = Outcome("epochs", "training", "train", "epochs", +1, 1.0, "epochs", 2)
_MARKS = {SUPPORTED: "✓", NOT_SUPPORTED: "✗", CANNOT_TELL: "?"}


@dataclass(frozen=True)
class ReportPaths:
    """What `build` wrote, and what it found."""

    report: Path
    records: Path
    drawings: tuple[Drawing, ...]
    verdicts: tuple[Verdict, ...]
    plateau: str
    """Whether every cell left the unigram plateau, in one sentence; "" where that was not recorded."""


def build(root: Path, study_name: str) -> ReportPaths:
    """Collect, judge, draw and write <root>/reports/<study>/. BadInput when the study was never submitted.

    The same store gives the same bytes. Works on an unfinished study: what is missing is said in the page.
    """
    study = load_study(root, study_name)
    state = completeness(root, study)
    df = collect(root, study)
    folder = root / "reports" / study_name
    write_parquet(df, folder / "records.parquet")
    drawings = draw_all(df, study, state, folder / "figures")
    verdicts = judge(df, study)
    plateau = sentence(margins(df, study))
    bits, accuracy = final(df, BITS), final(df, ACCURACY)
    page = _render(
        study=study,
        state=state,
        verdicts=verdicts,
        plateau=plateau,
        drawings=[_inlined(d) for d in drawings],
        budget=_budget(df),
        bits=tables.by_language(bits, study, BITS.scale, 3),
        accuracy=tables.by_language(accuracy, study, ACCURACY.scale, 1),
        epochs=tables.by_language(final(df, _EPOCHS), study, 1.0, 2, exact=True),
        most_seeds=_most_seeds(bits),
        guessing=_guessing(accuracy),
        cells=tables.cells(study, state),
        records=len(df),
        schema=SCHEMA,
        redraw=f"babelscale report {study_name}",
    )
    write_whole(folder / "report.html", page.encode())
    return ReportPaths(folder / "report.html", folder / "records.parquet", tuple(drawings), tuple(verdicts), plateau)


def _render(**values: Any) -> str:
    from jinja2 import Environment, StrictUndefined

    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True)
    return environment.from_string(TEMPLATE).render(
        **values, marks=_MARKS, effect=lambda v: effect_text(v), detail=_detail
    )


def _inlined(drawing: Drawing) -> dict[str, str]:
    svg = drawing.paths.get("svg")
    data = svg.read_bytes() if svg else b""
    return {
        "title": drawing.title,
        "caption": drawing.caption,
        "skipped": drawing.skipped,
        "data": base64.b64encode(data).decode(),
        "size": "page" if b'width="504pt"' in data[:2000] else "column",  # 504 pt are the 7 in of a full page
    }


def _budget(df: pd.DataFrame) -> str:
    """Tokens, steps and batch of the runs: one number each where they agree, a span where they do not."""
    if df.empty:
        return ""
    runs = df.drop_duplicates("run")

    def span(name: str) -> str:
        low, high = runs[name].min(), runs[name].max()
        if low == high:
            return tables.short_number(low)
        return f"{tables.short_number(low)} to {tables.short_number(high)}"

    return f"{span('tokens')} tokens a run ({span('steps')} steps of {span('batch_tokens')} tokens)"


def _most_seeds(rows: pd.DataFrame) -> int:
    if rows.empty:
        return 0
    return int(rows.groupby(["languages", "K", "alpha", "width", "steps"], dropna=False)["seed"].nunique().max())


def _guessing(rows: pd.DataFrame) -> str:
    if rows.empty:
        return ""
    levels = [("evenly among the classes", rows["chance"].mean()), ("the commonest class", rows["majority"].mean())]
    shown = [f"guessing {name} scores {value * 100:.1f} %" for name, value in levels if not math.isnan(value)]
    return f"{'; '.join(shown)}.".capitalize() if shown else ""


def _detail(value: Any, digits: int) -> str:
    """An interval, a list or a number of a verdict's details in a few words."""
    if isinstance(value, Mapping):
        seeds = f"({value['seeds']} seed{'' if value['seeds'] == 1 else 's'})"
        if math.isnan(value["effect"]):
            return "not measured"
        if math.isnan(value["low"]):
            return f"{value['effect']:+.{digits}f} [no interval] {seeds}"
        return f"{value['effect']:+.{digits}f} [{value['low']:.{digits}f}, {value['high']:.{digits}f}] {seeds}"
    if isinstance(value, (list, tuple)):
        return ", ".join(_detail(v, digits) for v in value)
    return f"{value:g}" if isinstance(value, float) else str(value)
