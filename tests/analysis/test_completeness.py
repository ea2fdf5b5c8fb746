"""Every planned run is counted once, in the cell it belongs to, with what it wants."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pandas as pd
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from analysis.completeness import COUNTS, cell_states
from analysis.records import collect, load_study


def _cells(store: Any, **changes: Any) -> pd.DataFrame:
    study = load_study(store.root, store.study(**changes))
    return cell_states(store.root, study, collect(store.root, study))


def _write(path: Path, value: Any) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(value), "utf-8")


def _row(table: pd.DataFrame, k: int) -> dict[str, Any]:
    found: dict[str, Any] = table[table["K"] == k].iloc[0].to_dict()
    return found


def test_a_whole_study_is_one_clean_row_a_cell_over_the_axes_that_it_varies(store: Any) -> None:
    store.grid()
    table = _cells(store)
    assert list(table.columns) == ["K", "width", *COUNTS, "why"]
    assert table[["K", "width"]].to_numpy().tolist() == [[2, 64], [2, 128], [4, 64], [4, 128], [16, 64], [16, 128]]
    assert (table["planned"] == 3).all() and (table["done"] == 3).all()
    assert table[["partial", "missing", "stale"]].to_numpy().sum() == 0 and set(table["why"]) == {""}


def test_what_was_begun_is_partial_and_what_was_not_is_missing(store: Any) -> None:
    store.grid(widths=(64,))
    begun, checkpointed, trained, untouched = (store.run(8, seed=s, done=False) for s in range(4))
    for run in (checkpointed, trained, untouched):
        (store.root / "runs" / run / "records.jsonl").unlink()
    (store.root / "runs" / checkpointed / "checkpoints" / "step-00000400").mkdir(parents=True)
    weights = store.root / "runs" / trained / "final" / "model.safetensors"
    weights.parent.mkdir()
    weights.write_bytes(b"weights")
    row = _row(_cells(store), 8)
    assert (row["planned"], row["done"], row["partial"], row["missing"]) == (4, 0, 3, 1)
    assert "begun, checkpoint at step 400" in row["why"] and "trained, not fully evaluated" in row["why"]
    assert "begun, no checkpoint" in row["why"] and "not begun" in row["why"]
    assert begun not in row["why"], "a cell's row names reasons; the caller has the runs"


def test_a_run_that_was_done_for_fewer_evaluations_is_partial(store: Any) -> None:
    store.grid(widths=(64,))
    _write(store.root / "runs" / store.ids[0] / "done.json", {"tasks": ["heldout"]})
    _write(store.root / "runs" / store.ids[1] / "done.json", {"tasks": ["heldout", "xnli@1"]})
    row = _row(_cells(store, evaluate=["heldout", "xnli@1"]), 2)
    assert (row["done"], row["partial"], row["why"]) == (2, 1, "not evaluated on xnli@1")


def test_stale_runs_are_done_and_say_why(store: Any) -> None:
    store.grid(widths=(64,))
    early, unscored, older = store.ids[0], store.ids[3], store.ids[6]
    path = store.root / "runs" / early / "records.jsonl"
    rows = [json.loads(line) | {"step": 1000} for line in path.read_text("utf-8").splitlines()]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
    (store.root / "runs" / unscored / "records.jsonl").unlink()
    described = json.loads((store.root / "runs" / older / "run.json").read_text("utf-8"))
    _write(store.root / "runs" / older / "run.json", described | {"science": {"version": 2}})
    for number, run in enumerate(store.ids):
        code = "other" if number == 7 else "same"
        _write(store.root / "runs" / run / "attempts" / "001" / "execution.json", {"code": code})
    table = _cells(store)
    assert list(table["stale"]) == [1, 1, 2] and list(table["done"]) == [3, 3, 3]
    assert "scored at step 1000 of 3000" in _row(table, 2)["why"]
    assert "no held-out loss" in _row(table, 4)["why"]
    assert "version 2 of the recipe's meaning" in _row(table, 16)["why"]
    assert "other code" in _row(table, 16)["why"]


def test_a_run_without_a_description_stands_in_a_row_of_its_own(store: Any) -> None:
    store.grid(widths=(64,))
    last = _cells(store, runs=[*store.ids, "never-queued"]).iloc[-1]
    assert pd.isna(last["K"]) and last["missing"] == 1 and "no run.json" in last["why"]


def test_a_study_of_no_run_has_no_cell(store: Any) -> None:
    assert _cells(store, runs=[]).empty


@settings(deadline=None, max_examples=20, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(gone=st.sets(st.integers(0, 8)), begun=st.sets(st.integers(0, 8)))
def test_every_planned_run_is_counted_once(store: Any, gone: set[int], begun: set[int]) -> None:
    store.grid(widths=(64,))
    for number in gone | begun:
        folder = store.root / "runs" / store.ids[number]
        (folder / "done.json").unlink()
        if number not in begun:
            (folder / "records.jsonl").unlink()
    table = _cells(store)
    assert table["planned"].sum() == 9 and list(table["planned"]) == list(table[["done", "partial", "missing"]].sum(1))
    assert table["partial"].sum() == len(begun) and table["missing"].sum() == len(gone - begun)
