"""The figures of a study: each as PNG, SVG, PDF and the CSV of what is drawn; the same table gives the same bytes.

A figure is a module of this package with NAME (of its files), TITLE, and four functions: `data(df, study)`, the table
of what is drawn; `skipped(points)`, why there is nothing to draw, or ""; `draw(points, df, study, state)`; and
`caption(points)`. It may name the FINDINGS it shows: where it cannot be drawn, it is spoken of only in a study that
asks for one of them. One with READS_STORE is given the store's folder too: `data(df, study, root)`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from importlib import import_module
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd

from analysis.figures import style
from analysis.records import Completeness, Study, write_whole
from analysis.threads import one_thread

if TYPE_CHECKING:
    from matplotlib.figure import Figure

MODULES = (
    "curse", "causes", "zeroshot", "capacity", "isoloss", "sampling", "budgets", "tradeoff", "pareto", "tokenizer",
    "text", "enough", "vocabulary", "training", "monolingual", "transfer", "seen", "epochs", "languages", "losses",
)  # fmt: skip
"""In the order in which a reader meets them."""

_UNDATED: dict[str, dict[str, None]] = {
    "png": {"Software": None},
    "svg": {"Date": None, "Creator": None},
    "pdf": {"CreationDate": None, "Creator": None, "Producer": None},
}


@dataclass(frozen=True)
class Drawing:
    """One figure: its files by ending (png, svg, pdf, csv), its caption; or, with no files, why it was skipped."""

    name: str
    title: str
    caption: str = ""
    paths: dict[str, Path] = field(default_factory=dict)
    skipped: str = ""


def draw_all(
    df: pd.DataFrame,
    study: Study,
    completeness: Completeness,
    folder: Path,
    *,
    root: Path | None = None,
    notes: Sequence[str] = (),
    progress: Callable[[int, int], None] | None = None,
    processes: int = 1,
) -> list[Drawing]:
    """Draw every figure the table has data for into `folder`; files of a figure that is not drawn are removed.

    root: the store, for what stands in no table (loss curves). notes: cautions on the whole study, said at the foot of
    every figure. progress: called with figures done and figures in all. processes: how many draw side by side; the
    files are the same.
    """
    foot = tuple(_sentence(note) for note in notes if not _of_missing_runs(note, completeness))
    sheet = _Sheet(df, study, completeness, folder, root, foot)
    drawings: dict[str, Drawing | None] = {}
    if progress:
        progress(0, len(MODULES))
    for name, drawing in _drawn(sheet, processes):
        drawings[name] = drawing
        if progress:
            progress(len(drawings), len(MODULES))
    return [drawing for name in MODULES if (drawing := drawings[name]) is not None]


@dataclass(frozen=True)
class _Sheet:
    """What every figure is drawn from."""

    df: pd.DataFrame
    study: Study
    completeness: Completeness
    folder: Path
    root: Path | None
    foot: tuple[str, ...]

    def draw(self, name: str) -> Drawing | None:
        """One figure; None where it cannot be drawn and the study asks for none of its findings."""
        module = import_module(f"{__name__}.{name}")
        store = {"root": self.root} if getattr(module, "READS_STORE", False) else {}
        points = module.data(self.df, self.study, **store)
        why = module.skipped(points)
        if why:
            for ending in (*_UNDATED, "csv"):
                (self.folder / f"{module.NAME}.{ending}").unlink(missing_ok=True)
            findings = getattr(module, "FINDINGS", ())
            asked = not findings or set(findings) & set(self.study.findings)
            return Drawing(module.NAME, module.TITLE, skipped=why) if asked else None
        with style.house(self.foot):
            figure = module.draw(points, self.df, self.study, self.completeness)
            paths = _save(figure, self.folder, module.NAME)
        paths["csv"] = self.folder / f"{module.NAME}.csv"
        write_whole(paths["csv"], _flat(points).to_csv(index=False, lineterminator="\n").encode())
        return Drawing(module.NAME, module.TITLE, module.caption(points), paths)


def _drawn(sheet: _Sheet, processes: int) -> Iterator[tuple[str, Drawing | None]]:
    """Name and drawing of every module, as they are finished."""
    if processes < 2:
        for name in MODULES:
            yield name, sheet.draw(name)
        return
    from concurrent.futures import ProcessPoolExecutor, as_completed
    from multiprocessing import get_context

    # Spawned, not forked: a fork would copy locks that the progress bar's thread may hold.
    with ProcessPoolExecutor(processes, get_context("spawn"), _take, (sheet,)) as pool:
        # The last ones read most: begun first, so that they end with the others.
        waited = {pool.submit(_draw_one, name): name for name in reversed(MODULES)}
        for future in as_completed(waited):
            yield waited[future], future.result()


_taken: list[_Sheet] = []
"""In a process that draws: what it draws from, sent once."""


def _take(sheet: _Sheet) -> None:
    one_thread().__enter__()
    _taken.append(sheet)


def _draw_one(name: str) -> Drawing | None:
    return _taken[0].draw(name)


def _sentence(note: str) -> str:
    return note[:1].upper() + note[1:].rstrip(".") + "."


def _of_missing_runs(note: str, state: Completeness) -> bool:
    """A figure says itself which of its own cells are missing."""
    return note.startswith(f"{len(state.missing)} of {state.expected} runs are not finished")


def _save(figure: Figure, folder: Path, name: str) -> dict[str, Path]:
    figure.draw_without_rendering()
    figure.set_layout_engine("none")  # the places are found once, not once a file
    paths = {}
    for ending, metadata in _UNDATED.items():
        buffer = BytesIO()
        figure.savefig(buffer, format=ending, metadata=metadata)
        paths[ending] = folder / f"{name}.{ending}"
        write_whole(paths[ending], buffer.getvalue())
    return paths


def _flat(points: pd.DataFrame) -> pd.DataFrame:
    """The seeds' own values as one readable field."""
    table = points.copy()
    for name in table.columns:
        if name.startswith("points"):
            table[name] = [" ".join(f"{v:.6g}" for v in values) for values in table[name]]
    return table
