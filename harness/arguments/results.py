"""Options of `babelscale collect`, `figures` and `report`."""

from __future__ import annotations

import argparse

from harness.arguments import positive

COLLECT = """\
The records of finished runs as one table, <root>/reports/STUDY/records.parquet: one row a measured number, with its
run's axes. Several studies are each written to a folder of their own.

  babelscale collect curse
  babelscale collect curse alpha --csv      records.csv beside it, for R, a spreadsheet, a notebook
  babelscale collect curse --latex          means.tex: group means by cell with intervals, to \\input into a paper
"""

FIGURES = """\
Draws what the records of finished runs can show into <root>/reports/STUDY/figures: each figure as PDF, SVG and PNG,
with its numbers as CSV. The same records give the same bytes. What is missing is said on the figure.

  babelscale figures curse
  babelscale figures curse alpha capacity
"""

REPORT = """\
Everything about a study in <root>/reports/STUDY:

  report.html      one file that opens from disk: verdicts with intervals and what would settle them, laws, figures,
                   tables to sort, cells that are missing or stale, plan against actual, where it all comes from
  figures/         as `babelscale figures` draws them
  latex/           report.tex with its tables and figures; pdflatex compiles it as it is
  records.parquet  as `babelscale collect` writes it

With several studies also <root>/reports/overview.html: every verdict, p-values adjusted for all of them together.

  babelscale report curse
  babelscale report curse alpha capacity
"""


def add_collect(entry: argparse.ArgumentParser) -> None:
    _studies(entry)
    entry.add_argument("--csv", action="store_true", help="also records.csv, every row of the table")
    entry.add_argument("--latex", action="store_true", help="also means.tex, group means by cell as LaTeX tables")


def add_figures(entry: argparse.ArgumentParser) -> None:
    _studies(entry)


def add_report(entry: argparse.ArgumentParser) -> None:
    _studies(entry)
    entry.add_argument(
        "--resamples", type=positive, metavar="N", help="of runs, behind the laws' intervals (default: 200)"
    )


def _studies(entry: argparse.ArgumentParser) -> None:
    entry.add_argument(
        "study", metavar="STUDY", nargs="+", help="name of a study that was submitted, or path of its YAML file"
    )
    entry.add_argument("--profile", help="which of the studies' profiles (default: each one's first)")
