"""Drawing all figures: what is said on their faces, what is listed, and what is left on the disk."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from analysis.cautions import cautions
from analysis.figures import draw_all, style
from analysis.records import collect, completeness, load_study


@pytest.fixture
def drawn_from(store: Any) -> Any:
    """Draws the store's study into a folder of it; returns drawings and folder."""

    def draw(**more: Any) -> tuple[dict[str, Any], Path]:
        study = load_study(store.root, store.study(**more.pop("study", {})))
        df, state = collect(store.root, study), completeness(store.root, study)
        if more.pop("cautioned", False):
            more["notes"] = cautions(df, study, state)
        folder = store.root / "figures"
        return {d.name: d for d in draw_all(df, study, state, folder, root=store.root, **more)}, folder

    return draw


def _height(figure: Path) -> float:
    return float(re.search(r'height="([\d.]+)pt"', figure.read_text("utf-8")[:2000])[1])  # type: ignore[index]


def test_progress_counts_up_to_all_figures(store: Any, drawn_from: Any) -> None:
    store.grid(seeds=1)
    told: list[tuple[int, int]] = []
    drawn_from(progress=lambda *now: told.append(now))
    assert told == [(number, told[-1][1]) for number in range(told[-1][1] + 1)]


def test_two_processes_draw_the_same_files_and_tell_the_same(store: Any, drawn_from: Any) -> None:
    store.grid(seeds=2)
    store.alphas(seeds=2)

    def files(folder: Path) -> dict[str, bytes]:
        return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}

    alone, folder = drawn_from()
    before = files(folder)
    told: list[int] = []
    beside, _ = drawn_from(processes=2, progress=lambda done, of: told.append(done))
    assert list(beside.items()) == list(alone.items()) and files(folder) == before
    assert told == sorted(set(told)) and len(before) > 20


def test_cautions_on_the_study_stand_at_the_foot_of_every_figure_and_missing_runs_once(
    store: Any, drawn_from: Any
) -> None:
    store.grid(seeds=1)
    store.run(16, 128, 7, done=False)
    plain = _height(drawn_from()[0]["curse"].paths["svg"])
    missing = _height(drawn_from(notes=["1 of 7 runs are not finished; and so on"])[0]["curse"].paths["svg"])
    cautioned = _height(drawn_from(cautioned=True)[0]["curse"].paths["svg"])
    assert plain == missing < cautioned
    with style.house(["Every cell has one seed."]):
        assert [text.get_text() for text in style.sheet(2)[0].texts] == ["Every cell has one seed."]
    with style.house():
        assert not style.sheet(2)[0].texts
