"""The report as a reader meets it: in Chromium, wide and at a phone's width; and the LaTeX folder, compiled."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from browser import ENTER, Browser, browser, needed
from made_runs import everything

from analysis.report import build, overview

pytestmark = pytest.mark.page
PHONE, WIDE = 360, 1280

SORTS = """
const wrong = [];
let sorted = 0;
for (const table of document.querySelectorAll("table")) {
  const heads = [...table.tHead.rows[0].cells], body = table.tBodies[0];
  heads.forEach((head, i) => {
    const cells = () => [...body.rows].map(r => r.cells[i]);
    const numbers = cells().some(c => c.dataset.key);
    for (const way of ["ascending", "descending"]) {
      head.querySelector("button").click();
      const values = cells().map(c => numbers ? parseFloat(c.dataset.key ?? "NaN") : c.textContent);
      const known = values.filter(v => v === v), sign = way === "ascending" ? 1 : -1;
      const order = (x, y) => numbers ? x - y : x.localeCompare(y);
      const fits = known.every((v, k) => k === 0 || sign * order(known[k - 1], v) <= 0);
      const last = values.slice(known.length).every(v => v !== v);
      const told = heads.filter(h => h.hasAttribute("aria-sort"));
      if (!fits || !last || told.length !== 1 || told[0].getAttribute("aria-sort") !== way)
        wrong.push(head.textContent + " " + way);
      sorted += known.length > 1 && order(known[0], known[known.length - 1]) !== 0;
    }
  });
}
return {wrong, sorted, tables: document.querySelectorAll("table").length};
"""
SHAPE = """
const images = [...document.images];
const contrast = e => {
  const light = c => { const [r, g, b] = c.match(/[\\d.]+/g).map(Number).map(v => v / 255)
    .map(v => v <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4); return 0.2126*r + 0.7152*g + 0.0722*b; };
  let under = e, back = "rgba(0, 0, 0, 0)";
  while (under && /, 0\\)$/.test(back)) { back = getComputedStyle(under).backgroundColor; under = under.parentElement; }
  const [x, y] = [light(getComputedStyle(e).color), light(back)].sort((a, b) => b - a);
  return (x + 0.05) / (y + 0.05);
};
const texts = [...document.querySelectorAll("p, li, td, th, dt, dd, a, summary, small, figcaption, h1, h2, h3")];
return {
  beyond: document.documentElement.scrollWidth - document.documentElement.clientWidth,
  out: [...document.querySelectorAll("h1, h2, h3, p, li, dd, figcaption, .word")].filter(
    e => e.getBoundingClientRect().right > innerWidth + 1).map(e => e.textContent.slice(0, 60)),
  images: images.length,
  broken: images.filter(i => !i.complete || i.naturalWidth < 50 || i.getBoundingClientRect().height < 50).length,
  nameless: images.filter(i => !i.alt).length,
  scopeless: [...document.querySelectorAll("th")].filter(t => !t.scope).length,
  levels: [...document.querySelectorAll("h1, h2, h3")].map(h => +h.tagName[1]),
  pale: texts.filter(e => e.textContent.trim() && contrast(e) < 4.5).map(e => e.textContent.slice(0, 40)),
  lost: [...document.querySelectorAll("a[href^='#']")].filter(
    a => !document.getElementById(decodeURIComponent(a.hash.slice(1)))).map(a => a.hash),
};
"""


@pytest.fixture(scope="module")
def reports(new_store: Any, truths: Any, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Two studies with gaps, cautions, law fits, benchmarks and hostile names, and the page over both."""
    store = everything(new_store(tmp_path_factory.mktemp("page")), truths)
    made = [build(store.root, name, resamples=20) for name in ("demo", "other_study")]
    return {one.name: one.report for one in made} | {"overview": overview(store.root, made).path}


@pytest.fixture(scope="module")
def window(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    with browser(tmp_path_factory.mktemp("profile")) as opened:
        yield opened


@pytest.mark.parametrize("width", [WIDE, PHONE])
@pytest.mark.parametrize("page", ["demo", "other_study", "overview"])
def test_a_page_is_whole_in_itself_and_fits(page: str, width: int, window: Browser, reports: dict[str, Path]) -> None:
    window.width(width)
    window.open(reports[page])
    shape = window.run(SHAPE)
    assert shape["beyond"] <= 0 and shape["out"] == []
    assert shape["broken"] == shape["nameless"] == shape["scopeless"] == 0
    assert bool(shape["images"]) == (page != "overview")
    assert shape["levels"][0] == 1 and shape["levels"].count(1) == 1
    steps = zip(shape["levels"], shape["levels"][1:], strict=False)
    assert all(after - before <= 1 for before, after in steps), "a heading skips no level"
    assert shape["pale"] == [], "text against its ground has a contrast of at least 4.5"
    assert shape["lost"] == []
    sorts = window.run(SORTS)
    assert sorts["wrong"] == [] and sorts["tables"] >= 2 and sorts["sorted"] > sorts["tables"]
    assert window.fetched() == [reports[page].resolve().as_uri()]
    assert window.told() == []


def test_a_table_sorts_by_keyboard(window: Browser, reports: dict[str, Path]) -> None:
    window.width(WIDE)
    window.open(reports["demo"])
    window.press("#findings ~ .scroll th:nth-child(4) button", ENTER)
    rows = "[...document.querySelector('#findings ~ .scroll tbody').rows]"
    effects = window.run(f"return {rows}.map(r => r.cells[3].textContent)")
    numbers = [float(text) for text in effects if text != "–"]
    assert len(numbers) > 3 and numbers == sorted(numbers) and effects[-1] == "–"


def test_the_look_from_outside_would_see_a_page_that_fetches_or_fails(window: Browser, tmp_path: Path) -> None:
    page = tmp_path / "bad.html"
    page.write_text(
        "<!doctype html><title>x</title><div style='width:3000px'>wide</div><img src='missing.png'>"
        "<script>throw new Error('on purpose')</script>",
        encoding="utf-8",
    )
    window.width(PHONE)
    window.open(page)
    shape = window.run(SHAPE)
    assert shape["beyond"] > 0 and shape["broken"] == shape["nameless"] == 1
    assert len(window.fetched()) == 2 and any("on purpose" in line for line in window.told())
    page.write_text(
        "<!doctype html><meta http-equiv='Content-Security-Policy' content=\"default-src 'none'\">"
        "<title>x</title><img src='http://127.0.0.1:9/x.png'>",
        encoding="utf-8",
    )
    window.open(page)
    assert any("Content Security Policy" in line for line in window.told())


def test_the_latex_folder_compiles_as_it_is(reports: dict[str, Path], tmp_path: Path) -> None:
    needed("pdflatex")
    for name in ("demo", "other_study"):
        folder = tmp_path / name
        shutil.copytree(reports[name].parent / "latex", folder)  # it needs nothing that lies beside it
        command = ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "report.tex"]
        ended = subprocess.run(command, cwd=folder, capture_output=True, text=True, errors="replace", check=False)
        assert ended.returncode == 0, ended.stdout[-3000:]
        assert "Overfull" not in ended.stdout and "Missing character" not in ended.stdout
        assert (folder / "report.pdf").stat().st_size > 50_000


def test_every_text_that_a_report_may_hold_compiles(tmp_path: Path) -> None:
    from analysis.export import latex_text

    needed("pdflatex")
    codes = [*range(0x20, 0x250), *range(0x370, 0x400), *range(0x2010, 0x2070), 0x4E2D, 0x1F600]
    letters = "".join(map(chr, codes))
    words = latex_text(" ".join(letters[i : i + 8] for i in range(0, len(letters), 8)))
    text = "\\documentclass{article}\n\\begin{document}\n" + words + "\n\\end{document}\n"
    (tmp_path / "all.tex").write_text(text, encoding="utf-8")
    command = ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "all.tex"]
    ended = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, errors="replace", check=False)
    assert ended.returncode == 0 and "Missing character" not in ended.stdout, ended.stdout[-2000:]
