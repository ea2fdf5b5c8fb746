"""The report's tables: languages down, cells across; each entry a mean over seeds with its interval."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd

from analysis.records import AXES, Completeness, Study
from analysis.statistics import Interval, t_interval


@dataclass(frozen=True)
class Entry:
    """One entry: what is shown, and what it sorts by (NaN where there is nothing)."""

    text: str
    note: str
    key: float


@dataclass(frozen=True)
class Table:
    """A table by language: heads of the cells (a few short lines each), rows of (language, groups, entries)."""

    heads: list[list[str]]
    rows: list[tuple[str, str, list[Entry]]]


def by_language(rows: pd.DataFrame, study: Study, scale: float, digits: int, exact: bool = False) -> Table:
    """Mean and interval over seeds for each language and cell of `rows` (already one metric at its last step).

    exact: the numbers follow from the plan, as epochs do: no intervals, and width is left out of the cell where it
    makes no difference.
    """
    cell = [name for name in AXES if not (exact and name in ("width", "layers"))]
    if exact and (rows.groupby([*cell, "language"], dropna=False)["value"].agg(_spread) > 1e-6).any():
        cell = list(AXES)
    cells = rows[cell].drop_duplicates().sort_values(cell, na_position="last")
    order = list(cells.itertuples(index=False, name=None))
    heads = [_head(cells, values) for values in order]
    found = {
        _key(key): t_interval(part["value"] * scale)
        for key, part in rows.groupby([*cell, "language"], dropna=False, sort=False)
    }
    most = max((i.n for i in found.values()), default=0)
    languages = sorted(set(rows["language"]), key=lambda code: (_rank(code, study), code))
    return Table(
        heads,
        [
            (
                code,
                _groups(code, study),
                [_entry(found.get(_key((*values, code))), digits, most, exact) for values in order],
            )
            for code in languages
        ],
    )


@dataclass(frozen=True)
class Cell:
    """One line of the table of cells."""

    head: list[str]
    body: str
    embeddings: str
    tokens: str
    flops: str
    seeds: str
    order: tuple[float, ...]


def cells(study: Study, state: Completeness) -> list[Cell]:
    """Every cell whose runs have begun (have a run.json): what it costs and which of its seeds are finished."""
    if not study.planned:
        return []
    frame = pd.DataFrame([{"run": run, **axes} for run, axes in study.planned.items()])
    frame["done"] = ~frame["run"].isin(state.missing)
    unique = frame[AXES].drop_duplicates()
    lines = []
    for values, part in frame.groupby(AXES, dropna=False, sort=True):
        first = part.iloc[0]
        size = tuple(float(first[n]) for n in ("body_parameters", "embedding_parameters", "tokens", "flops"))
        body, embeddings, tokens, flops = map(short_number, size)
        seeds = f"{int(part['done'].sum())} of {len(part)}"
        lines.append(Cell(_head(unique, values), body, embeddings, tokens, flops, seeds, size))
    return lines


def short_number(value: float) -> str:
    """3000 -> 3,000; 1234567 -> 1.23 M; in powers of ten from 10^15."""
    if value < 1e5:
        return f"{value:,.0f}"
    for size, name in ((1e15, ""), (1e12, " T"), (1e9, " G"), (1e6, " M"), (1e3, " k")):
        if value >= size:
            return f"{value:.2e}" if not name else f"{value / size:.3g}{name}"
    return f"{value:g}"


def _head(cells: pd.DataFrame, values: Sequence[object]) -> list[str]:
    """What tells this cell from the others, K first; a language set is named only where K does not name it."""
    lines = []
    sets = cells.groupby("K")["languages"].nunique().max()
    for name, value in zip(cells.columns, values, strict=True):
        if name == "languages":
            if sets > 1:
                lines.append(f"… {str(value).rsplit(',', 1)[-1]}")
        elif name == "K" or cells[name].nunique(dropna=False) > 1:
            shown = f"{value:g}" if isinstance(value, float) else str(value)
            lines.append(f"{'α' if name == 'alpha' else name.replace('_', ' ')} {shown}")
    return lines


def _entry(interval: Interval | None, digits: int, most: int, exact: bool) -> Entry:
    if interval is None or interval.n == 0:
        return Entry("–", "", math.nan)
    if exact:
        return Entry(f"{interval.mean:.{digits}f}", "", interval.mean)
    seeds = f"{interval.n} seed{'' if interval.n == 1 else 's'}"
    if not interval.covers_seed_noise:
        return Entry(f"{interval.mean:.{digits}f}", "" if most == 1 else seeds, interval.mean)
    text = f"{interval.mean:.{digits}f} ± {interval.half:.{digits}f}"
    return Entry(text, "" if interval.n == most else seeds, interval.mean)


def _spread(values: pd.Series) -> float:
    return float(values.max() - values.min())


def _key(values: tuple[object, ...]) -> tuple[object, ...]:
    """A tuple that equals itself though alpha may be NaN."""
    return tuple(None if isinstance(v, float) and math.isnan(v) else v for v in values)


def _groups(code: str, study: Study) -> str:
    return ", ".join(name for name, members in study.groups.items() if code in members)


def _rank(code: str, study: Study) -> int:
    """Languages of the groups first, then the rest."""
    return 0 if any(code in members for members in study.groups.values()) else 1
