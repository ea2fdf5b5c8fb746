"""What a reader of a study's numbers must be told before any of them: gaps, values that are none, one seed alone."""

from __future__ import annotations

import numpy as np
import pandas as pd

from analysis.records import AXES, Completeness, Study
from analysis.statistics import BITS, final


def cautions(df: pd.DataFrame, study: Study, state: Completeness) -> list[str]:
    """One plain sentence each; none where the study is whole and sound. `df`: the table of `records.collect`."""
    found = []
    if state.missing:
        found.append(
            f"{len(state.missing)} of {state.expected} runs are not finished; cells that need them are left out or "
            "rest on fewer seeds"
        )
    if df.empty:
        return found
    broken = df[~np.isfinite(df["value"])]
    if len(broken):
        one = broken.iloc[0]
        found.append(
            f"{len(broken)} values are not numbers (the first: {one['metric']} of {one['task']}, {one['language']}, "
            f"{one['run']}); a mean that would need one is left out"
        )
    runs = df.drop_duplicates("run")
    seeds = runs.groupby(AXES, dropna=False)["seed"].nunique()
    if seeds.max() == 1:
        found.append("every cell has one seed: how far another would lie is not known; no interval over seeds is drawn")
    elif (seeds == 1).any():
        found.append(f"{int((seeds == 1).sum())} of {len(seeds)} cells have one seed, and so no interval of their own")
    again = runs.groupby([*AXES, "seed"], dropna=False)["run"].agg(["size", "min"])
    again = again[again["size"] > 1]
    if len(again):
        found.append(
            f"{len(again)} cells hold several runs with one seed (the first: {again['min'].iloc[0]} and "
            f"{int(again['size'].iloc[0]) - 1} more), which differ in what no axis tells, as the learning rate: they "
            "are averaged as one seed"
        )
    scored = final(df, BITS)
    unscored = runs[~runs["run"].isin(scored["run"])]
    if len(unscored):
        found.append(f"{len(unscored)} finished runs have no held-out loss: evaluate them")
    early = scored[scored["step"] < scored["steps"]].drop_duplicates("run")
    if len(early):
        found.append(
            f"{len(early)} runs are scored at an earlier step than they were trained to (the first: "
            f"{early['run'].iloc[0]}, step {early['step'].iloc[0]} of {early['steps'].iloc[0]}): evaluate them again"
        )
    found += _lacking(scored, study)
    return found


def _lacking(scored: pd.DataFrame, study: Study) -> list[str]:
    """A sentence for each group of which some runs were trained on a language that has no number."""
    found = []
    for group, languages in sorted(study.groups.items()):
        wanted = set(languages)
        holding = scored[[wanted <= set(text.split(",")) for text in scored["languages"]]]
        have = holding.groupby("run")["language"].agg(set)
        lacking = {run: sorted(set(languages) - own) for run, own in have.items() if not set(languages) <= own}
        if lacking:
            codes = ", ".join(sorted({code for gone in lacking.values() for code in gone}))
            found.append(
                f"{len(lacking)} runs have no held-out loss for {codes} of the {group} group: no group mean there"
            )
        elif scored.size and holding.empty:
            known = set(",".join(scored["languages"].unique()).split(","))
            absent = sorted(set(languages) - known)
            if absent:
                found.append(f"no run was trained on {', '.join(absent)}, which the {group} group names")
    return found
