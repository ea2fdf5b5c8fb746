"""Simulated studies as tables: cells whose truth is known, one shift a run and a smaller one a language."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import product
from typing import Any

import numpy as np
import pandas as pd

from analysis.records import COLUMNS, Study

NESTED = ["en", "sv", "de", "da", "ru", "uk", "hi", "ur", "it", "es", "pl", "cs", "ja", "ko", "tr", "fi"]
GROUPS = {"high": ("en",), "low": ("sv",), "core": ("en", "sv")}
Truth = Callable[[str, Mapping[str, Any]], float]

_AXES = {
    "K": 4,
    "alpha": 0.3,
    "vocabulary": 4000,
    "kind": "modern",
    "width": 64,
    "layers": 3,
    "body_parameters": 150_000,
    "embedding_parameters": 256_000,
    "batch_tokens": 1024,
    "steps": 2000,
    "tokens": 2_048_000,
    "flops": 1e12,
    "sampling": "alpha",
    "tokenizer_languages": 16,
    "tokenizer_alpha": 0.3,
    "tokenizer_algorithm": "unigram",
    "text_bytes": math.inf,
    "learning_rate": 0.004,
}


def cells(**axes: Sequence[Any]) -> list[dict[str, Any]]:
    """Every combination."""
    return [dict(zip(axes, values, strict=True)) for values in product(*axes.values())]


def study(*findings: str) -> Study:
    return Study("simulated", "", findings, "", "", "", GROUPS, (), "", {})


def table(
    grid: Iterable[Mapping[str, Any]], truth: Truth, seeds: int, noise: float, draw: np.random.Generator
) -> pd.DataFrame:
    """Held-out records of every cell and seed: truth plus N(0, noise) a run plus N(0, noise / 3) a language."""
    rows: list[dict[str, Any]] = []
    for number, cell in enumerate(grid):
        own = _AXES | dict(cell)
        own["languages"] = own.get("languages") or ",".join(NESTED[: own["K"]])
        own["K"] = len(own["languages"].split(","))
        own["tokens"] = own["batch_tokens"] * own["steps"]
        fixed = own | {
            "run": f"r{number}", "seed": 0, "step": own["steps"], "task": "heldout", "split": "heldout",
            "metric": "bits_per_byte", "standard_error": math.nan, "n": 1, "chance": math.nan, "majority": math.nan,
        }  # fmt: skip
        rows += [fixed | {"language": code, "value": truth(code, own)} for code in own["languages"].split(",")]
    one = pd.DataFrame(rows)[list(COLUMNS)].astype({name: column.dtype for name, column in COLUMNS.items()})
    cell = pd.factorize(one["run"])[0]
    many = one.loc[np.tile(one.index, seeds)].reset_index(drop=True)
    seed = np.repeat(np.arange(seeds), len(one))
    many["seed"] = seed
    many["run"] = many["run"] + "-" + many["seed"].astype(str)
    shift = draw.normal(0, noise, (seeds, cell.max() + 1)) if len(one) else np.zeros((seeds, 1))
    many["value"] += shift[seed, np.tile(cell, seeds)] + draw.normal(0, noise / 3, len(many))
    return many


PAIRS = ("de,da", "ru,uk", "hi,ur", "de,ru", "de,hi", "ru,hi", "da,uk", "uk,ur")
GRIDS: dict[str, list[dict[str, Any]]] = {
    "F1": cells(K=(2, 4, 8, 16)),
    "F2": cells(K=(2, 4, 8, 16)),
    "F3": [
        {"K": 2, "tokenizer_languages": 2},
        {"K": 2},
        {"K": 4, "tokenizer_languages": 4},
        {"K": 4},
        {"K": 16},
        {"K": 4, "steps": 4000},
        {"K": 16, "steps": 16000},
    ],
    "F4": cells(K=(2, 16), width=(32, 64, 128)),
    "F5": [
        {"K": k, "alpha": 0.0, "width": w, "body_parameters": 36 * w * w, "steps": s}
        for k in (2, 4, 8, 16)
        for w in (24, 48, 96)
        for s in (600, 2400)
    ],
    "F6": cells(alpha=(0.0, 0.3, 0.7, 1.0)),
    "F7": cells(alpha=(0.0, 0.3, 0.7, 1.0)),
    "F8": cells(alpha=(0.1, 0.3, 1.0), width=(32, 64), steps=(800, 2400)),
    "F9": [
        {"vocabulary": v, "width": w, "embedding_parameters": v * w, "body_parameters": 800_000 - v * w}
        for v, w in ((3000, 96), (6000, 64), (12000, 48), (24000, 24))
    ],
    "F10": cells(vocabulary=(3000, 6000, 12000, 24000)),
    "F11": cells(K=(2, 4, 16), vocabulary=(2000, 4000, 8000)),
    "F12": cells(tokenizer_alpha=(0.0, 0.3, 1.0), alpha=(0.0, 1.0)),
    "F13": cells(text_bytes=(3e4, 3e5, 1e6)),
    "F14": cells(batch_tokens=(256, 512), steps=(800, 1600, 3200)),
    "F15": cells(tokenizer_algorithm=("unigram", "bpe")),
    "F16": [{"languages": code, "tokenizer_languages": 1} for code in NESTED[:4]]
    + [{"K": 4, "tokenizer_languages": 4}],
    "F17": [{"languages": p, "width": w} for p in PAIRS for w in (32, 64)]
    + [{"languages": c, "width": w, "steps": 1000} for c in ("de", "da", "ru", "uk", "hi", "ur") for w in (32, 64)],
    "F18": cells(K=(2, 16), text_bytes=(2e4, 1e5, 4e5)),
}
"""What a study of the finding runs, in small."""


def _kin(cell: Mapping[str, Any]) -> bool:
    return cell["languages"] in PAIRS[:3]


def effect(finding: str) -> Truth:
    """A world in which the finding holds, far above a noise of 0.02."""

    def truth(language: str, cell: Mapping[str, Any]) -> float:
        k, high = math.log2(cell["K"]), language == "en"
        small, alpha = 64 / cell["width"], cell["alpha"]
        vocabulary, steps = math.log2(cell["vocabulary"] / 8000), math.log2(cell["steps"] / 2000)
        text = 0.0 if math.isinf(cell["text_bytes"]) else math.log10(cell["text_bytes"] / 1e6)
        worlds = {
            "F1": 0.1 * k,
            "F2": 0.1 * (k - 2) ** 2,
            "F3": 0.1 * k - 0.05 * steps * (cell["K"] > 2) + 0.03 * (cell["tokenizer_languages"] > 2),
            "F4": 0.1 * k * small,
            "F5": 0.0,
            "F6": (-0.3 if high else 0.3) * alpha,
            "F7": 1.0 * (alpha - 0.35) ** 2,
            "F8": 0.3 * alpha * small,
            "F9": 0.1 * vocabulary**2,
            "F10": 0.2 * 2.0 ** -(vocabulary + 1.5),
            "F11": -0.05 * vocabulary * k,
            "F12": (-0.3 if high else 0.3) * cell["tokenizer_alpha"],
            "F13": (-0.1 if high else -0.3) * text,
            "F14": -0.1 * steps - 0.1 * math.log2(cell["batch_tokens"] / 512),
            "F15": 0.0,
            "F16": 0.2 * (cell["K"] > 1),
            "F17": (0.0 if cell["K"] == 1 else (-0.3 if _kin(cell) else 0.1 * small)),
            "F18": 0.1 * k * -text,
        }
        return 2.5 + worlds[finding]

    if finding == "F5":
        return lambda language, cell: (
            1.0 + 40 * cell["K"] ** 0.15 / cell["body_parameters"] ** 0.35
            + 60 * cell["K"] ** -0.04 / (cell["steps"] * 1024 / cell["K"]) ** 0.4
        )  # fmt: skip
    return truth


def nothing(language: str, cell: Mapping[str, Any]) -> float:
    """Nothing that a study varies has an effect."""
    return 2.5


def no_law_in_k(language: str, cell: Mapping[str, Any]) -> float:
    """Size and tokens matter, K does not."""
    tokens = cell["steps"] * 1024 / cell["K"]
    return float(1.0 + 40 / cell["body_parameters"] ** 0.35 + 60 / tokens**0.4)


def half(finding: str) -> Truth:
    """A world in which one claim of the finding's two holds and the other is exactly nothing: where a rule that asks
    for both errs most."""

    def truth(language: str, cell: Mapping[str, Any]) -> float:
        high, kin = language == "en", _kin(cell)
        vocabulary, steps = math.log2(cell["vocabulary"] / 8000), math.log2(cell["steps"] / 2000)
        text = 0.0 if math.isinf(cell["text_bytes"]) else math.log10(cell["text_bytes"] / 1e6)
        worlds = {
            "F2": 0.3 * (cell["K"] == 2),
            "F6": 0.0 if high else 0.3 * cell["alpha"],
            "F7": 0.3 * (cell["alpha"] == 0.0),
            "F9": 0.3 * (cell["vocabulary"] == 3000),
            "F10": -0.2 * vocabulary,
            "F12": 0.0 if high else 0.3 * cell["tokenizer_alpha"],
            "F13": -0.1 * text,
            "F14": -0.1 * steps,
            "F17": -0.3 * kin,
        }
        return 2.5 + worlds[finding]

    return truth


HALVES = ("F2", "F6", "F7", "F9", "F10", "F12", "F13", "F14", "F17")


def at_the_margin(language: str, cell: Mapping[str, Any]) -> float:
    """Tokenizers exactly as far apart as would still be called equal: F15's null."""
    return 2.5 + 0.02513 * (cell["tokenizer_algorithm"] == "bpe")


NULLS: dict[str, Truth] = dict.fromkeys(GRIDS, nothing) | {"F5": no_law_in_k, "F15": at_the_margin}
NOISE = {"F5": 0.005, "F15": 0.005}
"""Of a run, where it is not 0.02."""
