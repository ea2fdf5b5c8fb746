"""The training loss of every run against tokens, with what happened on the way: left-out updates, returns, requeues."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from analysis.axes import Slice
from analysis.curves import read_curves
from analysis.figures import lines, panels, style
from analysis.records import AXES, Completeness, Study

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

NAME, TITLE = "losses", "Training loss of the runs"
FINDINGS: tuple[str, ...] = ()
READS_STORE = True
STOPS = 48
"""Points of a drawn curve, evenly along the logarithm of tokens."""
_WINDOW = 0.08
"""Of a curve's smoothing, in decades of tokens to either side."""
_COLOURS, _PANELS = 6, 6
_MARKS = {
    "left out": ("x", "updates left out (spikes)"),
    "went back": ("<", "went back"),
    "requeued": ("|", "requeued"),
}
_MOST_MARKS = 60
_TOLD = {
    "K": "K", "alpha": "α", "width": "width", "batch_tokens": "batch", "vocabulary": "V", "steps": "steps",
    "text_bytes": "text", "tokenizer_alpha": "tokenizer α", "layers": "layers", "tokenizer_algorithm": "tokenizer",
    "tokenizer_languages": "tokenizer of", "kind": "architecture", "sampling": "sampling", "learning_rate": "rate",
    "languages": "",
}  # fmt: skip
"""Axes that may give colours and panels, the first that vary, and what they are called."""
_Array = npt.NDArray[np.float64]


def data(df: pd.DataFrame, study: Study, root: Path | None = None) -> pd.DataFrame:
    """What is drawn: part "curve": for each run begun, bits per byte on training text at up to `STOPS` counts of
    tokens, smoothed; part "mark": where something `happened` (left out, went back, requeued). `cell` numbers what
    differs in seed only."""
    if root is None:
        return lines.nothing("the store was not at hand")
    begun = [run for run in study.runs if run in study.planned]
    curves = read_curves(root, begun)
    curves = curves[curves["bits_per_byte"].notna() & (curves["tokens"] > 0)]
    if curves.empty:
        return lines.nothing("no run has written a loss curve")
    axes = pd.DataFrame([{"run": run} | study.planned[run] for run in begun])
    cell = axes.groupby([*AXES, "learning_rate"], dropna=False, sort=True).ngroup()
    by_run = axes.assign(cell=cell).set_index("run")[["cell", "seed", *_TOLD]]
    rows: dict[str, list[Any]] = {name: [] for name in ("run", "part", "tokens", "bits_per_byte", "happened")}
    for run, own in curves.groupby("run", sort=False):
        _of_run(rows, str(run), own)
    return pd.DataFrame(rows).join(by_run, on="run")


def _of_run(rows: dict[str, list[Any]], run: str, own: pd.DataFrame) -> None:
    tokens, bits = own["tokens"].to_numpy(), own["bits_per_byte"].to_numpy()
    at = np.geomspace(tokens[0], tokens[-1], min(STOPS, len(tokens)))
    curve = _smooth(tokens, bits, at)
    _add(rows, run, "curve", at, curve, None)
    happened = {
        "left out": ("skipped", 0),
        "went back": ("returns", 0),
        "requeued": ("attempt", own["attempt"].iloc[0]),
    }
    for name, (column, before) in happened.items():
        where = np.diff(own[column].to_numpy(), prepend=before) > 0
        if where.any():
            _add(rows, run, "mark", tokens[where], np.interp(tokens[where], at, curve), name)


def _add(rows: dict[str, list[Any]], run: str, part: str, tokens: _Array, bits: _Array, happened: str | None) -> None:
    rows["run"] += [run] * len(tokens)
    rows["part"] += [part] * len(tokens)
    rows["tokens"] += tokens.tolist()
    rows["bits_per_byte"] += bits.tolist()
    rows["happened"] += [happened] * len(tokens)


def _smooth(tokens: _Array, bits: _Array, at: _Array) -> _Array:
    """Means about each line over a window of constant width in log tokens, cut at the curve's own ends alike to both
    sides; and what lies between lines, drawn straight."""
    logs = np.log10(tokens)
    reach = np.minimum(_WINDOW, np.minimum(logs - logs[0], logs[-1] - logs)) + 1e-9
    first = np.searchsorted(logs, logs - reach, side="left")
    last = np.searchsorted(logs, logs + reach, side="right")
    total = np.concatenate([[0.0], np.cumsum(bits)])
    return np.interp(np.log10(at), logs, (total[last] - total[first]) / (last - first))


def skipped(points: pd.DataFrame) -> str:
    """Why there is nothing to draw, or ""."""
    return lines.reason(points)


def draw(points: pd.DataFrame, df: pd.DataFrame, study: Study, state: Completeness) -> Figure:
    """Colours are language counts, panels widths; where these do not vary, what does. A line a cell, thin its seeds.

    Drawn in logarithms on linear axes: a thousand lines through matplotlib's log scale take ten times as long.
    """
    curves = points[points["part"] == "curve"]
    colour_by, panel_by = _apart(curves)
    notes = lines.unfinished(study, state, Slice(df, "K", {}, ()))
    unnamed = curves.loc[curves[panel_by].isna(), "run"].nunique()
    if unnamed:
        notes.append(f"{unnamed} runs without {_axis(panel_by)} are in the CSV alone.")
    marks = points[points["part"] == "mark"]
    if len(marks) > _MOST_MARKS:
        runs = marks.groupby("happened")["run"].nunique()
        told = "; ".join(f"{words} in {runs[name]} runs" for name, (_, words) in _MARKS.items() if name in runs)
        notes.append(f"Too much happened to mark it, the CSV has all: {told}.")
        points = curves
    facets = sorted(curves[panel_by].dropna().unique())
    whole = len(facets)
    if whole > _PANELS:
        facets = lines.spread(facets, _PANELS)
        notes.append(f"{len(facets)} of {whole} values of {_axis(panel_by)} are drawn; the CSV has all.")
    values = sorted(curves[colour_by].dropna().unique())
    values += [None] if curves[colour_by].isna().any() else []  # UniMax has no alpha
    across = style.abreast(len(facets)) or 1
    down = math.ceil(len(facets) / across) or 1
    height = 2.9 if down == 1 else 0.6 + 2.2 * down
    figure = style.blank(style.PAGE if across > 1 else style.COLUMN, height, notes)
    grid = figure.subplots(down, across, squeeze=False, sharex=True, sharey=True)
    for number, axes in enumerate(grid.flat):
        if number >= max(1, len(facets)):
            axes.remove()
            continue
        own = points[points[panel_by] == facets[number]] if facets else points
        _panel(axes, own, values, colour_by)
        if len(facets) > 1 or panel_by == "width":
            axes.set_title(_name(panel_by, facets[number]), loc="left")
        if number + across >= len(facets):
            axes.tick_params(labelbottom=True)
            axes.set_xlabel("tokens trained on (log scale)")
    _scale(grid[0, 0], curves)
    for axes in grid[:, 0]:
        axes.set_ylabel("training text, bits per byte\n(log scale, ↓ lower is better)")
    _legend(figure, points, values, colour_by, across)
    return figure


def _apart(curves: pd.DataFrame) -> tuple[str, str]:
    """The axis of the colours and the one of the panels: the first that do not just follow the other."""
    varied = [name for name in _TOLD if curves[name].nunique() > 1]

    def beside(axis: str) -> list[str]:
        by = curves.groupby(axis, dropna=False)
        return [name for name in varied if name != axis and by[name].nunique().max() > 1]

    if "width" in varied:
        follows = ("width", "layers", "learning_rate", "languages")  # of the width, in a study of nothing else
        along = [name for name in varied if name not in follows]  # a vocabulary at a constant total
        return next(iter([*beside("width"), *along]), "K"), "width"
    colour_by = next(iter(varied), "K")
    return colour_by, next((name for name in beside(colour_by) if name != "languages"), "width")


def _panel(axes: Axes, points: pd.DataFrame, values: list[Any], colour_by: str) -> None:
    from matplotlib.collections import LineCollection

    curves = points[points["part"] == "curve"]
    seeds = curves.groupby("cell")["run"].transform("nunique") > 1
    crowd = curves["run"].nunique() > 60  # as pixels, or the file would be all lines
    for value in values:
        mine = curves[colour_by].isna() if value is None else curves[colour_by] == value
        colour, cells, thin = _colour(values, value), [], []
        for _, cell in curves[mine].groupby("cell"):
            runs = [np.log10(r[["tokens", "bits_per_byte"]].to_numpy()) for _, r in cell.groupby("run")]
            cells += _mean(runs)
            thin += runs if seeds[cell.index[0]] else []
        axes.add_collection(LineCollection(thin, colors=colour, lw=0.5, alpha=0.35, rasterized=crowd, zorder=2))
        look = _line(values, value)
        axes.add_collection(LineCollection(cells, colors=colour, lw=1.2, linestyles=[look], rasterized=crowd, zorder=3))
    marks = points[points["part"] == "mark"]
    for name, (marker, _) in _MARKS.items():
        here = np.log10(marks.loc[marks["happened"] == name, ["tokens", "bits_per_byte"]].to_numpy(float))
        if len(here):
            axes.plot(here[:, 0], here[:, 1], marker, color="#222222", ms=4, mew=0.8, zorder=5)


def _mean(runs: list[_Array]) -> list[_Array]:
    """The mean curve of a cell's seeds (runs of (stops, 2), in logarithms), as far as all of them have come; none where
    one has come no further than another began."""
    first, last = max(r[0, 0] for r in runs), min(r[-1, 0] for r in runs)
    if len(runs) > 1 and first >= last:
        return []
    at = np.linspace(first, last, STOPS)
    curve = np.column_stack([at, np.log10(np.mean([10 ** np.interp(at, r[:, 0], r[:, 1]) for r in runs], axis=0))])
    return [curve]


def _axis(axis: str) -> str:
    return _TOLD[axis] or axis


def _name(axis: str, value: Any) -> str:
    if value is None:
        return f"no {_axis(axis)}"
    if axis == "languages":
        codes = str(value).split(",")
        return ", ".join(codes) if len(codes) < 4 else f"{codes[0]}, {codes[1]}, … {codes[-1]} ({len(codes)})"
    if axis == "tokenizer_languages":
        return f"{_TOLD[axis]} {value:g} languages"
    if axis == "text_bytes":
        return f"{_TOLD[axis]} {panels.size(value)}"
    if isinstance(value, str):
        return f"{_TOLD[axis]} {value}"
    return f"{_TOLD[axis]} {value:,.0f}" if axis in ("batch_tokens", "vocabulary") else f"{_TOLD[axis]} {value:g}"


def _colour(values: list[Any], value: Any) -> Any:
    from matplotlib import colormaps

    if len(values) <= _COLOURS:
        return style.series(values.index(value)).colour
    return colormaps["viridis"](0.92 * values.index(value) / (len(values) - 1))


def _line(values: list[Any], value: Any) -> Any:
    return style.series(values.index(value)).line if len(values) <= _COLOURS else "-"


def _scale(axes: Axes, curves: pd.DataFrame) -> None:
    """Limits and ticks of axes in logarithms of base ten, named by the numbers."""
    x0, x1 = np.log10(curves["tokens"].min()), np.log10(curves["tokens"].max())
    low, high = np.log10(curves["bits_per_byte"].min()), np.log10(curves["bits_per_byte"].max())
    axes.set(xlim=(x0 - 0.03 * (x1 - x0), x1 + 0.03 * (x1 - x0) + 0.01))
    axes.set(ylim=(low - 0.05 * (high - low) - 0.01, high + 0.05 * (high - low) + 0.01))
    decades = [d for d in range(math.floor(x0), math.ceil(x1) + 1) if axes.get_xlim()[0] <= d <= axes.get_xlim()[1]]
    if len(decades) > 1:
        axes.set_xticks(decades, [f"$10^{{{d}}}$" for d in decades])
    else:
        ends = [10**x0, 10 ** ((x0 + x1) / 2), 10**x1]
        axes.set_xticks(np.log10(ends), [f"{e:.2g}" for e in ends])
    fine = (1, 1.2, 1.5, 2, 2.5, 3, 4, 5, 6, 8)
    steps = (1,) if high - low > 1.6 else (1, 1.5, 2, 3, 5, 7) if high - low > 0.4 else fine
    ticks = [step * 10**d for d in range(-3, 4) for step in steps]
    ticks = [t for t in ticks if axes.get_ylim()[0] <= math.log10(t) <= axes.get_ylim()[1]]
    if len(ticks) < 2:
        ticks = [float(f"{10**end:.3g}") for end in (low, high)]
    axes.set_yticks([math.log10(t) for t in ticks], [f"{t:g}" for t in ticks])


def _legend(figure: Figure, points: pd.DataFrame, values: list[Any], colour_by: str, across: int) -> None:
    from matplotlib.lines import Line2D

    shown = values if len(values) <= _COLOURS else [values[0], values[len(values) // 2], values[-1]]
    handles = [
        Line2D([], [], color=_colour(values, v), linestyle=_line(values, v), lw=1.4, label=_name(colour_by, v))
        for v in shown
    ]
    happened = set(points["happened"].dropna())
    handles += [
        Line2D([], [], color="#222222", marker=marker, ms=4, mew=0.8, linestyle="none", label=words)
        for key, (marker, words) in _MARKS.items()
        if key in happened
    ]
    figure.legend(handles=handles, loc="outside upper center", ncols=min(len(handles), 5 if across > 1 else 3))


def caption(points: pd.DataFrame) -> str:
    curves = points[points["part"] == "curve"]
    runs, cells = curves["run"].nunique(), curves["cell"].nunique()
    return (
        f"Bits per byte on training text of {runs} runs in {cells} cells against tokens, smoothed over "
        f"{2 * _WINDOW:.2g} decades of tokens. One line a cell, where and as far as all its seeds have come; thin "
        "lines are the seeds. Losses of different language sets are of different text, and no measure of each other."
    )
