"""The report of a study: one page that opens from disk, and a LaTeX folder; over several studies, an overview.

gather.py      what the files hold, read before anything is written
attempts.py    how each run was made
actual.py      the plan against what was
provenance.py  code, versions, corpus, tokenizers
tables.py      grids of entries
build.py       everything together, written
overview.py    several studies on one page
page.py, style.py, latex.py   how it looks
"""

from analysis.findings import verdict_lines
from analysis.report.build import ReportPaths, build, draw, means_tex, write
from analysis.report.gather import Gathered, gather, gather_all
from analysis.report.overview import Overview, overview

__all__ = [
    "Gathered", "Overview", "ReportPaths", "build", "draw", "gather", "gather_all",
    "means_tex", "overview", "verdict_lines", "write",
]  # fmt: skip
