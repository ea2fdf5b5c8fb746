"""Which vocabulary is best: a parabola in log V for each language count and width, and how its vertex moves.

No published law gives V as a function of the language count (paper section 5.14), so the vertex is measured where the
study has the cells, with an interval over runs, and a power law through the vertices says the best V for another size
(Tao et al. 2024 found embeddings to grow as N^0.83 in English).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from analysis.axes import Slice, plane
from analysis.laws.fit import RESAMPLES, Fit, LawAbsent, fit, trunk_of
from analysis.laws.forms import VOCABULARY, Array
from analysis.statistics import Interval, Outcome, final, run_means, scored, t_quantile


@dataclass(frozen=True)
class Vertex:
    """The best vocabulary of one (K, width). best: pieces, with percentiles over resampled runs.

    inside: whether it lies between the smallest and the largest V of the runs and the parabola bends the right way;
    else `best` is the better end, and what lies beyond is not known.
    """

    K: int
    width: int
    body_parameters: int
    best: Interval
    inside: bool
    vocabularies: tuple[int, ...]
    draws: Array


def comparable(df: pd.DataFrame) -> Slice:
    """The runs of `vertices`: all else stands still, or moves along because the study derives it."""
    return plane(df, ["vocabulary", "K", "width"], follow=["languages", "layers", "tokenizer_languages"])


def vertices(
    df: pd.DataFrame, languages: Sequence[str], outcome: Outcome, *, resamples: int = RESAMPLES, seed: int = 0
) -> list[Vertex]:
    """Of every (K, width) with three vocabularies or more, from the mean over a group of languages.

    Raises LawAbsent where there is none.
    """
    df = comparable(df).rows
    group = scored(df, outcome, languages)
    rows = final(df, outcome)
    rows = rows[rows["language"].isin(group) & np.isfinite(rows["value"])]
    runs = rows.groupby(["run", "K", "width", "vocabulary", "body_parameters"])["value"].agg(["mean", "count"])
    runs = runs[runs["count"] == max(len(group), 1)].reset_index()
    draw = np.random.default_rng([seed, 0x766F6361])
    found = []
    for (k, width), cell in runs.groupby(["K", "width"]):
        levels = sorted(set(cell["vocabulary"]))
        if len(levels) < 3:
            continue
        x, y = np.log(cell["vocabulary"].to_numpy(float)), cell["mean"].to_numpy(float) * outcome.worse
        best, inside = _vertex(x, y)
        draws = np.array([_vertex(x[i], y[i])[0] for i in _stratified(x, draw, resamples)])
        several = len(cell) > len(levels)
        low, high = np.quantile(draws, [0.025, 0.975]) if several else (np.nan, np.nan)
        body = int(cell["body_parameters"].median())
        interval = Interval(float(np.exp(best)), float(np.exp(low)), float(np.exp(high)), len(cell))
        found.append(Vertex(int(k), int(width), body, interval, inside, tuple(int(v) for v in levels), draws))
    if not found:
        raise LawAbsent("no language count and width was run with three vocabularies")
    return found


def best_vocabulary(found: Sequence[Vertex], parameters: float) -> Interval:
    """The best V at a body of `parameters`, by log V = c + s log N through the vertices inside their ranges.

    Raises LawAbsent with fewer than three sizes of one K.
    """
    inside = [vertex for vertex in found if vertex.inside]
    counts = pd.Series([vertex.K for vertex in inside]).value_counts()
    if counts.empty or counts.iloc[0] < 3:
        raise LawAbsent("three widths of one language count with a best V inside their range are needed")
    chosen = [vertex for vertex in inside if counts.index[0] == vertex.K]
    x = np.log([vertex.body_parameters for vertex in chosen])
    y = np.log([vertex.best.mean for vertex in chosen])
    design = np.column_stack([np.ones_like(x), x])
    theta, *_ = np.linalg.lstsq(design, y, rcond=None)
    new = np.array([1.0, np.log(parameters)])
    freedom = len(x) - 2
    residual = y - design @ theta
    scale = float((residual**2).sum()) / freedom
    half = t_quantile(freedom) * np.sqrt(scale * (1 + new @ np.linalg.inv(design.T @ design) @ new))
    at = float(new @ theta)
    return Interval(float(np.exp(at)), float(np.exp(at - half)), float(np.exp(at + half)), len(x))


def fit_vocabulary(
    df: pd.DataFrame, languages: Sequence[str], outcome: Outcome, *, resamples: int = RESAMPLES, seed: int = 0
) -> Fit:
    """Tao et al.'s law over all runs: loss from body parameters N, embedding parameters Nv and tokens D of the run.

    Raises LawAbsent where one of the three did not vary, where Nv did not vary apart from N, or with too few runs.
    """
    group = scored(df, outcome, languages)
    runs = run_means(final(df, outcome), group, ["run", "body_parameters", "embedding_parameters", "tokens"])
    data = {
        "N": runs["body_parameters"].to_numpy(float),
        "Nv": runs["embedding_parameters"].to_numpy(float),
        "D": runs["tokens"].to_numpy(float),
    }
    if len(runs) and runs.groupby("body_parameters")["embedding_parameters"].nunique().max() < 2:
        raise LawAbsent("no size of body was run with two vocabularies")
    trunks = runs["run"].map(trunk_of(df))
    loss = runs["value"].to_numpy(float)
    return fit(VOCABULARY, data, loss, runs["run"], trunks=trunks, resamples=resamples, seed=seed)


def best_share(law: Fit, parameters: float, tokens: float) -> Interval:
    """The share of `parameters` in all that the embeddings should have at `tokens`, and percentiles of it over
    resampled trunks (it has ends, so no symmetric interval fits it). From the share follows V = share x parameters / d.
    """
    shares = np.linspace(0.01, 0.99, 197)
    given = {"N": (1 - shares) * parameters, "Nv": shares * parameters, "D": np.full(len(shares), tokens)}
    best = float(shares[law.predict(**given).argmin()])
    if not law.sure:
        return Interval(best, float("nan"), float("nan"), law.trunks)
    low, high = np.quantile(shares[law.predict_draws(**given).argmin(axis=1)], [0.025, 0.975])
    return Interval(best, float(low), float(high), law.trunks)


def _vertex(x: Array, y: Array) -> tuple[float, bool]:
    """log V of the least y of a parabola through the points, kept to their range; whether it lies inside."""
    centre = x.mean()
    curve, slope, constant = np.polyfit(x - centre, y, 2)
    ends = (float(x.min()), float(x.max()))
    if curve > 0:
        at = float(centre - slope / (2 * curve))
        if ends[0] < at < ends[1]:
            return at, True
    value = [np.polyval((curve, slope, constant), end - centre) for end in ends]
    return ends[int(np.argmin(value))], False


def _stratified(x: Array, draw: np.random.Generator, resamples: int) -> list[Array]:
    """Rows of resampled runs, inside each vocabulary, so that no resample loses one."""
    strata = [np.flatnonzero(x == level) for level in np.unique(x)]
    return [np.concatenate([draw.choice(rows, len(rows)) for rows in strata]) for _ in range(resamples)]
