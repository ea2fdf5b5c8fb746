"""The figures beyond the paper's own: a known world gives known points, and all their text can be read."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from functools import cache
from itertools import combinations
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pandas as pd
import pytest
import worlds
from made_runs import TOKENIZER, describe

from analysis.curves import read_curves
from analysis.figures import budgets, causes, draw_all, epochs, isoloss, languages, losses, pareto, style, transfer
from analysis.records import Completeness, Study, collect, completeness, load_study, read_metrics
from sweeps.errors import BadInput
from sweeps.language_table import LANGUAGES

WHOLE = Completeness(1, 1, ())
Drawn = tuple[pd.DataFrame, pd.DataFrame, Study]


@cache
def of(finding: str, module: ModuleType, seeds: int = 3, noise: float = 0.0, *, effect: bool = True) -> Drawn:
    """Points of a figure, the table, the study: a simulated study of the finding, without noise unless asked."""
    draw = np.random.default_rng(7)
    truth = worlds.effect(finding) if effect else worlds.nothing
    df = worlds.table(worlds.GRIDS[finding], truth, seeds, noise, draw)
    return module.data(df, worlds.study(finding)), df, worlds.study(finding)


def test_the_penalty_splits_into_what_the_world_put_in() -> None:
    points, _, _ = of("F3", causes)
    parts = points.set_index("part")
    # Curse 0.1 a doubling from K = 2 to 16; a tokenizer of all costs 0.03; three doublings of steps give 0.05 each.
    assert parts.loc["penalty in all", "mean"] == pytest.approx(0.33)
    assert parts.loc["tokenizer", "mean"] == pytest.approx(0.03)
    assert parts.loc["exposure", "mean"] == pytest.approx(0.15)
    assert parts.loc["capacity (the rest)", "mean"] == pytest.approx(0.15)
    assert parts["share"].iloc[:3].sum() == pytest.approx(100)
    assert list(parts["start"]) == pytest.approx([0, 0.03, 0.18, 0])
    df = worlds.table(worlds.GRIDS["F1"], worlds.effect("F1"), 2, 0.02, np.random.default_rng(1))
    assert "more steps" in causes.skipped(causes.data(df, worlds.study("F3")))


def test_the_front_holds_what_nothing_beats_and_says_how_sure_it_is() -> None:
    trade, _, _ = of("F6", pareto, noise=0.02)
    assert trade["front"].all() and (trade["share"] > 0.9).all()
    hump, _, _ = of("F7", pareto, noise=0.001)  # both groups best at the alphas next to 0.5: the ends are beaten
    by_alpha = hump.set_index("alpha")
    assert not by_alpha.loc[[0.0, 1.0], "front"].any() and (by_alpha.loc[[0.0, 1.0], "share"] == 0).all()
    equal, _, _ = of("F7", pareto, noise=0.05, effect=False)
    assert equal["share"].between(0, 1).all() and equal["share"].between(0.02, 0.98).any()
    alone, _, _ = of("F6", pareto, seeds=1)
    assert alone["front"].all() and alone["share"].isna().all()


def test_a_point_equal_to_another_in_both_groups_is_not_beaten() -> None:
    places = np.array([[[1.0, 1.0], [1.0, 1.0], [1.0, 2.0], [0.5, 3.0]]])
    assert pareto.undominated(places).tolist() == [[True, True, False, True]]


def test_contours_follow_the_law_that_made_the_losses() -> None:
    points, _, _ = of("F5", isoloss, 3, 0.005)
    contours = points[points["part"] == "contour"]
    assert contours["exponent_low"].iloc[0] < 0.15 / 0.35 < contours["exponent_high"].iloc[0]
    given = contours["D"].iloc[0]
    # worlds' F5: the loss at (K, N, D) is what the contour is named by.
    back = 1.0 + 40 * contours["K"] ** 0.15 / contours["N"] ** 0.35 + 60 * contours["K"] ** -0.04 / given**0.4
    assert np.allclose(back, contours["loss"], rtol=0.02)
    inside = contours[~contours["extrapolated"].astype(bool)]
    runs = points[points["part"] == "run"]
    assert inside["K"].between(2, 16).all() and inside["N"].between(runs["N"].min(), runs["N"].max()).all()
    assert contours["extrapolated"].any() and len(inside) and len(runs) == 12 and runs["runs"].sum() == 72


def test_a_noisy_law_has_a_band_about_its_contours() -> None:
    points, _, _ = of("F5", isoloss, 3, 0.005)
    contours = points[points["part"] == "contour"].dropna(subset=["low"])
    assert len(contours) and ((contours["low"] < contours["N"]) & (contours["N"] < contours["high"])).all()
    df = worlds.table(worlds.GRIDS["F1"], worlds.effect("F1"), 2, 0.02, np.random.default_rng(1))
    assert isoloss.skipped(isoloss.data(df, worlds.study("F5")))


def test_the_matrix_holds_each_ordered_pair_with_kin_side_by_side() -> None:
    points, _, _ = of("F17", transfer, noise=0.02)
    assert len(points) == 2 * len(worlds.PAIRS)
    kin = points["target_family"] == points["source_family"]
    # Kin gain 0.3; others lose 0.1 at width 64 and 0.2 at width 32.
    assert points.loc[kin, "mean"].tolist() == pytest.approx([0.3] * 6, abs=0.05)
    assert points.loc[~kin, "mean"].tolist() == pytest.approx([-0.15] * 10, abs=0.05)
    assert points["clear"].equals((points["low"] > 0) | (points["high"] < 0))
    order = transfer.order(points)
    families = [LANGUAGES[code].family for code in order]
    assert families == sorted(families) and set(order) == {"da", "de", "hi", "ru", "uk", "ur"}


def test_a_pair_is_averaged_over_the_widths_that_all_its_seeds_have() -> None:
    _, df, study = of("F17", transfer, noise=0.02)
    kin = (df["languages"] == "de,da") & (df["width"] == 64) & (df["seed"] == 2)
    whole, lacking = (transfer.data(table, study).set_index(["target", "source"]) for table in (df, df[~kin]))
    assert lacking.loc[("de", "da"), "lacking"] == "64" and lacking.loc[("de", "da"), "seeds"] == 3
    rest = [pair for pair in whole.index if set(pair) != {"da", "de"}]
    assert (lacking.loc[rest, "lacking"] == "").all() and lacking.loc[rest, "mean"].equals(whole.loc[rest, "mean"])
    narrow = transfer.data(df[df["width"] == 32], study).set_index(["target", "source"])
    assert lacking.loc[("de", "da"), "mean"] == pytest.approx(narrow.loc[("de", "da"), "mean"])
    begun = transfer.data(df[(df["seed"] == 0) | (df["width"] == 32)], study)
    assert set(begun["lacking"]) == {"64"} and set(begun["widths"]) == {"32"} and (begun["seeds"] == 3).all()
    apart = transfer.data(df[(df["seed"] == 0) == (df["width"] == 32)], study)
    assert set(apart["seeds"]) == {2} and set(apart["lacking"]) == {"32"}, "no width is common: the one of most seeds"


def test_five_budgets_stand_in_two_rows() -> None:
    grid = worlds.cells(alpha=(0.1, 1.0), steps=(400, 800, 1600, 2400, 4800))
    df = worlds.table(grid, worlds.effect("F8"), 2, 0.02, np.random.default_rng(1))
    points = budgets.data(df, worlds.study("F8"))
    figure = budgets.draw(points, df, worlds.study("F8"), WHOLE)
    places = [axes.get_subplotspec() for axes in figure.axes]
    assert [(place.rowspan.start, place.colspan.start) for place in places] == [(0, 0), (0, 1), (0, 2), (1, 0), (1, 1)]
    assert [bool(axes.get_xlabel()) for axes in figure.axes] == [False, False, True, True, True]


def test_every_language_has_its_panel_with_its_own_points() -> None:
    points, _, _ = of("F2", languages)
    assert list(dict.fromkeys(points["language"]))[:2] == ["en", "sv"] and points["language"].nunique() == 16
    sv = points[points["language"] == "sv"].set_index("x")["mean"]
    assert sv.to_dict() == pytest.approx({2: 2.6, 4: 2.5, 8: 2.6, 16: 2.9})
    assert (points.loc[points["language"] == "ja", "x"] == 16).all()
    assert points.drop_duplicates("language")["group"].tolist()[:3] == ["high+core", "low+core", ""]
    by_alpha, _, _ = of("F6", languages)
    assert set(by_alpha["axis"]) == {"alpha"} and sorted(set(by_alpha["x"])) == [0.0, 0.3, 0.7, 1.0]


def curve(root: Path, run: str, lines: int = 200, *, level: float = 2.0, **events: int) -> None:
    """metrics.jsonl as the harness writes it: bits 4 / line + level, with events at given lines."""
    folder = root / "runs" / run
    steps = json.loads((folder / "run.json").read_text("utf-8"))["axes"]["steps"]
    rows = [
        {
            "attempt": 1 + (i > events.get("requeued", 10**9)), "step": steps * i // lines, "loss": 3.0,
            "bits_per_byte": level + 4 / i, "tokens": steps * i // lines * 1024, "epochs": {"en": i / lines},
            "skipped": int(i > events.get("spike", 10**9)),
        }
        for i in range(1, lines + 1)
    ]  # fmt: skip
    text = "".join(json.dumps(row) + "\n" for row in rows)
    (folder / "metrics.jsonl").write_text(text, "utf-8")
    if "returned" in events:
        stop = rows[events["returned"]]["step"]
        windows = {"schema": 1, "passed_over": [[stop - 10, stop]]}
        (folder / "returns.json").write_text(json.dumps(windows), "utf-8")


@pytest.fixture
def trained(store: Any) -> Any:
    """A store with loss curves: two cells of two seeds, one of them with all that may happen on the way."""
    store.grid(ks=(2, 4), widths=(64,), seeds=2)
    for number, run in enumerate(store.ids):
        curve(store.root, run, level=2.0 + number % 2)
    curve(store.root, store.ids[0], requeued=100, spike=50, returned=150)
    return store


def test_curves_keep_their_ends_and_say_what_happened(trained: Any) -> None:
    study = load_study(trained.root, trained.study())
    points = losses.data(collect(trained.root, study), study, trained.root)
    curves, marks = points[points["part"] == "curve"], points[points["part"] == "mark"]
    assert curves.groupby("run").size().tolist() == [losses.STOPS] * 4 and curves["cell"].nunique() == 2
    one = curves[curves["run"] == trained.ids[1]]
    assert one["bits_per_byte"].iloc[[0, -1]].tolist() == pytest.approx([7.0, 3.0 + 4 / 200])
    assert one["tokens"].iloc[-1] == 3_072_000 and one["bits_per_byte"].is_monotonic_decreasing
    assert set(marks["run"]) == {trained.ids[0]}
    at = marks.set_index("happened")["tokens"] / 3_072_000 * 200
    assert at.to_dict() == pytest.approx({"left out": 51, "requeued": 101, "went back": 151})
    assert losses.skipped(losses.data(pd.DataFrame(), study, None))


def test_seeds_that_no_stretch_of_training_has_in_common_have_no_mean_curve(store: Any) -> None:
    """One killed before the other, which began to log late, has its first line."""
    store.grid(ks=(2,), widths=(64,), seeds=2)
    for run in store.ids:
        curve(store.root, run)
    for run, kept in zip(store.ids, (slice(None, 90), slice(110, None)), strict=True):
        path = store.root / "runs" / run / "metrics.jsonl"
        path.write_text("".join(path.read_text("utf-8").splitlines(keepends=True)[kept]), "utf-8")
    study = load_study(store.root, store.study())
    df = collect(store.root, study)
    figure = losses.draw(losses.data(df, study, store.root), df, study, WHOLE)
    (thin, means) = figure.axes[0].collections
    assert len(thin.get_segments()) == 2 and means.get_segments() == []


def legend_and_titles(store: Any) -> tuple[list[str], list[str]]:
    for run in store.ids:
        curve(store.root, run)
    study = load_study(store.root, store.study())
    df = collect(store.root, study)
    figure = losses.draw(losses.data(df, study, store.root), df, study, WHOLE)
    return [text.get_text() for text in figure.legends[0].get_texts()], [a.get_title("left") for a in figure.axes]


def test_curves_are_told_apart_by_what_the_study_varied(store: Any) -> None:
    for algorithm, seeds in (("unigram", (0, 1)), ("bpe", (2, 3))):
        for seed in seeds:
            run = store.run(4, seed=seed, learning_rate=0.004)
            describe(store.root / "runs" / run, tokenizer=TOKENIZER | {"algorithm": algorithm})
    assert legend_and_titles(store)[0] == ["tokenizer bpe", "tokenizer unigram"]


def test_a_learning_rate_that_follows_the_width_gives_no_colours(store: Any) -> None:
    for width, rate in ((32, 0.006), (64, 0.003)):
        store.run(4, width, learning_rate=rate)
    assert legend_and_titles(store) == (["K 4"], ["width 32", "width 64"])
    store.run(4, 64, seed=1, learning_rate=0.006)
    assert legend_and_titles(store)[0] == ["rate 0.003", "rate 0.006"]


def test_a_vocabulary_that_the_width_follows_gives_the_colours(store: Any) -> None:
    """At a constant total the width falls as the vocabulary grows."""
    for width, vocabulary in ((64, 3000), (32, 12000)):
        store.run(4, width, vocabulary=vocabulary)
    assert legend_and_titles(store)[0] == ["V 3,000", "V 12,000"]


def test_runs_without_an_alpha_are_drawn_and_called_so(store: Any) -> None:
    for seed, alpha in enumerate((0.3, 1.0, None)):
        store.run(4, seed=seed, alpha=alpha)
    for run in store.ids:
        curve(store.root, run)
    study = load_study(store.root, store.study())
    df = collect(store.root, study)
    figure = losses.draw(losses.data(df, study, store.root), df, study, WHOLE)
    assert not figure.texts, "nothing is left out"
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["α 0.3", "α 1", "no α"]


def test_many_curves_read_at_once_are_what_each_one_is_alone(trained: Any) -> None:
    path = trained.root / "runs" / trained.ids[0] / "metrics.jsonl"
    again = {"attempt": 9, "step": 30, "bits_per_byte": None, "tokens": 30 * 1024, "skipped": 4}
    path.write_text(path.read_text("utf-8") + json.dumps(again) + '\n{"attempt": 9, "st', "utf-8")
    table = read_curves(trained.root, [*trained.ids, "never-begun"])
    for run, own in table.groupby("run"):
        alone = read_metrics(trained.root / "runs" / str(run))
        for name in ("step", "attempt", "tokens", "bits_per_byte", "skipped"):
            assert own[name].astype(float).tolist() == pytest.approx(alone[name].astype(float).tolist(), nan_ok=True)
    resumed = table[(table["run"] == trained.ids[0]) & (table["step"] == 30)].iloc[0]
    assert resumed["attempt"] == 9 and math.isnan(resumed["bits_per_byte"]) and resumed["skipped"] == 4
    (path.parent / "returns.json").write_text("[]", "utf-8")
    with pytest.raises(BadInput, match=r"returns\.json"):
        read_curves(trained.root, trained.ids)


def test_epochs_are_those_recorded_by_language_count_and_by_alpha(store: Any) -> None:
    store.grid(ks=(2, 4), widths=(64,), seeds=2)
    store.alphas(k=4, seeds=2)
    study = load_study(store.root, store.study())
    points = epochs.data(collect(store.root, study), study)
    at = points.set_index(["panel", "x", "language"])
    assert at.loc[("K", 2, "en"), "mean"] == pytest.approx(8 / 9) and at.loc[("K", 4, "de"), "mean"] == 3 / 11
    assert set(points.loc[points["panel"] == "alpha", "x"]) == {0.1, 0.3, 0.7, 1.0}
    assert (points["least"] <= points["mean"]).all() and (points["mean"] <= points["most"]).all()


def test_epochs_stand_by_amount_of_text_where_it_varied(store: Any) -> None:
    for seed, size in enumerate((30_000, 30_000, 1_000_000)):
        run = store.run(4, seed=seed)
        describe(store.root / "runs" / run, text_bytes=size)
    points = epochs.data(collect(store.root, study := load_study(store.root, store.study())), study)
    assert set(points["panel"]) == {"text_bytes"} and set(points["x"]) == {30_000, 1_000_000}
    figure = epochs.draw(points, collect(store.root, study), study, WHOLE)
    assert [text.get_text() for text in figure.axes[0].get_legend().get_texts()] == ["30kB", "1MB"]


@pytest.mark.parametrize("width", [style.COLUMN, style.PAGE])
def test_notes_of_wide_characters_stay_inside_the_figure(width: float) -> None:
    digests = ", ".join(["8acb4e5ba851", "c71fda1636e2", "f1d46426b466"] * 4)
    figure = style.blank(width, 2.0, [f"The code changed between attempts ({digests}): numbers may differ."])
    figure.canvas.draw()
    ends = [text.get_window_extent().x1 for text in figure.texts]
    assert len(ends) > 1 and max(ends) <= figure.bbox.x1


def test_a_figure_of_a_finding_not_asked_for_is_left_out_silently_and_its_old_files_go(tmp_path: Path) -> None:
    df = worlds.table(worlds.GRIDS["F1"], worlds.effect("F1"), 2, 0.02, np.random.default_rng(1))
    (tmp_path / "transfer.svg").write_text("old", "utf-8")
    drawn = {d.name: d for d in draw_all(df, worlds.study("F1", "F3"), WHOLE, tmp_path)}
    assert "transfer" not in drawn and "pareto" not in drawn and not (tmp_path / "transfer.svg").exists()
    assert drawn["causes"].skipped and drawn["losses"].skipped
    assert not drawn["languages"].skipped and {p.suffix for p in drawn["languages"].paths.values()} == {
        ".png", ".svg", ".pdf", ".csv"
    }  # fmt: skip


def test_the_same_store_gives_the_same_bytes_of_these_figures_too(trained: Any) -> None:
    study = load_study(trained.root, trained.study())
    df, state = collect(trained.root, study), completeness(trained.root, study)
    both = []
    for name in ("one", "two"):
        drawn = draw_all(df, study, state, trained.root / name, root=trained.root)
        both.append({d.name: {k: p.read_bytes() for k, p in d.paths.items()} for d in drawn if d.paths})
    assert both[0] == both[1] and {"losses", "languages", "epochs"} <= set(both[0])


def _texts(figure: Any) -> Iterator[tuple[str, Any]]:
    from matplotlib.text import Text

    off = set()
    for axis in (axis for axes in figure.axes for axis in (axes.xaxis, axes.yaxis)):
        low, high = sorted(axis.get_view_interval())
        for tick in (*axis.get_major_ticks(), *axis.get_minor_ticks()):
            off |= {tick.label2} if low <= tick.get_loc() <= high else {tick.label1, tick.label2}
    for text in figure.findobj(Text):
        if text.get_text().strip() and text.get_visible() and text not in off:
            yield text.get_text(), text.get_window_extent()


def assert_legible(figure: Any, name: str) -> None:
    """No text leaves the canvas, and none lies on another."""
    figure.draw_without_rendering()
    page, texts = figure.bbox, list(_texts(figure))
    assert len(texts) > 5, name
    for text, box in texts:
        assert page.x0 <= box.x0 + 1 and box.x1 <= page.x1 + 1, (name, text)
        assert page.y0 <= box.y0 + 1 and box.y1 <= page.y1 + 1, (name, text)
    for (text, box), (other, other_box) in combinations(texts, 2):
        across = min(box.x1, other_box.x1) - max(box.x0, other_box.x0)
        up = min(box.y1, other_box.y1) - max(box.y0, other_box.y0)
        assert across < 1.5 or up < 1.5, (name, text, other)


@pytest.mark.parametrize("seeds", [1, 3])
@pytest.mark.parametrize(
    ("finding", "module"),
    [("F3", causes), ("F5", isoloss), ("F6", pareto), ("F17", transfer), ("F1", languages), ("F6", languages)],
)
def test_nothing_is_clipped_or_lies_on_other_text(finding: str, module: ModuleType, seeds: int) -> None:
    points, df, study = of(finding, module, seeds, worlds.NOISE.get(finding, 0.02))
    assert not module.skipped(points) and module.caption(points)
    with style.house(["Every cell has one seed, so that no interval can say how far another seed would lie."]):
        assert_legible(module.draw(points, df, study, WHOLE), module.NAME)


def test_twenty_languages_in_a_matrix_and_three_widths_on_a_front_can_be_read() -> None:
    codes = [*worlds.NESTED, "nl", "fr", "bn", "zh"]
    grid = [{"languages": f"{a},{b}"} for a, b in combinations(codes, 2)]
    grid += [{"languages": code, "steps": 1000} for code in codes]
    draw = np.random.default_rng(3)
    pairs = worlds.table(grid, worlds.nothing, 2, 0.02, draw)
    cells = worlds.cells(alpha=(0.0, 0.1, 0.3, 0.5, 0.7, 1.0), width=(32, 64, 128))
    alphas = worlds.table(cells, worlds.effect("F7"), 2, 0.02, draw)
    for module, df in ((transfer, pairs), (pareto, alphas)):
        points = module.data(df, worlds.study())
        with style.house():
            assert_legible(module.draw(points, df, worlds.study(), WHOLE), module.NAME)


def test_a_hundred_languages_can_be_read_and_a_missing_run_is_named(store: Any) -> None:
    every = ["en", "sv", *(code for code in LANGUAGES if code not in ("en", "sv"))][:100]
    for k in (7, 15, 30, 60, 100):
        for width in (64, 128, 256):
            store.run(k, width, 0, languages=every[:k])
    for alpha in (0.0, 0.5, 0.7, 1.0):
        store.run(100, 64, 0, alpha=alpha, languages=every)
    late = store.run(100, 512, 7, languages=every, done=False)
    for number, run in enumerate(store.ids):
        curve(store.root, run, 40, level=2.0 + number / 10, requeued=20, spike=10, returned=30)
    study = load_study(store.root, store.study())
    df, state = collect(store.root, study), completeness(store.root, study)
    assert late in state.missing
    for module in (languages, epochs, losses):
        points = module.data(df, study, **({"root": store.root} if module is losses else {}))
        with style.house():
            figure = module.draw(points, df, study, state)
            assert_legible(figure, module.NAME)
        assert any("K 100, width 512 (seed 7)" in text for text, _ in _texts(figure)), module.NAME


def test_models_of_one_language_each_stand_at_k_1_in_its_own_panel() -> None:
    df = worlds.table(worlds.GRIDS["F16"], worlds.effect("F16"), 2, 0.02, np.random.default_rng(0))
    points = languages.data(df, worlds.study("F16"))
    assert points.sort_values("x").groupby("language")["x"].agg(list).to_dict() == {
        code: [1, 4] for code in worlds.NESTED[:4]
    }
