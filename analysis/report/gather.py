"""What a study's files hold, read before anything is written: a broken one is told, and nothing is half made."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from analysis.cautions import cautions
from analysis.records import Completeness, Study, collect, completeness, load_study
from analysis.report.attempts import Made, made
from analysis.report.provenance import Provenance, provenance

Tell = Callable[[str, int, int], None]
"""Told what is being done, how much of it is done, and how much there is."""


def silent(what: str, done: int, of: int) -> None:
    """Nobody looks on."""


@dataclass(frozen=True)
class Gathered:
    """One study as its files are now. cautions: what a reader must be told first, a sentence each without its stop."""

    root: Path
    study: Study
    state: Completeness
    df: pd.DataFrame
    cautions: tuple[str, ...]

    @property
    def folder(self) -> Path:
        """Where everything made of it goes."""
        return self.root / "reports" / self.study.name


def gather(root: Path, name: str) -> Gathered:
    """The records of a study. BadInput where it was never submitted, or a file of it is broken."""
    study = load_study(root, name)
    notes: list[str] = []
    df = collect(root, study, notes)
    state = completeness(root, study)
    found = [] if study.runs else ["the study holds no runs"]
    return Gathered(root, study, state, df, (*found, *notes, *cautions(df, study, state)))


def gather_all(root: Path, names: Sequence[str], tell: Tell = silent) -> list[Gathered]:
    """Several studies, each once, in the order of their names' first mention."""
    every = list(dict.fromkeys(names))
    found = []
    for i, name in enumerate(every):
        tell("records", i, len(every))
        found.append(gather(root, name))
    return found


@dataclass(frozen=True)
class Making:
    """How the runs were made: their attempts, and where they come from."""

    runs: tuple[Made, ...]
    provenance: Provenance


def making(one: Gathered, tell: Tell = silent) -> Making:
    """Of all described runs of the study."""
    runs = made(one.root, one.study, lambda done, of: tell("attempts", done, of))
    return Making(tuple(runs), provenance(one.root, one.study, runs))
