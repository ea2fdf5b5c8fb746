"""How often each language's text was passed: epochs by language, for each language count, alpha and amount of text."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from analysis.axes import Slice, alpha_axis, language_axis, plane
from analysis.figures import lines, panels, style
from analysis.records import Completeness, Study

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

NAME, TITLE = "epochs", "How often each language's text was read"
FINDINGS: tuple[str, ...] = ()
_MOST = 6
"""Series of a panel: more cannot be told apart."""
_WORDS = {"K": "language count", "alpha": "sampling alpha", "text_bytes": "text of each language"}
_ROW = 56
"""Languages side by side of which every code can be read."""


def data(df: pd.DataFrame, study: Study) -> pd.DataFrame:
    """What is drawn: for each panel ("K", "alpha", "text_bytes") and value of it, the epochs of each language: mean,
    least and most over runs (seeds and widths); and the alpha of the first, the K of the others. One language count is
    a panel only where nothing else varied."""
    measured = df[(df["task"] == "training") & (df["metric"] == "epochs") & (df["language"] != "all")]
    parts: list[pd.DataFrame] = []
    cautions: dict[str, list[str]] = {}
    text = plane(measured, ["text_bytes", "width"], follow=["layers"])
    for part, fixed in ((alpha_axis(measured), "K"), (text, "K"), (language_axis(measured), "alpha")):
        rows = part.rows[(part.rows["value"] > 0) & np.isfinite(part.rows["value"])]
        if rows.empty or (rows[part.axis].nunique() < 2 and (part.axis != "K" or parts)):
            continue
        last = rows[rows["step"] == rows.groupby("run")["step"].transform("max")]
        table = last.groupby([part.axis, "language"])["value"].agg(["mean", "min", "max", "size"]).reset_index()
        table = table.rename(columns={part.axis: "x", "min": "least", "max": "most", "size": "runs"})
        steps = last["steps"].unique()
        parts.append(
            table.assign(
                panel=part.axis, fixed=rows[fixed].iloc[0], steps=steps[0] if len(steps) == 1 else float("nan"),
            )
        )  # fmt: skip
        cautions[part.axis] = [*lines.drawn(measured, [part]), *part.cautions]
    if not parts:
        return lines.nothing("no epochs by language were recorded")
    points = pd.concat(parts[::-1], ignore_index=True)
    points.attrs["cautions"] = cautions
    return points


def skipped(points: pd.DataFrame) -> str:
    """Why there is nothing to draw, or ""."""
    return lines.reason(points)


def draw(points: pd.DataFrame, df: pd.DataFrame, study: Study, state: Completeness) -> Figure:
    """A row for each of K, alpha and text; languages from the most passed to the least; one look a value."""
    names = list(dict.fromkeys(points["panel"]))
    notes = lines.unfinished(study, state, Slice(df, "K", {}, ()))
    kept = {}
    for name in names:
        values = sorted(points.loc[points["panel"] == name, "x"].unique())
        kept[name] = lines.spread(values, _MOST)
        if len(kept[name]) < len(values):
            notes.append(f"{len(kept[name])} of {len(values)} values of {_WORDS[name]} are drawn; the CSV has all.")
    for name in names:
        title = f"By {_WORDS[name]}" if len(names) > 1 else ""
        notes += [lines.said(text, title) for text in points.attrs["cautions"][name]]
    most = points.groupby("panel")["language"].nunique().max()
    width = style.PAGE if most > 9 or len(names) > 1 else style.COLUMN
    rows = [(name, codes) for name in names for codes in _rows(points[points["panel"] == name])]
    figure = style.blank(width, 0.4 + (2.3 if len(rows) < 3 else 1.9) * len(rows), notes)
    before = ""
    for axes, (name, codes) in zip(figure.subplots(len(rows), 1, squeeze=False)[:, 0], rows, strict=True):
        own = points[(points["panel"] == name) & points["x"].isin(kept[name])]
        _panel(axes, own, codes, kept[name])
        fixed = own["fixed"].iloc[0]
        if name == "K":
            title = "By language count" + ("" if pd.isna(fixed) else f", alpha {fixed:g}")
        else:
            title = f"By {_WORDS[name]}, K = {fixed:g}"
        if pd.notna(own["steps"].iloc[0]) and df["steps"].nunique() > 1:
            title += f", {own['steps'].iloc[0]:,.0f} steps"
        axes.set_ylabel("epochs, passes over\nits text (log scale)")
        if name != before:
            axes.set_title(title, loc="left")
            axes.legend(loc="upper left", bbox_to_anchor=(1.0, 1.0), borderaxespad=0.2, handlelength=1.6)
        before = name
    return figure


def _rows(own: pd.DataFrame) -> list[list[str]]:
    """The languages from the most passed to the least, in rows that can be read."""
    order = [str(c) for c in own.groupby("language")["mean"].max().sort_values(ascending=False, kind="stable").index]
    length = math.ceil(len(order) / math.ceil(len(order) / _ROW))
    return [order[start : start + length] for start in range(0, len(order), length)]


def _panel(axes: Axes, own: pd.DataFrame, order: list[str], values: list[float]) -> None:
    from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator

    place = {code: i for i, code in enumerate(order)}
    name = own["panel"].iloc[0]
    for i, value in enumerate(values):
        rows = own[(own["x"] == value) & own["language"].isin(place)]
        rows = rows.assign(at=rows["language"].map(place).astype(float)).sort_values("at")
        look = style.series(i)
        off = (i - (len(values) - 1) / 2) * min(0.12, 0.6 / len(values))
        axes.vlines(rows["at"] + off, rows["least"], rows["most"], color=look.colour, lw=0.9, alpha=0.7, zorder=2)
        axes.plot(
            rows["at"] + off, rows["mean"], look.marker, color=look.colour, ms=4 if len(order) <= 40 else 2.8, mew=0.6,
            zorder=3, label=panels.size(value) if name == "text_bytes" else f"{'K' if name == 'K' else 'α'} {value:g}",
        )  # fmt: skip
    axes.axhline(1, color=style.QUIET, lw=0.9, linestyle=":", zorder=1)
    axes.set_yscale("log")
    low, high = min(own["least"].min(), 1), max(own["most"].max(), 1)
    axes.set_ylim(low / 1.6, high * 1.6)
    axes.yaxis.set_major_locator(LogLocator(base=10, subs=(1.0,) if high / low > 30 else (1.0, 2.0, 5.0), numticks=12))
    axes.yaxis.set_minor_locator(NullLocator())
    axes.yaxis.set_major_formatter(FuncFormatter(lambda v, _: f"{v:g}"))
    upright = len(order) > 24 or max(map(len, order)) > 4
    axes.set_xticks(range(len(order)), order, rotation=90 if upright else 0, fontsize=7.5 if len(order) <= 40 else 6.5)
    axes.tick_params(axis="x", length=0, pad=2)
    axes.set_xlim(-0.6, len(order) - 0.4)
    axes.grid(visible=False, axis="x")


def caption(points: pd.DataFrame) -> str:
    return (
        "Epochs, the passes over its own training text, of each language; points are means over runs, lines run from "
        "the least to the most of them (seeds and widths). Dotted: one pass. Languages stand by their largest value."
    )
