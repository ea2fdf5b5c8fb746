"""Names of points in a plane, placed where they cover no point and no other name."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pandas as pd

from analysis.figures import style

if TYPE_CHECKING:
    from matplotlib.axes import Axes


@dataclass(frozen=True)
class Name:
    """A point, in the axes' data, and what it is called. first: named before others, and from further off."""

    x: float
    y: float
    text: str
    colour: str
    first: bool = False


def of_alphas(points: pd.DataFrame, widths: Sequence[int]) -> list[Name]:
    """The alphas of points in the plane of both groups (columns width, alpha, mean_low_group, mean_high_group), each in
    its width's colour, both ends of a width first."""
    by_width = points.groupby("width")["alpha"]
    ends = set(by_width.idxmin()) | set(by_width.idxmax())
    return [
        Name(
            r.mean_low_group, r.mean_high_group, f"α {r.alpha:g}", style.series(widths.index(r.width)).colour,
            r.Index in ends,
        )
        for r in points.itertuples()
    ]  # fmt: skip


def place(axes: Axes, names: Sequence[Name], joined: Sequence[Sequence[tuple[float, float]]] = ()) -> None:
    """Name the points where there is room that covers no point and no other name; one in a crowd goes without.

    `joined`: the stops of the lines, which a name covers only where it could not be placed otherwise. The axes must
    have their place in the figure by now (`figure.draw_without_rendering()`).
    """
    from matplotlib.patheffects import withStroke

    unit = axes.figure.dpi / 72
    dots = [tuple(axes.transData.transform((n.x, n.y))) for n in names]
    taken: list[_Box] = [(x - 4 * unit, y - 4 * unit, 8 * unit, 8 * unit) for x, y in dots]
    lines = [box for stops in joined for box in _along([tuple(axes.transData.transform(p)) for p in stops], 2 * unit)]
    for name, dot in sorted(zip(names, dots, strict=True), key=lambda pair: not pair[0].first):
        size = (4.8 * len(name.text) * unit, 9 * unit)
        room = [
            box
            for reach in (4.5, 9, 15, 22)[: 4 if name.first else 2]
            for box in _around(dot, size, reach * unit)
            if _within(box, axes) and not any(_overlap(box, other) for other in taken)
        ]
        clear = (box for box in room if not any(_overlap(box, other) for other in lines))
        place = next(clear, room[0] if room else None)  # rather on a line than without a name
        if place is None:
            continue
        taken.append(place)
        x, y = axes.transData.inverted().transform(place[:2])
        label = axes.text(x, y, name.text, fontsize=7.5, color=name.colour, va="bottom", ha="left", zorder=5)
        label.set_path_effects([withStroke(linewidth=2, foreground="white")])


_Box = tuple[float, float, float, float]
"""Left, bottom, width, height, in pixels."""


def _along(stops: list[tuple[float, float]], size: float) -> list[_Box]:
    """Small boxes that cover the line through `stops`."""
    boxes = []
    for (x0, y0), (x1, y1) in itertools.pairwise(stops):
        pieces = max(1, math.ceil(math.hypot(x1 - x0, y1 - y0) / size))
        for piece in range(pieces + 1):
            t = piece / pieces
            boxes.append((x0 + t * (x1 - x0) - size / 2, y0 + t * (y1 - y0) - size / 2, size, size))
    return boxes


def _around(point: tuple[float, float], size: tuple[float, float], reach: float) -> list[_Box]:
    """Places for a label about a point: the corners first, for the intervals run up, down and across."""
    (x, y), (wide, high) = point, size
    right, left, above, below = x + reach, x - reach - wide, y + reach * 0.7, y - reach * 0.7 - high
    corners = [(right, above), (left, above), (right, below), (left, below)]
    sides = [(right, y - high / 2), (left, y - high / 2), (x - wide / 2, above), (x - wide / 2, below)]
    return [(*corner, wide, high) for corner in corners + sides]


def _within(box: _Box, axes: Axes) -> bool:
    page = axes.bbox
    across = page.x0 < box[0] and box[0] + box[2] < page.x1
    return bool(across and page.y0 < box[1] and box[1] + box[3] < page.y1)


def _overlap(a: _Box, b: _Box) -> bool:
    return a[0] < b[0] + b[2] and b[0] < a[0] + a[2] and a[1] < b[1] + b[3] and b[1] < a[1] + a[3]
