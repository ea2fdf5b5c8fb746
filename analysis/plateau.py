"""Did every cell leave the unigram plateau? A model that knows only how often each piece comes scores its language's
unigram level; runs that have not passed it are not yet language models, and comparing them shows only when each was
going to leave."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from analysis.axes import goes_without_saying, shown, telling, words
from analysis.records import AXES, Study
from analysis.statistics import BITS, group_mean, scored

UNIGRAM = "unigram_bits_per_byte"
CORE = "core"
_MOST = 6
"""Cells that a sentence names."""


def unigram_level(rows: pd.DataFrame, languages: tuple[str, ...]) -> float:
    """Bits per byte of a unigram model of each language's training text, mean over the languages: where every model
    starts from. NaN where it was not recorded."""
    known = rows[(rows["metric"] == UNIGRAM) & rows["language"].isin(languages)]
    return float(known.groupby("language")["value"].mean().mean())


def margins(df: pd.DataFrame, study: Study) -> pd.DataFrame:
    """How far each cell ends below the unigram level of each of the study's groups, in bits per byte, mean over seeds.

    Columns: `AXES`, group, margin (positive is past it), seeds. Empty where the level was not recorded.
    """
    parts = []
    for group in study.groups:
        languages = scored(df, BITS, study.group(group))
        if not languages:
            continue
        means = group_mean(df, BITS, languages)
        cells = means.groupby(AXES, dropna=False)["value"].agg(["mean", "count"]).reset_index()
        cells["margin"] = unigram_level(df, languages) - cells.pop("mean")
        parts.append(cells.rename(columns={"count": "seeds"}).assign(group=group))
    return pd.concat(parts, ignore_index=True).dropna(subset=["margin"]) if parts else pd.DataFrame()


def sentence(table: pd.DataFrame) -> str:
    """One sentence for the page and the terminal: all past it, or which are not. "" where nothing is known.

    A cell is judged on its core mean, which the findings are about (on all its groups where a study names no core). A
    smaller group that lies behind although the core does not is named too: sampling may starve a language so far that
    it stays there, whatever the budget does for the others.
    """
    if table.empty:
        return ""
    named = ("K", "alpha", "width", "languages")
    varied = [name for name in telling(table) if name not in named]
    core = table[table["group"] == CORE]
    judged = table if core.empty else core
    others = table.drop(judged.index)
    behind = judged[judged["margin"] <= 0].sort_values("margin")
    if not behind.empty:
        return (
            f"not past the unigram plateau: {_named(behind, varied)}. These cells know little more than how often each "
            "piece comes: give them a longer budget before they are compared"
        )
    least = judged.loc[judged["margin"].idxmin()]
    margin = f"{least['margin']:.3f} bits per byte or more ({_cell(least, varied)})"
    text = f"every cell ends past the unigram plateau, by {margin}"
    starved = others[others["margin"] <= 0].sort_values("margin")
    return text if starved.empty else f"{text}; behind it though is the {_named(starved, varied)}"


def _named(rows: pd.DataFrame, varied: Sequence[str]) -> str:
    """The cells (and groups) that lie farthest behind, and how many more do."""
    shown = [f"{_cell(row, varied)} by {row['margin']:+.3f}" for _, row in rows.head(_MOST).iterrows()]
    more = len(rows) - _MOST
    return "; ".join(shown) + (f"; and {more} more" if more > 0 else "")


def _cell(row: pd.Series, varied: Sequence[str]) -> str:
    alpha = "" if pd.isna(row["alpha"]) else f", alpha {row['alpha']:g}"
    more = "".join(f", {words(name)} {shown(row[name])}" for name in varied if not goes_without_saying(name, row[name]))
    return f"{row['group']} group at K {row['K']:g}{alpha}, width {row['width']:g}{more}"
