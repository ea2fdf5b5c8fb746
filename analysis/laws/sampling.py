"""The sampling-ratio law by language, and the alpha that it predicts to be best for a group of languages.

L_i = (E + A / N^alpha + B / D^beta) p_i^-gamma_i (He et al. 2024): a language's loss depends on its own share p_i only,
with an exponent that neither size nor data moves. Where all runs have one N or one D, that term is part of the floor.
Shares follow from alpha by p_i = n_i^alpha / sum_j n_j^alpha, n_i the tokens that language i has (paper section 2).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from analysis.axes import plane
from analysis.laws.fit import RESAMPLES, Fit, LawAbsent, fit, trunk_of
from analysis.laws.forms import SAMPLING_RATIO, Array, without
from analysis.statistics import BITS, Interval, final

ALPHAS = np.round(np.arange(0.0, 1.5001, 0.01), 2)
"""Where the best alpha is looked for."""


@dataclass(frozen=True)
class SamplingLaw:
    """by_language: a fit for each language of the group. sizes: tokens that each trained language has, largest first,
    as the runs with most languages saw them. alphas: smallest and largest that was run."""

    by_language: dict[str, Fit]
    sizes: pd.Series
    alphas: tuple[float, float]
    cautions: tuple[str, ...]

    def gammas(self) -> dict[str, Interval]:
        """The exponent of each language's own share."""
        return {language: law.interval("gamma") for language, law in self.by_language.items()}

    def shares(self, alpha: Array) -> pd.DataFrame:
        """Rows: alphas; columns: languages. Their shares of what is sampled."""
        with np.errstate(divide="ignore"):
            weight = np.log(self.sizes.to_numpy()) * np.asarray(alpha)[:, None]
        weight = np.exp(weight - weight.max(axis=1, keepdims=True))
        return pd.DataFrame(weight / weight.sum(axis=1, keepdims=True), index=alpha, columns=self.sizes.index)

    def mean_loss(self, alpha: Array, budget: Mapping[str, float], *, draws: bool = False) -> Array:
        """The group's mean loss at each alpha, (alphas,), or with `draws` (resamples, alphas). `budget`: N, D."""
        share = self.shares(alpha)
        parts = []
        for language, law in self.by_language.items():
            given: dict[str, Array | float] = {"p": share[language].to_numpy()} | {
                n: v for n, v in budget.items() if n in law.form.inputs
            }
            parts.append(law.predict_draws(**given) if draws else law.predict(**given))
        return np.asarray(np.mean(parts, axis=0))

    def best_alpha(self, **budget: float) -> Interval:
        """The alpha of the least mean loss for a budget (N=, D=; those the runs had, where left out), and percentiles
        of it over resampled trunks: it has ends (0 and the largest looked at), so no symmetric interval fits it."""
        first = next(iter(self.by_language.values()))
        known = {n: float(np.sqrt(np.prod(first.support[n]))) for n in first.form.inputs if n != "p"}
        given = known | budget
        best = float(ALPHAS[self.mean_loss(ALPHAS, given).argmin()])
        found = ALPHAS[self.mean_loss(ALPHAS, given, draws=True).argmin(axis=1)]
        # All draws at an end: the law has no best point, and an interval of no width would say the opposite.
        if not first.sure or found.min() == found.max() == best in (ALPHAS[0], ALPHAS[-1]):
            return Interval(best, float("nan"), float("nan"), first.trunks)
        low, high = np.quantile(found, [0.025, 0.975])
        return Interval(best, float(low), float(high), first.trunks)


def sampling_points(df: pd.DataFrame) -> pd.DataFrame:
    """One row a run and language: run, K, alpha, language, N, D (tokens of the run), p, loss, size (tokens it has)."""
    rows = final(df, BITS)[["run", "K", "alpha", "seed", "tokens", "body_parameters", "language", "value"]]
    rows = rows.rename(columns={"value": "loss", "body_parameters": "N", "tokens": "D"})
    training = df[df["task"] == "training"]
    for metric in ("tokens", "epochs"):
        given = training[training["metric"] == metric].groupby(["run", "language"])["value"].last().rename(metric)
        rows = rows.merge(given.reset_index(), on=["run", "language"], how="left")
    rows["p"] = rows["tokens"] / rows["D"]
    rows["size"] = rows["tokens"] / rows["epochs"]
    return rows


def fit_sampling(
    df: pd.DataFrame, languages: Sequence[str], *, resamples: int = RESAMPLES, seed: int = 0
) -> SamplingLaw:
    """Fit the law to each language of the group, over the runs of the K at which the most alphas were run.

    Raises LawAbsent where fewer than three shares of a language were run, or shares were not recorded.
    """
    rows = sampling_points(df)
    rows = rows[np.isfinite(rows["p"]) & (rows["p"] > 0) & np.isfinite(rows["loss"])]
    rows = rows[rows["alpha"].notna()]
    if rows.empty:
        raise LawAbsent("no run recorded what share each language was given")
    counts = rows.groupby("K")["alpha"].nunique().reset_index().sort_values(["alpha", "K"])
    k, alphas = int(counts["K"].iloc[-1]), int(counts["alpha"].iloc[-1])
    if alphas < 3:
        raise LawAbsent(f"a law in the share needs three sampling alphas at one K; there are {alphas}")
    part = plane(df[(df["K"] == k) & df["alpha"].notna()], ["alpha", "width", "layers", "steps"])
    rows = rows[rows["run"].isin(part.rows["run"])]
    several = rows.groupby(["N", "D"])["alpha"].transform("nunique") > 1
    cautions, form = list(part.cautions), SAMPLING_RATIO
    if several.any() and not several.all():
        left_out = rows.loc[~several, "run"].nunique()
        cautions.append(f"runs of a size or budget at which one alpha was run are left out ({left_out})")
        rows = rows[several]
    for name, words in (("N", "one size of model"), ("D", "one number of tokens")):
        if rows[name].nunique() < 2:
            form = without(form, name)
            cautions.append(f"all runs have {words}: the best alpha for another is not predicted")
    fits, trunks = {}, trunk_of(df)
    for language in languages:
        own = rows[rows["language"] == language].sort_values("run")
        if len(own):
            data = {name: own[name].to_numpy(float) for name in form.inputs}
            fits[language] = fit(
                form, data, own["loss"].to_numpy(), own["run"],
                trunks=own["run"].map(trunks), resamples=resamples, seed=seed,
            )  # fmt: skip
    if not fits:
        raise LawAbsent(f"no loss was recorded for {', '.join(languages) or 'an empty group'} at K = {k}")
    sizes = rows.groupby("language")["size"].median().sort_values(ascending=False)
    ends = (float(rows["alpha"].min()), float(rows["alpha"].max()))
    return SamplingLaw(fits, sizes, ends, tuple(cautions))
