"""The table: what it holds, what it refuses, and that it is the same every time."""

from __future__ import annotations

import json
import math
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from analysis.completeness import cell_states
from analysis.curves import read_curves
from analysis.records import (
    COLUMNS,
    TABLE_SCHEMA,
    collect,
    completeness,
    load_study,
    read_metrics,
    read_parquet,
    write_parquet,
)
from analysis.report.attempts import made
from sweeps.errors import BadInput


def _append(store: Any, run: str, **row: Any) -> None:
    fixed = {"schema": 1, "run": run, "step": 3000, "task": "heldout", "split": "heldout", "language": "en"}
    fixed |= {"metric": "bits_per_byte", "value": 9.0, "standard_error": 0.1, "n": 5, "details": {}}
    with (store.root / "runs" / run / "records.jsonl").open("a", encoding="utf-8") as out:
        out.write(json.dumps(fixed | row) + "\n")


def test_the_table_has_the_documented_columns_and_types_even_when_nothing_is_done(store: Any) -> None:
    store.run(2, done=False)
    study = load_study(store.root, store.study())
    empty = collect(store.root, study)
    assert len(empty) == 0
    store.run(2)
    full = collect(store.root, study)
    for df in (empty, full):
        assert list(df.columns) == list(COLUMNS)
        assert {name: str(df[name].dtype) for name in df} == {name: c.dtype for name, c in COLUMNS.items()}
    assert set(full["languages"]) == {"en,sv"}
    assert all(column.doc for column in COLUMNS.values())


def test_unfinished_runs_are_left_out_and_named(store: Any) -> None:
    store.run(2, seed=0)
    late = store.run(2, seed=1, done=False)
    store.ids.append("never-begun")
    study = load_study(store.root, store.study())
    state = completeness(store.root, study)
    assert (state.expected, state.done, state.missing) == (3, 1, (late, "never-begun"))
    assert set(collect(store.root, study)["seed"]) == {0}


def test_a_number_measured_twice_is_kept_as_it_was_written_last(store: Any) -> None:
    run = store.run(2)
    _append(store, run, value=7.25)
    _append(store, run, value=8.25, step=1500)
    df = collect(store.root, load_study(store.root, store.study()))
    english = df[(df["language"] == "en") & (df["metric"] == "bits_per_byte")]
    assert english.set_index("step")["value"].to_dict() == {1500: 8.25, 3000: 7.25}


def test_row_order_does_not_depend_on_the_order_of_the_study_file(store: Any) -> None:
    store.grid(seeds=2)
    there = collect(store.root, load_study(store.root, store.study("a")))
    back = collect(store.root, load_study(store.root, store.study("b", runs=store.ids[::-1])))
    pd.testing.assert_frame_equal(there, back)


def test_sampling_without_an_alpha_is_a_missing_number(store: Any) -> None:
    store.run(2, alpha=None)
    assert collect(store.root, load_study(store.root, store.study()))["alpha"].isna().all()


def test_a_study_never_submitted_is_refused_with_those_that_were(store: Any) -> None:
    store.run(2)
    store.study("real")
    for name in ("unreal", "../studies/real"):
        with pytest.raises(BadInput, match=r"never submitted.*real.*babelscale submit"):
            load_study(store.root, name)


@pytest.mark.parametrize("line", ['{"schema": 1, "run"', "[1]", '{"schema": 2}', '{"schema": 1, "run": "other"}'])
def test_a_broken_or_foreign_record_is_refused_with_its_file(store: Any, line: str) -> None:
    run = store.run(2)
    with (store.root / "runs" / run / "records.jsonl").open("a", encoding="utf-8") as out:
        out.write(line + "\n")
    with pytest.raises(BadInput, match=r"records\.jsonl"):
        collect(store.root, load_study(store.root, store.study()))


@pytest.mark.parametrize("field", [{"value": "x"}, {"step": 1.5}, {"n": "x"}, {"language": ["en"]}, {"value": True}])
def test_a_field_of_the_wrong_kind_is_refused_by_name(store: Any, field: dict[str, Any]) -> None:
    store.grid(seeds=1)
    path = store.root / "runs" / store.ids[0] / "records.jsonl"
    first, *rest = path.read_text("utf-8").splitlines()
    path.write_text("\n".join([json.dumps(json.loads(first) | field), *rest]), "utf-8")
    with pytest.raises(BadInput, match=f"record 1: {next(iter(field))} is "):
        collect(store.root, load_study(store.root, store.study()))


def test_run_axes_that_lack_a_field_are_refused_by_name(store: Any) -> None:
    path = store.root / "runs" / store.run(2) / "run.json"
    raw = json.loads(path.read_text("utf-8"))
    del raw["axes"]["width"]
    path.write_text(json.dumps(raw), "utf-8")
    with pytest.raises(BadInput, match=r"run\.json: axes lacks width"):
        load_study(store.root, store.study())


def test_parquet_keeps_the_table_and_its_bytes_never_vary(store: Any, tmp_path: Path) -> None:
    store.grid(seeds=1, accuracy=lambda *_: 0.5)
    df = collect(store.root, load_study(store.root, store.study()))
    one, two = tmp_path / "a" / "one.parquet", tmp_path / "two.parquet"
    write_parquet(df, one)
    write_parquet(df, two)
    assert one.read_bytes() == two.read_bytes()
    pd.testing.assert_frame_equal(read_parquet(one), df)
    assert [p.name for p in one.parent.iterdir()] == ["one.parquet"]


def test_parquet_of_another_schema_or_none_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "t.parquet"
    with pytest.raises(BadInput, match="does not exist"):
        read_parquet(path)
    pd.DataFrame({"a": [1]}).to_parquet(path)
    with pytest.raises(BadInput, match=f"schema none, this version reads {TABLE_SCHEMA}"):
        read_parquet(path)
    path.write_bytes(b"no parquet")
    with pytest.raises(BadInput, match="not a Parquet file"):
        read_parquet(path)


def test_the_loss_curve_keeps_the_newest_attempt_and_survives_a_cut_last_line(tmp_path: Path) -> None:
    rows = [(1, 100, 5.0), (1, 200, 4.0), (1, 300, 3.9), (2, 200, 4.1), (2, 300, 3.8)]
    text = "".join(json.dumps({"attempt": a, "step": s, "loss": v}) + "\n" for a, s, v in rows)
    (tmp_path / "metrics.jsonl").write_text(text + '{"attempt": 2, "st', "utf-8")
    curve = read_metrics(tmp_path)
    assert curve["step"].tolist() == [100, 200, 300]
    assert curve["loss"].tolist() == [5.0, 4.1, 3.8]
    assert read_metrics(tmp_path / "none").empty


def test_numbers_that_nothing_holds_are_named_with_their_file(store: Any) -> None:
    store.grid(ks=(2,), widths=(64,), seeds=2)
    run, other = store.ids
    study = load_study(store.root, store.study())
    _append(store, run, n=10**20)
    with pytest.raises(BadInput, match=r"record \d+: n is 1000+, not a whole number; evaluate the run again"):
        collect(store.root, study)
    folder = store.root / "runs" / other
    (folder / "metrics.jsonl").write_text('{"attempt": 1, "step": 1}\n{"attempt": null, "step": 1}\n', "utf-8")
    with pytest.raises(BadInput, match=r"metrics\.jsonl: every line needs attempt and step as numbers"):
        read_curves(store.root, [other])
    # A witness that says nothing of use is passed over.
    (folder / "done.json").write_text('{"tasks": 3, "train_seconds": "abc", "branch": 2, "device": 5}', "utf-8")
    (folder / "heartbeat.json").write_text('{"step": "x", "time": []}', "utf-8")
    (told,) = [one for one in made(store.root, study) if one.run == other]
    assert math.isnan(told.train_seconds) and told.done and told.taken == 0
    assert len(cell_states(store.root, study, collect(store.root, replace(study, runs=(other,))))) == 1


def test_analysis_loads_neither_torch_nor_the_harness_and_drawing_only_when_it_draws() -> None:
    code = (
        "import sys, analysis, analysis.records, analysis.statistics, analysis.axes, analysis.findings, "
        "analysis.figures, analysis.report\n"
        "heavy = ('torch', 'harness', 'models', 'transformers', 'matplotlib', 'jinja2')\n"
        "loaded = [m for m in heavy if m in sys.modules]\n"
        "assert not loaded, loaded"
    )
    subprocess.run([sys.executable, "-c", code], check=True, env=None)


def test_a_study_file_under_another_name_is_refused(store: Any) -> None:
    store.grid(ks=(2,), widths=(64,), seeds=1)
    (store.root / "studies" / "copy.json").write_bytes((store.root / "studies" / f"{store.study()}.json").read_bytes())
    with pytest.raises(BadInput, match=r"copy\.json holds the study 'demo'"):
        load_study(store.root, "copy")


def test_of_a_benchmark_the_stages_that_the_study_asks_for_count(store: Any) -> None:
    """Changed files are another stage: a language that they lack keeps no score of the former ones."""
    run = store.run(2)
    path = store.root / "runs" / run / "records.jsonl"
    rows = [
        store._row(run, "sib200", "test", code, "accuracy", value, details={"stage": f"sib200@{stage}"})
        for stage, code, value in (("old", "en", 0.5), ("old", "sv", 0.4), ("new", "en", 0.6), ("other", "en", 0.9))
    ]
    path.write_text(path.read_text("utf-8") + "".join(json.dumps(row) + "\n" for row in rows), "utf-8")

    def scored(*evaluate: str) -> dict[str, float]:
        notes: list[str] = []
        df = collect(store.root, load_study(store.root, store.study(evaluate=list(evaluate))), notes)
        assert notes == []
        own = df[df["task"] == "sib200"]
        return dict(zip(own["language"], own["value"], strict=True))

    assert scored("heldout", "sib200@new") == {"en": 0.6}
    assert scored("heldout", "sib200@old") == {"en": 0.5, "sv": 0.4}
    assert scored("heldout") == {}
