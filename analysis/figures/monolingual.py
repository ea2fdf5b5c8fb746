"""Each language in a model of its own and in the one of all (paper Table 5)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import pandas as pd

from analysis import paper
from analysis.figures import lines, panels, style
from analysis.figures.curse import seeds_text
from analysis.findings.transfer import alone_and_shared
from analysis.records import Completeness, Study
from analysis.statistics import Interval, Outcome, final, paired, t_interval

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

NAME, TITLE = "monolingual", "A model of each language against one of all"
FINDINGS = ("F16",)
ALONE, SHARED, MEAN = "monolingual", "multilingual", "mean"
_PAPER = {ALONE: f"{paper.MONOLINGUAL}, {paper.COMMONCRAWL}", SHARED: f"{paper.ZERO_SHOT}, {paper.COMMONCRAWL}"}
_LOOKS = {ALONE: style.series(0), SHARED: style.series(1)}


def scores(df: pd.DataFrame, outcome: Outcome) -> tuple[pd.DataFrame, pd.DataFrame, int]:
    """By seed (rows) and language (columns), those that both have: in a model of its own, in the largest, and its K."""
    rows = final(alone_and_shared(df).rows, outcome)
    most = int(rows["K"].max()) if len(rows) else 0
    tables = [
        rows[rows["K"] == k].pivot_table(index="seed", columns="language", values="value") * outcome.scale
        for k in ((1, most) if most > 1 else ())
    ]
    if not tables:
        return pd.DataFrame(), pd.DataFrame(), most
    order = rows.loc[rows["K"] == most, "languages"].iloc[0].split(",")
    both = [code for code in order if all(code in table for table in tables)]
    return tables[0][both], tables[1][both], most


def data(df: pd.DataFrame, study: Study) -> pd.DataFrame:
    """What is drawn: one row for each (outcome, language or mean, model)."""
    parts = []
    for outcome in panels.families(df):
        alone, shared, most = scores(df, outcome)
        for model, table in ((ALONE, alone), (SHARED, shared)):
            if not len(table.columns):
                continue
            long = table.reset_index().melt(id_vars="seed", var_name="language")
            if len(table.columns) > 1:  # a mean over the languages, of every seed that holds them all
                mean = table.mean(axis=1, skipna=False).dropna().rename("value").reset_index()
                long = pd.concat([long, mean.assign(language=MEAN)], ignore_index=True)
            points = lines.summarise(long.dropna(subset=["value"]), ["language"])
            order = {code: i for i, code in enumerate([*table.columns, MEAN])}
            points = points.sort_values("language", key=lambda codes, at=order: codes.map(at))
            parts.append(points.assign(outcome=outcome.name, model=model, K=most, source=panels.OURS))
        parts += _printed(outcome, list(alone.columns))
    return pd.concat(parts, ignore_index=True) if parts else pd.DataFrame()


def _printed(outcome: Outcome, languages: Sequence[str]) -> list[pd.DataFrame]:
    """The paper's rows on CommonCrawl, for the languages that both hold."""
    if outcome.task != paper.TASK:
        return []
    parts = []
    for model, series in _PAPER.items():
        curve = next(c for c in paper.curves("table 5") if c.series == series)
        known = [(code, value) for code, value in zip(curve.place, curve.points, strict=True) if code in languages]
        under = pd.DataFrame(known, columns=["language", "mean"])
        under = under.assign(low=math.nan, high=math.nan, seeds=0, points=[()] * len(under))
        parts.append(under.assign(outcome=outcome.name, model=model, K=len(curve.place), source=panels.PAPER))
    return [part for part in parts if len(part)]


def skipped(points: pd.DataFrame) -> str:
    """Why there is nothing to draw, or ""."""
    return "no language has both a model of its own and a shared one" if points.empty else ""


def draw(points: pd.DataFrame, df: pd.DataFrame, study: Study, state: Completeness) -> Figure:
    """A panel an outcome, a line a language from the one model to the other."""
    kinds = {outcome.name: outcome for outcome in panels.families(df)}
    names = list(dict.fromkeys(points["outcome"]))
    own = panels.ours(points)
    part = alone_and_shared(df)
    ends = part.rows[part.rows["K"].isin([1, part.rows["K"].max()])]  # what lies between is no end of a line
    notes = [*lines.about(df, study, state, replace(part, rows=ends)), *lines.one_seed(own)]
    notes += panels.nan_note([part], kinds.values())
    across = style.abreast(len(names))
    down = math.ceil(len(names) / across)
    most = max(own.groupby("outcome")["language"].nunique())
    figure = style.blank(style.PAGE if across > 1 else style.COLUMN, down * (1.2 + 0.22 * most) + 0.3)
    axes = list(figure.subplots(down, across, squeeze=False).flat)
    cut = 0
    for number, (one, name) in enumerate(zip(axes, names, strict=False)):
        _panel(one, points[points["outcome"] == name], kinds[name])
        cut += lines.cut(own[own["outcome"] == name], one.get_xlim())
        if number % across == 0:
            one.set_ylabel("language")
    for one in axes[len(names) :]:
        one.remove()
    style.legend(figure, across)
    style.foot(figure, [*notes, *lines.cut_note(cut)])
    return figure


def _panel(axes: Axes, points: pd.DataFrame, outcome: Outcome) -> None:
    own, under = panels.ours(points), points[points["source"] == panels.PAPER]
    codes = list(dict.fromkeys(own["language"]))
    place: dict[str, float] = {code: len(codes) - i for i, code in enumerate(codes)}
    if MEAN in place:
        place[MEAN] -= 0.4
        axes.axhline(0.9 + 0.4, color="#bbbbbb", lw=0.7, zorder=1)
    for code, rows in own.groupby("language"):
        axes.plot(rows["mean"], [place[code]] * len(rows), color="#cfcfcf", lw=2.5, zorder=1, solid_capstyle="butt")
    most = int(own["K"].iloc[0])
    for model, look in _LOOKS.items():
        aside = 0.1 if model == ALONE else -0.1
        for row in own[own["model"] == model].itertuples():
            y = place[row.language] + aside
            if row.seeds > 1:
                axes.errorbar(
                    [row.mean], [y], xerr=[[row.mean - row.low], [row.high - row.mean]], color=look.colour, capsize=2,
                    elinewidth=0.9, capthick=0.9, fmt="none", zorder=3,
                )  # fmt: skip
            face = look.colour if row.seeds > 1 else "white"
            axes.plot([row.mean], [y], look.marker, color=look.colour, mfc=face, mew=1, zorder=4)
        label = "a model of its own" if model == ALONE else f"one model of {most} languages"
        axes.plot([], [], look.marker, color=look.colour, label=label)
        grey = under[under["model"] == model]
        if len(grey):
            ys = [place[code] + 3 * aside for code in grey["language"]]
            axes.plot(
                grey["mean"], ys, look.marker, color=style.QUIET, mfc="white", ms=4, mew=0.8, zorder=2,
                label=f"paper, CommonCrawl: {'BERT of its own' if model == ALONE else 'XLM-7, zero-shot'}",
            )  # fmt: skip
    axes.set_xlim(lines.span([*own["points"], tuple(under["mean"])] if len(under) else own["points"],
                             own["low"], own["high"]))  # fmt: skip
    axes.set_yticks(list(place.values()), list(place))
    axes.set_ylim(min(place.values()) - 0.6, len(codes) + 0.6)
    axes.grid(visible=False, axis="y")
    axes.locator_params(axis="x", nbins=5)
    axes.set_xlabel(panels.value_label(outcome).replace("↓", "←").replace("↑", "→"))


def caption(points: pd.DataFrame) -> str:
    own = panels.ours(points)
    paper_said = " Grey: the paper's Table 5 on CommonCrawl, as printed; it gives no intervals."
    return (
        f"Each language in a model of its own and in one of {int(own['K'].iloc[0])} languages; below the line the mean "
        f"over languages; {seeds_text(own)}.".replace(", faint points the seeds", "")
        + paper_said * bool((points["source"] == panels.PAPER).any())
    )


def table5(df: pd.DataFrame, study: Study) -> pd.DataFrame:
    """The paper's Table 5 as text: one row for each outcome and model, and one for the paired difference.

    Columns: outcome, unit, model, seeds, one for each language, mean. A cell is `mean ± half of its 95 % interval over
    seeds`, or the mean alone where there is one seed; "-" where there is none. Empty where no language has both models.
    """
    rows: list[dict[str, object]] = []
    for outcome in panels.families(df):
        alone, shared, most = scores(df, outcome)
        if not len(alone.columns):
            continue
        difference = pd.DataFrame({code: paired(shared[code], alone[code]) for code in alone.columns})
        named = {ALONE: alone, f"{most} languages": shared, "difference": difference}
        for model, table in named.items():
            cells: dict[str, object] = {code: _cell(t_interval(table[code]), outcome) for code in table.columns}
            if len(table.columns) > 1:
                cells[MEAN] = _cell(t_interval(table.mean(axis=1, skipna=False)), outcome)
            head = {"outcome": outcome.name, "unit": outcome.unit, "model": model}
            rows.append(head | {"seeds": int(table.notna().all(axis=1).sum())} | cells)
    table = pd.DataFrame(rows).fillna("-")
    return table if MEAN not in table else table[[*(name for name in table if name != MEAN), MEAN]]


def _cell(interval: Interval, outcome: Outcome) -> str:
    if not interval.n:
        return "-"
    mean = f"{interval.mean:.{outcome.digits}f}"
    return f"{mean} ± {interval.half:.{outcome.digits}f}" if interval.covers_seed_noise else mean
