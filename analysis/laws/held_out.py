"""How well a law predicts what it was not fitted to: the largest of each axis, each language count, a random fifth
of the cells.

A law with a good overall fit can fail beyond its data: ATLAS reports R2 of 0.64 over all and -0.99 on the largest
models for one and the same law (paper section 5.8), so each axis has a score of its own.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from analysis.laws.fit import LawAbsent, fit
from analysis.laws.forms import Array, Form, cells
from analysis.statistics import Interval, t_interval

Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Score:
    """errors (points,): absolute log errors on what was held out. cells (points,): which points are of one cell.
    r2: of log loss there, about its own mean; NaN where the losses there do not differ."""

    errors: Array
    r2: float
    points: int
    cells: npt.NDArray[np.int64]

    @property
    def median_error(self) -> float:
        """About the relative error of a prediction."""
        return float(np.median(self.errors))


def partitions(data: Mapping[str, Array], *, seed: int = 0) -> Iterator[tuple[str, Mask]]:
    """Names and masks (points,) of what to hold out: the largest value of each input, every K, a fifth of the cells."""
    for name, values in data.items():
        levels = np.unique(values)
        if len(levels) >= 3:
            # D may differ in every run: then its largest fifth, as ATLAS held out.
            edge = levels[-1] if len(levels) <= len(values) / 3 else np.quantile(values, 0.8)
            yield f"largest {name}", values >= edge
            if name == "K":
                for level in levels[1:-1]:
                    yield f"K = {level:g}", values == level
    cell = cells(data)
    size = int(cell.max()) + 1
    chosen = np.random.default_rng([seed, 0x686F6C64]).permutation(size)[: max(1, size // 5)]
    yield "random fifth", np.isin(cell, chosen)  # whole cells: another seed of a cell that was seen is no test


def scores(
    form: Form,
    plain: Form,
    data: Mapping[str, Array],
    loss: Array,
    *,
    seed: int = 0,
    near: tuple[Mapping[str, float] | None, Mapping[str, float] | None] = (None, None),
) -> dict[str, tuple[Score, Score]]:
    """What was held out -> the scores of `form` and of `plain` there. One that leaves too little to fit is left out.

    near: coefficients of both fitted to all points, which their searches begin from beside the grid.
    """
    found = {}
    used = {name: data[name] for name in form.inputs}
    for name, out in partitions(used, seed=seed):
        try:
            found[name] = (_score(form, data, loss, out, near[0]), _score(plain, data, loss, out, near[1]))
        except LawAbsent:
            continue
    return found


def _score(form: Form, data: Mapping[str, Array], loss: Array, out: Mask, near: Mapping[str, float] | None) -> Score:
    law = fit(form, {n: v[~out] for n, v in data.items()}, loss[~out], resamples=0, near=near)
    target = np.log(loss[out])
    errors = target - np.log(law.predict(**{n: data[n][out] for n in form.inputs}))
    spread = float(((target - target.mean()) ** 2).sum())
    r2 = 1.0 - float((errors**2).sum()) / spread if spread > 0 else float("nan")
    return Score(np.abs(errors), r2, int(out.sum()), cells(data)[out])


def compare(law: Score, plain: Score) -> Interval:
    """How much smaller the absolute log error of `law` is: the mean over the held-out cells, with Student's interval
    over them. Runs of one cell differ in seed alone and share a law's error, so they count as one."""
    difference = plain.errors - law.errors
    interval = t_interval(difference[law.cells == cell].mean() for cell in np.unique(law.cells))
    ends = (interval.low, interval.high) if interval.n > 2 else (float("nan"), float("nan"))
    return Interval(interval.mean, *ends, interval.n)
