"""One study as one page: records to Parquet, figures, a self-contained HTML report and a LaTeX folder; every word of it
from data."""

from __future__ import annotations

import base64
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from analysis.completeness import cell_states
from analysis.figures import Drawing, draw_all
from analysis.findings import CANNOT_TELL, NOT_SUPPORTED, SUPPORTED, Verdict, effect_text, judge
from analysis.laws import LawSummary, laws_report
from analysis.laws.fit import RESAMPLES
from analysis.plateau import margins, sentence
from analysis.records import SCHEMA, write_parquet, write_whole
from analysis.report import actual, tables
from analysis.report.gather import Gathered, Tell, gather, making, silent
from analysis.report.latex import grids_tex, write_latex
from analysis.report.page import TEMPLATE
from analysis.report.tables import Grid
from analysis.statistics import BITS, Outcome, final, outcomes
from analysis.threads import one_thread, processes_for

_EPOCHS = Outcome("epochs", "training", "train", "epochs", +1, 1.0, "epochs", 2)
_MARKS = {SUPPORTED: "✓", NOT_SUPPORTED: "✗", CANNOT_TELL: "?"}
_HEAVY = 400_000
"""Bytes of an SVG beyond which the page holds the PNG: a curve a run is drawn in more paths than pixels."""
_SECTIONS = (
    ("findings", "Findings"), ("laws", "Laws"), ("figures", "Figures"), ("tables", "Tables"), ("cells", "Cells"),
    ("plan", "Plan against actual"), ("provenance", "Where this comes from"),
)  # fmt: skip


@dataclass(frozen=True)
class ReportPaths:
    """What `build` wrote, and what it found."""

    name: str
    report: Path
    records: Path
    latex: Path
    """The folder's main file."""
    drawings: tuple[Drawing, ...]
    verdicts: tuple[Verdict, ...]
    laws: tuple[LawSummary, ...]
    plateau: str
    """Whether every cell left the unigram plateau, in one sentence; "" where that was not recorded."""
    cautions: tuple[str, ...]
    """What a reader must be told before any number, a sentence each."""
    gathered: Gathered


def build(root: Path, study_name: str, tell: Tell = silent, *, resamples: int = RESAMPLES) -> ReportPaths:
    """Collect, judge, draw and write <root>/reports/<study>/. BadInput when the study was never submitted.

    resamples: of runs, behind the laws' intervals. The same store gives the same bytes. Works on an unfinished study:
    what is missing is said in the page.
    """
    return write(gather(root, study_name), tell, resamples=resamples)


def write(one: Gathered, tell: Tell = silent, *, resamples: int = RESAMPLES) -> ReportPaths:
    """`build` for a study that is read already; the page, which points at all the rest, comes last."""
    study, state, df, folder = one.study, one.state, one.df, one.folder
    made = making(one, tell)
    warned = (*one.cautions, *made.provenance.drift)
    with one_thread():
        tell("verdicts", 0, 1)
        verdicts = judge(df, study, one.root)
        tell("laws", 0, 1)
        laws = laws_report(df, study, resamples=resamples)
    plateau = sentence(margins(df, study))
    write_parquet(df, folder / "records.parquet")
    drawings = draw(one, warned, tell)
    tell("page", 0, 1)
    reckoned = actual.reckoned(made.runs, study, df)
    means, fives = tables.group_means(df, study), tables.table_5(df, study)
    cells = tables.state_grid(cell_states(one.root, study, df))
    budget = _budget(df)
    latex = write_latex(
        folder / "latex",
        study=study,
        state=state,
        cautions=warned,
        verdicts=verdicts,
        laws=laws,
        drawings=drawings,
        means=means + fives,
        cells=cells,
        actual=actual.grid(reckoned),
        spent=actual.summary(reckoned),
        budget=budget,
    )
    bits = final(df, BITS)
    page = render(
        TEMPLATE,
        study=study,
        state=state,
        cautions=warned,
        sections=_SECTIONS,
        verdicts=verdicts,
        verdict_grid=tables.verdict_grid(verdicts),
        plateau=plateau,
        laws=[(law, tables.law_grids(law)) for law in laws],
        drawings=[_inlined(d) for d in drawings],
        skipped=[d for d in drawings if d.skipped],
        budget=budget,
        bits=len(bits) > 0,
        most_seeds=_most_seeds(bits),
        numbers=_numbers(one, means, fives),
        cells=cells,
        actual=actual.grid(reckoned),
        actual_note=actual.NOTE,
        spent=actual.summary(reckoned),
        source=made.provenance,
        records=len(df),
        schema=SCHEMA,
        redraw=f"babelscale report {study.name}",
    )
    write_whole(folder / "report.html", page.encode())
    return ReportPaths(
        study.name, folder / "report.html", folder / "records.parquet", latex, tuple(drawings), tuple(verdicts),
        tuple(laws), plateau, warned, one,
    )  # fmt: skip


def draw(one: Gathered, notes: Sequence[str], tell: Tell = silent) -> list[Drawing]:
    """The study's figures, with what a reader must be told at the foot of each."""
    with one_thread():
        return draw_all(
            one.df,
            one.study,
            one.state,
            one.folder / "figures",
            root=one.root,
            notes=notes,
            processes=processes_for(len(one.df)),
            progress=lambda done, of: tell("figures", done, of),
        )


def means_tex(one: Gathered) -> str:
    """Group means by cell, and Table 5, as LaTeX tables; a comment where no run has recorded any."""
    grids = tables.group_means(one.df, one.study) + tables.table_5(one.df, one.study)
    return grids_tex(grids) or "% no finished run has recorded any\n"


def render(template: str, **values: Any) -> str:
    """A page of a template, everything in it escaped."""
    from jinja2 import Environment, StrictUndefined

    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True)
    helpers = {"anchor": tables.anchor, "p_text": tables.p_text, "effect": effect_text, "detail": _detail}
    return environment.from_string(template).render(**values, **helpers, marks=_MARKS)


def _numbers(one: Gathered, means: list[Grid], fives: list[Grid]) -> list[tuple[str, str, list[Grid]]]:
    """(title, note, grids) of each table of numbers: groups by cell, then languages by cell."""
    df, study = one.df, one.study
    each = "Means over the languages of a group, each run's own, then over seeds."
    found = [(grid.label, each, [grid]) for grid in means]
    both = "The paper's Table 5: each language in a model of its own and in one of all, and the difference by seed."
    found += [(grid.label, both, [grid]) for grid in fives]
    hidden = False
    for outcome in outcomes(df):
        rows = final(df, outcome)
        title = f"{outcome.name[0].upper()}{outcome.name[1:]} by language"
        grids = tables.by_language(rows, study, title, outcome.scale, outcome.digits) if len(rows) else []
        hidden |= bool(len(rows)) and not grids
        if grids:
            found.append((title, _explained(outcome, rows), grids))
    epochs = final(df, _EPOCHS)
    title = "Epochs by language"
    grids = tables.by_language(epochs, study, title, 1.0, 2, exact=True) if len(epochs) else []
    if grids:
        found.append((title, "How many times each language's training text was passed.", grids))
    if hidden:
        why = (
            f"The study has more than {tables.MOST_CELLS} cells, so languages are not shown cell by cell here; "
            f"babelscale collect {study.name} --csv writes every number."
        )
        found.append(("By language", why, []))
    return found


def _explained(outcome: Outcome, rows: pd.DataFrame) -> str:
    if outcome == BITS:
        return "Final held-out bits per byte, lower is better."
    text = f"{outcome.name[0].upper()}{outcome.name[1:]}, in points of 100, higher is better."
    if outcome.zero_shot:
        text += " Where models are fine-tuned in English, English is supervised and the others are zero-shot."
    return f"{text} {_guessing(rows)}".strip()


def _inlined(drawing: Drawing) -> dict[str, str]:
    svg, png = drawing.paths.get("svg"), drawing.paths.get("png")
    data, kind = (svg.read_bytes(), "svg+xml") if svg else (b"", "")
    wide = b'width="504pt"' in data[:2000]  # 504 pt are the 7 in of a full page
    if len(data) > _HEAVY and png:
        data, kind = png.read_bytes(), "png"
    return {
        "title": drawing.title,
        "caption": drawing.caption,
        "skipped": drawing.skipped,
        "data": f"data:image/{kind};base64,{base64.b64encode(data).decode()}",
        "size": "page" if wide else "column",
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
