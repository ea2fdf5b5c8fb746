"""The paper's own numbers, put in as records, give its figures again; and where its points may stand under ours."""

from __future__ import annotations

from dataclasses import replace
from types import ModuleType
from typing import Any

import layout
import pandas as pd
import paper_records
import pytest
import worlds

from analysis import paper
from analysis.figures import (
    capacity,
    curse,
    draw_all,
    monolingual,
    panels,
    sampling,
    style,
    text,
    training,
    vocabulary,
    zeroshot,
)
from analysis.records import Completeness
from analysis.statistics import ACCURACY, BITS, outcomes

WHOLE = Completeness(0, 0, ())


def expected(figure: str, series: str | None = None) -> dict[tuple[str, Any], float]:
    return {
        (c.group, place): value
        for c in paper.curves(figure)
        if series in (None, c.series)
        for place, value in zip(c.place, c.points, strict=True)
    }


def drawn(module: ModuleType, df: pd.DataFrame, tmp: Any) -> pd.DataFrame:
    """The CSV beside the figure, as a reader finds it; the figure itself is looked over too."""
    points = module.data(df, paper_records.study())
    assert module.skipped(points) == ""
    with style.house():
        layout.check(module.draw(points, df, paper_records.study(), WHOLE), module.NAME)
    points.drop(columns="points").to_csv(tmp / "drawn.csv", index=False)
    return pd.read_csv(tmp / "drawn.csv")


def both(table: pd.DataFrame, key: list[str]) -> tuple[dict[Any, float], dict[Any, float]]:
    """By place: what the records gave, and what lies under it as the paper's own."""
    ours, under = (
        {tuple(row[:-1]): row[-1] for row in part[[*key, "mean"]].itertuples(index=False)}
        for part in (table[table["source"] == panels.OURS], table[table["source"] == panels.PAPER])
    )
    return ours, under


@pytest.mark.parametrize(
    ("figure", "module", "records", "axis"),
    [("2", zeroshot, paper_records.figure_2, "K"), ("5", sampling, paper_records.figure_5, "alpha")],
)
def test_figures_2_and_5_come_back_by_group(
    figure: str, module: ModuleType, records: Any, axis: str, tmp_path: Any
) -> None:
    ours, under = both(drawn(module, records(), tmp_path), ["panel", axis])
    assert ours == pytest.approx(expected(figure)) and under == pytest.approx(expected(figure))


def test_figure_3_comes_back_from_the_cells_of_table_5(tmp_path: Any) -> None:
    ours, under = both(drawn(text, paper_records.figure_3(), tmp_path), ["panel", "text_bytes"])
    amounts = {paper.WIKIPEDIA: paper_records.SOME_TEXT, paper.COMMONCRAWL: paper_records.ALL_TEXT}
    wanted = {(group, amounts[place]): value for (group, place), value in expected("3").items()}
    assert ours == pytest.approx(wanted, abs=0.05)  # the mean over seven is printed with one digit
    assert {k: v for k, v in ours.items() if k[0] != "core"} == pytest.approx(
        {k: v for k, v in wanted.items() if k[0] != "core"}
    )
    assert not under  # another source of text is no place on an axis of sizes


def test_figure_4_comes_back_with_its_widened_path(tmp_path: Any) -> None:
    table = drawn(capacity, paper_records.figure_4(), tmp_path)
    ours = table[table["source"] == panels.OURS]
    at = {(row.K, row.width): row.mean for row in ours.itertuples()}
    wanted = {
        (k, paper.WIDTHS[c.series, k]): v for c in paper.curves("4") for k, v in zip(c.place, c.points, strict=True)
    }
    assert at == pytest.approx(wanted)
    path = ours[ours["widened"]].set_index("K")
    assert dict(path["width"]) == {7: 768, 30: 960, 100: 1152}
    assert list(path["mean"]) == pytest.approx([72.8, 72.4, 69.7])
    under = table[table["source"] == panels.PAPER]
    assert {(r.series, r.K): r.mean for r in under.itertuples()} == {
        (c.series, k): v for c in paper.curves("4") for k, v in zip(c.place, c.points, strict=True)
    }


@pytest.mark.parametrize(
    ("records", "module", "figure", "panel", "axis"),
    [
        (paper_records.figure_6_total, vocabulary, "6", paper.TOTAL, "vocabulary"),
        (paper_records.figure_6_body, vocabulary, "6", paper.BODY, "vocabulary"),
        (paper_records.figure_7_batch, training, "7", "batch", "place"),
        (paper_records.figure_7_tokenizer, training, "7", "tokenizer", "place"),
    ],
)
def test_figures_6_and_7_come_back_each_in_its_panel(
    records: Any, module: ModuleType, figure: str, panel: str, axis: str, tmp_path: Any
) -> None:
    ours, under = both(drawn(module, records(), tmp_path), ["panel", axis])
    wanted = {(panel, place): value for (_, place), value in expected(figure, panel).items()}
    assert ours == pytest.approx(wanted) and under == pytest.approx(wanted)


@pytest.mark.parametrize("corpus", [paper.WIKIPEDIA, paper.COMMONCRAWL])
@pytest.mark.parametrize("model", [paper.ZERO_SHOT, paper.TRANSLATED])
def test_table_5_comes_back_cell_by_cell_and_as_text(model: str, corpus: str, tmp_path: Any) -> None:
    df = paper_records.monolingual(model, corpus)
    table = drawn(monolingual, df, tmp_path)
    ours = table[table["source"] == panels.OURS].pivot(index="model", columns="language", values="mean")
    rows = {monolingual.ALONE: paper.MONOLINGUAL, monolingual.SHARED: model}
    for name, row in rows.items():
        cells = paper_records.table_5(row, corpus)
        assert dict(ours.loc[name].drop("mean")) == pytest.approx(cells)
        assert round(ours.loc[name, "mean"], 1) == paper.PRINTED_MEANS[row, corpus]
    said = monolingual.table5(df, paper_records.study()).set_index("model")
    for name, row in {"monolingual": paper.MONOLINGUAL, "7 languages": model}.items():
        assert [float(said.loc[name, code]) for code in paper.GROUPS["core"]] == list(
            paper_records.table_5(row, corpus).values()
        )
    assert list(said.columns)[-1] == "mean" and float(said.loc["difference", "sw"]) == pytest.approx(
        paper_records.table_5(model, corpus)["sw"] - paper_records.table_5(paper.MONOLINGUAL, corpus)["sw"], abs=0.051
    )


def test_table_5_carries_intervals_where_seeds_allow_them() -> None:
    df = paper_records.monolingual(paper.ZERO_SHOT, paper.COMMONCRAWL)
    again = df.assign(seed=1, run=df["run"] + "b", value=df["value"] + 0.02)
    table = monolingual.table5(pd.concat([df, again], ignore_index=True), paper_records.study()).set_index("model")
    assert table.loc["monolingual", "en"] == "87.7 ± 12.7"  # t(1) = 12.706 times 2 / sqrt(2) / sqrt(2) points
    assert table.loc["difference", "en"] == "-1.0 ± 0.0"  # paired: both moved alike


def test_the_papers_printed_means_are_those_of_its_cells() -> None:
    for (model, corpus), mean in paper.PRINTED_MEANS.items():
        cells = paper_records.table_5(model, corpus)
        assert sum(cells.values()) / 7 == pytest.approx(mean, abs=0.051)
    table_3 = expected("3")
    for place in (paper.WIKIPEDIA, paper.COMMONCRAWL):
        cells = paper_records.table_5(paper.ZERO_SHOT, place)
        assert (cells["en"] + cells["fr"]) / 2 == pytest.approx(table_3["high", place])
        assert (cells["sw"] + cells["ur"]) / 2 == pytest.approx(table_3["low", place])


def test_the_papers_points_lie_only_under_xnli_over_its_own_languages() -> None:
    df = paper_records.figure_2()
    study = paper_records.study()
    assert (zeroshot.data(df, study)["source"] == panels.PAPER).any()
    other = replace(study, groups={"high": ("fr",), "low": ("sw",), "core": ("fr", "sw")})
    assert not (zeroshot.data(df, other)["source"] == panels.PAPER).any()
    intents = df.assign(task="intents")
    assert not (zeroshot.data(intents, study)["source"] == panels.PAPER).any()
    bits = df.assign(task="heldout", split="heldout", metric="bits_per_byte")
    assert not (curse.data(bits, study)["source"] == panels.PAPER).any()
    for outcome in (BITS, ACCURACY):
        assert not paper.comparable(outcome, paper.GROUPS["low"], "low")


def test_only_figures_put_english_into_xnlis_means() -> None:
    assert [o.zero_shot for o in panels.families(paper_records.figure_2()) if o.task == "xnli"] == [False]
    assert [o.zero_shot for o in outcomes(paper_records.figure_2()) if o.task == "xnli"] == [True]
    assert paper.as_paper(ACCURACY) is ACCURACY
    assert "verdicts leave it out" in zeroshot.caption(zeroshot.data(paper_records.figure_2(), paper_records.study()))


def test_a_whole_study_is_drawn_with_the_paper_beneath_and_said_in_the_caption(tmp_path: Any) -> None:
    study = replace(paper_records.study("F1"), findings=("F1",))
    drawings = {d.name: d for d in draw_all(paper_records.figure_2(), study, WHOLE, tmp_path)}
    assert "read off its bars" in drawings["zeroshot"].caption
    table = pd.read_csv(drawings["zeroshot"].paths["csv"])
    assert both(table, ["panel", "K"])[0] == pytest.approx(expected("2"))
    svg = drawings["zeroshot"].paths["svg"].read_bytes()
    draw_all(paper_records.figure_2(), study, WHOLE, tmp_path)
    assert drawings["zeroshot"].paths["svg"].read_bytes() == svg


def test_worlds_without_any_of_the_papers_axes_skip_its_figures_with_a_reason() -> None:
    df = worlds.table(worlds.cells(K=(4,)), worlds.nothing, 2, 0.02, _draw())
    study = worlds.study("F1")
    for module in (curse, zeroshot, capacity, sampling, text, vocabulary, training, monolingual):
        assert module.skipped(module.data(df, study)), module.NAME


def _draw() -> Any:
    import numpy as np

    return np.random.default_rng([1, 99])
