"""Which cells of a table may stand on one axis.

A study may hold several sweeps at once: language counts at one alpha, several alphas at one language count, a second
vocabulary. A contrast is only about language count if everything else stands still, so `language_axis` and
`alpha_axis` pick the one slice in which it does, and say what they left out.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import pandas as pd

from analysis.records import AXES, OTHER_AXES

_MAY_DIFFER = ["vocabulary", "kind", "batch_tokens", "steps", "layers", *OTHER_AXES]
"""What can tell apart two cells of the same languages, width and alpha."""


_MOVING = ["vocabulary", "kind", "batch_tokens", "steps", "tokenizer_languages", "text_bytes"]
"""What a reader must be told of where it moves along with the axis."""


def words(axis: str) -> str:
    """The name of an axis as a reader meets it."""
    named = {"tokenizer_algorithm": "tokenizer", "kind": "architecture", "sampling": "drawn by"}
    return named.get(axis, axis.replace("_", " "))


def telling(rows: pd.DataFrame, names: Sequence[str] = AXES) -> list[str]:
    """The axes among `names` that tell rows apart, less what just follows the language count K: the set of languages,
    and those of a tokenizer that is trained anew for each set."""
    apart = [name for name in names if rows[name].nunique(dropna=False) > 1]
    if "K" not in apart:
        return apart
    at_k = rows.groupby("K")
    follows = [name for name in ("languages", "tokenizer_languages") if at_k[name].nunique(dropna=False).max() == 1]
    return [name for name in apart if name not in follows]


def goes_without_saying(axis: str, value: object) -> bool:
    """That languages are drawn by an alpha is told with the alpha."""
    return axis == "sampling" and value == "alpha"


def shown(value: object) -> str:
    """A value of an axis as a reader meets it: whole numbers without a point, an infinite text as all of it."""
    if not isinstance(value, float):
        return str(value)
    if math.isnan(value) or math.isinf(value):
        return "none" if math.isnan(value) else "all"
    return f"{value:.0f}" if value.is_integer() and abs(value) < 1e15 else f"{value:g}"


@dataclass(frozen=True)
class Slice:
    """Rows whose cells differ along one axis (and width) only.

    axis: the column that varies. fixed: what all rows share, for captions. cautions: what a reader must know about the
    choice, without a stop. out: how many runs the cautions tell to be left out. averaged: a caution on runs that
    nothing tells apart, which a figure needs not repeat, for it stands among those on the study. arm: the axes that all
    rows share, with their values, by which runs that are still missing are told from those of other arms.
    """

    rows: pd.DataFrame
    axis: str
    fixed: dict[str, object]
    cautions: tuple[str, ...]
    out: int = 0
    averaged: tuple[str, ...] = ()
    arm: Mapping[str, object] = field(default_factory=dict)


def language_axis(df: pd.DataFrame) -> Slice:
    """The K axis: the alpha that was run at the most language counts.

    Ties go to the most runs, then the most records, then the alpha nearest to the paper's 0.3.
    """
    if df.empty:
        return Slice(df, "K", {}, ())
    by_alpha = _runs(df, ["K", "alpha"]).groupby("alpha", dropna=False)
    counts = by_alpha.agg(points=("K", "nunique"), runs=("run", "size")).reset_index()
    counts["rows"] = df.groupby("alpha", dropna=False).size().to_numpy()
    counts["off"] = (counts["alpha"] - 0.3).abs()
    order = counts.sort_values(["points", "runs", "rows", "off", "alpha"], ascending=[False, False, False, True, True])
    alpha = order["alpha"].iloc[0]
    rows = df[df["alpha"].isna()] if pd.isna(alpha) else df[df["alpha"] == alpha]
    return _one_arm(rows, "K", {"alpha": None if pd.isna(alpha) else float(alpha)})


def alpha_axis(df: pd.DataFrame) -> Slice:
    """The alpha axis: the K at which the most alphas were run (then the larger), at widths that have several."""
    known = df[df["alpha"].notna()]
    if known.empty:
        return Slice(known, "alpha", {}, ())
    counts = known.groupby("K")["alpha"].nunique().reset_index()
    k = int(counts.sort_values(["alpha", "K"], ascending=False)["K"].iloc[0])
    part = _one_arm(known[known["K"] == k], "alpha", {"K": k})
    several = part.rows.groupby("width")["alpha"].transform("nunique") > 1
    return part if several.all() else replace(part, rows=part.rows[several])


def plane(df: pd.DataFrame, axes: Sequence[str], *, follow: Sequence[str] = ()) -> Slice:
    """The runs that differ in `axes` (and seed) only, out of all such sets the one with most cells, then most runs,
    then most text, then the alphas nearest to the paper's 0.3.

    follow: what may move along with the axes because the study derives it (width at a constant total).
    """
    axis = axes[0]
    if df.empty:
        return Slice(df, axis, {}, ())
    still = [name for name in AXES if name not in axes and name not in follow]
    runs = _runs(df, ["seed", *AXES])
    code = runs.groupby(still, dropna=False, sort=True).ngroup()
    cells = pd.Series(list(runs[list(axes)].fillna("none").itertuples(index=False, name=None)), index=runs.index)
    sizes = (
        pd.DataFrame({"code": code, "cell": cells})
        .groupby("code")
        .agg(cells=("cell", "nunique"), runs=("cell", "size"))
    )
    first = runs.groupby(code)[["text_bytes", "alpha", "tokenizer_alpha"]].first()
    sizes["off"] = (first["alpha"] - 0.3).abs() + (first["tokenizer_alpha"] - 0.3).abs().fillna(0)
    sizes["text"] = first["text_bytes"]
    order = ["cells", "runs", "text", "off"]
    best = sizes.sort_values(order, ascending=[False, False, False, True], kind="stable").index[0]
    kept = runs[code == best]
    left_out = len(runs) - len(kept)
    cautions = (_left_out(left_out, kept.iloc[0], telling(runs, still)),) if left_out else ()
    fixed: dict[str, object] = {str(name): kept[name].iloc[0] for name in ("K", "alpha", "width") if name in still}
    arm = {str(name): kept[name].iloc[0] for name in still}
    return Slice(_of_runs(df, kept, runs), axis, fixed, cautions, left_out, arm=arm)


def counts_plane(df: pd.DataFrame, axes: Sequence[str], *, follow: Sequence[str] = ()) -> Slice:
    """`plane` over the language count K and `axes`, with one set of languages for each K and, unless
    `tokenizer_languages` is one of the axes, one policy of the tokenizer: of as many languages in every run, or of each
    run's own. Averaged over cells that lack different ones of two policies, their difference would pass for an effect.
    """
    part = plane(df, ["K", *axes], follow=["languages", "tokenizer_languages", *follow])
    if part.rows.empty:
        return part
    every = _runs(part.rows, list(dict.fromkeys(["K", "languages", "tokenizer_languages", *axes])))
    cautions = list(part.cautions)
    runs = _one_nesting(every)
    if len(runs) < len(every):
        cautions.append(f"runs on other language sets of the same size are left out here ({len(every) - len(runs)})")
    if "tokenizer_languages" not in axes:
        nested = len(runs)
        runs, policy = _one_policy(runs, ["K", *axes])
        if len(runs) < nested:
            cautions.append(f"runs of another tokenizer are left out here ({nested - len(runs)}); kept: {policy}")
    out = part.out + len(every) - len(runs)
    return replace(part, rows=_of_runs(part.rows, runs, every), cautions=tuple(cautions), out=out)


def _one_policy(runs: pd.DataFrame, cell: list[str]) -> tuple[pd.DataFrame, str]:
    """The runs of the policy with most cells, then most runs, then most languages; and what it is."""
    of = runs["tokenizer_languages"].fillna(-1)
    policies = [
        (f"one of {t:.0f} languages" if t > 0 else "one that was not recorded", runs[of == t])
        for t in sorted(of.unique(), reverse=True)
    ]
    policies.append(("one of each run's own languages", runs[of == runs["K"]]))
    policy, kept = max(policies, key=lambda pair: (len(pair[1][cell].drop_duplicates()), len(pair[1])))
    return kept, policy


def _runs(df: pd.DataFrame, columns: Sequence[str]) -> pd.DataFrame:
    """The first row of each run: its id and the columns."""
    return df.loc[~df["run"].duplicated(), ["run", *columns]]


def _of_runs(df: pd.DataFrame, kept: pd.DataFrame, every: pd.DataFrame) -> pd.DataFrame:
    """The rows of the runs kept; the table itself where that is all of them, for a copy of a large one takes long."""
    return df if len(kept) == len(every) else df[df["run"].isin(kept["run"])]


def _same(table: pd.DataFrame, row: pd.Series) -> pd.DataFrame:
    """Where a table's cells equal a row's; NaN equals NaN."""
    return (table == row) | (table.isna() & row.isna())


def _one_arm(rows: pd.DataFrame, axis: str, fixed: dict[str, object]) -> Slice:
    """Keep one arm where several cells share K, width and alpha: the one with the most runs."""
    cell = ["K", "width", "alpha"]
    every = _runs(rows, ["seed", "languages", *cell, *_MAY_DIFFER])
    runs = _one_nesting(every)
    cautions: list[str] = []
    if len(runs) < len(every):
        cautions.append(f"runs on other language sets of the same size are left out here ({len(every) - len(runs)})")
    crowded = runs.groupby([*cell, "seed"], dropna=False)
    apart = [name for name in _MAY_DIFFER if (crowded[name].nunique() > 1).any()]
    if apart:
        arms = runs.groupby(apart, dropna=False).agg(points=(axis, "nunique"), runs=("run", "size")).reset_index()
        best = arms.sort_values(["points", "runs", *apart], ascending=False).iloc[0]
        chosen = runs[_same(runs[apart], best[apart]).all(axis=1)]
        left_out = len(runs) - len(chosen)
        cautions.append(_left_out(left_out, best, apart))
        runs = chosen
    repeats = int((runs.groupby([*cell, "languages", "seed"], dropna=False).size() > 1).sum())
    averaged = (f"{repeats} cells hold several runs with one seed, which differ outside these axes: averaged",)
    moving = [name for name in _MOVING if runs[name].nunique() > 1]
    if moving:
        cautions.append(f"not only {axis} differs between these cells: so does {', '.join(map(words, moving))}")
    arm: dict[str, object] = {name: runs[name].iloc[0] for name in _MAY_DIFFER if runs[name].nunique(dropna=False) == 1}
    out = len(every) - len(runs)
    return Slice(_of_runs(rows, runs, every), axis, fixed, tuple(cautions), out, averaged if repeats else (), arm)


def _one_nesting(runs: pd.DataFrame) -> pd.DataFrame:
    """Keep one language set for each K: from the largest down, the most-run subset of the set above it.

    A second, differently ordered nesting is a robustness arm of its own (paper section 1.1), not more seeds.
    """
    kept: list[str] = []
    above: set[str] | None = None
    for k, at_k in sorted(runs.groupby("K"), key=lambda pair: -pair[0]):
        counts = at_k["languages"].value_counts()
        inside = {s: n for s, n in counts.items() if above is None or set(s.split(",")) <= above}
        if k == 1:  # a model for each language: these are no rival sets
            kept += list(counts.index)
            continue
        choice = min(inside or dict(counts), key=lambda s: (-counts[s], s))
        above = set(choice.split(","))
        kept.append(choice)
    return runs[runs["languages"].isin(kept)]


def _left_out(count: int, kept: pd.Series, apart: Sequence[str]) -> str:
    named = ", ".join(
        f"{words(name)} {_short(kept[name])}" for name in apart if not goes_without_saying(name, kept[name])
    )
    return f"runs that differ elsewhere are left out here ({count}); kept: {named}"


def _short(value: object) -> str:
    text = shown(value)
    return text if len(text) <= 24 else text[:23] + "…"
