"""Size by language of one corpus: bars on a log axis, largest first, as the paper's Figure 1 shows CC-100."""

from __future__ import annotations

import math
from collections.abc import Mapping
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

from analysis.figures import style
from analysis.records import write_whole

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_MOST_BARS = 70
"""In one row of the page, so that every code can be read."""
_UNDATED: dict[str, dict[str, Any]] = {
    ".png": {"Software": None},
    ".svg": {"Date": None, "Creator": None},
    ".pdf": {"CreationDate": None, "Creator": None, "Producer": None},
}


def draw(sizes: Mapping[str, int], name: str, path: Path) -> None:
    """Draw training text in bytes by language into `path`, whose ending is .png, .pdf or .svg.

    More languages than one row can name are drawn in several, on one scale.
    """
    from matplotlib.figure import Figure

    ordered = sorted(sizes.items(), key=lambda item: (-item[1], item[0]))
    count = max(1, math.ceil(len(ordered) / _MOST_BARS))
    length = math.ceil(len(ordered) / count)
    with style.house():
        figure = Figure(figsize=(style.PAGE, 0.5 + 1.75 * count), layout="constrained")
        rows = figure.subplots(count, 1, squeeze=False, sharey=True)[:, 0]
        for number, axes in enumerate(rows):
            _bars(axes, ordered[number * length : (number + 1) * length], length)
        _scale(rows[0], [size for _, size in ordered])
        total = _size(sum(sizes.values()))
        rows[0].set_title(f"{name}: {total} of training text, {len(ordered)} languages", loc="left")
        figure.supylabel("training text (bytes, log scale)", fontsize=8)
        buffer = BytesIO()
        figure.savefig(buffer, format=path.suffix[1:], metadata=_UNDATED[path.suffix])
    write_whole(path, buffer.getvalue())


def _bars(axes: Axes, sizes: list[tuple[str, int]], room: int) -> None:
    codes = [code for code, _ in sizes]
    axes.bar(range(len(sizes)), [size for _, size in sizes], width=0.75, color=style.COLOURS[0])
    axes.set_xticks(range(len(codes)), codes, rotation=90, fontsize=7.5 if room <= 40 else 6)
    axes.tick_params(axis="x", length=0, pad=2)
    axes.set_xlim(-0.6, max(room, 12) - 0.4)
    axes.grid(visible=False, axis="x")


def _scale(axes: Axes, sizes: list[int]) -> None:
    from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator

    axes.set_yscale("log")
    # A bar on a log axis stands on nothing; a decade below the smallest keeps every bar visible.
    axes.set_ylim(10 ** (math.floor(math.log10(max(1, min(sizes)))) - 0.3), max(sizes) * 1.6)
    axes.yaxis.set_major_locator(LogLocator(base=10, numticks=8))
    axes.yaxis.set_minor_locator(NullLocator())
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: _size(value)))


def _size(size: float) -> str:
    """12345678 as 12.3 MB, powers of a thousand."""
    for unit in ("B", "kB", "MB", "GB", "TB"):
        if size < 1000 or unit == "TB":
            break
        size /= 1000
    return f"{size:.3g} {unit}"
