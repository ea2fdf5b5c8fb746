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

from analysis.axes import Slice, counts_plane
from analysis.laws.fit import RESAMPLES, Fit, LawAbsent, fit, trunk_of
from analysis.laws.forms import VOCABULARY, Array
from analysis.statistics import Interval, Outcome, fieller, final, run_means, scored, t_quantile

BEYOND = 4.0
"""Times the largest V that was run, or a part of the smallest: farther the parabola is not believed."""


@dataclass(frozen=True)
class Vertex:
    """The best vocabulary of one (K, width). best: pieces, with Fieller's interval of the parabola's vertex; without
    ends where some V has one run, where the parabola may be straight, or where the best V is an end.

    inside: whether it lies between the smallest and the largest V of the runs and the parabola bends the right way;
    else `best` is the better end, and what lies beyond is not known.
    """

    K: int
    width: int
    body_parameters: int
    best: Interval
    inside: bool
    vocabularies: tuple[int, ...]
    replicated: bool
    """Whether every V has two runs or more."""
    cut: bool
    """Whether an end of the interval lies more than `BEYOND` times beyond the V that were run: it is put there."""


def comparable(df: pd.DataFrame) -> Slice:
    """The runs of `vertices`: all else stands still, or moves along because the study derives it."""
    return counts_plane(df, ["vocabulary", "width"], follow=["layers"])


def vertices(df: pd.DataFrame, languages: Sequence[str], outcome: Outcome) -> list[Vertex]:
    """Of every (K, width) with three vocabularies or more, from the mean over a group of languages.

    Raises LawAbsent where there is none.
    """
    df = comparable(df).rows
    group = scored(df, outcome, languages)
    rows = final(df, outcome)
    rows = rows[rows["language"].isin(group) & np.isfinite(rows["value"])]
    runs = rows.groupby(["run", "K", "width", "vocabulary", "body_parameters"])["value"].agg(["mean", "count"])
    runs = runs[runs["count"] == max(len(group), 1)].reset_index()
    found = []
    for (k, width), cell in runs.groupby(["K", "width"]):
        levels = sorted(set(cell["vocabulary"]))
        if len(levels) < 3:
            continue
        x, y = np.log(cell["vocabulary"].to_numpy(float)), cell["mean"].to_numpy(float) * outcome.worse
        best, inside = _vertex(x, y)
        replicated = bool(cell["vocabulary"].value_counts().min() > 1)
        low, high = _vertex_interval(x, y) if inside and replicated else (np.nan, np.nan)
        farthest = (np.log(levels[0] / BEYOND), np.log(levels[-1] * BEYOND))
        cut = bool(low < farthest[0] or high > farthest[1])
        low, high = np.clip((low, high), *farthest)
        body = int(cell["body_parameters"].median())
        interval = Interval(float(np.exp(best)), float(np.exp(low)), float(np.exp(high)), len(cell))
        found.append(Vertex(int(k), int(width), body, interval, inside, tuple(int(v) for v in levels), replicated, cut))
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


def _vertex_interval(x: Array, y: Array) -> tuple[float, float]:
    """Fieller's 95 % interval of the vertex of the least-squares parabola, -b / 2c: exact for normal noise, however
    flat the parabola is, where no interval counts as one that holds everything. NaN where the bend is not seen to
    differ from 0, for then the vertex may be anywhere.

    In 300 simulated studies each, with four V of 2, 3 and 5 seeds, it held the vertex in 92 to 95 % where the losses
    tell the bend well. Where they hardly do, two seeds gave an interval in six of ten, and those held it in 88 %.
    """
    at = x - x.mean()
    design = np.column_stack([np.ones_like(at), at, at**2])
    theta, *_ = np.linalg.lstsq(design, y, rcond=None)
    freedom = len(x) - 3
    residual = y - design @ theta
    spread = np.linalg.inv(design.T @ design) * float(residual @ residual) / freedom * t_quantile(freedom) ** 2
    # The vertex is -b / 2c.
    low, high = fieller(-theta[1], 2 * theta[2], spread[1, 1], -2 * spread[1, 2], 4 * spread[2, 2])
    return float(x.mean() + low), float(x.mean() + high)
