"""The curse and what lifts it: F1, F2, F3, F4, F18 (paper section 6)."""

from __future__ import annotations

import math
from typing import Any

import pandas as pd

from analysis.axes import Slice, counts_plane, language_axis
from analysis.findings.contrast import (
    ends_of,
    group_text,
    over_widths,
    table_of,
    widths_text,
    widths_with,
    worse,
)
from analysis.findings.decision import Claim, Contrast, Evidence, Peak
from analysis.findings.verdict import Absent, numbers
from analysis.records import Study
from analysis.statistics import Outcome, paired, ratio_interval, t_interval


def curse(df: pd.DataFrame, study: Study, outcome: Outcome) -> Evidence:
    """F1: core mean at the largest K against the smallest, averaged over widths inside each seed."""
    part = language_axis(df)
    table = table_of(part, study, "core", outcome)
    first, last = ends_of(table, "K")
    mean, widths = over_widths(table, [first, last])
    lost = "added" if outcome.worse > 0 else "lost"
    claim = Claim(worse(mean, last, first, outcome), f"{lost} from K = {first} to K = {last}, core mean")
    per_width = {
        f"width {w}": numbers(t_interval(worse(table.xs(w, axis=1, level="width"), last, first, outcome)))
        for w in widths_with(table, [first, last])
    }
    details = {"K": [first, last], "widths": widths, "languages": group_text(part, study, "core", outcome)} | per_width
    note = f"core mean at K = {last} against K = {first}, {widths_text(widths)}"
    return Contrast("F1", outcome, [claim], note, part, details, table)


def hump(df: pd.DataFrame, study: Study, outcome: Outcome) -> Evidence:
    """F2: the low group's best interior K against both ends."""
    part = language_axis(df)
    table = table_of(part, study, "low", outcome)
    ends_of(table, "K")
    counts = sorted(set(table.columns.get_level_values("K")))
    if len(counts) < 3:
        why = f"a hump needs three language counts that all hold the low group; there are {len(counts)}"
        raise Absent(why, "finished runs at a third language count")
    mean, widths = over_widths(table, counts)
    languages = group_text(part, study, "low", outcome)
    return Peak("F2", part, outcome, mean, "low group", f", {widths_text(widths)}", languages)


def cells_of_causes(df: pd.DataFrame) -> Slice:
    """The runs that F3 is judged on."""
    return counts_plane(df, ["tokenizer_languages", "steps"], follow=["vocabulary"])


def causes(df: pd.DataFrame, study: Study, outcome: Outcome) -> Evidence:
    """F3: what of the penalty from the smallest K to the largest goes when a tokenizer trained on all languages is
    frozen, and when the core is given as many tokens at the largest K as at the smallest.

    With T the tokenizer of all languages, t that of the smallest set, s steps for all and S those that give the core
    its tokens back: penalty = L(last, T, s) - L(first, t, s); tokenizer = L(first, T, s) - L(first, t, s); exposure =
    L(last, T, s) - L(last, T, S); what is left is capacity. At the largest K both tokenizers are one.
    """
    part = cells_of_causes(df)
    table = table_of(part, study, "core", outcome, ["K", "tokenizer_languages", "steps"])
    first, last = ends_of(table, "K")
    steps = sorted({s for k, _, s in table.columns if k == first})
    everything = max(t for _, t, _ in table.columns)
    longer = sorted(s for k, t, s in table.columns if k == last and t == everything and s > steps[0])
    wanted = {
        "the smallest K with its own tokenizer": (first, first, steps[0]),
        "the smallest K with the tokenizer of all": (first, everything, steps[0]),
        "the largest K after as many updates": (last, everything, steps[0]),
    }
    absent = [words for words, cell in wanted.items() if cell not in table.columns]
    if absent or not longer:
        absent += [] if longer else ["the largest K with the core's tokens given back (more steps)"]
        raise Absent(f"these cells are missing: {'; '.join(absent)}", "finished runs of those cells")
    own, frozen, more = (table[cell] for cell in wanted.values())
    given_back = table[(last, everything, longer[-1])]
    penalty = outcome.worse * paired(more, own)
    tokenizer = outcome.worse * paired(frozen, own)
    exposure = outcome.worse * paired(more, given_back)
    capacity = outcome.worse * paired(given_back, frozen)
    total = float(penalty.mean())
    details: dict[str, Any] = {
        "K": [first, last],
        "steps": [steps[0], longer[-1]],
        "penalty in all": numbers(t_interval(penalty)),
        "tokenizer": numbers(t_interval(tokenizer)),
        "exposure": numbers(t_interval(exposure)),
        "capacity (the rest)": numbers(t_interval(capacity)),
    }
    if total > 0:
        shares = {"tokenizer": tokenizer, "exposure": exposure, "capacity": capacity}
        details |= {
            f"share of {name}, %": numbers(ratio_interval(100 * cause, penalty)) for name, cause in shares.items()
        }
    both = (tokenizer + exposure).dropna()
    claim = Claim(both, f"of the penalty from K = {first} to K = {last} that tokenizer and exposure explain, core mean")
    whole = Claim(penalty, f"that adding languages costs from K = {first} to K = {last}, core mean")
    note = f"core mean at K = {first} and K = {last}, frozen against retrained tokenizer, equal updates against tokens"
    return Contrast("F3", outcome, [claim, whole], note, part, details, table)


def capacity(df: pd.DataFrame, study: Study, outcome: Outcome) -> Evidence:
    """F4: the penalty of the narrowest model less the penalty of the widest."""
    part = language_axis(df)
    table = table_of(part, study, "core", outcome)
    first, last = ends_of(table, "K")
    widths = widths_with(table, [first, last])
    if len(widths) < 2:
        why = f"two widths with both K = {first} and K = {last} are needed; there are {len(widths)}"
        raise Absent(why, "finished runs at a second width")
    narrow, wide = widths[0], widths[-1]
    penalty = {w: worse(table.xs(w, axis=1, level="width"), last, first, outcome) for w in widths}
    claim = Claim(
        paired(penalty[narrow], penalty[wide]),
        f"smaller penalty at width {wide} than at {narrow}, K = {first} to {last}",
    )
    widened = outcome.worse * paired(table[(last, narrow)], table[(last, wide)])
    left = outcome.worse * paired(table[(first, narrow)], table[(last, wide)])
    details: dict[str, Any] = {"K": [first, last], "widths": widths}
    details |= {f"penalty at width {w}": numbers(t_interval(penalty[w])) for w in widths}
    details[f"K = {last}: width {wide} better than width {narrow} by"] = numbers(t_interval(widened))
    details[f"K = {last} at width {wide} better than K = {first} at width {narrow} by"] = numbers(t_interval(left))
    note = f"the K = {first} to {last} penalty of width {narrow} less that of width {wide}"
    return Contrast("F4", outcome, [claim], note, part, details, table)


def enough_text(df: pd.DataFrame, study: Study, outcome: Outcome) -> Evidence:
    """F18: the penalty for languages with little text or short training less that with much of both."""
    part = counts_plane(df, ["text_bytes", "steps"])
    table = table_of(part, study, "core", outcome, ["text_bytes", "steps", "K"])
    first, last = (min(k for _, _, k in table.columns), max(k for _, _, k in table.columns))
    cells = sorted({(t, s) for t, s, _ in table.columns if {(t, s, first), (t, s, last)} <= set(table.columns)})
    cells = [cell for cell in cells if len(table[[(*cell, first), (*cell, last)]].dropna())]
    if first == last or len(cells) < 2:
        why = f"two amounts of text or steps, each at two language counts, are needed; there are {len(cells)}"
        raise Absent(why, "finished runs with more text or steps at both ends of K")
    penalty = {cell: outcome.worse * paired(table[(*cell, last)], table[(*cell, first)]) for cell in cells}
    little, much = cells[0], cells[-1]

    def words(cell: tuple[float, float]) -> str:
        text = "all text" if math.isinf(cell[0]) else f"{cell[0]:.3g} bytes a language"
        return f"{text}, {cell[1]:.0f} steps"

    claim = Claim(
        paired(penalty[little], penalty[much]),
        f"smaller penalty from K = {first} to K = {last} with {words(much)} than with {words(little)}",
    )
    left = t_interval(penalty[much])
    details: dict[str, Any] = {f"penalty with {words(cell)}": numbers(t_interval(penalty[cell])) for cell in cells}
    details["the curse is gone at most text and steps"] = bool(left.covers_seed_noise and not left.above)
    note = f"the K = {first} to {last} penalty of the core mean, {words(little)} against {words(much)}"
    return Contrast("F18", outcome, [claim], note, part, details, table)
