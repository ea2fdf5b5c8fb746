"""The figures of a study: each as PNG, SVG, PDF and the CSV of what is drawn; the same table gives the same bytes."""

from __future__ import annotations

from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING

import pandas as pd

from analysis.figures import curse, style, tradeoff, zeroshot
from analysis.records import Completeness, Study, write_whole

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_ALL: tuple[ModuleType, ...] = (curse, zeroshot, tradeoff)
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


def draw_all(df: pd.DataFrame, study: Study, completeness: Completeness, folder: Path) -> list[Drawing]:
    """Draw every figure the table has data for into `folder`; files of a figure that is now skipped are removed."""
    drawings = []
    for module in _ALL:
        points = module.data(df, study)
        why = module.skipped(points)
        if why:
            for ending in (*_UNDATED, "csv"):
                (folder / f"{module.NAME}.{ending}").unlink(missing_ok=True)
            drawings.append(Drawing(module.NAME, module.TITLE, skipped=why))
            continue
        with style.house():
            figure = module.draw(points, df, study, completeness)
            paths = _save(figure, folder, module.NAME)
        paths["csv"] = folder / f"{module.NAME}.csv"
        write_whole(paths["csv"], _flat(points).to_csv(index=False, lineterminator="\n").encode())
        drawings.append(Drawing(module.NAME, module.TITLE, module.caption(points), paths))
    return drawings


def _save(figure: Figure, folder: Path, name: str) -> dict[str, Path]:
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
