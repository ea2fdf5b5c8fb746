"""A folder that pdflatex compiles as it is: report.tex, tables/*.tex to take into a paper, figures/*.pdf.

Only what every LaTeX brings is used: article, graphicx, geometry, longtable.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from analysis.export import latex_tabular, latex_text
from analysis.figures import Drawing
from analysis.findings import Verdict, effect_text
from analysis.laws import LawSummary
from analysis.records import Completeness, Study, write_whole
from analysis.report import tables
from analysis.report.tables import Grid

_LONG = 40
"""Rows beyond which a table has to break over pages."""
_PAGE, _FIRST, _OTHER = 500.0, 140.0, 170.0
"""Widths in points: of the page, and of the first and another column of text, which wraps beyond it."""

_PREAMBLE = r"""\documentclass[10pt]{article}
\usepackage[a4paper,margin=1.6cm]{geometry}
\usepackage{graphicx}
\usepackage{longtable}
\setlength{\parindent}{0pt}
\setlength{\parskip}{4pt}
\setlength{\tabcolsep}{4pt}
\setlength{\LTleft}{0pt}
\renewcommand{\arraystretch}{1.15}
\sloppy
\renewcommand{\labelitemi}{$\bullet$}
\raggedbottom
\begin{document}
"""


def write_latex(
    folder: Path,
    *,
    study: Study,
    state: Completeness,
    cautions: Sequence[str],
    verdicts: Sequence[Verdict],
    laws: Sequence[LawSummary],
    drawings: Sequence[Drawing],
    means: Sequence[Grid],
    cells: Grid,
    actual: Grid,
    spent: str,
    budget: str,
) -> Path:
    """Write the folder and return its main file, which comes last. Tables and figures of an earlier report that this
    one does not have are removed; other files in the folder stay."""
    made = {"verdicts": [tables.verdict_grid(verdicts)], "laws": [g for law in laws for g in tables.law_grids(law)]}
    made |= {"means": list(means), "cells": [cells], "plan": [actual]}
    texts = {name: "\n".join(_table(grid) for grid in grids if grid.rows) for name, grids in made.items()}
    texts = {name: text for name, text in texts.items() if text}
    for name, text in texts.items():
        write_whole(folder / "tables" / f"{name}.tex", text.encode())
    shown = [d for d in drawings if "pdf" in d.paths]
    for drawing in shown:
        write_whole(folder / "figures" / f"{drawing.name}.pdf", drawing.paths["pdf"].read_bytes())
    _sweep(folder / "tables", "*.tex", {f"{name}.tex" for name in texts})
    _sweep(folder / "figures", "*.pdf", {f"{d.name}.pdf" for d in shown})

    def take(name: str, otherwise: str) -> str:
        return rf"\input{{tables/{name}}}" if name in texts else otherwise

    parts = [_PREAMBLE, rf"\section*{{{latex_text(study.name)}}}"]
    if study.question:
        parts.append(rf"\textit{{{latex_text(study.question)}}}\par")
    parts.append(f"{state.done} of {state.expected} runs finished. {latex_text(_sentence(budget))}")
    if cautions:
        parts += [r"\subsection*{Before you read on}", _items([_sentence(text) for text in cautions])]
    parts += [r"\subsection*{Findings}", take("verdicts", "The study names no findings to judge."), *_reasons(verdicts)]
    parts += [r"\subsection*{Laws}", *_laws(laws), take("laws", "")]
    parts += [r"\clearpage", r"\subsection*{Figures}", *_figures(shown), *_not_drawn(drawings)]
    parts += [r"\clearpage", r"\subsection*{Group means}", take("means", "No finished run has recorded any.")]
    parts += [r"\subsection*{Cells: whole, partial, missing, stale}", take("cells", "No run has begun.")]
    parts += [r"\subsection*{Plan against actual}", latex_text(spent), take("plan", "No run has begun.")]
    parts += [r"\end{document}", ""]
    main = folder / "report.tex"
    write_whole(main, "\n".join(part for part in parts if part).encode())
    return main


def grids_tex(grids: Sequence[Grid]) -> str:
    """Tables alone, to take into a paper; those without rows are left out."""
    return "\n".join(_table(grid) for grid in grids if grid.rows)


def _table(grid: Grid) -> str:
    """A heading and a tabular, in parts where it is too wide for a page; each begins with the first column."""
    frame = grid.frame()
    widths = [max(map(_width, [name, *frame.iloc[:, i]])) for i, name in enumerate(frame.columns)]
    kinds = ["l" if i in grid.left else "r" for i in range(len(widths))]
    for i, most in enumerate([_FIRST, *[_OTHER] * (len(widths) - 1)]):
        if widths[i] > most and i in grid.left:
            widths[i], kinds[i] = most, f"p{{{most}pt}}"
    parts, used = [[0]], widths[0]
    for i in range(1, len(widths)):
        if len(parts[-1]) > 1 and used + widths[i] > _PAGE:
            parts.append([0])
            used = widths[0]
        parts[-1].append(i)
        used += widths[i]
    lines = [rf"\paragraph{{{latex_text(grid.label)}}}\ \par\smallskip", r"{\footnotesize"]
    for columns in parts:
        part = frame.iloc[:, columns]
        align = {frame.columns[i]: kinds[i] for i in columns}
        lines += [latex_tabular(part, align, long=len(part) > _LONG), r"\par\medskip"]
    return "\n".join([*lines, "}", ""])


def _width(text: object) -> float:
    """About how wide a text is at \\footnotesize with the gaps around it, in points."""
    return 4.6 * len(str(text)) + 8


def _reasons(verdicts: Sequence[Verdict]) -> list[str]:
    if not verdicts:
        return []
    lines = [r"\begin{description}"]
    for v in verdicts:
        settle = f" To settle it: {v.settle}." if v.settle else ""
        notes = "".join(f" Note: {_sentence(c)}" for c in v.cautions)
        text = f"{v.verdict}, on {v.outcome}: {effect_text(v)}. {v.statement}. {v.rule}{settle}{notes}"
        lines.append(rf"\item[{latex_text(v.finding)}] {latex_text(text)}")
    return [*lines, r"\end{description}"]


def _laws(laws: Sequence[LawSummary]) -> list[str]:
    lines = [r"\begin{description}"]
    for law in laws:
        text = f"{law.formula}."
        text += f" Not fitted: {law.absent}." if law.absent else f" Rests on {law.support}." if law.support else ""
        text += "".join(f" {_sentence(c)}" for c in law.cautions)
        lines.append(rf"\item[{latex_text(law.name)}] {latex_text(text)}")
    return [*lines, r"\end{description}"] if laws else []


def _figures(drawings: Sequence[Drawing]) -> list[str]:
    lines = []
    for i, drawing in enumerate(drawings):
        svg = drawing.paths.get("svg")
        wide = svg is not None and b'width="504pt"' in svg.read_bytes()[:2000]
        width = r"\textwidth" if wide else r"0.5\textwidth"
        lines += [
            r"\begin{figure}[!htbp]",
            r"\centering",
            rf"\includegraphics[width={width},height=0.75\textheight,keepaspectratio]{{figures/{drawing.name}.pdf}}",
            rf"\caption{{{latex_text(f'{drawing.title}. {drawing.caption}')}}}",
            r"\end{figure}",
        ]
        if i % 4 == 3:
            lines.append(r"\clearpage")  # LaTeX holds no more than a few that wait for a page
    return lines


def _not_drawn(drawings: Sequence[Drawing]) -> list[str]:
    missing = [d for d in drawings if d.skipped]
    if not missing:
        return []
    return [r"\clearpage", r"\subsection*{Not drawn}", _items([f"{d.title}: {d.skipped}" for d in missing])]


def _items(texts: Sequence[str]) -> str:
    return "\n".join([r"\begin{itemize}", *(rf"\item {latex_text(text)}" for text in texts), r"\end{itemize}"])


def _sentence(text: str) -> str:
    return f"{text[0].upper()}{text[1:]}." if text else ""


def _sweep(folder: Path, pattern: str, kept: set[str]) -> None:
    for path in folder.glob(pattern):
        if path.name not in kept:
            path.unlink()
