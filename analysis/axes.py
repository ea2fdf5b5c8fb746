"""Which cells of a table may stand on one axis.

A study may hold several sweeps at once: language counts at one alpha, several alphas at one language count, a second
vocabulary. A contrast is only about language count if everything else stands still, so `language_axis` and
`alpha_axis` pick the one slice in which it does, and say what they left out.
"""

from __future__ import annotations

from dataclasses import dataclass

import pandas as pd

_MAY_DIFFER = ["vocabulary", "kind", "batch_tokens", "steps", "layers"]
"""What can tell apart two cells of the same languages, width and alpha."""


@dataclass(frozen=True)
class Slice:
    """Rows whose cells differ along one axis (and width) only.

    axis: "K" or "alpha". fixed: what all rows share, for captions. cautions: what a reader must know about the choice.
    """

    rows: pd.DataFrame
    axis: str
    fixed: dict[str, object]
    cautions: tuple[str, ...]


def language_axis(df: pd.DataFrame) -> Slice:
    """The K axis: the alpha that was run at the most language counts.

    Ties go to the most runs, then the most records, then the alpha nearest to the paper's 0.3.
    """
    if df.empty:
        return Slice(df, "K", {}, ())
    by_alpha = df.groupby("alpha", dropna=False)
    counts = by_alpha.agg(points=("K", "nunique"), runs=("run", "nunique"), rows=("run", "size")).reset_index()
    counts["off"] = (counts["alpha"] - 0.3).abs()
    order = counts.sort_values(["points", "runs", "rows", "off", "alpha"], ascending=[False, False, False, True, True])
    alpha = order["alpha"].iloc[0]
    rows = df[df["alpha"].isna()] if pd.isna(alpha) else df[df["alpha"] == alpha]
    rows, cautions = _one_arm(rows, "K")
    return Slice(rows, "K", {"alpha": None if pd.isna(alpha) else float(alpha)}, cautions)


def alpha_axis(df: pd.DataFrame) -> Slice:
    """The alpha axis: the K at which the most alphas were run (then the larger), at widths that have several."""
    known = df[df["alpha"].notna()]
    if known.empty:
        return Slice(known, "alpha", {}, ())
    counts = known.groupby("K")["alpha"].nunique().reset_index()
    k = int(counts.sort_values(["alpha", "K"], ascending=False)["K"].iloc[0])
    rows, cautions = _one_arm(known[known["K"] == k], "alpha")
    several = rows.groupby("width")["alpha"].transform("nunique") > 1
    return Slice(rows[several], "alpha", {"K": k}, cautions)


def _one_arm(rows: pd.DataFrame, axis: str) -> tuple[pd.DataFrame, tuple[str, ...]]:
    """Keep one arm where several cells share K, width and alpha: the one with the most runs."""
    cell = ["K", "width", "alpha"]
    every = rows[["run", "seed", "languages", *cell, *_MAY_DIFFER]].drop_duplicates("run")
    runs = _one_nesting(every)
    cautions: list[str] = []
    if len(runs) < len(every):
        cautions.append(f"runs on other language sets of the same size are left out here ({len(every) - len(runs)})")
    crowded = runs.groupby([*cell, "seed"], dropna=False)
    apart = [name for name in _MAY_DIFFER if (crowded[name].nunique() > 1).any()]
    if apart:
        arms = runs.groupby(apart).agg(points=(axis, "nunique"), runs=("run", "size")).reset_index()
        best = arms.sort_values(["points", "runs", *apart], ascending=False).iloc[0]
        chosen = runs[(runs[apart] == best[apart]).all(axis=1)]
        left_out = len(runs) - len(chosen)
        shown = ", ".join(f"{name} {_short(best[name])}" for name in apart)
        cautions.append(f"runs that differ elsewhere are left out here ({left_out}); kept: {shown}")
        runs = chosen
    repeats = int((runs.groupby([*cell, "seed"], dropna=False).size() > 1).sum())
    if repeats:
        cautions.append(f"{repeats} cells hold several runs with one seed, which differ outside these axes: averaged")
    moving = [name for name in ("vocabulary", "kind", "batch_tokens", "steps") if runs[name].nunique() > 1]
    if moving:
        cautions.append(f"not only {axis} differs between these cells: so does {', '.join(moving)}")
    return rows[rows["run"].isin(runs["run"])], tuple(cautions)


def _one_nesting(runs: pd.DataFrame) -> pd.DataFrame:
    """Keep one language set for each K: from the largest down, the most-run subset of the set above it.

    A second, differently ordered nesting is a robustness arm of its own (paper section 1.1), not more seeds.
    """
    kept: list[str] = []
    above: set[str] | None = None
    for _, at_k in sorted(runs.groupby("K"), key=lambda pair: -pair[0]):
        counts = at_k["languages"].value_counts()
        inside = {s: n for s, n in counts.items() if above is None or set(s.split(",")) <= above}
        choice = min(inside or dict(counts), key=lambda s: (-counts[s], s))
        above = set(choice.split(","))
        kept.append(choice)
    return runs[runs["languages"].isin(kept)]


def _short(value: object) -> str:
    text = str(value)
    return text if len(text) <= 24 else text[:23] + "…"
