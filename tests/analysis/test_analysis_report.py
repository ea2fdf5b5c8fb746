"""Figures and the page: there when there is data, the same every time, and complete in themselves."""

from __future__ import annotations

import hashlib
import re
from html.parser import HTMLParser
from itertools import product
from pathlib import Path
from typing import Any

import layout
import pandas as pd
import pytest

from analysis.axes import Slice, language_axis
from analysis.figures import capacity, curse, draw_all, sampling, style, tradeoff, zeroshot
from analysis.figures.lines import unfinished
from analysis.records import collect, completeness, load_study, read_parquet
from analysis.report import build
from analysis.report.tables import short_number
from sweeps.errors import BadInput


def _digests(folder: Path) -> dict[str, str]:
    return {p.name: hashlib.sha256(p.read_bytes()).hexdigest() for p in sorted(folder.rglob("*")) if p.is_file()}


class _Links(HTMLParser):
    """Everything a page could fetch, and the tags it leaves open."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []
        self.text: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found += [v or "" for k, v in attrs if k in ("src", "href", "srcset", "data", "action", "poster")]

    def handle_data(self, data: str) -> None:
        self.text.append(data)


@pytest.fixture(scope="module")
def whole(new_store: Any, tmp_path_factory: pytest.TempPathFactory, truths: Any) -> Any:
    """A study with every figure's data, reported once for the tests that look at it."""
    store = new_store(tmp_path_factory.mktemp("whole"))
    store.grid(accuracy=truths["transfer"], seeds=2)
    store.alphas(seeds=2)
    store.study()
    store.built = build(store.root, "demo")
    return store


def test_the_same_store_gives_the_same_bytes_of_everything(whole: Any) -> None:
    first = _digests(whole.built.report.parent)
    build(whole.root, "demo")
    assert _digests(whole.built.report.parent) == first
    assert _digests(whole.root / "reports") == first
    drawn = {d.name for d in whole.built.drawings if not d.skipped}
    assert drawn >= {"curse", "zeroshot", "tradeoff", "capacity", "sampling"}
    names = {f"{n}.{e}" for n in drawn for e in ("png", "svg", "pdf", "csv")}
    tex = {f"{name}.tex" for name in ("report", "verdicts", "means", "cells", "plan")}
    assert names | tex | {"records.parquet", "report.html"} <= set(first)


def test_the_page_fetches_nothing_and_shows_every_verdict_and_figure(whole: Any) -> None:
    paths = whole.built
    html = paths.report.read_text("utf-8")
    page = _Links()
    page.feed(html)
    assert page.found and all(link.startswith(("data:", "#")) for link in page.found)
    assert not re.search(r"@import|url\(|https?://", html)
    text = " ".join(page.text)
    for verdict in paths.verdicts:
        assert verdict.statement in text and verdict.rule in text
    assert sum(not d.skipped for d in paths.drawings) == html.count("<figure>") >= 3
    assert "babelscale report demo" in text and "18 of 18 runs finished" in text
    assert read_parquet(paths.records)["run"].nunique() == 18


def test_the_page_escapes_what_users_wrote(store: Any) -> None:
    evil = '<script>alert("x")</script>'
    store.run(2, languages=["en", evil])
    store.study("evil", question=evil, corpus_note=evil, command=evil, groups={"core": ["en", evil], evil: ["sv"]})
    html = build(store.root, "evil").report.read_text("utf-8")
    assert evil not in html and "&lt;script&gt;alert" in html


def test_an_unfinished_study_says_so_on_the_page_and_on_each_figure(store: Any) -> None:
    store.grid(seeds=2)
    late = store.run(16, 128, 7, done=False)
    paths = build(store.root, store.study())
    html = paths.report.read_text("utf-8")
    assert "1 run" in html and late in html and "not finished" in html
    study = load_study(store.root, "demo")
    df = collect(store.root, study)
    with style.house():
        figure = curse.draw(curse.data(df, study), df, study, completeness(store.root, study))
    assert any("K 16, width 128 (seed 7)" in t.get_text() for t in figure.texts)
    store.run(16, 128, 7, vocabulary=8000, done=False)
    store.run(16, 256, 3, done=False)
    study = load_study(store.root, store.study())
    (said,) = unfinished(study, completeness(store.root, study), Slice(df, "K", {}, ()), 1)
    assert said == "Not finished: 3 of the study's 15 runs; here: K 16, width 128 (seed 7); and 1 more cell."
    store.run(16, 64, 9, vocabulary=8000, done=False)
    study = load_study(store.root, store.study())
    (said,) = unfinished(study, completeness(store.root, study), language_axis(df))
    assert said.endswith("here: K 16, width 128 (seed 7); K 16, width 256 (seed 3).") and "9" not in said, (
        "another arm's"
    )


def test_a_study_with_nothing_done_still_has_a_page_and_reasons_for_no_figures(store: Any) -> None:
    store.run(2, done=False)
    paths = build(store.root, store.study())
    assert all(d.skipped and not d.paths for d in paths.drawings)
    assert "No finished run has recorded any" in paths.report.read_text("utf-8")
    with pytest.raises(BadInput, match="never submitted"):
        build(store.root, "other")


def test_a_figure_whose_data_went_away_leaves_no_stale_file(store: Any, tmp_path: Path) -> None:
    store.run(2)
    study = load_study(store.root, store.study())
    stale = ("tradeoff.png", "tradeoff.csv", "curse.pdf")
    for name in (*stale, "note.txt"):
        (tmp_path / "f").mkdir(exist_ok=True)
        (tmp_path / "f" / name).write_text("old", "utf-8")
    drawings = draw_all(collect(store.root, study), study, completeness(store.root, study), tmp_path / "f")
    assert {"tradeoff", "curse"} <= {d.name for d in drawings if d.skipped}
    left = {p.name for p in (tmp_path / "f").iterdir()}
    assert "note.txt" in left and not left & set(stale)


def test_drawn_data_stands_beside_the_figure(whole: Any) -> None:
    table = pd.read_csv(next(d for d in whole.built.drawings if d.name == "curse").paths["csv"])
    assert set(table["panel"]) == {"high", "low", "core"} and len(table) == 3 * 3 * 2 and set(table["seeds"]) == {2}
    assert ((table["low"] < table["mean"]) & (table["mean"] < table["high"])).all()


def test_no_text_of_a_figure_is_clipped_or_lies_on_other_text(store: Any, truths: Any) -> None:
    many = ["sv", "da", "de", *(f"zh-x{i}" for i in range(17))]
    truth = truths["transfer"]
    for k, width, seed in product((21, 100), (64, 128, 256, 512), (0, 1)):
        languages = ["en", *many] if k == 21 else ["en", *many, "fr"]
        store.run(k, width, seed, languages=languages, accuracy=truth)
        for alpha in (0.1, 1.0):
            store.run(k, width, seed, languages=languages, alpha=alpha)
    store.run(100, 1024, languages=many, done=False)
    study = load_study(store.root, store.study(groups={"high": ["en", "de"], "low": many, "core": ["en"]}))
    df = collect(store.root, study)

    for module in (curse, zeroshot, tradeoff, capacity, sampling):
        points = module.data(df, study)
        if module.skipped(points):
            continue
        with style.house():
            figure = module.draw(points, df, study, completeness(store.root, study))
            layout.check(figure, module.NAME)


def test_numbers_are_short() -> None:
    assert [short_number(v) for v in (3000, 3_072_000, 1.2e12, 2.08e22)] == ["3,000", "3.07 M", "1.2 T", "2.08e+22"]
