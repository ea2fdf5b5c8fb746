"""One house style: read in colour, by the colour-blind, in greyscale and in a paper's column.

A series is told by colour AND marker AND line style (the colours are Okabe and Ito's). Files carry their fonts, no
dates and no random ids, so the same table draws the same bytes.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

COLUMN, PAGE = 3.4, 7.0
"""Widths in inches: one column of a two-column paper, and the full text."""
_MOST_COLUMNS = 3
_FOOT = "foot"

COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
MARKERS = ("o", "s", "^", "D", "v", "P", "X")
LINES = ("-", (0, (5, 1.5)), (0, (1.2, 1.2)), (0, (5, 1.2, 1.2, 1.2)), (0, (8, 2)), (0, (3, 1)), "-")
QUIET = "#767676"
"""Grey of what is there for reference: contrast 4.5 on white."""

_SETTINGS: dict[Any, Any] = {
    "font.family": "DejaVu Sans",  # comes with matplotlib, so every machine draws the same letters
    "font.size": 8,
    "axes.titlesize": 8.5,
    "axes.labelsize": 8,
    "xtick.labelsize": 7.5,
    "ytick.labelsize": 7.5,
    "legend.fontsize": 7.5,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.linewidth": 0.7,
    "axes.grid": True,
    "grid.color": "#e4e4e4",
    "grid.linewidth": 0.6,
    "axes.axisbelow": True,
    "lines.linewidth": 1.4,
    "lines.markersize": 5,
    "legend.frameon": False,
    "figure.facecolor": "white",
    "pdf.fonttype": 42,
    "svg.fonttype": "path",
    "svg.hashsalt": "babelscale",
    "savefig.dpi": 200,
}


@dataclass(frozen=True)
class Series:
    """How one series is drawn."""

    colour: str
    marker: str
    line: Any


_NOTES: ContextVar[tuple[str, ...]] = ContextVar("notes", default=())


@contextmanager
def house(notes: Sequence[str] = ()) -> Iterator[None]:
    """The house style, for the drawing inside the with block only. `notes` go to the foot of every sheet."""
    from matplotlib import rc_context

    before = _NOTES.set(tuple(notes))
    try:
        with rc_context(_SETTINGS):
            yield
    finally:
        _NOTES.reset(before)


def series(number: int) -> Series:
    """The look of series `number`; it repeats after seven."""
    i = number % len(COLOURS)
    return Series(COLOURS[i], MARKERS[i], LINES[i])


def sheet(columns: int, height: float = 2.9, notes: Sequence[str] = ()) -> tuple[Figure, list[Axes]]:
    """A figure with a row of panels, and small notes along its foot that take no room from the panels."""
    figure = blank(PAGE if columns > 1 else COLUMN, height, notes)
    return figure, list(figure.subplots(1, columns, squeeze=False)[0])


def blank(width: float, height: float, notes: Sequence[str] = ()) -> Figure:
    """A figure without panels, `width` by `height` inches and what its notes take at the foot."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout="constrained")
    foot(figure, notes)
    return figure


def foot(figure: Figure, notes: Sequence[str]) -> None:
    """Put notes at a figure's foot in place of those that are there; the panels keep their size."""
    width, height = (float(size) for size in figure.get_size_inches())
    engine: Any = figure.get_layout_engine()
    height *= (engine.get().get("rect") or (0, 0, 1, 1))[3]  # without the notes of before
    for text in [text for text in figure.texts if text.get_label() == _FOOT]:
        text.remove()
    lines = [line for note in (*notes, *_NOTES.get()) for line in _wrap(note, int(width * 18))]
    room = (0.05 + 0.125 * len(lines)) if lines else 0.0
    figure.set_size_inches(width, height + room)
    share = room / (height + room)
    engine.set(rect=(0, share, 1, 1 - share), w_pad=0.06, h_pad=0.05)
    for i, line in enumerate(lines):
        y = (room - 0.06 - 0.125 * i) / (height + room)
        figure.text(0.06 / width, y, line, fontsize=6.5, color="#444444", va="top", ha="left", label=_FOOT)


def language_count_axis(axes: Axes, counts: Sequence[int]) -> None:
    """A log2 axis with a tick at each language count that was run, named as it is."""
    from matplotlib.ticker import FixedLocator, NullLocator

    axes.set_xscale("log", base=2)
    axes.xaxis.set_major_locator(FixedLocator(list(counts)))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.set_xticks(list(counts), [str(k) for k in counts])
    axes.set_xlabel("languages trained on, K (log scale)")
    if len(counts) > 1:
        room = (counts[-1] / counts[0]) ** 0.07
        axes.set_xlim(counts[0] / room, counts[-1] * room)


def named(languages: Sequence[str], room: int = 42) -> str:
    """`en, fr, de`, or as many as `room` characters hold and how many there are."""
    whole = ", ".join(languages)
    if len(whole) <= room:
        return whole
    tail = f"… ({len(languages)} languages)"
    shown = ""
    for code in languages:
        if len(shown) + len(code) + 2 + len(tail) > room:
            break
        shown += f"{code}, "
    return shown + tail


def titled(axes: Axes, title: str, below: str) -> None:
    """A panel's title, with a smaller line under it."""
    axes.set_title(title, loc="left", pad=16)
    line = axes.annotate(
        below, (0, 1), xycoords="axes fraction", xytext=(0, 5), textcoords="offset points", fontsize=7.5,
        color="#444444", annotation_clip=False,
    )  # fmt: skip
    line.set_in_layout(False)  # a long list must not make its panel narrow


def _wrap(text: str, columns: int) -> list[str]:
    import textwrap

    return textwrap.wrap(text, columns)


def abreast(panels: int) -> int:
    """How many of these stand in a row."""
    return 2 if panels == 4 else min(panels, _MOST_COLUMNS)


def grid(down: int, across: int, notes: Sequence[str] = (), labels: int = 1) -> tuple[Figure, list[Axes]]:
    """A figure of `down` rows of `across` panels in reading order, notes at its foot, room for a legend of `labels`."""
    height = 2.9 if down == 1 else 0.45 + 2.3 * down
    height += 0.17 * max(0, labels - 2) if across == 1 else 0.0
    figure = blank(PAGE if across > 1 else COLUMN, height, notes)
    return figure, list(figure.subplots(down, across, squeeze=False).flat)


def legend(figure: Figure, across: int) -> None:
    """One legend over all panels, each label once; none where nothing needs a name."""
    found: dict[str, Any] = {}
    for axes in figure.axes:
        for handle, label in zip(*axes.get_legend_handles_labels(), strict=True):
            found.setdefault(label, handle)
    if found:
        lengths = [len(label) + 7 for label in found]
        room = 112 if across > 1 else 54
        columns = len(found) if sum(lengths) <= room else max(1, room // max(lengths))
        columns = math.ceil(len(found) / math.ceil(len(found) / columns))  # rows of one length
        figure.legend(found.values(), found.keys(), loc="outside upper center", ncols=columns)
