"""The report's tables as grids of entries, which the page, the LaTeX folder and a CSV show alike."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pandas as pd

from analysis.axes import goes_without_saying, telling, words
from analysis.completeness import COUNTS
from analysis.figures import monolingual
from analysis.findings import Verdict, level_text
from analysis.laws import LawSummary
from analysis.laws.report import number_text
from analysis.records import AXES, Study
from analysis.statistics import Interval, Outcome, group_mean, outcomes, scored, t_interval

MOST_COLUMNS = 8
"""Cells side by side in one table by language: as many as a printed page holds."""
MOST_CELLS = 40
"""Beyond so many cells languages are not shown cell by cell: nobody reads that, and the page would be tens of MB."""


@dataclass(frozen=True)
class Entry:
    """One entry: what is shown, a small note under it, what it sorts by (NaN: by its text), a link within the page."""

    text: str
    note: str = ""
    key: float = math.nan
    link: str = ""
    kind: str = ""
    """A class of the page's style, such as a verdict's."""


@dataclass(frozen=True)
class Grid:
    """A table. heads: each a few short lines. rows: as many entries as heads. left: columns of text, from 0."""

    label: str
    heads: list[list[str]]
    rows: list[list[Entry]]
    left: frozenset[int] = field(default=frozenset({0}))

    def frame(self) -> pd.DataFrame:
        """Text alone, notes in brackets, for LaTeX and CSV."""
        names = [" ".join(head) for head in self.heads]
        rows = [[f"{e.text} ({e.note})" if e.note else e.text for e in row] for row in self.rows]
        return pd.DataFrame(rows, columns=names, dtype=object)


def number(value: float, text: str) -> Entry:
    """An entry that sorts as a number."""
    return Entry(text, key=value)


def p_text(p: float) -> str:
    """`0.031`, `<0.001`, a dash for none."""
    if math.isnan(p):
        return "–"
    return "<0.001" if p < 0.001 else f"{p:.3f}"


def verdict_grid(verdicts: Sequence[Verdict], studies: Sequence[str] = ()) -> Grid:
    """A line a verdict; with `studies`, the study of each (linked to its own page) before it."""
    heads = [["study"]] * bool(studies) + [
        ["finding"], ["outcome"], ["verdict"], ["effect"], ["95 % interval"], ["p", "(Holm)"], ["seeds"],
    ]  # fmt: skip
    rows = []
    for i, v in enumerate(verdicts):
        effect = "–" if math.isnan(v.effect) else f"{v.effect:+.{v.digits}f}"
        interval = "–" if math.isnan(v.low) else f"{v.low:.{v.digits}f} to {v.high:.{v.digits}f}"
        number_of = float(v.finding.removeprefix("F")) if v.finding.removeprefix("F").isdigit() else math.nan
        study = [Entry(studies[i], link=f"{studies[i]}/report.html")] if studies else []
        row = [
            Entry(v.finding, key=number_of, link="" if studies else f"#{anchor(v)}"),
            Entry(v.outcome),
            Entry(v.verdict, kind=v.verdict.replace(" ", "-")),
            number(v.effect, effect),
            Entry(interval, "" if math.isnan(v.low) else level_text(v), v.low),
            number(v.p_holm, p_text(v.p_holm)),
            number(v.seeds, str(v.seeds)),
        ]
        rows.append(study + row)
    return Grid("Verdicts", heads, rows, frozenset({0, 1, 2} if not studies else {0, 1, 2, 3}))


def anchor(v: Verdict) -> str:
    """Where on the page a verdict's reasons stand."""
    return f"{v.finding}-{v.outcome}".lower().replace(" ", "-")


def law_grids(law: LawSummary) -> list[Grid]:
    """The numbers of a law with their intervals, and how it did on cells that it had not seen."""
    grids = []
    if law.numbers:
        rows = [[Entry(name), number(interval.mean, number_text(interval))] for name, interval in law.numbers]
        grids.append(Grid(f"{law.name}: what it says", [["quantity"], ["value [95 % interval]"]], rows))
    if law.held_out:
        heads = [["held out"], ["points"], ["R2", "with K"], ["R2", "without K"], ["gain of K", "[95 % interval]"]]
        rows = [
            [
                Entry(what),
                number(points, str(points)),
                number(with_k, f"{with_k:.3f}"),
                number(without, f"{without:.3f}"),
                number(gain.mean, number_text(gain)),
            ]
            for what, points, with_k, without, gain in law.held_out
        ]
        grids.append(Grid(f"{law.name}: cells that the fit had not seen", heads, rows))
    return grids


def group_means(df: pd.DataFrame, study: Study) -> list[Grid]:
    """A table an outcome: cells down, the study's groups across, each a mean over languages, then over seeds."""
    return [grid for outcome in outcomes(df) if (grid := _means(df, study, outcome)) is not None]


def table_5(df: pd.DataFrame, study: Study) -> list[Grid]:
    """The paper's Table 5, a table an outcome: languages down, a model of their own beside one of all, and the paired
    difference. None where no language has both models."""
    table = monolingual.table5(df, study)
    made = []
    for name in table["outcome"].unique() if len(table) else ():
        part = table[table["outcome"] == name].set_index("model")
        cells = part.drop(columns=["outcome", "unit", "seeds"]).T
        heads = [["language"], *([str(model)] for model in cells.columns)]
        rows = [[Entry(str(text)) for text in row] for row in cells.itertuples(name=None)]
        made.append(Grid(f"One model a language or one of all, {name} ({part['unit'].iloc[0]})", heads, rows))
    return made


def _means(df: pd.DataFrame, study: Study, outcome: Outcome) -> Grid | None:
    groups = {name: group_mean(df, outcome, own) for name, own in study.groups.items() if scored(df, outcome, own)}
    groups = {name: table for name, table in groups.items() if len(table)}
    if not groups:
        return None
    found: dict[str, dict[tuple[object, ...], Interval]] = {
        name: {_key(cell): t_interval(part["value"]) for cell, part in table.groupby(AXES, dropna=False)}
        for name, table in groups.items()
    }
    cells = pd.concat([t[AXES] for t in groups.values()]).drop_duplicates().sort_values(AXES, na_position="last")
    most = max(interval.n for own in found.values() for interval in own.values())
    heads = named(cells)
    rows = []
    for place, (values, head) in enumerate(zip(cells.itertuples(index=False, name=None), heads, strict=True)):
        entries = [_entry(own.get(_key(values)), outcome.digits, most, exact=False) for own in found.values()]
        rows.append([Entry(", ".join(head), key=float(place)), *entries])
    label = f"{outcome.name[0].upper()}{outcome.name[1:]}, group means ({outcome.unit})"
    return Grid(label, [["cell"], *([name] for name in found)], rows)


def by_language(
    rows: pd.DataFrame, study: Study, label: str, scale: float, digits: int, exact: bool = False
) -> list[Grid]:
    """Mean and interval over seeds for each language and cell of `rows` (already one metric at its last step), at most
    MOST_COLUMNS cells a grid; none beyond MOST_CELLS.

    exact: the numbers follow from the plan, as epochs do: no intervals, and width is left out of the cell where it
    makes no difference.
    """
    cell = [name for name in AXES if not (exact and name in ("width", "layers"))]
    if exact and (rows.groupby([*cell, "language"], dropna=False)["value"].agg(_spread) > 1e-6).any():
        cell = list(AXES)
    cells = rows[cell].drop_duplicates().sort_values(cell, na_position="last")
    if len(cells) > MOST_CELLS:
        return []
    order = list(cells.itertuples(index=False, name=None))
    heads = named(cells)
    by_seed = rows.groupby([*cell, "language", "seed"], dropna=False, sort=False)["value"].mean().mul(scale)
    found = {
        _key(key): t_interval(values)
        for key, values in by_seed.groupby(level=[*cell, "language"], dropna=False, sort=False)
    }
    most = max((i.n for i in found.values()), default=0)
    languages = sorted(set(rows["language"]), key=lambda code: (_rank(code, study), code))
    grids = []
    for first in range(0, len(order), MOST_COLUMNS):
        part = range(first, min(first + MOST_COLUMNS, len(order)))
        made = [
            [Entry(code), Entry(_groups(code, study))]
            + [_entry(found.get(_key((*order[i], code))), digits, most, exact) for i in part]
            for code in languages
        ]
        made = [row for row in made if any(entry.text != "–" for entry in row[2:])]
        more = f", cells {first + 1} to {part[-1] + 1} of {len(order)}" if len(order) > MOST_COLUMNS else ""
        shown = [["language"], ["groups"], *(heads[i] for i in part)]
        grids.append(Grid(label + more, shown, made, frozenset({0, 1})))
    return grids


def short_number(value: float) -> str:
    """3000 -> 3,000; 1234567 -> 1.23 M; in powers of ten from 10^15."""
    if value < 1e5:
        return f"{value:,.0f}"
    for size, name in ((1e15, ""), (1e12, " T"), (1e9, " G"), (1e6, " M"), (1e3, " k")):
        if value >= size:
            return f"{value:.2e}" if not name else f"{value / size:.3g}{name}"
    return f"{value:g}"


def named(cells: pd.DataFrame) -> list[list[str]]:
    """For each row (a cell), K and what else tells it from the others."""
    apart = telling(cells, list(cells.columns))
    shown = [str(name) for name in cells.columns if name == "K" or name in apart]
    return [_lines(row) for row in cells[shown].to_dict("records")]


def _lines(axes: Mapping[Any, object]) -> list[str]:
    return [
        f"… {str(value).rsplit(',', 1)[-1]}" if name == "languages" else _axis(str(name), value)
        for name, value in axes.items()
        if not goes_without_saying(str(name), value)
    ]


def _axis(name: str, value: object) -> str:
    if isinstance(value, float):
        shown = "none" if math.isnan(value) else "all" if math.isinf(value) else short_number(value)
        shown = f"{value:g}" if math.isfinite(value) and value < 1e5 else shown
    else:
        shown = str(value)
    return f"{'α' if name == 'alpha' else words(name)} {shown}"


def _entry(interval: Interval | None, digits: int, most: int, exact: bool) -> Entry:
    if interval is None or interval.n == 0:
        return Entry("–")
    if exact:
        return number(interval.mean, f"{interval.mean:.{digits}f}")
    seeds = f"{interval.n} seed{'' if interval.n == 1 else 's'}"
    if not interval.covers_seed_noise:
        return Entry(f"{interval.mean:.{digits}f}", "" if most == 1 else seeds, interval.mean)
    text = f"{interval.mean:.{digits}f} ± {interval.half:.{digits}f}"
    return Entry(text, "" if interval.n == most else seeds, interval.mean)


def plain(label: str, heads: Sequence[str], rows: Iterable[Sequence[object]], left: Iterable[int] = (0,)) -> Grid:
    """A grid of values as they are; numbers sort as numbers."""
    made = [[_plain(value) for value in row] for row in rows]
    return Grid(label, [[head] for head in heads], made, frozenset(left))


def _plain(value: object) -> Entry:
    if isinstance(value, Entry):
        return value
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return Entry(str(value))
    return number(float(value), "–" if math.isnan(value) else short_number(value))


def _spread(values: pd.Series) -> float:
    return float(values.max() - values.min())


def _key(values: Iterable[object]) -> tuple[object, ...]:
    """A tuple that equals itself though alpha may be NaN."""
    return tuple(None if isinstance(v, float) and math.isnan(v) else v for v in values)


def _groups(code: str, study: Study) -> str:
    return ", ".join(name for name, members in study.groups.items() if code in members)


def _rank(code: str, study: Study) -> int:
    """Languages of the groups first, then the rest."""
    return 0 if any(code in members for members in study.groups.values()) else 1


def state_grid(states: pd.DataFrame) -> Grid:
    """The table of `analysis.completeness.cell_states`, its axes as the other tables name a cell."""
    axes = [name for name in states.columns if name not in (*COUNTS, "why")]
    rows = []
    for place, row in enumerate(states.to_dict("records")):
        described = [name for name in axes if not _blank(row[name])] or not axes
        lines = _lines({name: row[name] for name in axes}) if described else ["never described"]
        counts = [number(float(row[name]), str(row[name])) for name in COUNTS]
        rows.append([Entry(", ".join(lines) or "all runs", key=float(place)), *counts, Entry(row["why"] or "whole")])
    heads = [["cell"], *([name] for name in COUNTS), ["why"]]
    return Grid("Cells", heads, rows, frozenset({0, len(heads) - 1}))


def _blank(value: object) -> bool:
    return value is None or (isinstance(value, float) and math.isnan(value)) or value == ""


def cell_frame(planned: Mapping[str, Mapping[str, object]]) -> pd.DataFrame:
    """The runs of a study that have a run.json, one a row, with the columns of their axes."""
    return pd.DataFrame([{"run": run, **axes} for run, axes in planned.items()])
