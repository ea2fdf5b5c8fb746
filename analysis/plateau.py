"""Did every cell leave the unigram plateau? A model that knows only how often each piece comes scores its language's
unigram level; runs that have not passed it are not yet language models, and comparing them shows only when each was
going to leave."""

from __future__ import annotations

import pandas as pd

from analysis.records import AXES, Study
from analysis.statistics import BITS, group_mean, scored

UNIGRAM = "unigram_bits_per_byte"
CORE = "core"


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
    core = table[table["group"] == CORE]
    judged = table if core.empty else core
    others = table.drop(judged.index)
    behind = judged[judged["margin"] <= 0].sort_values("margin")
    if not behind.empty:
        return (
            f"not past the unigram plateau: {_named(behind)}. These cells know little more than how often each piece "
            f"comes: give them a longer budget before they are compared"
        )
    least = judged.loc[judged["margin"].idxmin()]
    text = f"every cell ends past the unigram plateau, by {least['margin']:.3f} bits per byte or more ({_cell(least)})"
    starved = others[others["margin"] <= 0].sort_values("margin")
    return text if starved.empty else f"{text}; behind it though is the {_named(starved)}"


def _named(rows: pd.DataFrame) -> str:
    return "; ".join(f"{_cell(row)} by {row['margin']:+.3f}" for _, row in rows.iterrows())


def _cell(row: pd.Series) -> str:
    alpha = "" if pd.isna(row["alpha"]) else f", alpha {row['alpha']:g}"
    return f"{row['group']} group at K {row['K']:g}{alpha}, width {row['width']:g}"
