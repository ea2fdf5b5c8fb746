"""collect, figures and report as functions of a store: several studies, bad input, what a script reads."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from made_runs import attempt, describe, finish, tokenizer

from analysis.records import load_study
from analysis.report.actual import grid, reckoned, summary
from analysis.report.gather import gather, making
from harness.cli import main

CODE = "import sys, time; t = time.process_time(); import {0}; print(time.process_time() - t, *sorted(sys.modules))"


def _answer(capsys: pytest.CaptureFixture[str], store: Any, *words: str) -> Any:
    assert main([*words, "--root", str(store.root), "--json"]) == 0
    return json.loads(capsys.readouterr().out)


def _refused(capsys: pytest.CaptureFixture[str], store: Any, *words: str) -> str:
    assert main([*words, "--root", str(store.root)]) == 2
    told = capsys.readouterr()
    assert told.err.startswith("babelscale: ") and told.err.count("\n") == 1 and "Traceback" not in told.err
    return told.err


def _small(store: Any) -> None:
    store.grid(ks=(2, 4), widths=(64,), seeds=2)
    store.study("one", findings=["F1"])
    store.study("two", findings=["F1", "F2"], question="another?")


def test_several_studies_get_a_folder_each_and_a_page_over_all(store: Any, capsys: Any) -> None:
    _small(store)
    told = _answer(capsys, store, "report", "one", "two", "one")
    assert [row["study"] for row in told["studies"]] == ["one", "two"]
    assert all(Path(row[kind]).is_file() for row in told["studies"] for kind in ("report", "latex"))
    assert [v["study"] for v in told["verdicts"]] == ["one", "two", "two"]
    alone = told["studies"][0]["verdicts"][0]
    together = told["verdicts"][0]
    assert alone["p_holm"] == alone["p"] < together["p_holm"] <= 1
    page = Path(told["overview"]).read_text(encoding="utf-8")
    assert 'href="one/report.html"' in page and "another?" in page and "8 of 8 runs finished" in page
    assert (Path(told["overview"]).parent / "one" / "report.html").is_file()


def test_collect_writes_csv_and_latex_beside_the_table(store: Any, capsys: Any) -> None:
    _small(store)
    told = _answer(capsys, store, "collect", "one", "two", "--csv", "--latex")["studies"]
    for row in told:
        assert len(pd.read_csv(row["csv"])) == row["rows"] == len(pd.read_parquet(row["table"]))
        assert r"\begin{tabular}" in Path(row["latex"]).read_text(encoding="utf-8")


def test_what_a_reader_must_be_told_stands_in_the_terminal_and_on_the_page(store: Any, capsys: Any) -> None:
    _small(store)
    path = store.root / "runs" / store.ids[0] / "records.jsonl"
    rows = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    bits = next(row for row in rows if row["metric"] == "bits_per_byte")
    again = [bits | {"value": float("nan")}]
    path.write_text("".join(json.dumps(row) + "\n" for row in [*rows, *again]), encoding="utf-8")
    store.run(4, 64, 7, done=False)
    store.study("one", findings=["F1"])
    assert main(["report", "one", "--root", str(store.root)]) == 0
    shown = capsys.readouterr().out
    page = (store.root / "reports" / "one" / "report.html").read_text(encoding="utf-8")
    for text in ("1 of 5 runs are not finished", "1 values are not numbers", "measured twice with different results"):
        assert f"note: {text}" in shown or text in shown
        assert text in page
    assert main(["figures", "one", "--root", str(store.root)]) == 0
    assert "1 values are not numbers" in capsys.readouterr().out


def test_bad_input_is_one_sentence_and_nothing_is_half_written(store: Any, capsys: Any) -> None:
    _small(store)
    assert "never submitted" in _refused(capsys, store, "report", "one", "capacity")
    broken = store.root / "runs" / store.ids[0] / "records.jsonl"
    broken.write_text(broken.read_text(encoding="utf-8") + "{torn\n", encoding="utf-8")
    for verb in ("collect", "figures", "report"):
        assert "records.jsonl, line" in _refused(capsys, store, verb, "two", "one")
    assert not (store.root / "reports").exists()


@pytest.mark.parametrize("runs", [0, 2])
def test_a_study_of_nothing_or_of_nothing_done_has_a_page_that_says_so(runs: int, store: Any, capsys: Any) -> None:
    for seed in range(runs):
        store.run(2, 64, seed, done=False)
    store.study("none", runs=store.ids)
    told = _answer(capsys, store, "report", "none")
    assert told["cautions"] and {v["verdict"] for v in told["verdicts"]} == {"cannot tell"}
    page = Path(told["report"]).read_text(encoding="utf-8")
    assert f"0 of {runs} runs finished" in page and "No finished run has recorded any" in page
    assert r"\end{document}" in Path(told["latex"]).read_text(encoding="utf-8")


def test_the_plan_is_held_against_what_the_attempts_left(store: Any) -> None:
    run = store.run(2, 64, 0)
    folder = store.root / "runs" / run
    describe(folder)
    attempt(folder, 1, (0, 1500), hours=0.25, state="killed", devices=2)
    attempt(folder, 2, (1000, 3000), began=3600, hours=0.5, code="ffffffffffff", devices=2)
    finish(folder)
    tokenizer(store.root, "feed00c0ffee")
    tokenizer(store.root, "other0000000", vocabulary=8000)
    store.study("one")
    one = gather(store.root, "one")
    made = making(one)
    table = reckoned(made.runs, load_study(store.root, "one"), one.df)
    row = table.iloc[0]
    assert row["hours_made"] == pytest.approx(2 * 0.75) and row["attempts"] == 2 and row["devices"] == "2"
    assert row["again"] == 400 and row["skipped"] == 2  # a line every 100 steps: the second began at 1,000 or later
    assert row["flops_made"] == pytest.approx(row["flops"] * 3400 / 3000)
    assert row["hours_planned"] == pytest.approx(row["flops"] / (0.17e12 * 0.25) / 3600)
    assert "at least 400 steps were done twice" in summary(table) and grid(table).rows[0][1].text == "1 of 1"
    facts = dict(made.provenance.facts)
    assert facts["tokenizers"] == "feed00c0ffee" and facts["corpora"] == "demo-0f3a"
    assert [r[2].text for r in made.provenance.sources.rows] == ["0123456789ab", "ffffffffffff"]
    assert len(made.provenance.attempts.rows) == 2 and "the code changed" in made.provenance.drift[0]


@pytest.mark.parametrize("module", ["analysis", "analysis.report"])
def test_the_analysis_is_imported_fast_and_without_what_is_heavy(module: str) -> None:
    took, loaded = 1e9, set[str]()
    for _ in range(3):  # the fastest of three: the machine may be at other work
        ended = subprocess.run([sys.executable, "-c", CODE.format(module)], capture_output=True, text=True, check=True)
        seconds, *names = ended.stdout.split()
        took, loaded = min(took, float(seconds)), set(names)
        if took < 1.5:
            break
    assert not loaded & {"torch", "matplotlib", "scipy", "jinja2", "transformers"}
    assert module != "analysis" or took < 1.5


def test_table_5_stands_in_the_page_and_in_latex_where_languages_have_a_model_of_their_own(store: Any) -> None:
    for seed in range(2):
        store.run(2, seed=seed)
        for code in ("en", "sv"):
            store.run(1, seed=seed, languages=[code])
    store.study("mono", findings=["F16"])
    assert main(["report", "mono", "--root", str(store.root)]) == 0
    folder = store.root / "reports" / "mono"
    label = "One model a language or one of all, bits per byte"
    page, tex = ((folder / name).read_text("utf-8") for name in ("report.html", "latex/tables/means.tex"))
    assert label in page and "The paper&#39;s Table 5" in page and label in tex
    assert all(rf"{code} & " in tex for code in ("en", "sv", "mean")) and "difference" in tex
