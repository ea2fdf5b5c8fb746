"""Cells that never left the unigram plateau are named."""

from __future__ import annotations

import json
from typing import Any

import pandas as pd
import pytest

from analysis.plateau import margins, sentence
from analysis.records import AXES, collect, load_study

GROUPS = {"high": ["en"], "low": ["sv"]}


def with_levels(store: Any, level: float, groups: dict[str, list[str]]) -> str:
    """The small grid, with a recorded unigram level in every language."""
    store.grid(ks=(2, 16), widths=(64,), seeds=2, noise=0.0)
    for run in store.ids:
        path = store.root / "runs" / run / "records.jsonl"
        rows = [json.loads(line) for line in path.read_text("utf-8").splitlines()]
        bits = [row for row in rows if row["metric"] == "bits_per_byte"]
        rows += [row | {"metric": "unigram_bits_per_byte", "value": level} for row in bits]
        path.write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
    return str(store.study(groups=groups))


def told(store: Any, level: float, groups: dict[str, list[str]] = GROUPS) -> tuple[dict[tuple[str, int], float], str]:
    study = load_study(store.root, with_levels(store, level, groups))
    table = margins(collect(store.root, study), study)
    return {(row["group"], row["K"]): row["margin"] for _, row in table.iterrows()}, sentence(table)


def test_the_margin_is_the_level_less_what_the_cell_reached(store: Any) -> None:
    found, text = told(store, 5.0)
    assert found["high", 2] == pytest.approx(5.0 - 2.15) and found["high", 16] == pytest.approx(5.0 - 2.6)
    assert text.startswith("every cell ends past the unigram plateau, by ") and "low group at K 16" in text


def test_a_cell_that_is_not_past_it_is_named(store: Any) -> None:
    found, text = told(store, 2.3)
    assert found["high", 2] > 0 > found["high", 16]
    assert text.startswith("not past the unigram plateau: ") and "high group at K 16" in text
    assert "high group at K 2," not in text


def test_without_a_recorded_level_nothing_is_claimed(store: Any) -> None:
    store.grid(ks=(2,), widths=(64,), seeds=1)
    study = load_study(store.root, store.study())
    assert sentence(margins(collect(store.root, study), study)) == ""


def test_a_starved_group_is_named_beside_a_core_that_is_past(store: Any) -> None:
    """With 16 languages English reaches 2.6 here, and Swedish 4.6."""
    found, text = told(store, 4.0, GROUPS | {"core": ["en", "sv"]})
    assert found["core", 16] > 0 > found["low", 16]
    assert text.startswith("every cell ends past the unigram plateau, by ")
    assert "behind it though is the low group at K 16" in text


def test_of_many_cells_the_farthest_behind_are_named_and_the_others_counted() -> None:
    rows = [{"K": k, "alpha": 0.3, "width": 32, "group": "core", "margin": -0.1 * k} for k in range(1, 10)]
    text = sentence(pd.DataFrame(rows, columns=[*AXES, "group", "margin", "seeds"]))
    assert "core group at K 9, alpha 0.3, width 32 by -0.900; core group at K 8" in text
    assert "K 4, alpha 0.3, width 32 by -0.400; and 3 more. These cells" in text and "K 3" not in text
