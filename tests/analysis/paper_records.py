"""The paper's own points as records: tables of runs whose XNLI accuracies are what `analysis.paper` holds.

Where the paper prints a mean alone, every language of the group has that mean; where it prints groups and their whole,
the three languages of neither have what makes the mean over seven come out.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Any

import pandas as pd

from analysis import paper
from analysis.records import COLUMNS, Study
from sweeps.languages import HIGH, LOW, XLM_7, language_set

MIDDLE = tuple(code for code in XLM_7 if code not in (*HIGH, *LOW))
ALL_TEXT, SOME_TEXT = math.inf, 1e9
"""CommonCrawl is all text there is; how much Wikipedia held is not known, so its place on the axis stands for it."""
_RUN: dict[str, Any] = {
    "K": 7, "alpha": 0.3, "vocabulary": 150_000, "kind": "xlm-r", "width": 768, "layers": 12,
    "body_parameters": 84_934_656, "embedding_parameters": 115_200_000, "batch_tokens": 8192 * paper.ROW_TOKENS,
    "steps": 1_500_000, "tokens": 1, "flops": 1.0, "seed": 0, "sampling": "alpha", "tokenizer_languages": 100,
    "tokenizer_alpha": 0.3, "tokenizer_algorithm": "unigram", "text_bytes": math.inf, "learning_rate": 6e-4,
}  # fmt: skip


def study(*findings: str) -> Study:
    groups = {"high": HIGH, "low": LOW, "core": XLM_7}
    return Study("paper", "", findings, "paper", "CC-100", "", groups, (), "", {})


def records(runs: Iterable[tuple[Mapping[str, Any], Mapping[str, float]]]) -> pd.DataFrame:
    """A table of runs: their axes, and accuracy in points by language."""
    columns: dict[str, list[Any]] = {name: [] for name in COLUMNS}
    for number, (axes, points) in enumerate(runs):
        own = _RUN | dict(axes)
        own["languages"] = ",".join(own.get("languages") or language_set(f"core-{own['K']}"))
        own["K"] = len(own["languages"].split(","))
        for language, value in points.items():
            row = own | {
                "run": f"r{number}", "step": own["steps"], "task": paper.TASK, "split": "test", "language": language,
                "metric": "accuracy", "value": value / 100, "standard_error": 0.006, "n": 5010, "chance": 1 / 3,
                "majority": 1 / 3,
            }  # fmt: skip
            for name, column in columns.items():
                column.append(row[name])
    return pd.DataFrame(columns).astype({name: column.dtype for name, column in COLUMNS.items()})


def _whole(mean: float) -> dict[str, float]:
    return dict.fromkeys(XLM_7, mean)


def _by_group(high: float, low: float, core: float) -> dict[str, float]:
    middle = (len(XLM_7) * core - len(HIGH) * high - len(LOW) * low) / len(MIDDLE)
    return dict.fromkeys(HIGH, high) | dict.fromkeys(LOW, low) | dict.fromkeys(MIDDLE, middle)


def grouped(figure: str) -> dict[Any, dict[str, float]]:
    """Accuracy by language at each place of a figure that shows high, low and all."""
    curves = {curve.group: dict(zip(curve.place, curve.points, strict=True)) for curve in paper.curves(figure)}
    return {
        place: _by_group(curves["high"][place], curves["low"][place], curves["core"][place]) for place in curves["core"]
    }


def table_5(model: str, corpus: str) -> dict[str, float]:
    """Accuracy by language of one row of Table 5."""
    row = next(c for c in paper.curves("table 5") if c.series == f"{model}, {corpus}")
    return dict(zip(row.place, row.points, strict=True))


def _single(figure: str, series: str) -> dict[Any, float]:
    curve = next(c for c in paper.curves(figure) if c.series == series)
    return dict(zip(curve.place, curve.points, strict=True))


def figure_2() -> pd.DataFrame:
    return records(({"K": k}, points) for k, points in grouped("2").items())


def figure_3() -> pd.DataFrame:
    """The cells of Table 5, of which the figure's bars are means."""
    amounts = {paper.WIKIPEDIA: SOME_TEXT, paper.COMMONCRAWL: ALL_TEXT}
    return records(({"text_bytes": n}, table_5(paper.ZERO_SHOT, corpus)) for corpus, n in amounts.items())


def figure_4() -> pd.DataFrame:
    return records(
        ({"K": k, "width": width}, _whole(_single("4", series)[k])) for (series, k), width in paper.WIDTHS.items()
    )


def figure_5() -> pd.DataFrame:
    return records(({"K": 100, "alpha": alpha}, points) for alpha, points in grouped("5").items())


def figure_6_total() -> pd.DataFrame:
    """Widths that give 200 million parameters in all."""
    runs = []
    for size, mean in _single("6", paper.TOTAL).items():
        width = round((-size + math.sqrt(size**2 + 4 * 144 * 200e6)) / (2 * 144))
        axes = {"K": 100, "vocabulary": size, "width": width, "embedding_parameters": size * width}
        runs.append((axes | {"body_parameters": 144 * width**2}, _whole(mean)))
    return records(runs)


def figure_6_body() -> pd.DataFrame:
    sizes = _single("6", paper.BODY)
    return records(
        ({"K": 100, "vocabulary": v, "embedding_parameters": v * 768}, _whole(mean)) for v, mean in sizes.items()
    )


def figure_7_batch() -> pd.DataFrame:
    return records(({"batch_tokens": n}, _whole(mean)) for n, mean in _single("7", "batch").items())


def figure_7_tokenizer() -> pd.DataFrame:
    return records(({"tokenizer_algorithm": name}, _whole(mean)) for name, mean in _single("7", "tokenizer").items())


def monolingual(model: str, corpus: str) -> pd.DataFrame:
    """Table 5: seven models of one language each against one row of XLM-7."""
    alone = table_5(paper.MONOLINGUAL, corpus)
    own = {"vocabulary": 40_000, "tokenizer_languages": 1}
    runs = [(own | {"languages": [code]}, {code: points}) for code, points in alone.items()]
    return records([*runs, ({"tokenizer_languages": 7}, table_5(model, corpus))])
