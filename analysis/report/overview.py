"""Several studies on one page: every verdict, adjusted for all of them together, and the way to each study's own."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from analysis.findings import SUPPORTED, Verdict
from analysis.records import write_whole
from analysis.report import tables
from analysis.report.build import ReportPaths, render
from analysis.report.page import OVERVIEW
from analysis.report.tables import Entry, Grid, number
from analysis.statistics import holm


@dataclass(frozen=True)
class Overview:
    """The page, and its verdicts in the order of the studies, each with the study it is of."""

    path: Path
    verdicts: tuple[tuple[str, Verdict], ...]


def overview(root: Path, reports: Sequence[ReportPaths]) -> Overview:
    """Write <root>/reports/overview.html over reports that were just written."""
    verdicts = [(one.name, verdict) for one in reports for verdict in one.verdicts]
    adjusted = holm([verdict.p for _, verdict in verdicts])
    together = [(name, replace(v, p_holm=p)) for (name, v), p in zip(verdicts, adjusted, strict=True)]
    page = render(
        OVERVIEW,
        studies=[{"name": one.name, "cautions": one.cautions} for one in reports],
        done=sum(one.gathered.state.done for one in reports),
        expected=sum(one.gathered.state.expected for one in reports),
        study_grid=_studies(reports),
        verdict_grid=tables.verdict_grid([v for _, v in together], [name for name, _ in together]),
        verdicts=len(together),
        redraw=" ".join(["babelscale", "report", *(one.name for one in reports)]),
    )
    path = root / "reports" / "overview.html"
    write_whole(path, page.encode())
    return Overview(path, tuple(together))


def _studies(reports: Sequence[ReportPaths]) -> Grid:
    rows = []
    for one in reports:
        state, study = one.gathered.state, one.gathered.study
        supported = sum(v.verdict == SUPPORTED for v in one.verdicts)
        rows.append(
            [
                Entry(one.name, link=f"{one.name}/report.html"),
                Entry(study.question),
                number(state.done, f"{state.done} of {state.expected}"),
                number(supported, f"{supported} of {len(one.verdicts)}"),
                number(len(one.cautions), str(len(one.cautions))),
            ]
        )
    heads = [["study"], ["question"], ["runs", "done"], ["verdicts", "supported"], ["cautions"]]
    return Grid("Studies", heads, rows, frozenset({0, 1}))
