"""Panels of group means: a row an outcome, a column a group, points with intervals, and the paper's own in grey.

`measure` makes the table that is drawn, `draw` the figure. A table holds one row a point: outcome, panel, the axis, the
series, mean, low, high, seeds, points, languages, and source (this study, or the paper).
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import pandas as pd

from analysis import paper
from analysis.axes import Slice
from analysis.figures import lines, style
from analysis.findings.contrast import members
from analysis.records import Completeness, Study
from analysis.statistics import BITS, ENGLISH, Outcome, final, group_mean, outcomes, scored

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

OURS, PAPER = "this study", "paper"
PAPER_LABEL = "paper (read off, no interval given)"
_TITLES = {"high": "High-resource", "low": "Low-resource", "core": "Core mean", "all": "Mean of all"}
_NO_PANEL = ("", "")
"""A place in the grid that stays empty."""


@dataclass(frozen=True)
class Axis:
    """The horizontal axis. kind: "log" (base 2), "linear" or "category" (in the order in which values come)."""

    column: str
    label: str
    kind: str
    text: Callable[[Any], str] = lambda value: f"{value:g}"

    def places(self, values: Iterable[Any]) -> dict[Any, float]:
        """Where each value stands. An infinite one (all text) stands a step beyond the largest."""
        if self.kind == "category":
            return {value: float(i) for i, value in enumerate(dict.fromkeys(values))}
        known = sorted(set(values))
        finite = {v: math.log2(v) if self.kind == "log" else float(v) for v in known if not math.isinf(v)}
        at = list(finite.values())
        step = max((b - a for a, b in itertools.pairwise(at)), default=1.0)
        return finite | {v: (max(at, default=0.0) + step) for v in known if math.isinf(v)}


def families(df: pd.DataFrame) -> list[Outcome]:
    """The outcomes to draw, as the paper averages them; the bits first."""
    return [paper.as_paper(outcome) for outcome in outcomes(df)]


def groups_of(part: Slice, study: Study, names: Sequence[str] = ("high", "low", "core")) -> dict[str, tuple[str, ...]]:
    """The study's groups by name; where it names no core, the languages that every run of the slice holds."""
    found = {name: members(part, study, name) for name in names}
    if "core" in found and not found["core"]:
        found = {name: group for name, group in found.items() if name != "core"} | {"all": members(part, study, "all")}
    return {name: group for name, group in found.items() if group}


def whom(part: Slice, study: Study, outcome: Outcome) -> dict[str, tuple[str, ...]]:
    """Whom a mean over everything is over: all languages that all runs hold, as in the verdicts; on XNLI the paper's
    seven where they are the study's core."""
    core = study.group("core")
    if paper.comparable(outcome, scored(part.rows, outcome, core), "core"):
        return {"core": core}
    return {"all": members(part, study, "all")}


def measure(
    rows: pd.DataFrame, outcome: Outcome, groups: Mapping[str, tuple[str, ...]], by: Sequence[str]
) -> pd.DataFrame:
    """Means and intervals of each group that was scored, for each combination of `by`; the column `panel` names it."""
    own = final(rows, outcome)
    parts = []
    for name, group in groups.items():
        languages = scored(own, outcome, group)
        means = group_mean(own, outcome, languages) if languages else pd.DataFrame()
        if len(means):
            points = lines.summarise(means, by)
            absent = ",".join(x for x in group if x not in languages and not (outcome.zero_shot and x == ENGLISH))
            parts.append(
                points.assign(outcome=outcome.name, panel=name, languages=",".join(languages), absent=absent,
                              source=OURS)
            )  # fmt: skip
    return pd.concat(parts, ignore_index=True) if parts else pd.DataFrame()


def with_paper(
    points: pd.DataFrame, figure: str, axis: str, outcome: Outcome, *, group: str = "", series: str = ""
) -> pd.DataFrame:
    """The same with the paper's points under each panel whose mean is over the paper's own languages.

    group: of the paper, where it is not the panel's name.
    """
    if points.empty:
        return points
    parts = [points]
    for panel, own in points.groupby("panel", sort=False):
        languages = tuple(str(own["languages"].iloc[0]).split(","))
        under = paper.overlay(figure, axis, outcome, languages, group or str(panel), series)
        if len(under):
            empty = {"low": math.nan, "high": math.nan, "seeds": 0, "points": [()] * len(under), "absent": ""}
            said = {"outcome": outcome.name, "panel": panel, "languages": ",".join(languages), "source": PAPER}
            parts.append(under.assign(**empty, **said))
    return pd.concat(parts, ignore_index=True)


def ours(points: pd.DataFrame) -> pd.DataFrame:
    """This study's own points."""
    return points if points.empty else points[points["source"] == OURS]


def several(points: pd.DataFrame, axis: str) -> bool:
    """Whether some panel has two values of the axis: else there is no line to draw."""
    return not points.empty and bool((ours(points).groupby(["outcome", "panel"])[axis].nunique() > 1).any())


def whole_panels(points: pd.DataFrame, axis: str) -> pd.DataFrame:
    """Without the panels that hold one value of the axis alone."""
    if points.empty:
        return points
    counts = ours(points).groupby(["outcome", "panel"])[axis].nunique()
    good = set(counts[counts > 1].index)
    kept = [pair in good for pair in zip(points["outcome"], points["panel"], strict=True)]
    return points[kept].reset_index(drop=True)


@dataclass(frozen=True)
class Look:
    """What a figure adds to the points.

    axis: of each panel, by the panel's name, or one for all. by: the column whose values are lines, and `name` their
    words. titles: of panels. extra: draws more into a panel, given its points, and returns values to keep in view.
    """

    axis: Axis | Mapping[str, Axis]
    by: str = ""
    name: Callable[[Any], str] = str
    titles: Mapping[str, str] | None = None
    extra: Callable[[Axes, pd.DataFrame], Sequence[float]] | None = None
    notes: Sequence[str] = ()

    def of(self, panel: str) -> Axis:
        return self.axis if isinstance(self.axis, Axis) else self.axis[panel]


def draw(
    points: pd.DataFrame,
    df: pd.DataFrame,
    study: Study,
    state: Completeness,
    slices: Slice | Mapping[str, Slice],
    look: Look,
) -> Figure:
    """Rows of outcomes and columns of panels, more than three in further rows; where there is one panel an outcome,
    outcomes stand side by side.

    slices: what the panels are drawn from, one for all or one for each by its name.
    """
    parts = {"": slices} if isinstance(slices, Slice) else slices
    kinds = {outcome.name: outcome for outcome in families(df)}
    pairs = list(dict.fromkeys(zip(points["outcome"], points["panel"], strict=True)))
    titles = look.titles or _TITLES
    columns = sorted(dict.fromkeys(panel for _, panel in pairs), key=[*titles, *points["panel"]].index)
    rows = list(dict.fromkeys(name for name, _ in pairs))
    own = ours(points)
    notes = _once(note for part in parts.values() for note in lines.unfinished(study, state, part))
    notes += lines.one_seed(own)
    notes += _left_out(df, parts, titles)
    notes += [*_gaps(own, look, parts), *_absent(own), *nan_note(parts.values(), kinds.values()), *look.notes]
    across = style.abreast(len(rows) if len(columns) == 1 else len(columns))
    cells = [(name, panel) for name in rows for panel in columns]
    if len(columns) > 1:  # each outcome begins a row
        blank = -len(columns) % across
        cells = [cell for name in rows for cell in [*((name, panel) for panel in columns), *[_NO_PANEL] * blank]]
    down = math.ceil(len(cells) / across)
    labels = len(own[look.by].unique()) if look.by else 1
    figure, panels = style.grid(down, across, labels=labels + (points["source"] == PAPER).any())
    cut = 0
    for number, (axes, cell) in enumerate(zip(panels, cells, strict=False)):
        name, panel = cell
        if cell == _NO_PANEL:
            axes.remove()
            continue
        if cell not in pairs:
            _say_why(axes, kinds[name], panel, titles.get(panel, panel), study)
            continue
        here = points[(points["outcome"] == name) & (points["panel"] == panel)]
        beneath = number + across < len(cells) and cells[number + across] in pairs
        _panel(axes, here, look, not (len(columns) > 1 and beneath), _series(own, look, panel))
        cut += lines.cut(ours(here), axes.get_ylim())
        languages = style.named(
            str(here["languages"].iloc[0]).split(","), room=round(72 / across) if across > 1 else 42
        )
        style.titled(axes, titles.get(panel, panel), languages)
        if len(columns) == 1 or number % across == 0 or cells[number - 1] not in pairs:
            axes.set_ylabel(value_label(kinds[name]))
    for axes in panels[len(cells) :]:
        axes.remove()
    style.legend(figure, across)
    style.foot(figure, [*notes, *lines.cut_note(cut)])
    return figure


def _say_why(axes: Axes, outcome: Outcome, panel: str, title: str, study: Study) -> None:
    """In the place of a panel that one row has and another has not."""
    alone = outcome.zero_shot and set(study.group(panel)) == {ENGLISH}
    why = f"{ENGLISH} alone, the language\nof fine-tuning: nothing zero-shot" if alone else "not measured"
    axes.set_axis_off()
    axes.text(0.5, 0.5, f"{title}:\n{why}", transform=axes.transAxes, ha="center", va="center", fontsize=7.5,
              color=style.QUIET)  # fmt: skip


def value_label(outcome: Outcome) -> str:
    """Of the vertical axis: what, in which unit, and which way is better."""
    if outcome.task == BITS.task:
        return "held-out text, bits per byte\n(↓ lower is better)"
    return f"{outcome.name.replace(paper.TASK, paper.TASK.upper())}, %\n(↑ higher is better)"


def _series(own: pd.DataFrame, look: Look, panel: str) -> list[Any]:
    """The lines of a panel in order; a value keeps its colour through all panels that have one axis."""
    if not look.by:
        return []
    here = own if isinstance(look.axis, Axis) else own[own["panel"] == panel]
    return sorted(here[look.by].dropna().unique())


def _panel(axes: Axes, points: pd.DataFrame, look: Look, label: bool, series: list[Any]) -> None:
    axis = look.of(str(points["panel"].iloc[0]))
    places = axis.places(points[axis.column])
    own, under = ours(points), points[points["source"] == PAPER]
    span = max(places.values()) - min(places.values()) or 1.0
    for i, value in enumerate(series or [None]):
        line = own if value is None else own[own[look.by] == value]
        if line.empty:
            continue
        line = line.assign(_at=line[axis.column].map(places)).sort_values("_at")
        at = line["_at"] + span * 0.016 * (i - (max(len(series), 1) - 1) / 2) * (len(series) > 1)
        name = "" if value is None else look.name(value)
        shape = style.series(i)
        if axis.kind == "category":  # nothing lies between two kinds
            shape = replace(shape, line="none")
        lines.draw_at(axes, line, list(at), list(at - span * 0.016), shape, name)
    _quiet(axes, under.assign(_at=under[axis.column].map(places)), joined=axis.kind != "category")
    keep = list(under["mean"])
    keep += list(look.extra(axes, own)) if look.extra else []
    seen = [*own["points"], tuple(keep)] if keep else list(own["points"])
    axes.set_ylim(lines.span(seen, own["low"], own["high"]))
    _ticks(axes, axis, places, span, label)


def _quiet(axes: Axes, under: pd.DataFrame, joined: bool) -> None:
    """The paper's points: thin and grey, a little larger than ours, beneath them."""
    names = list(dict.fromkeys(under["series"])) if len(under) else []
    for i, name in enumerate(names):
        line = under[under["series"] == name].sort_values("_at")
        look = style.LINES[(0, 2, 1)[i % 3]] if joined else ""
        label = PAPER_LABEL if len(names) == 1 else f"paper, {name} (read off)"
        axes.plot(
            line["_at"], line["mean"], color=style.QUIET, lw=0.9, linestyle=look,
            marker="os^"[i % 3], ms=6.5, mfc="white", mew=0.8, zorder=1.5, label=label,
        )  # fmt: skip


def _ticks(axes: Axes, axis: Axis, places: Mapping[Any, float], span: float, label: bool) -> None:
    """A tick at each value that was run; names thinned where they would touch."""
    axes.set_xlim(min(places.values()) - 0.07 * span, max(places.values()) + 0.07 * span)
    if axis.kind == "category":
        axes.set_xlim(-0.5, len(places) - 0.5)
    width = axes.get_position().width * axes.figure.get_figwidth() * 0.9  # type: ignore[union-attr]
    ordered = sorted(places.items(), key=lambda pair: pair[1])
    taken: list[tuple[float, float]] = []
    names = {}
    for value, at in [ordered[0], ordered[-1], *ordered[1:-1]]:  # the ends are named in any case
        half = 0.033 * len(axis.text(value)) + 0.02
        inches = (at - ordered[0][1]) / (1.14 * span) * width
        if all(inches + half <= left or right <= inches - half for left, right in taken) or value == ordered[-1][0]:
            taken.append((inches - half, inches + half))
            names[value] = axis.text(value)
    axes.set_xticks([at for _, at in ordered], [names.get(value, "") for value, _ in ordered])
    axes.ticklabel_format(axis="y", useOffset=False)
    axes.grid(visible=axis.kind != "category", axis="x")
    if label:
        axes.set_xlabel(axis.label)


def _left_out(df: pd.DataFrame, parts: Mapping[str, Slice], titles: Mapping[str, str]) -> list[str]:
    """Notes on the runs that are not drawn; those of one slice among several begin with its panel's title."""
    notes = [lines.said(text) for text in lines.drawn(df, list(parts.values()))]
    for panel, part in parts.items():
        title = titles.get(panel, panel) if len(parts) > 1 else ""
        notes += [lines.said(text, title) for text in part.cautions]
    return notes


def _gaps(own: pd.DataFrame, look: Look, parts: Mapping[str, Slice]) -> list[str]:
    """A note for values of the axis at which a panel has no mean though another panel has, or none has though runs
    were made."""
    if not isinstance(look.axis, Axis):
        return []
    column = look.axis.column
    found: dict[str, dict[str, list[str]]] = {}
    run = {value for part in parts.values() if column in part.rows for value in part.rows[column].dropna().unique()}
    if nowhere := sorted(run - set(own[column])):
        found[", ".join(look.axis.text(value) for value in nowhere)] = {"group's": list(own["outcome"].unique())}
    for (outcome, panel), here in own.groupby(["outcome", "panel"], sort=False):
        absent = sorted(set(own[column]) - set(here[column]))
        if absent:
            which = ", ".join(look.axis.text(value) for value in absent)
            found.setdefault(which, {}).setdefault(str(panel), []).append(str(outcome))
    notes = []
    for which, lacking in found.items():
        panels = ", ".join(lacking)
        names = list(dict.fromkeys(name for outcomes in lacking.values() for name in outcomes))
        where = "" if len(names) == own["outcome"].nunique() else f" of {', '.join(names)}"
        words = f"No {panels} mean{where} at {column} {which}"
        notes.append(f"{words}: no run there has a number for every language of it.")
    return notes


def _absent(own: pd.DataFrame) -> list[str]:
    """A note for languages of a group that were measured nowhere."""
    found: dict[tuple[str, str], list[str]] = {}
    for outcome, panel, codes in dict.fromkeys(zip(own["outcome"], own["panel"], own["absent"], strict=True)):
        if codes and panel != "all":
            found.setdefault((panel, codes), []).append(outcome)
    return [
        f"{p} group without {style.named(c.split(','))}: not measured in {', '.join(o)}." for (p, c), o in found.items()
    ]


def nan_note(parts: Iterable[Slice], kinds: Iterable[Outcome]) -> list[str]:
    """A note on runs left out because a number of theirs is NaN."""
    wanted = {(kind.task, kind.metric) for kind in kinds}
    runs: set[str] = set()
    for part in parts:
        bad = part.rows.loc[part.rows["value"].isna(), ["run", "task", "metric"]]
        runs |= {r for r, *pair in zip(bad["run"], bad["task"], bad["metric"], strict=True) if tuple(pair) in wanted}
    return [f"Runs with a number that is NaN, left out of its group's mean: {len(runs)}."] if runs else []


def _once(notes: Iterable[str]) -> list[str]:
    """Each note once; of several on unfinished cells the first that names some."""
    every = list(dict.fromkeys(notes))
    named = [note for note in every if "here:" in note]
    return (named or every)[:1]


def caption_of(points: pd.DataFrame, text: str, figure: str) -> str:
    """A caption: the text, what the bars are, and of what paper's figure the grey points are."""
    own = ours(points)
    said = " Each panel has its own scale." if len(own[["outcome", "panel"]].drop_duplicates()) > 1 else ""
    if own["outcome"].str.startswith(paper.TASK + " ").any():
        said += (
            " XNLI's means hold English, on which the models were fine-tuned, as the paper's do; verdicts leave it out."
        )
    if (points["source"] == PAPER).any():
        said += f" Grey: the paper's Figure {figure}, read off its bars; it gives no intervals."
    return text + said


def short(number: float) -> str:
    """1024 as it is, 32000 as 32k, 1048576 as 1.05M."""
    if abs(number) < 10_000:
        return f"{number:g}"
    for size, unit in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if abs(number) >= size:
            return f"{number / size:.3g}{unit}"
    return f"{number:g}"


def size(count: float) -> str:
    """An amount of text: 30kB, or all where it is infinite."""
    return "all" if math.isinf(count) else f"{short(count)}B"
