"""Who is served by which alpha: F6, F7, F8, F12 (paper section 6)."""

from __future__ import annotations

from typing import Any

import pandas as pd

from analysis.axes import alpha_axis, plane
from analysis.findings.contrast import (
    ends_of,
    group_text,
    over_widths,
    slopes,
    table_of,
    widths_text,
    worse,
)
from analysis.findings.decision import Claim, Contrast, Evidence, Peak
from analysis.findings.verdict import Absent, numbers
from analysis.records import Study
from analysis.statistics import Outcome, paired, rank_interval, t_interval


def trade(df: pd.DataFrame, study: Study, outcome: Outcome) -> Evidence:
    """F6: from the smallest alpha to the largest, the low group gets worse and the high group better."""
    part = alpha_axis(df)
    low_table, high_table = table_of(part, study, "low", outcome), table_of(part, study, "high", outcome)
    first, last = ends_of(low_table, "alpha")
    low, widths = over_widths(low_table, [first, last])
    high, high_widths = over_widths(high_table, [first, last])
    claims = [
        Claim(worse(low, last, first, outcome), f"lost by the low group from alpha {first:g} to {last:g}"),
        Claim(worse(high, first, last, outcome), f"gained by the high group from alpha {first:g} to {last:g}"),
    ]
    details = {
        "K": part.fixed["K"],
        "alpha": sorted(set(low_table.columns.get_level_values("alpha"))),
        "widths": widths,
        "low group loses": numbers(claims[0].interval),
        "high group gains": numbers(claims[1].interval),
    }
    for name, table in (("low", low_table), ("high", high_table)):
        alphas = sorted(set(table.columns.get_level_values("alpha")))
        if len(alphas) > 2:
            by_alpha = over_widths(table, alphas)[0] * outcome.worse
            ranks = numbers(rank_interval(alphas, by_alpha[alphas]))
            details[f"rank correlation of alpha with how bad the {name} group is, by seed"] = ranks
    note = f"alpha {last:g} against {first:g} at K = {part.fixed['K']} in both groups, {widths_text(widths)}"
    cautions = () if widths == high_widths else (f"the high group rests on widths {high_widths}",)
    return Contrast("F6", outcome, claims, note, part, details, low_table, cautions)


def interior_alpha(df: pd.DataFrame, study: Study, outcome: Outcome) -> Evidence:
    """F7: the best interior alpha against both ends, mean over all languages."""
    part = alpha_axis(df)
    table = table_of(part, study, "all", outcome)
    ends_of(table, "alpha")
    alphas = sorted(set(table.columns.get_level_values("alpha")))
    mean, widths = over_widths(table, alphas)
    languages = group_text(part, study, "all", outcome)
    return Peak("F7", part, outcome, mean, "mean over all", f", {widths_text(widths)}", languages)


def alpha_and_scale(df: pd.DataFrame, study: Study, outcome: Outcome) -> Evidence:
    """F8: whether what a larger alpha does to the mean over all languages differs between sizes or budgets.

    By seed, the slope over alpha at the largest width (or most steps) less that at the smallest, the other averaged
    over. Either sign speaks for the finding; with two such contrasts the intervals that decide are of 97.5 %
    (Bonferroni).
    """
    part = plane(df[df["alpha"].notna()], ["alpha", "width", "steps"])
    table = table_of(part, study, "all", outcome, ["alpha", "width", "steps"])
    alphas = sorted(set(table.columns.get_level_values("alpha")))
    levels = {name: sorted(set(table.columns.get_level_values(name))) for name in ("width", "steps")}
    varied = [name for name, values in levels.items() if len(values) > 1]
    if len(alphas) < 2 or not varied:
        why = "two alphas, each at two widths or two budgets, are needed"
        raise Absent(why, "finished runs of several alphas at a second width or budget")
    slope = {}
    for width in levels["width"]:
        for steps in levels["steps"]:
            cells = [(a, width, steps) for a in alphas]
            if set(cells) <= set(table.columns):
                here = table[cells].copy()
                here.columns = pd.Index(alphas)
                slope[(width, steps)] = slopes(here, alphas) * outcome.worse
    claims: list[Claim] = []
    details: dict[str, Any] = {"alpha": alphas} | {name: levels[name] for name in varied}
    for name in varied:
        low, high = levels[name][0], levels[name][-1]
        place = 0 if name == "width" else 1
        pairs = [
            (slope[key], slope[other])
            for key in slope
            if key[place] == low and (other := ((high, key[1]) if place == 0 else (key[0], high))) in slope
        ]
        if pairs:
            differences = pd.concat([paired(small, large) for small, large in pairs], axis=1).mean(axis=1, skipna=False)
            words = f"a unit of alpha is worth more at {name} {high} than at {low}, mean over all"
            claims.append(Claim(differences.dropna(), words))
            details[f"slope over alpha: {name} {low} less {name} {high}"] = numbers(claims[-1].interval)
    if not claims:
        raise Absent("no alpha was run at both ends of width or steps", "finished runs of all alphas at both ends")
    unimax = df[df["alpha"].isna() & df["sampling"].str.startswith("unimax")]
    if not unimax.empty:
        details |= _against_unimax(df, study, outcome)
    note = (
        f"the slope of the mean over all languages over alpha {alphas[0]:g} to {alphas[-1]:g}, {' and '.join(varied)}"
    )
    return Contrast("F8", outcome, claims, note, part, details, table, either_sign=True)


def _against_unimax(df: pd.DataFrame, study: Study, outcome: Outcome) -> dict[str, Any]:
    """UniMax against the alpha that is best on average, at each width and budget: positive where UniMax is better."""
    part = plane(df, ["alpha", "sampling", "width", "steps"])
    table = table_of(part, study, "all", outcome, ["sampling", "width", "steps"])
    by_alpha = table_of(plane(df[df["alpha"].notna()], ["alpha", "width", "steps"]), study, "all", outcome,
                        ["alpha", "width", "steps"])  # fmt: skip
    found = {}
    for sampling, width, steps in table.columns:
        own = [cell for cell in by_alpha.columns if cell[1:] == (width, steps)]
        if sampling.startswith("unimax") and own:
            best = min(own, key=lambda cell: by_alpha[cell].mean() * outcome.worse)
            better = outcome.worse * paired(by_alpha[best], table[(sampling, width, steps)])
            key = f"{sampling} better than alpha {best[0]:g}, width {width}, {steps} steps"
            found[key] = numbers(t_interval(better))
    return found


def tokenizer_alpha(df: pd.DataFrame, study: Study, outcome: Outcome) -> Evidence:
    """F12: from the tokenizer's smallest alpha to its largest, the low group gets worse and the high group better,
    averaged over the batches' alphas inside each seed."""
    part = plane(df, ["tokenizer_alpha", "alpha"])
    tables = {g: table_of(part, study, g, outcome, ["tokenizer_alpha", "alpha"]) for g in ("low", "high")}
    first, last = ends_of(tables["low"], "tokenizer_alpha")
    batch = [a for t, a in tables["low"].columns if t == first and (last, a) in tables["low"].columns]
    if not batch:
        raise Absent("no batch alpha was run with both ends of the tokenizer's", "finished runs of one alpha at both")

    def over_batches(group: str, end: float) -> pd.Series:
        return tables[group][[(end, a) for a in batch]].mean(axis=1, skipna=False)

    lost = {g: outcome.worse * paired(over_batches(g, last), over_batches(g, first)) for g in ("low", "high")}
    claims = [
        Claim(lost["low"], f"lost by the low group from tokenizer alpha {first:g} to {last:g}"),
        Claim(-lost["high"], f"gained by the high group from tokenizer alpha {first:g} to {last:g}"),
    ]
    details: dict[str, Any] = {
        "tokenizer alpha": sorted(set(tables["low"].columns.get_level_values("tokenizer_alpha"))),
        "batch alpha": batch,
        "low group": group_text(part, study, "low", outcome),
        "low group loses": numbers(claims[0].interval),
        "high group gains": numbers(claims[1].interval),
    }
    note = f"tokenizer alpha {last:g} against {first:g}, averaged over {len(batch)} batch alphas inside each seed"
    return Contrast("F12", outcome, claims, note, part, details, tables["low"])
