"""Means over language groups and intervals over seeds: small, exact, and no more than the findings need.

The unit of replication is the seed. An interval here says how far the mean would move with other seeds; it says
nothing of other languages, other corpora or other budgets. Contrasts are paired: the difference is taken inside each
seed that both arms share, then a Student-t interval is put on the differences (paper section 5.15, "paired
contrasts").
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from analysis.records import AXES

ENGLISH = "en"
"""Language of fine-tuning: its downstream accuracy is supervised, every other language's is zero-shot."""


@dataclass(frozen=True)
class Outcome:
    """One family of measured numbers, and how it is read.

    worse: +1 where higher is worse (bits per byte), -1 where lower is worse (accuracy).
    scale: what turns the stored value into `unit` (accuracy is stored as a fraction, read in points).
    """

    name: str
    task: str
    split: str
    metric: str
    worse: int
    scale: float
    unit: str
    digits: int
    zero_shot: bool = False
    """Whether a model was fine-tuned in English for it, whose own score is then no zero-shot one."""


BITS = Outcome("bits per byte", "heldout", "heldout", "bits_per_byte", +1, 1.0, "bits per byte", 3)
ACCURACY = Outcome("zero-shot accuracy", "intents", "test", "accuracy", -1, 100.0, "points", 1, zero_shot=True)

MAIN_METRICS = ("accuracy", "f1", "span_f1", "matthews", "pearson")
"""Of a task with several, the first of these is the outcome."""
_NO_TASK = ("heldout", "training")
CONTROL = "-random"
"""End of the name of a task scored on models without any pretraining: what outcomes are held against, and none."""


def outcomes(df: pd.DataFrame) -> list[Outcome]:
    """What findings are judged on: bits per byte, and the main metric of each downstream task that was recorded."""
    rows = df[~df["task"].isin(_NO_TASK)]
    rows = rows[~rows["task"].str.endswith(CONTROL)]
    found = [BITS]
    for task, own in rows.groupby("task", sort=True):
        metrics = set(own["metric"])
        metric = next((m for m in MAIN_METRICS if m in metrics), min(metrics))
        splits = set(own.loc[own["metric"] == metric, "split"])
        split = "test" if "test" in splits else min(splits)
        if (task, split, metric) == (ACCURACY.task, ACCURACY.split, ACCURACY.metric):
            found.insert(1, ACCURACY)
            continue
        # A benchmark searched without training scores no English: nothing of it is supervised.
        found.append(
            Outcome(f"{task} {metric.replace('_', ' ')}", str(task), split, metric, -1, 100.0, "points", 1, True)
        )
    return found


@dataclass(frozen=True)
class Interval:
    """A mean and its Student-t interval. With n < 2 the ends are NaN: one seed cannot show what seeds do."""

    mean: float
    low: float
    high: float
    n: int

    @property
    def covers_seed_noise(self) -> bool:
        """Whether the interval says anything about other seeds at all."""
        return self.n >= 2

    @property
    def half(self) -> float:
        """Half the width, in the unit of the mean; NaN with fewer than two seeds."""
        return (self.high - self.low) / 2

    @property
    def above(self) -> bool:
        """Whether it lies wholly above 0 (never so for one seed)."""
        return self.covers_seed_noise and self.low > 0

    @property
    def below(self) -> bool:
        """Whether it lies wholly below 0 (never so for one seed)."""
        return self.covers_seed_noise and self.high < 0


def t_interval(values: Iterable[float], level: float = 0.95) -> Interval:
    """Student-t interval of the mean of `values`, NaN left out: mean +- t(n-1) s / sqrt(n)."""
    kept = [float(v) for v in values if not math.isnan(v)]
    n = len(kept)
    if n == 0:
        return Interval(math.nan, math.nan, math.nan, 0)
    mean = math.fsum(kept) / n
    if n == 1:
        return Interval(mean, math.nan, math.nan, 1)
    half = t_quantile(n - 1, level) * deviation(kept) / math.sqrt(n)
    return Interval(mean, mean - half, mean + half, n)


def t_quantile(freedom: int, level: float = 0.95) -> float:
    """The two-sided Student-t quantile: 12.706 for one degree of freedom, 4.303 for two, at 95 %."""
    from scipy.special import stdtrit  # what scipy.stats.t.ppf calls, without the half second of importing scipy.stats

    return float(stdtrit(freedom, (1 + level) / 2))


def deviation(values: Sequence[float]) -> float:
    """Sample standard deviation (n - 1)."""
    mean = math.fsum(values) / len(values)
    return math.sqrt(math.fsum((v - mean) ** 2 for v in values) / (len(values) - 1))


def p_value(values: Iterable[float]) -> float:
    """Two-sided p of a mean of 0 by Student's t; NaN with fewer than two values."""
    from scipy.special import stdtr

    kept = [float(v) for v in values if not math.isnan(v)]
    if len(kept) < 2:
        return math.nan
    error = deviation(kept) / math.sqrt(len(kept))
    mean = math.fsum(kept) / len(kept)
    if error == 0.0:
        return 0.0 if mean else 1.0
    return float(2 * stdtr(len(kept) - 1, -abs(mean) / error))


def holm(p_values: Sequence[float]) -> list[float]:
    """Holm's step-down adjustment: below 0.05 means that the family of all makes an error in 5 % of worlds at most.
    NaN stays NaN and counts for nothing."""
    order = sorted((p, i) for i, p in enumerate(p_values) if not math.isnan(p))
    adjusted = [math.nan] * len(p_values)
    most = 0.0
    for rank, (p, i) in enumerate(order):
        most = max(most, min(1.0, p * (len(order) - rank)))
        adjusted[i] = most
    return adjusted


def equivalent(differences: Iterable[float], margin: float, level: float = 0.05) -> tuple[Interval, bool]:
    """Two one-sided tests: the 1 - 2 `level` interval of the mean difference, and whether it lies inside +-margin."""
    interval = t_interval(differences, 1 - 2 * level)
    return interval, interval.covers_seed_noise and -margin < interval.low and interval.high < margin


def spearman(x: Sequence[float], y: Sequence[float]) -> float:
    """Rank correlation, ties at their mean rank; NaN where one side does not vary."""
    a, b = (pd.Series(list(v), dtype=float).rank() for v in (x, y))
    return float(a.corr(b)) if a.nunique() > 1 and b.nunique() > 1 else math.nan


def rank_interval(points: Sequence[float], table: pd.DataFrame) -> Interval:
    """Rank correlation of `points` with the columns of `table` (seeds, points), by seed: its mean and Student's
    interval over seeds, kept inside -1 to 1. With two points a rank correlation is a sign."""
    found = [spearman(list(points), list(row)) for row in table.dropna().to_numpy(dtype=float)]
    interval = t_interval(found)
    low, high = (float(np.clip(end, -1.0, 1.0)) for end in (interval.low, interval.high))
    return Interval(interval.mean, low, high, interval.n)


def ratio_interval(part: pd.Series, whole: pd.Series, level: float = 0.95) -> Interval:
    """The mean of `part` over the mean of `whole`, paired by seed, with Fieller's interval: exact for normal values,
    however uncertain the whole is. Ends are NaN where it has none, the whole being not seen to differ from 0."""
    both = pd.concat([part, whole], axis=1).dropna()
    n = len(both)
    if n == 0:
        return Interval(math.nan, math.nan, math.nan, 0)
    a, b = (float(x) for x in both.mean())
    ratio = a / b if b else math.nan
    if n == 1 or not b:
        return Interval(ratio, math.nan, math.nan, n)
    (aa, ab), (_, bb) = both.cov().to_numpy() * t_quantile(n - 1, level) ** 2 / n
    return Interval(ratio, *fieller(a, b, aa, ab, bb), n)


def fieller(a: float, b: float, aa: float, ab: float, bb: float) -> tuple[float, float]:
    """Ends of Fieller's interval of a / b. aa, ab, bb: the estimates' variances and covariance, times the square of the
    Student-t quantile. NaN where it has none, b being not seen to differ from 0."""
    lead, middle, rest = b * b - bb, a * b - ab, a * a - aa
    if lead <= 0:
        return math.nan, math.nan
    half = math.sqrt(max(0.0, middle**2 - lead * rest))
    return (middle - half) / lead, (middle + half) / lead


def paired(arm: pd.Series, baseline: pd.Series) -> pd.Series:
    """arm - baseline over the seeds both have. Both are indexed by seed; NaN counts as absent."""
    return (arm.dropna() - baseline.dropna()).dropna()


def seeds_to_settle(
    differences: Sequence[float], level: float = 0.95, most: int = 200, power: float = 0.8
) -> int | None:
    """How many seeds would put 0 outside the interval, eight times in ten (`power`), if effect and noise stayed as
    measured; None beyond `most`.

    A rough guide: effect and noise are themselves estimated from few seeds.
    """
    if len(differences) < 2:
        return None
    effect = abs(math.fsum(differences) / len(differences))
    noise = deviation(differences)
    for n in range(len(differences) + 1, most + 1):
        if (t_quantile(n - 1, level) + t_quantile(n - 1, 2 * power - 1)) * noise / math.sqrt(n) < effect:
            return n
    return None


def final(df: pd.DataFrame, outcome: Outcome) -> pd.DataFrame:
    """Rows of one outcome, each run at the last step at which that outcome was measured."""
    rows = df[((df["metric"] == outcome.metric) & (df["task"] == outcome.task) & (df["split"] == outcome.split)).array]
    codes, runs = pd.factorize(rows["run"])
    step = rows["step"].to_numpy()
    last = np.zeros(len(runs), dtype=np.int64)
    np.maximum.at(last, codes, step)
    return rows[step == last[codes]]


def scored(df: pd.DataFrame, outcome: Outcome, languages: Iterable[str]) -> tuple[str, ...]:
    """Those of `languages` that a group mean of this outcome is over: measured somewhere, and zero-shot if need be."""
    present = set(final(df, outcome)["language"])
    return tuple(x for x in languages if x in present and not (outcome.zero_shot and x == ENGLISH))


def group_mean(df: pd.DataFrame, outcome: Outcome, languages: Iterable[str]) -> pd.DataFrame:
    """The mean over a group of languages for each (cell, seed), in the outcome's unit.

    Columns: `AXES`, seed, value. A run that lacks one of the languages, or whose number there is none, has no row: a
    mean over fewer languages is another quantity, and comparing the two would show which languages are hard, not what
    a cell does.
    """
    keys = [*AXES, "seed"]
    per_run = run_means(final(df, outcome), scored(df, outcome, languages), keys)
    per_run["value"] *= outcome.scale
    if not per_run.duplicated(keys).any():
        return per_run.sort_values(keys, kind="stable", ignore_index=True)
    return per_run.groupby(keys, dropna=False)["value"].mean().reset_index()


def run_means(rows: pd.DataFrame, group: Sequence[str], keys: Sequence[str]) -> pd.DataFrame:
    """One row a run that has a number for all of `group`: what the run has in the columns `keys`, and value, the mean.
    `rows`: of one outcome, as `final` gives them."""
    rows = rows[rows["language"].isin(list(group)).array]
    codes, runs = pd.factorize(rows["run"])
    value = rows["value"].to_numpy(dtype=float)
    kept = np.isfinite(value)
    count = np.bincount(codes[kept], minlength=len(runs))
    total = np.bincount(codes[kept], weights=value[kept], minlength=len(runs))
    first = np.unique(codes, return_index=True)[1]
    table = rows.iloc[first][list(keys)].reset_index(drop=True)
    table["value"] = total / np.maximum(count, 1)
    return table[count == max(len(group), 1)].reset_index(drop=True)
