"""What every figure owes its reader: no clipped text, no text on other text, no panel with nothing in it."""

from __future__ import annotations

from itertools import combinations
from typing import Any


def check(figure: Any, name: str) -> None:
    """Draw, and hold every text's box against the page and against every other. Also that every panel shows data."""
    from matplotlib.text import Text

    figure.draw_without_rendering()
    off = _undrawn_ticks(figure)
    found = figure.findobj(match=lambda a: isinstance(a, Text) and bool(a.get_text().strip()) and a.get_visible())
    texts = [(t.get_text(), t.get_window_extent()) for t in found if t not in off]
    page = figure.bbox
    for text, box in texts:
        inside = page.x0 <= box.x0 + 1 and box.x1 <= page.x1 + 1 and page.y0 <= box.y0 + 1 and box.y1 <= page.y1 + 1
        assert inside, (name, text)
    for (text, box), (other, other_box) in combinations(texts, 2):
        across = min(box.x1, other_box.x1) - max(box.x0, other_box.x0)
        up = min(box.y1, other_box.y1) - max(box.y0, other_box.y0)
        assert across < 1.5 or up < 1.5, (name, text, other)
    for axes in figure.axes:
        assert axes.lines or axes.collections or axes.texts, (name, "an empty panel")
        assert not axes.axison or min(axes.bbox.width, axes.bbox.height) > 0.8 * figure.dpi, (name, "a squeezed panel")


def _undrawn_ticks(figure: Any) -> set[Any]:
    """Labels of ticks outside the view, or of axes switched off: they exist, and are not drawn."""
    off = set()
    for axes in figure.axes:
        for axis in (axes.xaxis, axes.yaxis):
            low, high = sorted(axis.get_view_interval())
            ticks = axis.get_major_ticks() + axis.get_minor_ticks()
            off |= {t.label1 for t in ticks if not axes.axison or not low <= t.get_loc() <= high}
    return off
