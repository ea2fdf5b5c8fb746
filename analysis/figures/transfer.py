"""Who gains from whom: the transfer matrix, target by source (paper finding F17; ATLAS's matrix, section 5.8)."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from analysis.axes import Slice, plane
from analysis.figures import lines, style
from analysis.findings.transfer import gains, without_equal_tokens
from analysis.records import Completeness, Study
from analysis.statistics import BITS
from sweeps.language_table import LANGUAGES

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.collections import QuadMesh
    from matplotlib.figure import Figure
    from matplotlib.patches import Patch

NAME, TITLE = "transfer", "What each language gains from another"
FINDINGS = ("F17",)
_INTERVALS, _VALUES = 9, 16
"""Languages up to which cells have room for an interval, and for a value."""


def data(df: pd.DataFrame, study: Study) -> pd.DataFrame:
    """What is drawn: a row for each (target, source) that was run: the gain in bits per byte, mean inside each seed
    over the widths that all seeds of the pair have, with its interval; `clear` where that excludes 0; `lacking`, the
    widths that it is not over; family and script of both.
    """
    table = gains(_part(df).rows, BITS) if len(df) else pd.DataFrame()
    if table.empty:
        return lines.nothing("no pair of languages was run beside a model of one of the two alone")
    by_width = table.groupby(["target", "source", "width", "seed"])["gain"].mean().unstack("seed")
    widths = sorted(table["width"].unique())
    ragged = by_width.isna().any(axis="columns").groupby(level=["target", "source"]).transform("any")
    ragged |= by_width.groupby(level=["target", "source"]).transform("size") < len(widths)
    whole = by_width[~ragged].groupby(level=["target", "source"]).mean().stack().rename("value").reset_index()
    parts, lacking, used = [whole], {}, set(widths if len(whole) else [])
    for pair, here in by_width[ragged].groupby(["target", "source"], sort=True):
        held = _common(here.droplevel(["target", "source"]).dropna(axis="columns", how="all"))
        lacking[pair] = ",".join(str(width) for width in widths if width not in held.index)
        used |= set(held.index)
        parts.append(held.mean().dropna().rename("value").reset_index().assign(target=pair[0], source=pair[1]))
    points = lines.summarise(pd.concat(parts, ignore_index=True), ["target", "source"])
    points["lacking"] = [lacking.get(pair, "") for pair in zip(points["target"], points["source"], strict=True)]
    points["clear"] = (points["low"] > 0) | (points["high"] < 0)
    for side in ("target", "source"):
        points[f"{side}_family"] = [LANGUAGES[_code(c)].family for c in points[side]]
        points[f"{side}_script"] = [LANGUAGES[_code(c)].script for c in points[side]]
    points.attrs["cautions"] = without_equal_tokens(table)
    return points.assign(equal_tokens=bool(table["equal_tokens"].all()), widths=",".join(map(str, sorted(used))))


def _common(by_width: pd.DataFrame) -> pd.DataFrame:
    """The widths (rows) that all seeds (columns) of a pair have; where there is none, the one that most have."""
    whole = by_width.dropna()
    return whole if len(whole) else by_width.loc[[by_width.count(axis="columns").idxmax()]]


def _part(df: pd.DataFrame) -> Slice:
    return plane(df, ["languages", "K", "width", "steps", "tokenizer_languages"])


def _code(code: str) -> str:
    return {"nb": "no", "nn": "no"}.get(code, code)


def order(points: pd.DataFrame) -> list[str]:
    """All languages, by family, then script, then code: kin stand side by side."""
    codes = set(points["target"]) | set(points["source"])
    return sorted(codes, key=lambda c: (LANGUAGES[_code(c)].family, LANGUAGES[_code(c)].script, c))


def skipped(points: pd.DataFrame) -> str:
    """Why there is nothing to draw, or ""."""
    return lines.reason(points)


def draw(points: pd.DataFrame, df: pd.DataFrame, study: Study, state: Completeness) -> Figure:
    """One matrix; losses are hatched, so that they are told from gains in greyscale too."""
    codes = order(points)
    size = len(codes)
    page = size > 5
    notes = [*lines.about(df, study, state, _part(df)), *map(lines.said, points.attrs["cautions"])]
    if (points["seeds"] < 2).any():
        notes.append("One seed: no interval, nothing is marked.")
    if count := int((points["lacking"] != "").sum()):
        apart = points.loc[points["lacking"] != "", "lacking"].unique()
        which = f"width {apart[0]}" if len(apart) == 1 else "some of the widths"
        notes.append(f"Without {which}, for not all seeds of the pair have it: {count} of {len(points)} values.")
    width = style.PAGE if page else style.COLUMN
    figure = style.blank(width, min(8.0, 1.1 + 0.5 * size if size <= 12 else 6.6), notes)
    axes = figure.subplots()
    image = _cells(axes, points, codes)
    _kin(axes, codes)
    axes.set_xlabel("source: the other language of the pair")
    axes.set_ylabel("target: the language that is measured")
    bar = figure.colorbar(image, ax=axes, shrink=0.75, pad=0.02, aspect=25)
    bar.set_label("gain, bits per byte (hatched: a loss)", fontsize=7.5)
    bar.outline.set_linewidth(0.5)  # type: ignore[operator]
    return figure


def _cells(axes: Axes, points: pd.DataFrame, codes: list[str]) -> QuadMesh:
    """The matrix and what is written in it; returns what the colour bar is of."""
    place = {code: i for i, code in enumerate(codes)}
    size = len(codes)
    matrix = np.full((size, size), np.nan)
    for row in points.itertuples():
        matrix[place[row.target], place[row.source]] = row.mean
    reach = float(np.nanmax(np.abs(matrix))) or 1e-6
    axes.set_facecolor("#f3f3f3")
    image = axes.pcolormesh(
        np.arange(size + 1) - 0.5, np.arange(size + 1) - 0.5, np.ma.masked_invalid(matrix), cmap="PuOr_r", vmin=-reach,
        vmax=reach, edgecolors="white", linewidth=0.8,
    )  # fmt: skip
    losses = points[points["mean"] < 0]
    for row in losses.itertuples():
        box = (place[row.source] - 0.47, place[row.target] - 0.47)
        axes.add_patch(_hatched(box))
    small = 7.0 if size <= _INTERVALS else 5.5
    for row in points.itertuples():
        x, y = place[row.source], place[row.target]
        dark = abs(row.mean) > 0.62 * reach
        colour = "white" if dark else "black"
        mark = "*" if row.clear else ""
        if size <= _VALUES:
            up = 0.14 if size <= _INTERVALS and row.seeds > 1 else 0.0
            face = {"boxstyle": "round,pad=0.1", "fc": image.cmap(image.norm(row.mean)), "ec": "none"}
            axes.text(
                x, y - up, f"{row.mean:+.2f}{mark}", ha="center", va="center", fontsize=small + 1, color=colour,
                fontweight="bold" if row.clear else "normal", bbox=face if row.mean < 0 else None, zorder=4,
            )  # fmt: skip
            if up:
                axes.text(
                    x, y + 0.22, f"{row.low:.2f} to {row.high:.2f}", ha="center", va="center", fontsize=small - 1,
                    color=colour, bbox=face if row.mean < 0 else None, zorder=4,
                )  # fmt: skip
        elif row.clear:
            axes.plot([x], [y], ".", color=colour, ms=3, zorder=4)
    absent = [(x, y) for y, x in np.argwhere(np.isnan(matrix)) if x != y]
    if absent:
        axes.plot(*np.array(absent).T, "_", color="#a0a0a0", ms=5, mew=0.8)
    for i in range(size):
        axes.plot([i - 0.3, i + 0.3], [i - 0.3, i + 0.3], color="#bbbbbb", lw=0.7)
    axes.set(xlim=(-0.5, size - 0.5), ylim=(size - 0.5, -0.5))
    font = 7.5 if size <= 30 else 5.5
    axes.set_xticks(range(size), codes, rotation=0 if size <= 16 else 90, fontsize=font)
    axes.set_yticks(range(size), codes, fontsize=font)
    axes.tick_params(length=0)
    axes.grid(visible=False)
    return image


def _hatched(corner: tuple[float, float]) -> Patch:
    from matplotlib.patches import Rectangle

    return Rectangle(corner, 0.94, 0.94, fill=False, hatch="////", edgecolor="#00000055", linewidth=0, zorder=3)


def _kin(axes: Axes, codes: list[str]) -> None:
    """Lines between families, and their names above the columns where there is room."""
    size, start = len(codes), 0
    for family, members in itertools.groupby(codes, key=lambda c: LANGUAGES[_code(c)].family):
        count = len(list(members))
        end = start + count
        if end < size:
            axes.axhline(end - 0.5, color="#333333", lw=0.9, zorder=5)
            axes.axvline(end - 0.5, color="#333333", lw=0.9, zorder=5)
        across = count * (4.6 if size > 5 else 2.2) / size  # inches, about
        upright = across < 0.055 * len(family) + 0.1
        name = axes.annotate(
            family, ((start + end - 1) / 2, 1), xycoords=("data", "axes fraction"), xytext=(0, 4),
            textcoords="offset points", ha="center", va="bottom", fontsize=7.5 if size <= 30 else 6,
            rotation=90 if upright else 0, annotation_clip=False,
        )  # fmt: skip
        name.set_in_layout(True)
        start = end


def caption(points: pd.DataFrame) -> str:
    tokens = "as many tokens of it" if points["equal_tokens"].iloc[0] else "as many updates, so twice the tokens of it"
    widths = str(points["widths"].iloc[0]).split(",")
    over = f"mean over widths {', '.join(widths)} inside each seed; " if len(widths) > 1 else ""
    seeds = int(points["seeds"].max())
    marks = (
        " Star or dot: the 95 % Student-t interval over seeds excludes 0 (each cell by itself; of twenty without any "
        "effect one would be marked)." if seeds > 1 else ""
    )  # fmt: skip
    return (
        "Bits per byte that the target (row) gains when it is trained together with the source (column), over a model "
        f"of its own after {tokens}; {over}{seeds} seed{'' if seeds == 1 else 's'}.{marks} Languages stand by family "
        f"and script. A dash: the pair was not run, or no model of the target's own after {tokens}."
    )
