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


BITS = Outcome("bits per byte", "heldout", "heldout", "bits_per_byte", +1, 1.0, "bits per byte", 3)
ACCURACY = Outcome("zero-shot accuracy", "intents", "test", "accuracy", -1, 100.0, "points", 1)


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


def paired(arm: pd.Series, baseline: pd.Series) -> pd.Series:
    """arm - baseline over the seeds both have. Both are indexed by seed; NaN counts as absent."""
    return (arm.dropna() - baseline.dropna()).dropna()


def seeds_to_settle(differences: Sequence[float], level: float = 0.95, most: int = 200) -> int | None:
    """How many seeds would put 0 outside the interval if effect and noise stayed as measured; None beyond `most`.

    A rough guide: the noise is itself estimated from few seeds.
    """
    if len(differences) < 2:
        return None
    effect = abs(math.fsum(differences) / len(differences))
    noise = deviation(differences)
    for n in range(len(differences) + 1, most + 1):
        if t_quantile(n - 1, level) * noise / math.sqrt(n) < effect:
            return n
    return None


def final(df: pd.DataFrame, outcome: Outcome) -> pd.DataFrame:
    """Rows of one outcome, each run at the last step at which that outcome was measured."""
    rows = df[(df["task"] == outcome.task) & (df["split"] == outcome.split) & (df["metric"] == outcome.metric)]
    return rows[rows["step"] == rows.groupby("run")["step"].transform("max")]


def scored(df: pd.DataFrame, outcome: Outcome, languages: Iterable[str]) -> tuple[str, ...]:
    """Those of `languages` that a group mean of this outcome is over: measured somewhere, and zero-shot if need be."""
    present = set(final(df, outcome)["language"])
    return tuple(x for x in languages if x in present and not (outcome is ACCURACY and x == ENGLISH))


def group_mean(df: pd.DataFrame, outcome: Outcome, languages: Iterable[str]) -> pd.DataFrame:
    """The mean over a group of languages for each (cell, seed), in the outcome's unit.

    Columns: `AXES`, seed, value. A run that lacks one of the languages has no row: a mean over fewer languages is
    another quantity, and comparing the two would show which languages are hard, not what a cell does.
    """
    group = scored(df, outcome, languages)
    rows = final(df, outcome)
    rows = rows[rows["language"].isin(group)]
    keys = [*AXES, "seed"]
    per_run = rows.groupby([*keys, "run"], dropna=False)["value"].agg(["mean", "count"]).reset_index()
    per_run = per_run[per_run["count"] == max(len(group), 1)]
    means = per_run.groupby(keys, dropna=False)["mean"].mean().reset_index()
    means["value"] = means.pop("mean") * outcome.scale
    return means
