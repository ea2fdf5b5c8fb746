"""What is wrong with a run's files is one sentence, and holds up no other run; means are those of the report."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import pytest
from feeding import score, trained_pair
from test_cli import answer, babelscale

from analysis.statistics import MAIN_METRICS
from harness.store import Store, append_lines
from harness.track.dashboard import HEADLINES, board_of
from harness.track.identity import Identity, card_of, wandb_id
from harness.track.rows import scores
from harness.track.server import Seen, settle
from harness.track.settings import Tracking


@pytest.fixture
def pair(tiny_store: Callable[[str], Store], monkeypatch: pytest.MonkeyPatch) -> tuple[Store, list[str]]:
    """A study of two runs that are done."""
    monkeypatch.setenv("WANDB_MODE", "offline")
    store = tiny_store("files")
    axes = "{languages: [[en, ru], [en, de, ru]]}"
    runs = trained_pair(store, axes)
    for run in runs:
        score(store, run)
    return store, runs


def cut(path: Path) -> None:
    path.write_text(path.read_text("utf-8")[:30], "utf-8")


def in_the_middle(path: Path) -> None:
    first, *rest = path.read_text("utf-8").splitlines(keepends=True)
    path.write_text("".join([first[:20] + "\n", *rest]), "utf-8")


def before(text: str) -> Callable[[Path], None]:
    return lambda path: path.write_text(f"{text}\n{path.read_text('utf-8')}", "utf-8") and None


def without(key: str) -> Callable[[Path], None]:
    def change(path: Path) -> None:
        value = json.loads(path.read_text("utf-8"))
        del value[key]
        path.write_text(json.dumps(value), "utf-8")

    return change


def within(part: str, key: str, value: Any) -> Callable[[Path], None]:
    def change(path: Path) -> None:
        told = json.loads(path.read_text("utf-8"))
        told[part][key] = value
        path.write_text(json.dumps(told), "utf-8")

    return change


def instead(path: Path) -> None:
    """Something that cannot be read, also by root."""
    path.unlink()
    path.mkdir()


BROKEN: list[tuple[str, Callable[[Path], None], str]] = [
    ("run.json", cut, "run.json is not valid JSON"),
    ("run.json", Path.unlink, "run.json is not there"),
    ("run.json", without("axes"), "lacks its axes, science or origin"),
    ("run.json", without("origin"), "lacks its axes, science or origin"),
    ("records.jsonl", in_the_middle, "records.jsonl, line 1: it is not valid JSON"),
    ("records.jsonl", before("5"), "records.jsonl, line 1: it is 5"),
    ("records.jsonl", before('{"metric": "f1", "language": "en"}'), "records.jsonl, line 1: its task is None"),
    ("metrics.jsonl", in_the_middle, "metrics.jsonl, line 1: it is not valid JSON"),
    ("metrics.jsonl", before('{"step": 1, "attempt": null}'), "metrics.jsonl, line 1: its attempt is None"),
    ("metrics.jsonl", before('{"step": 1, "attempt": 1, "tokens": null}'), "its tokens is None"),
    ("metrics.jsonl", before('{"step": 1, "attempt": 1, "epochs": 3}'), "its epochs is 3"),
    ("run.json", within("science", "tokenizer", 3), "science.tokenizer is 3"),
    ("run.json", within("axes", "languages", ["en", 5]), "a list of codes was expected"),
    ("records.jsonl", instead, "records.jsonl cannot be read"),
    ("returns.json", lambda path: path.write_text('{"passed_over": [3]}', "utf-8") and None, "passed over"),
]


@pytest.mark.parametrize(("name", "spoil", "words"), BROKEN, ids=[f"{n}: {w[-24:]}" for n, _, w in BROKEN])
def test_a_run_with_a_broken_file_is_told_of_and_the_others_are_sent(
    pair: tuple[Store, list[str]], name: str, spoil: Callable[[Path], None], words: str
) -> None:
    store, (first, second) = pair
    spoil(store.run(first) / name)
    told = babelscale("track", "sync", "--json", root=store.root)
    runs = json.loads(told.stdout)["runs"]
    assert told.returncode == 1 and not told.stderr and runs[second]["did"] == "sent"
    assert runs[first]["did"] == "failed" and words in runs[first]["where"] and first in runs[first]["where"]
    if name in ("run.json", "records.jsonl"):
        board = babelscale("track", "dashboard", "pair", root=store.root)
        assert board.returncode == 2 and words in board.stderr and board.stderr.count("\n") == 1


def test_a_line_that_a_kill_cut_short_counts_as_not_written(pair: tuple[Store, list[str]]) -> None:
    store, (first, _) = pair
    for name in ("metrics.jsonl", "records.jsonl"):
        with (store.run(first) / name).open("a", encoding="utf-8") as stream:
            stream.write('{"step": ')
    told = json.loads(babelscale("track", "sync", "--json", root=store.root).stdout)
    assert told["counts"] == {"failed": 1, "sent": 1}
    assert "records.jsonl, line 5: it is cut short though the run is done" in told["runs"][first]["where"]
    (store.run(first) / "done.json").unlink()
    assert answer("track", "sync", root=store.root)["counts"] == {"sent": 1, "unchanged": 1}
    (store.run(first) / "track.json").write_text('{"schema": 1}', "utf-8")  # of no use: another life
    assert answer("track", "sync", root=store.root)["counts"] == {"sent": 1, "unchanged": 1}


def test_a_study_that_cannot_be_read_is_named_and_the_others_are_sent(pair: tuple[Store, list[str]]) -> None:
    store, _ = pair
    torn = store.studies / "torn.json"
    torn.symlink_to("nowhere")
    told = babelscale("track", "sync", root=store.root)
    assert told.returncode == 1 and f"{torn} cannot be read" in " ".join(told.stderr.split()), told.stderr
    torn.unlink()
    for text, words in (
        ('{"name": "to', "is not valid JSON"),
        ("[1]", "is no whole study"),
        ("{}", "is no whole study"),
    ):
        torn.write_text(text, "utf-8")
        told = babelscale("track", "sync", root=store.root)
        assert told.returncode == 1 and f"left out: {torn} {words}" in " ".join(told.stderr.split()), told.stderr
        for verb in (["track", "sync"], ["track", "dashboard"], ["figures"], ["report"]):
            named = babelscale(*verb, "torn", root=store.root)
            assert named.returncode == 2 and f"{torn} {words}" in named.stderr and named.stderr.count("\n") == 1, verb


def record(task: str, language: str, value: float | None, metric: str = "accuracy") -> dict[str, Any]:
    return {"task": task, "metric": metric, "language": language, "value": value}


def test_group_means_are_those_of_the_report() -> None:
    """None where a language's value is no number; of a benchmark none of English, in which it was fine-tuned."""
    groups = {"core": ["en", "de", "sv"], "high": ["en"]}

    def means(rows: Iterable[dict[str, Any]]) -> dict[str, float]:
        return {name: value for name, value in scores(list(rows), groups).items() if "_groups" in name}

    bits = [record("heldout", code, value, "bits_per_byte") for code, value in (("en", 2.0), ("de", 3.0), ("sv", 4.0))]
    assert means(bits) == {"heldout_groups/bits_per_byte/core": 3.0, "heldout_groups/bits_per_byte/high": 2.0}
    for none in (math.nan, math.inf, None):
        spoilt = [*bits[1:], record("heldout", "en", none, "bits_per_byte")]
        assert means(spoilt) == {}
        assert "heldout/bits_per_byte/en" not in scores(spoilt, groups)
    accuracy = [record("intents", "en", 0.9), record("intents", "de", 0.5), record("intents", "sv", 0.4)]
    assert means(bits[:2]) == {"heldout_groups/bits_per_byte/high": 2.0}, "of held-out text over all of the group"
    assert means([record("heldout", "en", 10**400, "bits_per_byte")]) == {}
    assert means(accuracy) == {"intents_groups/accuracy/core": pytest.approx(0.45)}
    assert scores(accuracy, groups)["intents/accuracy/en"] == 0.9


def test_a_panel_stands_for_each_metric_that_findings_are_judged_on(pair: tuple[Store, list[str]]) -> None:
    store, (run, _) = pair
    assert set(MAIN_METRICS) <= set(HEADLINES)
    rows = [record("stsb", "de", 0.5, "pearson") | {"details": {}}, record("stsb", "de", 0.4, "spearman")]
    append_lines(store.run(run) / "records.jsonl", rows)
    study = {"name": "pair", "question": "?", "runs": [run], "groups": {"high": ["en"], "low": ["de"]}}
    shown = {point.y for point in board_of(store, study).points}
    assert shown == {
        "heldout_groups/bits_per_byte/high", "heldout_groups/bits_per_byte/low", "stsb_groups/pearson/low",
    }, "English alone has nothing zero-shot"  # fmt: skip


def test_an_old_answer_of_the_server_makes_no_second_run(pair: tuple[Store, list[str]]) -> None:
    """A sync asks once for all runs; a feeder may open one of them before its turn comes."""
    store, (run, _) = pair
    card = card_of(store, run, [])
    name = wandb_id(card.study, run, 1)

    class Answering:
        place = "server/lab/tested"
        tracking = Tracking("online", "tested", "lab")
        there: Seen | None = None

        def look(self, ids: Iterable[str]) -> dict[str, Seen | None]:
            return dict.fromkeys(ids, self.there)

    server, said = Answering(), list[str]()
    identity = Identity.of(store.run(run)).accepted(server.place)
    server.there = Seen(identity.life, "running", 3, {}, ())
    stale = {name: None}
    assert settle(server, card, identity, said.append, stale) == (identity, server.there) and not said  # type: ignore[arg-type]
    other = {name: Seen("another life", "running", 3, {}, ())}
    assert settle(server, card, identity, said.append, other) == (identity, server.there) and not said  # type: ignore[arg-type]
    server.there = None
    later, there = settle(server, card, identity, said.append, stale)  # type: ignore[arg-type]
    assert later.generation == 2 and there is None and "was deleted on the server" in said[0]
