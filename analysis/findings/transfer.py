"""One model or several, and who helps whom: F16, F17 (paper section 6; ATLAS's transfer matrix, section 5.8)."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from analysis.axes import Slice, plane
from analysis.findings.decision import Claim, Contrast, Evidence
from analysis.findings.verdict import Absent, numbers
from analysis.records import Study
from analysis.statistics import Outcome, final, paired, t_interval
from sweeps.language_table import LANGUAGES

_SAME = {"nb": "no", "nn": "no"}
"""Codes that CC-100's table has under another."""
_RUN = ["run", "seed", "languages", "K", "width", "steps"]


def alone_and_shared(df: pd.DataFrame) -> Slice:
    """The runs of F16: models of one language and those of the most languages (one set of them, that of most runs).

    Where both sides were run at one vocabulary, all are of that: of several the one at which most languages have both
    models with one seed, then the larger. Else each set of languages has the vocabulary of most of its runs.
    """
    part = _one_shared(plane(df, ["K", "languages", "vocabulary", "tokenizer_languages"]))
    if part.rows.empty:
        return part
    runs = part.rows.drop_duplicates("run")
    most = runs["K"].max()
    both = _both_sides(runs[runs["K"] == 1], runs[runs["K"] == most])
    common = max(both, key=lambda v: (both[v], v), default=None)
    kept = runs if common is None else runs[(runs["vocabulary"] == common) | ~runs["K"].isin([1, most])]
    options = kept.groupby(["languages", "vocabulary", "tokenizer_languages"], dropna=False).size().rename("runs")
    table = options.reset_index().sort_values(["runs", "vocabulary", "tokenizer_languages"])
    kept = kept.merge(table.groupby("languages").tail(1)[["languages", "vocabulary", "tokenizer_languages"]])
    out = len(runs) - len(kept)
    if not out:
        return part
    text = f"runs of a further vocabulary or tokenizer of the same languages are left out here ({out})"
    rows = part.rows[part.rows["run"].isin(kept["run"])]
    return replace(part, rows=rows, cautions=(*part.cautions, text), out=part.out + out)


def _both_sides(alone: pd.DataFrame, shared: pd.DataFrame) -> dict[int, int]:
    """Vocabularies of both sides -> with how many (language, seed) both models were run."""
    pairs = alone[["languages", "vocabulary", "seed"]].merge(shared[["vocabulary", "seed"]].drop_duplicates())
    return {int(v): len(own.drop_duplicates()) for v, own in pairs.groupby("vocabulary")}


def _one_shared(part: Slice) -> Slice:
    runs = part.rows.drop_duplicates("run")
    counts = runs.loc[runs["K"] == runs["K"].max(), "languages"].value_counts()
    if len(counts) < 2 or runs["K"].max() == 1:
        return part
    kept = min(counts.index, key=lambda text: (-counts[text], text))
    rows = part.rows[~part.rows["languages"].isin(counts.index.drop(kept))]
    out = int(counts.drop(kept).sum())
    text = f"runs on other sets of as many languages are left out here ({out})"
    return replace(part, rows=rows, cautions=(*part.cautions, text), out=part.out + out)


def against_monolingual(df: pd.DataFrame, study: Study, outcome: Outcome) -> Evidence:
    """F16: by seed and language, the multilingual model's score against that of the language's own model; the mean."""
    part = alone_and_shared(df)
    rows = final(part.rows, outcome)
    own = rows[rows["K"] == 1].groupby(["seed", "language"])["value"].mean()
    most = rows["K"].max() if len(rows) else 0
    shared = rows[(rows["K"] == most) & (rows["K"] > 1)].groupby(["seed", "language"])["value"].mean()
    both = (shared - own).dropna() * outcome.worse * outcome.scale
    if both.empty:
        alone = "no language has both a model of its own and a multilingual one with the same seed"
        raise Absent(alone, "finished runs of one language each, and of all of them together")
    by_seed = both.unstack("seed")
    whole = _common(by_seed)  # the same languages for every seed
    apart: tuple[str, ...] = ()
    if whole.empty:
        apart = ("the seeds were run on different languages: a seed's mean is over its own",)
    else:
        gone = [str(name) for name in by_seed.index.difference(whole.index)]
        apart += (f"left out, for not all seeds have both models: {', '.join(gone)}",) if gone else ()
        few = len(by_seed.columns) - len(whole.columns)
        apart += (f"seeds that have fewer than half of the languages are left out ({few})",) if few else ()
        by_seed = whole
    claim = Claim(by_seed.mean(axis=0), f"worse with {most} languages in one model, mean of {len(by_seed)} languages")
    details: dict[str, Any] = {"languages": list(by_seed.index), "K": int(most)}
    details |= {f"{language} is worse by": numbers(t_interval(row)) for language, row in by_seed.iterrows()}
    said = "translate-train-all, where the paper's multilingual model wins, is another setting of the task"
    note = f"{most} languages in one model against a model each"
    table = rows.pivot_table(index="seed", columns="K", values="value") * outcome.scale
    return Contrast("F16", outcome, [claim], note, part, details, table, apart + ((said,) if outcome.zero_shot else ()))


def kinship(one: str, other: str) -> tuple[bool, bool]:
    """Whether two languages share the script, and the family. Raises KeyError for one that CC-100 has not."""
    a, b = LANGUAGES[_SAME.get(one, one)], LANGUAGES[_SAME.get(other, other)]
    return a.script == b.script, a.family == b.family


def _kinship(one: str, other: str) -> tuple[bool, bool] | None:
    try:
        return kinship(one, other)
    except KeyError:
        return None


def gains(df: pd.DataFrame, outcome: Outcome) -> pd.DataFrame:
    """What each language of a pair gains from the other: target, source, width, seed, gain, script, family.

    The pair's run is held against the target's own of half as many steps, where there is one, so that the target has
    the same tokens in both (its share is a half); else against its own of as many steps. Where some pair has the first,
    those that have the second alone are left out; `attrs["out"]` counts them (`without_equal_tokens`).
    """
    rows = final(df, outcome)[[*_RUN, "language", "value"]]
    alone = rows[rows["K"] == 1].groupby(["language", "width", "seed", "steps"])["value"].mean()
    pairs = rows[rows["K"] == 2].groupby(["languages", "width", "seed", "steps", "language"])["value"].mean()
    table = pairs.rename("own").reset_index().rename(columns={"language": "target"})
    both = table["languages"].str.split(",")
    table["source"] = [
        next((c for c in codes if c != own), own) for codes, own in zip(both, table["target"], strict=True)
    ]
    kin = {pair: _kinship(*pair) for pair in set(zip(table["target"], table["source"], strict=True))}
    found = [kin[pair] for pair in zip(table["target"], table["source"], strict=True)]
    table["script"], table["family"] = ([one[side] if one else None for one in found] for side in (0, 1))

    def of_steps(steps: pd.Series) -> npt.NDArray[np.float64]:
        keys = [table["target"], table["width"], table["seed"], steps]
        return alone.reindex(pd.MultiIndex.from_arrays(keys)).to_numpy(dtype=float)

    half, whole = of_steps(table["steps"] // 2), of_steps(table["steps"])
    table["equal_tokens"] = np.isfinite(half)
    table["gain"] = outcome.worse * outcome.scale * (np.where(np.isfinite(half), half, whole) - table["own"])
    table = table[table["gain"].notna() & table["script"].notna()]  # of no known script: nothing could be predicted
    table = table.astype({"script": bool, "family": bool})
    names = ["target", "source", "width", "seed", "steps", "equal_tokens", "gain", "script", "family"]
    kept = table[table["equal_tokens"]] if table["equal_tokens"].any() else table
    kept = kept[names].reset_index(drop=True)
    kept.attrs["out"] = len(table) - len(kept)
    return kept


def without_equal_tokens(table: pd.DataFrame) -> tuple[str, ...]:
    """A caution on what `gains` left out."""
    out = table.attrs["out"]
    if not out:
        return ()
    return (f"gains over a model that had other tokens of the target than the pair are left out ({out})",)


def transfer(df: pd.DataFrame, study: Study, outcome: Outcome) -> Evidence:
    """F17: the mean gain from a source of the same script or family less that from any other; and how much less the
    others take at the largest width than at the smallest."""
    part = plane(df, ["languages", "K", "width", "steps", "tokenizer_languages"])
    table = gains(part.rows, outcome)
    unequal = without_equal_tokens(table)
    table["kin"] = table["script"] | table["family"]
    if table.empty or table["kin"].nunique() < 2:
        why = "pairs that share a script or a family, and pairs that share neither, are needed beside single languages"
        raise Absent(why, "finished runs of such pairs and of each language alone")
    table, uneven = _even(table)
    by_kin = table.groupby(["seed", "kin"])["gain"].mean().unstack("kin")
    claims = [Claim(paired(by_kin[True], by_kin[False]), "gained more from a source of the same script or family")]
    widths = sorted(set(table["width"]))
    if len(widths) > 1:
        by_width = table[table["width"].isin((widths[0], widths[-1]))].groupby(["seed", "width"])["gain"].mean()
        spread = by_width.unstack("width")
        lessens = paired(spread[widths[-1]], spread[widths[0]])
        claims.append(Claim(lessens, f"less taken by the other language at width {widths[-1]} than at {widths[0]}"))
    else:
        uneven = (*uneven, f"width {widths[0]} alone: that width lessens interference is not tested")
    details: dict[str, Any] = {"pairs": len(table[["target", "source"]].drop_duplicates()), "widths": widths}
    for name in ("script", "family"):
        parts = table.groupby(["seed", name])["gain"].mean().unstack(name)
        if parts.shape[1] == 2:
            details[f"same {name} gains more by"] = numbers(t_interval(paired(parts[True], parts[False])))
    details |= {claim.measure: numbers(claim.interval) for claim in claims}
    details["symmetry: correlation of A to B with B to A, by seed"] = numbers(
        t_interval(_symmetry(own.groupby(["target", "source"])["gain"].mean()) for _, own in table.groupby("seed"))
    )
    details["p that kin gains more, languages dealt out anew"] = _dealt_anew(table)
    spoken = len(set(table["target"]) | set(table["source"]))
    cautions = (
        *unequal,
        *uneven,
        f"the intervals are over seeds: of other languages than these {spoken} they say nothing",
    )
    means = final(part.rows, outcome).pivot_table(index="seed", columns="width", values="value") * outcome.scale
    tokens = "the same tokens" if table["equal_tokens"].all() else "as many updates, so half its tokens"
    note = f"gain over a model of the target's own with {tokens}, kin against others"
    return Contrast("F17", outcome, claims, note, part, details, means, cautions)


def _common(by_seed: pd.DataFrame) -> pd.DataFrame:
    """The rows that all seeds (columns) have, of those seeds that have half of all rows or more."""
    held = by_seed.notna()
    return by_seed.loc[:, 2 * held.sum() >= len(held)].dropna()


def _even(table: pd.DataFrame) -> tuple[pd.DataFrame, tuple[str, ...]]:
    """The gains of those pairs that all seeds have at all widths, and what a reader must know of the others; of one
    width where no kin and other pairs have all. A seed that has fewer than half of the gains has hardly begun, and is
    left out. Raises Absent where nothing is common."""
    cell = ["target", "source", "width"]
    common = _common(table.groupby([*cell, "seed"]).size().unstack("seed"))
    seeds = table[table["seed"].isin(common.columns)]
    cells = seeds.drop_duplicates(cell).set_index(cell)["kin"]
    by_width = cells[cells.index.isin(common.index)].unstack("width")
    whole = by_width.dropna()
    if whole.iloc[:, :1].stack().nunique() < 2:
        width = max(by_width.columns, key=lambda w: (by_width[w].nunique(), by_width[w].count()), default=None)
        whole = by_width[[width]].dropna() if width is not None else by_width
        if whole.stack().nunique() < 2:
            why = "no width has pairs of both kinds that were finished in every seed"
            raise Absent(why, "the same pairs, kin and others, with every seed")
    pairs = pd.MultiIndex.from_frame(seeds[["target", "source"]])
    kept = seeds[pairs.isin(whole.index) & seeds["width"].isin(whole.columns)]
    if len(kept) == len(table):
        return table, ()
    out = f"gains that not all seeds and widths have are left out ({len(table) - len(kept)} of {len(table)})"
    return kept, (out,)


def _dealt_anew(table: pd.DataFrame, deals: int = 999, seed: int = 0) -> float:
    """One-sided p of a permutation test: how often kin gains as much more when the languages' names are dealt out anew,
    which keeps what pairs of one language share (Mantel's test)."""
    gain = table.groupby(["target", "source"])["gain"].mean()
    names = sorted(set(gain.index.get_level_values(0)) | set(gain.index.get_level_values(1)))
    place = {name: number for number, name in enumerate(names)}
    related = np.array([[any(kinship(one, other)) for other in names] for one in names])
    targets, sources = (np.array([place[name] for name in gain.index.get_level_values(side)]) for side in (0, 1))
    draw = np.random.default_rng([seed, 0x6B696E])

    def more(dealt: npt.NDArray[np.int64]) -> float:
        kin = related[dealt[targets], dealt[sources]]
        if kin.all() or not kin.any():
            return 0.0
        return float(gain.to_numpy()[kin].mean() - gain.to_numpy()[~kin].mean())

    seen = more(np.arange(len(names)))
    return (1 + sum(more(draw.permutation(len(names))) >= seen for _ in range(deals))) / (1 + deals)


def _symmetry(matrix: pd.Series) -> float:
    both = [(g, matrix[source, target]) for (target, source), g in matrix.items() if (source, target) in matrix.index]
    pairs = pd.DataFrame(both)
    return float(pairs[0].corr(pairs[1])) if len(pairs) > 2 else float("nan")
