"""The language-count law from the table of records, and what it says a further language costs.

One point is one run: the mean loss over a group of languages that every run holds, its parameters N (without the
embeddings by default, paper section 5.15), its language count K, and D, the tokens that one language of the group was
given (the mean over them, as recorded; else the run's tokens over K, uniform sampling).

With L = E + A K^phi / N^alpha + B K^psi / D^beta, keeping the loss when K becomes r K needs r^(phi/alpha) times the
parameters, or r^(1 + psi/beta) times the tokens of the run (ATLAS, Longpre et al. 2025, section 5).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import pandas as pd

from analysis.axes import Slice, counts_plane, words
from analysis.laws.fit import RESAMPLES, Fit, LawAbsent, fit, trunk_of
from analysis.laws.forms import CHINCHILLA, LANGUAGE_COUNT, levels, without
from analysis.laws.held_out import Score, compare, scores
from analysis.statistics import BITS, Interval, Outcome, final, scored

_FOLLOW = ["vocabulary", "batch_tokens"]
"""What a study may derive from the language count or the size."""


@dataclass(frozen=True)
class LanguageCountLaw:
    """The law, the same without K, and how they compare on cells they have not seen.

    held_out: what was held out -> the score of the law with K and of that without. gain: held out -> how much smaller
    the law's absolute log error is than that of the law without K; positive speaks for K.
    """

    fit: Fit
    without_k: Fit
    languages: tuple[str, ...]
    size: str
    held_out: dict[str, tuple[Score, Score]]
    gain: dict[str, Interval]
    cautions: tuple[str, ...] = ()
    points: pd.DataFrame = field(default_factory=pd.DataFrame)
    out: int = 0
    """Runs that differ in what the law does not know, which the cautions tell to be left out."""

    def iso_loss(self) -> dict[str, Interval]:
        """Exponents of r by which N alone, D_tot alone, or compute must grow when K becomes r K, with intervals.

        Those of an input that did not vary are left out. Compute is N times D_tot, each as if alone (ATLAS, figure 6).
        """
        found: dict[str, Interval] = {}
        names = self.fit.form.parameters
        draws = dict(zip(names, self.fit.draws.T, strict=True))
        value = self.fit.coefficients
        if {"phi", "alpha"} <= set(names):
            found["parameters"] = self.fit.interval_of(value["phi"] / value["alpha"], draws["phi"] / draws["alpha"])
        if {"psi", "beta"} <= set(names):
            one = 1.0 + draws["psi"] / draws["beta"]
            found["tokens of the run"] = self.fit.interval_of(1.0 + value["psi"] / value["beta"], one)
        if len(found) == 2:
            both = sum(interval.mean for interval in found.values())
            of_draws = draws["phi"] / draws["alpha"] + 1.0 + draws["psi"] / draws["beta"]
            found["compute"] = self.fit.interval_of(both, of_draws)
        return found

    def predict(self, K: object, N: object, D: object) -> np.ndarray:
        """Loss at language count K, parameters N, and D tokens of one language."""
        given = {"K": K, "N": N, "D": D}
        return self.fit.predict(**{name: given[name] for name in self.fit.form.inputs})


def comparable(df: pd.DataFrame) -> Slice:
    """The runs that differ in what the law knows (K, size, tokens) and in alpha, which it is told by D; and in a
    vocabulary or batch that follows from these: of several of one K, size and length, the one of most runs in all."""
    part = counts_plane(df, ["width", "layers", "steps", "alpha", "sampling"], follow=_FOLLOW)
    if part.rows.empty:
        return part
    runs = part.rows.drop_duplicates("run")
    usual = runs.groupby(_FOLLOW)["run"].transform("size")
    ranked = runs.assign(_usual=usual).sort_values(["_usual", *_FOLLOW], kind="stable")
    chosen = ranked.groupby(["K", "width", "layers", "steps"]).tail(1)[["K", "width", "layers", "steps", *_FOLLOW]]
    kept = runs.merge(chosen)
    out = len(runs) - len(kept)
    cautions = list(part.cautions)
    if out:
        cautions.append(f"runs of a further vocabulary or batch at one K, size and length are left out here ({out})")
    for name in _FOLLOW:
        if kept[name].nunique() > 1:
            cautions.append(f"not only what the law knows differs between these runs: so does {words(name)}")
    rows = part.rows[part.rows["run"].isin(kept["run"])] if out else part.rows
    return replace(part, rows=rows, cautions=tuple(cautions), out=part.out + out)


def law_points(
    df: pd.DataFrame, languages: Sequence[str], outcome: Outcome = BITS, *, size: str = "body_parameters"
) -> pd.DataFrame:
    """One row a run: run, K, N, D, alpha, seed, loss. Runs that lack one of the languages have no row."""
    group = scored(df, outcome, languages)
    rows = final(df, outcome)
    rows = rows[rows["language"].isin(group) & np.isfinite(rows["value"])]
    axes = ["run", "K", "alpha", "seed", "tokens", "width", "layers", "body_parameters", "embedding_parameters"]
    runs = rows.groupby(axes, dropna=False)["value"].agg(["mean", "count"]).reset_index()
    runs = runs[runs["count"] == max(len(group), 1)]
    given = df[(df["task"] == "training") & (df["metric"] == "tokens") & df["language"].isin(group)]
    own = given.groupby("run")["value"].mean()
    runs["D"] = runs["run"].map(own).astype(float).fillna(runs["tokens"] / runs["K"])
    runs["N"] = runs["body_parameters"].astype(float)
    if size == "parameters":
        runs["N"] += runs["embedding_parameters"]
    runs["loss"] = runs["mean"] * outcome.scale
    return runs[["run", "K", "N", "D", "alpha", "seed", "loss"]].reset_index(drop=True)


def fit_language_count(
    df: pd.DataFrame,
    languages: Sequence[str],
    outcome: Outcome = BITS,
    *,
    size: str = "body_parameters",
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> LanguageCountLaw:
    """Fit the law to the runs of the table. `size`: body_parameters, or parameters with the embeddings.

    Raises LawAbsent where K did not vary, where neither N nor D did beside it, or with too few runs.
    """
    if outcome.worse < 0:
        raise LawAbsent("a law is fitted to a loss, and this is an accuracy")
    part = comparable(df)
    df = part.rows
    points = law_points(df, languages, outcome, size=size)
    if points.empty:
        raise LawAbsent(f"no finished run has a loss for all of {', '.join(languages) or 'an empty group'}")
    if points["K"].nunique() < 3:
        raise LawAbsent(f"a law in K needs three language counts; there are {points['K'].nunique()}")
    cautions = list(part.cautions)
    form, plain = LANGUAGE_COUNT, CHINCHILLA
    for name, said in (("N", "one size of model"), ("D", "one number of tokens a language")):
        different = int(levels(points[name].to_numpy(float)).max()) + 1
        if different < 2:
            form, plain = without(form, name), without(plain, name)
            cautions.append(f"all runs have {said}, so the law says nothing of {name}")
        elif different < 3:
            cautions.append(f"two values of {name} alone: that the loss bends over {name} as the law says is assumed")
    if len(form.terms) == 1:
        raise LawAbsent("neither N nor D varied beside K")
    if abs(np.corrcoef(np.log(points["K"]), np.log(points["D"]))[0, 1]) > 0.95 and "D" in form.inputs:
        cautions.append(
            "tokens of a language fall as K rises in nearly the same measure (equal updates): phi, psi and beta are "
            "told apart by their forms alone; equal tokens a language at some K would tell them apart by data"
        )
    if points["alpha"].nunique(dropna=False) > 1:
        cautions.append("runs of several sampling alphas are fitted together; D is what each language was given")
    data = {name: points[name].to_numpy(float) for name in ("K", "N", "D")}
    loss, runs = points["loss"].to_numpy(float), points["run"].to_numpy()
    trunks = points["run"].map(trunk_of(df)).to_numpy()
    law = fit(form, data, loss, runs, trunks=trunks, resamples=resamples, seed=seed)
    bare = fit(plain, data, loss, runs, resamples=0, seed=seed)  # only its predictions are wanted
    held = scores(form, plain, data, loss, seed=seed, near=(law.coefficients, bare.coefficients))
    return LanguageCountLaw(
        fit=law,
        without_k=bare,
        languages=tuple(languages),
        size=size,
        held_out={name: (with_k, without_k) for name, (with_k, without_k) in held.items()},
        gain={name: compare(with_k, without_k) for name, (with_k, without_k) in held.items()},
        cautions=tuple(cautions),
        points=points,
        out=part.out,
    )
