"""Nothing is dropped in silence: what is missing, doubled, stale or no number is said."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import worlds

from analysis.axes import language_axis
from analysis.cautions import cautions
from analysis.export import csv_bytes, latex_tabular, latex_text
from analysis.figures import languages
from analysis.findings import judge
from analysis.laws.language_count import law_points
from analysis.records import collect, completeness, load_study
from analysis.report.tables import by_language
from analysis.statistics import BITS, final, group_mean


def _said(store: Any, **changes: Any) -> list[str]:
    study = load_study(store.root, store.study(**changes))
    notes: list[str] = []
    df = collect(store.root, study, notes)
    return notes + cautions(df, study, completeness(store.root, study))


def _edit(store: Any, run: str, change: Any) -> None:
    path = store.root / "runs" / run / "records.jsonl"
    rows = [json.loads(line) for line in path.read_text("utf-8").splitlines()]
    path.write_text("".join(json.dumps(row) + "\n" for row in change(rows)), "utf-8")


def test_a_whole_and_sound_study_has_nothing_to_say(store: Any) -> None:
    store.grid(widths=(64,))
    assert _said(store) == []


def test_values_that_are_no_numbers_are_counted_and_their_means_left_out(store: Any) -> None:
    store.grid(widths=(64,))
    run = store.ids[0]
    _edit(store, run, lambda rows: [rows[0] | {"value": math.nan}, *rows[1:]])
    (said,) = _said(store)
    assert "1 values are not numbers" in said and run in said and "en" in said


def test_one_seed_is_said_and_so_is_a_cell_with_one(store: Any) -> None:
    store.grid(widths=(64,), seeds=1)
    assert any("every cell has one seed" in text for text in _said(store))
    store.run(2, seed=1)
    assert any("2 of 3 cells have one seed" in text for text in _said(store))


def test_numbers_measured_twice_are_said_where_they_differ(store: Any) -> None:
    store.grid(widths=(64,))
    _edit(store, store.ids[0], lambda rows: [*rows, rows[0]])
    assert _said(store) == [], "the same number again is no news"
    _edit(store, store.ids[0], lambda rows: [*rows, rows[0] | {"value": 9.0}])
    (said,) = _said(store)
    assert "1 numbers were measured twice with different results" in said


def test_missing_and_stale_runs_and_a_missing_language_are_said(store: Any) -> None:
    store.grid(widths=(64,))
    (store.root / "runs" / store.ids[0] / "done.json").unlink()
    _edit(store, store.ids[1], lambda rows: [row for row in rows if row["language"] != "sv"])
    _edit(store, store.ids[2], lambda rows: [row | {"step": 1000} for row in rows])
    _edit(store, store.ids[3], lambda rows: [row for row in rows if row["task"] != "heldout"])
    said = " | ".join(_said(store))
    assert "1 of 9 runs are not finished" in said
    assert "1 runs have no held-out loss for sv of the core group" in said
    assert "scored at an earlier step" in said and "step 1000 of 3000" in said
    assert "1 finished runs have no held-out loss" in said


def test_a_group_whose_language_no_run_was_trained_on_is_named(store: Any) -> None:
    store.grid(widths=(64,))
    said = _said(store, groups={"high": ["en"], "low": ["xx"], "core": ["en", "xx"]})
    assert "no run was trained on xx, which the low group names" in said


def test_runs_of_mixed_versions_are_said(store: Any) -> None:
    store.grid(widths=(64,))
    path = store.root / "runs" / store.ids[0] / "run.json"
    path.write_text(json.dumps(json.loads(path.read_text("utf-8")) | {"science": {"version": 2}}), "utf-8")
    (said,) = _said(store)
    assert "mixed versions" in said


def test_two_runs_with_one_seed_in_a_cell_are_said_and_count_as_one_seed(store: Any) -> None:
    store.grid(widths=(64,))
    first = store.root / "runs" / store.ids[0]
    second = store.root / "runs" / f"{store.ids[0]}-again"
    second.mkdir()
    for name in ("run.json", "records.jsonl", "done.json"):
        (second / name).write_text((first / name).read_text("utf-8").replace(store.ids[0], second.name), "utf-8")
    store.ids.append(second.name)
    (said,) = _said(store)
    assert "1 cells hold several runs with one seed" in said and store.ids[0] in said
    study = load_study(store.root, "demo")
    means = group_mean(collect(store.root, study), BITS, ("en", "sv"))
    assert len(means) == 9 and (means.groupby("K")["seed"].nunique() == 3).all()
    points = languages.data(collect(store.root, study), study)
    assert set(points["seeds"]) == {3}, "of each language too"
    (grid,) = by_language(final(collect(store.root, study), BITS), study, "bits", 1.0, 3)
    assert "± " in grid.rows[0][2].text and not any(entry.note for row in grid.rows for entry in row)
    part = language_axis(collect(store.root, study))
    assert len(part.averaged) == 1 and not part.cautions, (
        "a figure has it from the study's cautions, a verdict from here"
    )
    (verdict,) = judge(collect(store.root, study), replace(study, findings=("F1",)))
    assert set(part.averaged) <= set(verdict.cautions)


def test_a_value_that_is_no_number_takes_its_run_out_of_means_and_laws_and_no_other(store: Any) -> None:
    for value in (math.nan, math.inf):
        store.grid(widths=(64,), ks=(2, 4, 16))
        run = store.ids[0]
        _edit(store, run, lambda rows, value=value: [rows[0] | {"value": value}, *rows[1:]])
        study = load_study(store.root, store.study(findings=["F1"]))
        df = collect(store.root, study)
        assert (
            len(group_mean(df, BITS, ("en", "sv"))) == 8
            and np.isfinite(group_mean(df, BITS, ("en", "sv"))["value"]).all()
        )
        points = law_points(df, ("en", "sv"))
        assert len(points) == 8 and run not in set(points["run"])
        (verdict,) = judge(df, study)
        assert verdict.seeds == 2 and math.isfinite(verdict.effect)


def test_all_the_text_there_is_stands_beside_a_limit_on_it() -> None:
    grid = [{"text_bytes": b} for b in (1e5, math.inf)]
    df = worlds.table(
        grid, lambda code, cell: 2.5 + 0.3 * math.isfinite(cell["text_bytes"]), 3, 0.01, np.random.default_rng(0)
    )
    (verdict,) = judge(df, worlds.study("F13"))
    assert verdict.seeds == 3 and verdict.details["text"] == ["1e+05 bytes", "all text"]
    assert verdict.details["low group gains"]["effect"] == pytest.approx(0.3, abs=0.05)


def test_the_table_goes_to_csv_and_latex(store: Any) -> None:
    store.grid(widths=(64,))
    df = collect(store.root, load_study(store.root, store.study()))
    lines = csv_bytes(df).decode().splitlines()
    assert len(lines) == len(df) + 1 and lines[0].startswith("run,languages,K,alpha")
    text = latex_tabular(df[["language", "metric", "value"]].head(2))
    assert r"bits\_per\_byte" in text and text.count(r"\\") == 3 and r"\begin{tabular}{llr}" in text
    assert latex_text("50 % & _x_ – ж") == r"50 \% \& \_x\_ -- ?"
