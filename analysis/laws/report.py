"""All laws that a study's records can tell, as rows that a page, a terminal or a LaTeX table can show."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from analysis.laws.fit import RESAMPLES, LawAbsent
from analysis.laws.forms import VOCABULARY
from analysis.laws.language_count import LanguageCountLaw, fit_language_count
from analysis.laws.sampling import SamplingLaw, fit_sampling
from analysis.laws.vocabulary import BEYOND, Vertex, best_share, best_vocabulary, comparable, fit_vocabulary, vertices
from analysis.records import Study
from analysis.statistics import BITS, Interval


@dataclass(frozen=True)
class LawSummary:
    """One law as the study knows it. absent: why it could not be fitted, "" where it was.

    numbers: what it says, each with its interval. held_out: (what, points, R2 with K, R2 without, gain of K).
    """

    name: str
    formula: str
    absent: str = ""
    numbers: tuple[tuple[str, Interval], ...] = ()
    held_out: tuple[tuple[str, int, float, float, Interval], ...] = ()
    support: str = ""
    cautions: tuple[str, ...] = field(default=())


def laws_report(df: pd.DataFrame, study: Study, *, resamples: int = RESAMPLES) -> list[LawSummary]:
    """The laws on bits per byte, in a fixed order; what cannot be told says why."""
    core = study.group("core") or study.group("high")
    everywhere = core or _common(df)
    return [
        _language_count(df, everywhere, resamples),
        _sampling(df, everywhere, resamples),
        _vocabulary(df, everywhere),
        _embeddings(df, everywhere, resamples),
    ]


def _language_count(df: pd.DataFrame, core: tuple[str, ...], resamples: int) -> LawSummary:
    name, formula = "Language count", "L = E + A K^phi / N^alpha + B K^psi / D^beta"
    try:
        law: LanguageCountLaw = fit_language_count(df, core, resamples=resamples)
    except LawAbsent as why:
        return LawSummary(name, formula, str(why))
    shown = [(p, law.fit.interval(p)) for p in law.fit.form.parameters]
    shown += [(f"iso-loss exponent, {what}", interval) for what, interval in law.iso_loss().items()]
    held = tuple(
        (what, with_k.points, with_k.r2, plain.r2, law.gain[what]) for what, (with_k, plain) in law.held_out.items()
    )
    support = ", ".join(f"{n} {low:.3g} to {high:.3g}" for n, (low, high) in law.fit.support.items())
    facts = (f"{law.fit.runs} runs, R2 {law.fit.r2:.3f} (without K {law.without_k.r2:.3f})", *law.fit.cautions())
    return LawSummary(name, law.fit.form.formula, "", tuple(shown), held, support, facts + law.cautions)


def _sampling(df: pd.DataFrame, core: tuple[str, ...], resamples: int) -> LawSummary:
    name, formula = "Sampling ratio", "L_i = (E + A / N^alpha + B / D^beta) p_i^-gamma_i"
    try:
        law: SamplingLaw = fit_sampling(df, core, resamples=resamples)
    except LawAbsent as why:
        return LawSummary(name, formula, str(why))
    shown = [(f"gamma, {language}", interval) for language, interval in law.gammas().items()]
    shown.append(("best alpha for the group mean, at the runs' budget", law.best_alpha()))
    first = next(iter(law.by_language.values()))
    if "D" in first.form.inputs:
        more = float(first.support["D"][1]) * 4
        budget = {"D": more} | {n: first.support[n][1] for n in first.form.inputs if n == "N"}
        shown.append((f"best alpha at {more:.3g} tokens (extrapolated)", law.best_alpha(**budget)))
    best = shown[len(law.by_language)][1].mean
    cautions = [*first.cautions(), *law.cautions]
    if not law.alphas[0] <= best <= law.alphas[1]:
        cautions.append(f"the best alpha lies outside those that were run, {law.alphas[0]:g} to {law.alphas[1]:g}")
    elif best in law.alphas:
        cautions.append(f"the best alpha is an end of those that were run ({best:g}): what lies beyond is not known")
    support = f"alpha {law.alphas[0]:g} to {law.alphas[1]:g}, {first.runs} runs"
    return LawSummary(name, first.form.formula, "", tuple(shown), (), support, tuple(cautions))


def _vocabulary(df: pd.DataFrame, core: tuple[str, ...]) -> LawSummary:
    name, formula = "Vocabulary", "loss as a parabola in log V; its vertex by K and N"
    try:
        found: list[Vertex] = vertices(df, core, BITS)
    except LawAbsent as why:
        return LawSummary(name, formula, str(why))
    shown = [(f"best V, K = {v.K}, width {v.width}", v.best) for v in found]
    cautions = [
        f"K = {v.K}, width {v.width}: the best V is the end of those that were run ({v.best.mean:.0f})"
        for v in found
        if not v.inside
    ]
    cautions += [
        f"K = {v.K}, width {v.width}: no interval, for the losses may as well lie on a straight line"
        for v in found
        if v.inside and v.replicated and np.isnan(v.best.low)
    ]
    cautions += [
        f"K = {v.K}, width {v.width}: the interval reaches farther than {BEYOND:g} times beyond what was run, and is "
        "cut there"
        for v in found
        if v.cut
    ]
    cautions += comparable(df).cautions
    try:
        largest = 4.0 * max(v.body_parameters for v in found)
        shown.append((f"best V at {largest:.3g} parameters (extrapolated)", best_vocabulary(found, largest)))
    except LawAbsent as why:
        cautions.append(f"no best V for another size: {why}")
    seen = sorted({v for vertex in found for v in vertex.vocabularies})
    return LawSummary(name, formula, "", tuple(shown), (), f"V {seen[0]} to {seen[-1]}", tuple(cautions))


def _embeddings(df: pd.DataFrame, core: tuple[str, ...], resamples: int) -> LawSummary:
    name = "Body and embeddings"
    try:
        law = fit_vocabulary(df, core, BITS, resamples=resamples)
    except LawAbsent as why:
        return LawSummary(name, VOCABULARY.formula, str(why))
    shown = [(p, law.interval(p)) for p in law.form.parameters]
    size = law.support["N"][1] + law.support["Nv"][1]
    for more, words in ((1, ""), (4, " (extrapolated)")):
        total, tokens = more * size, more * law.support["D"][1]
        at = f"{total:.3g} parameters and {tokens:.3g} tokens{words}"
        shown.append((f"best share of the embeddings at {at}", best_share(law, total, tokens)))
    support = ", ".join(f"{n} {low:.3g} to {high:.3g}" for n, (low, high) in law.support.items())
    facts = (f"{law.runs} runs, R2 {law.r2:.3f}",)
    return LawSummary(name, law.form.formula, "", tuple(shown), (), support, facts + law.cautions())


def _common(df: pd.DataFrame) -> tuple[str, ...]:
    """Languages that every run holds."""
    sets = [set(text.split(",")) for text in df["languages"].unique()] if len(df) else []
    return tuple(sorted(set.intersection(*sets))) if sets else ()


def number_text(interval: Interval) -> str:
    """`0.243 [0.210, 0.276]` in four significant digits."""
    if np.isnan(interval.low):
        return f"{_four(interval.mean)} [no interval]"
    return f"{_four(interval.mean)} [{_four(interval.low)}, {_four(interval.high)}]"


def _four(value: float) -> str:
    """Four significant digits; numbers from ten thousand to ten million written out."""
    text = f"{value:.4g}"
    return f"{float(text):.0f}" if "e+" in text and abs(value) < 1e7 else text
