"""Loss curves of many runs in one table, read fast enough for a thousand of them."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pandas as pd

from analysis.records import json_lines
from sweeps.errors import BadInput

_CURVE = ("step", "attempt", "tokens", "bits_per_byte", "skipped")
_EPOCHS = re.compile(r'"epochs": \{[^{}\n]*\}, ')
"""Of a line of metrics: with a hundred languages most of it, and no part of a curve."""


def read_curves(root: Path, runs: Iterable[str]) -> pd.DataFrame:
    """The loss curves of many runs in one table, by run and step, as `read_metrics` reads one.

    Columns: run, step, attempt, tokens, bits_per_byte (NaN where every update was refused), skipped (updates left out
    since the line before), returns (how often the run had gone back by then). Runs with no curve have no row.
    """
    columns: dict[str, list[Any]] = {name: [] for name in ("run", *_CURVE, "returns")}
    for run in runs:
        path = root / "runs" / run / "metrics.jsonl"
        if not path.is_file():
            continue
        steps: dict[int, dict[str, Any]] = {}
        for line in json_lines(path, torn_end=True, without=_EPOCHS):
            try:
                seen = steps.get(line["step"])
                if seen is None or seen["attempt"] <= line["attempt"]:
                    steps[line["step"]] = line
            except (KeyError, TypeError) as error:
                raise BadInput(
                    f"{path}: every line needs attempt and step as numbers, and {line!r:.80} has not: remove the line "
                    "or do the run again"
                ) from error
        windows = _returns(path.parent / "returns.json")
        for step in sorted(steps):
            columns["run"].append(run)
            columns["returns"].append(sum(stop <= step for stop in windows))
            for name in _CURVE:
                columns[name].append(steps[step].get(name))
    table = pd.DataFrame(columns)
    table["skipped"] = table["skipped"].fillna(0)
    kinds = {"step": "int64", "attempt": "int64", "skipped": "int64", "tokens": "float64", "bits_per_byte": "float64"}
    for name, kind in kinds.items():
        try:
            table[name] = table[name].astype(kind)
        except (TypeError, ValueError) as error:
            numbers = pd.to_numeric(table[name], errors="coerce")
            path = root / "runs" / str(table["run"][numbers.isna() & table[name].notna()].min()) / "metrics.jsonl"
            raise BadInput(f"{path}: some {name} is no number ({error}); do the run again") from error
    return table


def _returns(path: Path) -> list[int]:
    """The steps to whose end a run had come when it went back to an earlier checkpoint and passed their text over."""
    if not path.is_file():
        return []
    try:
        return [int(stop) for _, stop in json.loads(path.read_text(encoding="utf-8")).get("passed_over", ())]
    except (ValueError, TypeError, AttributeError) as error:
        raise BadInput(f"{path} is not a list of what was passed over ({error}); restore it or delete it") from error
