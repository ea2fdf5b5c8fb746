"""Intervals over items and seeds together: the same items for all languages, then seeds (paper section 5.15).

The languages of a benchmark are translations of the same items, so an item that is hard is hard in all of them: item
ids are resampled jointly across languages, and then seeds. Seeds are few, so each level's variance is widened by
n / (n - 1) and the quantile is Student's, with Satterthwaite's degrees of freedom over the two levels.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from analysis.statistics import Interval, t_quantile
from sweeps.codes import study_code
from sweeps.errors import BadInput

Array = npt.NDArray[np.float64]
RESAMPLES = 1000


def two_level(difference: Array, *, resamples: int = RESAMPLES, seed: int = 0) -> Interval:
    """95 % interval of the mean of `difference`, (seeds, languages, items): arm less baseline on the same items.

    With one seed it covers items only, and `n` is 1: it says nothing of other seeds.
    """
    mean_si = np.nanmean(difference, axis=1)
    seeds, items = mean_si.shape
    centre = float(mean_si.mean())
    if items < 2:
        return Interval(centre, math.nan, math.nan, seeds)
    draw = np.random.default_rng([seed, 0x74776F])
    of_items = _resampled_means(mean_si.mean(axis=0), draw, resamples)
    variance = {"items": float(of_items.var()) * items / (items - 1)}
    freedom = {"items": items - 1}
    if seeds > 1:
        of_seeds = _resampled_means(mean_si.mean(axis=1), draw, resamples)
        variance["seeds"] = float(of_seeds.var()) * seeds / (seeds - 1)
        freedom["seeds"] = seeds - 1
    whole = sum(variance.values())
    parts = sum(v**2 / freedom[level] for level, v in variance.items())
    half = t_quantile(max(1, math.floor(whole**2 / parts))) * math.sqrt(whole) if parts > 0 else 0.0
    return Interval(centre, centre - half, centre + half, seeds)


def _resampled_means(values: Array, draw: np.random.Generator, resamples: int) -> Array:
    counts = draw.multinomial(len(values), np.full(len(values), 1 / len(values)), size=resamples)
    means: Array = counts @ values / len(values)
    return means


def load_items(
    root: Path, run: str, task: str, metric: str, asks_for: Callable[[object], bool] = bool
) -> dict[str, dict[str, float]]:
    """Language (the study's code) -> item id -> score, the mean over fine-tuning seeds. {} where none were kept, or the
    metric is no mean over items. `asks_for`: which stages count (`Study.asks_for`)."""
    found = sorted((root / "runs" / run / "tasks").glob(f"{task}@*/items.json"))
    found = [path for path in found if asks_for(path.parent.name)]
    if len(found) != 1:
        return {}
    table = {}
    try:
        for code, kept in json.loads(found[0].read_text(encoding="utf-8"))["languages"].items():
            scores = kept["metrics"].get(metric)
            if scores is None or scores.get("of") != "mean":
                return {}
            table[study_code(code)] = dict(zip(kept["ids"], np.mean(scores["by_seed"], axis=0).tolist(), strict=True))
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise BadInput(
            f"{found[0]} does not hold items as evaluate keeps them ({error}); evaluate the task again"
        ) from error
    return table


def contrast(
    root: Path,
    arm: Mapping[int, str],
    baseline: Mapping[int, str],
    task: str,
    metric: str,
    languages: Sequence[str],
    asks_for: Callable[[object], bool] = bool,
) -> Interval | None:
    """Two-level interval of arm less baseline, each a run by seed, over what languages and items both have; or None."""
    seeds = sorted(set(arm) & set(baseline))
    pairs = [tuple(load_items(root, side[s], task, metric, asks_for) for side in (arm, baseline)) for s in seeds]
    codes = [code for code in map(study_code, languages) if all(code in one and code in other for one, other in pairs)]
    if not pairs or not codes:
        return None
    shared = set.intersection(*(set(side[code]) for pair in pairs for side in pair for code in codes))
    ids = sorted(shared)
    if len(ids) < 2:
        return None
    difference = np.array([[[one[c][i] - other[c][i] for i in ids] for c in codes] for one, other in pairs])
    return two_level(difference)
