"""Iso-loss contours over language count and model size, from the fitted language-count law (paper section 5.8, F5)."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import pandas as pd

from analysis.axes import Slice
from analysis.figures import lines, style
from analysis.records import Completeness, Study
from analysis.statistics import BITS, Interval

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from analysis.laws.fit import Fit

NAME, TITLE = "isoloss", "Model size that keeps the loss as languages are added"
FINDINGS = ("F5",)
_LEVELS = 5
_STOPS = 25
_BEYOND_K, _BEYOND_N = 2.0, 4.0
"""How far beyond what was run the plane reaches, as factors."""
_Array = npt.NDArray[np.float64]


def data(df: pd.DataFrame, study: Study) -> pd.DataFrame:
    """What is drawn. part "run": a row for each (K, N) that was run, with how many runs. part "contour": N that the
    law needs at K for `loss` with its 95 % interval, at D tokens a language; `extrapolated` outside what was run; with
    the iso-loss exponent of the parameters, its interval, and the fit's R2."""
    from analysis.laws import LawAbsent, fit_language_count

    try:
        law = fit_language_count(df, study.group("core"), BITS)
    except LawAbsent as why:
        return lines.nothing(str(why))
    if "N" not in law.fit.form.inputs:
        return lines.nothing("all runs have one size of model")
    seen = law.points
    if seen["N"].nunique() < 3:
        return lines.nothing("two sizes of model do not tell how the loss bends over size")
    cells = seen.groupby(["K", "N"]).agg(runs=("run", "size"), loss=("loss", "mean")).reset_index()
    given = float(np.exp(np.median(np.log(seen["D"]))))
    ks = np.geomspace(seen["K"].min() / math.sqrt(_BEYOND_K), seen["K"].max() * _BEYOND_K, _STOPS)
    ks = np.unique(np.concatenate([ks, seen["K"].unique()]))
    iso = law.iso_loss()["parameters"]
    rows = [
        {"part": "contour", "loss": level, "K": k, "D": given} | _size_for(law.fit, level, k, given)
        for level in _levels(law.fit, seen, given)
        for k in ks
    ]
    contours = pd.DataFrame(rows)
    if not rows or not np.isfinite(contours["N"]).any():
        return lines.nothing("the fitted law reaches no loss that several sizes of model share")
    inside = contours["K"].between(seen["K"].min(), seen["K"].max()) & contours["N"].between(*_ends(seen["N"]))
    contours["extrapolated"] = ~inside
    table = pd.concat([cells.assign(part="run"), contours.dropna(subset=["N"])], ignore_index=True)
    of_law = {"exponent": iso.mean, "exponent_low": iso.low, "exponent_high": iso.high, "r2": law.fit.r2}
    table = table.assign(**of_law, law_runs=law.fit.runs)
    left = df["run"].nunique() - law.fit.runs - law.out
    lacking = f"without a loss of every language of the core, and so not in the fit: {left} runs"
    table.attrs["cautions"] = [*([lacking] if left else []), *law.cautions]
    return table


def _ends(values: pd.Series) -> tuple[float, float]:
    return float(values.min()), float(values.max())


def _levels(fit: Fit, seen: pd.DataFrame, given: float) -> list[float]:
    """Losses whose contours cross what was run, told apart by two or three digits."""
    ks, sizes = np.meshgrid(np.geomspace(*_ends(seen["K"]), 9), np.geomspace(*_ends(seen["N"]), 9))
    losses = fit.predict(**{n: v for n, v in {"K": ks, "N": sizes, "D": given}.items() if n in fit.form.inputs})
    low, high = np.quantile(losses, [0.04, 0.96])
    digits = max(0, 2 - math.floor(math.log10(max(high - low, 1e-9))))
    return sorted(set(np.round(np.quantile(losses, np.linspace(0.08, 0.92, _LEVELS)), min(digits, 6)).tolist()))


def _size_for(fit: Fit, loss: float, k: float, given: float) -> dict[str, float]:
    """N with the law's loss at K and D, and its interval; NaN where no size is large enough."""
    names = fit.form.parameters
    theta = np.array([[fit.coefficients[name] for name in names]])
    estimate = float(_log_size(dict(zip(names, theta.T, strict=True)), loss, k, given)[0])
    if not math.isfinite(estimate):
        return {"N": math.nan, "low": math.nan, "high": math.nan}
    draws = _log_size(dict(zip(names, fit.draws.T, strict=True)), loss, k, given)
    if np.isfinite(draws).mean() < 0.9:  # a band from the draws that have a size at all would be too narrow
        interval = Interval(estimate, math.nan, math.nan, fit.runs)
    else:
        interval = fit.interval_of(estimate, draws)
    with np.errstate(over="ignore"):
        return {"N": math.exp(estimate), "low": float(np.exp(interval.low)), "high": float(np.exp(interval.high))}


def _log_size(theta: dict[str, _Array], loss: float, k: float, given: float) -> _Array:
    """log N from L = e^e + e^a K^phi N^-alpha + e^b K^psi D^-beta, for each draw of the coefficients."""
    rest = loss - np.exp(theta["e"])
    if "b" in theta:
        rest = rest - np.exp(theta["b"] + theta["psi"] * math.log(k) - theta["beta"] * math.log(given))
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.asarray((theta["a"] + theta["phi"] * math.log(k) - np.log(rest)) / theta["alpha"])


def skipped(points: pd.DataFrame) -> str:
    """Why there is nothing to draw, or ""."""
    return lines.reason(points)


def draw(points: pd.DataFrame, df: pd.DataFrame, study: Study, state: Completeness) -> Figure:
    """One plane, both axes logarithmic: contours with bands, runs as points, grey where nothing was run."""
    from matplotlib import colormaps
    from matplotlib.patheffects import withStroke

    runs, contours = points[points["part"] == "run"], points[points["part"] == "contour"]
    notes = [*lines.unfinished(study, state, Slice(df, "K", {}, ())), *map(lines.said, points.attrs["cautions"])]
    bare = contours.groupby("loss")["low"].apply(lambda low: low.isna().any())
    if bare.any():
        notes.append("A contour without a band: the law is too unsure there, or the runs too few.")
    if contours.groupby("loss")["K"].nunique().min() < contours["K"].nunique():
        notes.append("A contour ends where the law gives its loss to no size.")
    figure, (axes,) = style.sheet(1, height=3.3, notes=notes)
    counts = sorted(int(k) for k in runs["K"].unique())
    style.language_count_axis(axes, counts)
    axes.set_yscale("log")
    (k0, k1), (n0, n1) = _ends(runs["K"]), _ends(runs["N"])
    across = (k0 / math.sqrt(_BEYOND_K), k1 * _BEYOND_K)
    axes.set(xlim=across, ylim=(n0 / _BEYOND_N, n1 * _BEYOND_N))
    _beyond(axes, (k0, k1), (n0, n1))
    levels = sorted(contours["loss"].unique())
    digits = max(len(f"{level:g}".partition(".")[2]) for level in levels)
    for i, level in enumerate(levels):
        colour = colormaps["cividis"](0.05 + 0.75 * i / max(1, len(levels) - 1))
        own = contours[contours["loss"] == level].sort_values("K")
        axes.fill_between(own["K"], own["low"], own["high"], color=colour, alpha=0.22, lw=0, zorder=2)
        axes.plot(own["K"], own["N"], color=colour, linestyle=(0, (3, 1.5)), lw=1.1, zorder=3)
        axes.plot(own["K"], own["N"].where(~own["extrapolated"].astype(bool)), color=colour, lw=1.8, zorder=3)
        shown = own[own["N"].between(*axes.get_ylim()) & (own["K"] < across[1] / 1.5)]
        if len(shown):
            at = shown.iloc[(2 * i + 1) * len(shown) // (2 * len(levels))]
            name = axes.text(at["K"], at["N"], f"{level:.{digits}f}", fontsize=7, ha="center", va="center", zorder=6)
            name.set_path_effects([withStroke(linewidth=2.5, foreground="white")])
    axes.plot(
        runs["K"], runs["N"], "o", color="#222222", mfc="white", ms=4, mew=1, zorder=4,
        label=f"{int(runs['runs'].sum())} runs",
    )  # fmt: skip
    axes.plot([], [], color="#333333", lw=1.8, label="equal loss")
    axes.plot([], [], color="#333333", lw=1.1, linestyle=(0, (3, 1.5)), label="extrapolated")
    axes.set_ylabel("parameters without embeddings (log scale)")
    figure.legend(loc="outside upper center", ncols=3, columnspacing=1.0, handlelength=1.8)
    return figure


def _beyond(axes: Axes, ks: tuple[float, float], sizes: tuple[float, float]) -> None:
    """Grey over the parts of the plane in which nothing was run."""
    (x0, x1), (y0, y1) = axes.get_xlim(), axes.get_ylim()
    for left, right, low, high in (
        (x0, ks[0], y0, y1), (ks[1], x1, y0, y1), (ks[0], ks[1], y0, sizes[0]), (ks[0], ks[1], sizes[1], y1),
    ):  # fmt: skip
        axes.fill_between([left, right], low, high, color="#efefef", lw=0, zorder=0.5)


def caption(points: pd.DataFrame) -> str:
    first = points.iloc[0]
    given = points["D"].dropna().iloc[0]
    exponent = f"{first['exponent']:.2f}"
    if not math.isnan(first["exponent_low"]):
        exponent += f" [{first['exponent_low']:.2f}, {first['exponent_high']:.2f}]"
    return (
        "Contours of equal loss (bits per byte, at the lines) of the core mean over language count and parameters, at "
        f"{given:.3g} tokens a language, by the law fitted to {int(first['law_runs'])} runs (R2 of log loss "
        f"{first['r2']:.3f}). When K becomes r K, parameters must grow by r to the power {exponent} to keep the loss. "
        "Bands: 95 %, bootstrap over runs, those of one trunk together. Grey: beyond what was run."
    )
