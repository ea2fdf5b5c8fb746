"""Every figure in simulated studies of its finding: both outcome families, clear to read, and honest about gaps."""

from __future__ import annotations

from dataclasses import replace
from types import ModuleType

import layout
import numpy as np
import pandas as pd
import pytest
import worlds

from analysis.figures import (
    budgets,
    capacity,
    causes,
    curse,
    enough,
    languages,
    monolingual,
    panels,
    pareto,
    sampling,
    seen,
    style,
    text,
    tokenizer,
    training,
    vocabulary,
    zeroshot,
)
from analysis.records import COLUMNS, Completeness, Study

WHOLE = Completeness(0, 0, ())
SHOWN = {
    "F1": (curse, zeroshot, seen), "F2": (curse, zeroshot), "F4": (curse, zeroshot, capacity),
    "F6": (sampling, seen), "F7": (sampling,), "F8": (sampling, budgets), "F9": (vocabulary,), "F10": (vocabulary,),
    "F11": (vocabulary,), "F12": (tokenizer,), "F13": (text,), "F14": (training,), "F15": (training,),
    "F16": (monolingual,), "F18": (enough,),
}  # fmt: skip
PAIRS = [(finding, module) for finding, modules in SHOWN.items() for module in modules]


def of_world(finding: str, seeds: int = 3, tasks: tuple[str, ...] = ("intents",)) -> pd.DataFrame:
    """Its held-out bits, accuracies that follow them, and the tokens that each language was given."""
    draw = np.random.default_rng([3, int(finding[1:])])
    grid, truth = worlds.GRIDS[finding], worlds.effect(finding)
    bits = worlds.table(grid, truth, seeds, worlds.NOISE.get(finding, 0.02), draw)
    parts = [bits]
    for task in tasks:
        points = bits.assign(
            task=task, split="test", metric="accuracy", value=1.1 - bits["value"] / 4, chance=1 / 19, majority=0.12
        )
        parts.append(points)
    shares = bits["tokens"] * 0.6 ** bits.groupby("run").cumcount()
    parts.append(bits.assign(task="training", split="train", metric="tokens", value=shares))
    return pd.concat(parts, ignore_index=True).astype({name: column.dtype for name, column in COLUMNS.items()})


def texts_of(module: ModuleType, df: pd.DataFrame, study: Study, state: Completeness = WHOLE) -> str:
    """What is written on the figure, looked over for clear layout first."""
    points = module.data(df, study)
    assert module.skipped(points) == ""
    with style.house():
        figure = module.draw(points, df, study, state)
        layout.check(figure, module.NAME)
    return "\n".join(t.get_text() for t in figure.texts)


@pytest.mark.parametrize(("finding", "module"), PAIRS, ids=lambda x: x if isinstance(x, str) else x.NAME)
def test_a_figure_of_the_finding_is_clear_and_shows_both_families(finding: str, module: ModuleType) -> None:
    df, study = of_world(finding), worlds.study(finding)
    points = module.data(df, study)
    texts_of(module, df, study)
    families = {"curse": {"bits per byte"}, "zeroshot": {"zero-shot accuracy"}}
    if module is not seen:
        assert set(points["outcome"]) == families.get(module.NAME, {"bits per byte", "zero-shot accuracy"})
        assert finding in module.FINDINGS
    assert (points["low"] < points["mean"]).any() or module is seen
    assert module.caption(points)


def test_many_widths_tasks_and_languages_still_fit() -> None:
    codes = ["en", *(f"zh-x{i}" for i in range(19))]
    grid = [
        {"languages": ",".join(codes[:k]), "width": width, "alpha": alpha}
        for k in (2, 3, 4, 6, 12, 20)
        for width in (64, 128, 256, 512)
        for alpha in ((0.3,) if k < 20 else (0.01, 0.1, 0.3, 0.5, 0.7, 1.0))
    ]
    draw = np.random.default_rng([4])
    bits = worlds.table(grid, worlds.effect("F4"), 2, 0.02, draw)
    parts = [bits, bits.assign(task="training", split="train", metric="tokens", value=1e6)]
    for task in ("intents", "pawsx", "xnli", "udpos"):
        parts.append(bits.assign(task=task, split="test", metric="accuracy", value=bits["value"] / 4, chance=0.5))
    df = pd.concat(parts, ignore_index=True)
    study = replace(worlds.study("F4"), groups={"high": ("en",), "low": tuple(codes[1:9]), "core": tuple(codes[:12])})
    for module in (curse, zeroshot, capacity, sampling, seen):
        texts_of(module, df, study)


def test_gaps_are_said_on_the_figure() -> None:
    df = of_world("F6")
    study = replace(worlds.study("F6"), groups={"high": ("en", "xx"), "low": ("sv",), "core": ("en", "sv")})
    run = df.loc[df["alpha"] == 0.7, "run"].iloc[0]
    df.loc[(df["run"] == run) & (df["language"] == "sv") & (df["task"] == "heldout"), "value"] = float("nan")
    said = texts_of(sampling, df, study)
    assert "high group without xx: not measured in bits per byte" in said
    assert "Runs with a number that is NaN, left out of its group's mean: 1." in said
    points = sampling.data(df, study)
    low = points[(points["outcome"] == "bits per byte") & (points["panel"] == "low")].set_index("alpha")
    assert low.loc[0.7, "seeds"] == 2 and low.loc[0.3, "seeds"] == 3
    assert "Hollow markers: one seed" in texts_of(sampling, of_world("F6", seeds=1), study)


@pytest.mark.parametrize("module", [curse, zeroshot, languages, seen], ids=lambda module: module.NAME)
def test_one_arm_of_several_is_named_on_the_figure_with_the_count_of_the_runs_left_out(module: ModuleType) -> None:
    df, study = of_world("F11"), worlds.study("F11")
    arms = df["vocabulary"].nunique()
    out = df["run"].nunique() * (arms - 1) // arms
    said = texts_of(module, df, study)
    assert f"Runs that differ elsewhere are left out here ({out}); kept: vocabulary {df['vocabulary'].max()}." in said


@pytest.mark.parametrize(
    ("finding", "module"), [("F9", vocabulary), ("F12", tokenizer), ("F13", text), ("F14", training)]
)
def test_a_plane_that_leaves_runs_out_says_so_on_the_figure(finding: str, module: ModuleType) -> None:
    df, study = of_world(finding), worlds.study(finding)
    assert "left out" not in texts_of(module, df, study)
    some = df[df["seed"] == 0]
    other = some.assign(run=some["run"] + "-other", layers=some["layers"] + 2)
    said = texts_of(module, pd.concat([df, other], ignore_index=True), study)
    kept = f"kept: layers {df['layers'].iloc[0]}."
    assert f"Runs that differ elsewhere are left out here ({some['run'].nunique()}); {kept}" in said


def test_what_one_panel_leaves_out_and_another_holds_is_told_of_its_panel_alone() -> None:
    batches, kinds = of_world("F14"), of_world("F15")
    both = pd.concat([batches, kinds.assign(run="kind-" + kinds["run"])], ignore_index=True)
    said = texts_of(training, both, worlds.study("F14"))
    out = kinds.loc[kinds["tokenizer_algorithm"] == "bpe", "run"].nunique()
    assert f"Batch size: runs that differ elsewhere are left out here ({out}); kept: tokenizer unigram." in said
    assert "Tokenizer: runs that differ elsewhere are left out here" in said and "Drawn here" not in said


def test_runs_beside_an_axis_are_counted() -> None:
    """Without an alpha, or at a width of one alpha alone, a run has no place on the axis of alpha."""
    df, study = of_world("F6"), worlds.study("F6")
    some = df[df["alpha"] == 0.3]
    unimax = some.assign(run="unimax-" + some["run"], alpha=float("nan"), sampling="unimax 4")
    other = some.assign(run="other-" + some["run"], alpha=0.9, width=some["width"] * 2)
    every = pd.concat([df, unimax, other], ignore_index=True)
    here, all_runs = df["run"].nunique(), every["run"].nunique()
    for module in (sampling, seen):
        assert f"Drawn here: {here} of {all_runs} runs." in texts_of(module, every, study)
        assert "Drawn here" not in texts_of(module, df, study)


def test_the_split_of_the_penalty_tells_what_its_cells_leave_out() -> None:
    df, study = of_world("F3"), worlds.study("F3")
    other = df.assign(run="deep-" + df["run"], layers=df["layers"] + 2)[df["seed"] == 0]
    said = texts_of(causes, pd.concat([df, other], ignore_index=True), study)
    assert f"left out here ({other['run'].nunique()}); kept: layers {df['layers'].iloc[0]}." in said


def test_unimax_stands_beside_the_alphas_as_a_level_of_its_width() -> None:
    df, study = of_world("F8"), worlds.study("F8")
    some = df[df["alpha"] == 0.3]
    unimax = some.assign(run="unimax-" + some["run"], alpha=float("nan"), sampling="unimax 4.0")
    every = pd.concat([df, unimax], ignore_index=True)
    points = budgets.data(every, study)
    levels = points[points["alpha"].isna()]
    assert set(levels["name"]) == {"unimax 4.0"} and "passed 4 times" in budgets.caption(points)
    own = points[points["alpha"] == 0.3].set_index(["outcome", "width", "steps"])["mean"]
    assert levels.set_index(["outcome", "width", "steps"])["mean"].to_dict() == pytest.approx(own.to_dict())
    assert "left out" not in texts_of(budgets, every, study)
    one = every[every["steps"] == every["steps"].max()]
    assert budgets.skipped(budgets.data(one, study)) == ""
    assert "one budget" in budgets.skipped(budgets.data(one[one["alpha"].notna()], study))


def test_one_seed_leaves_no_empty_panel_beside_the_front() -> None:
    for seeds, panels_there in ((1, 1), (3, 2)):
        df, study = of_world("F6", seeds=seeds), worlds.study("F6")
        points = pareto.data(df, study)
        with style.house():
            assert len(pareto.draw(points, df, study, WHOLE).axes) == panels_there
        assert pareto.caption(points).startswith("Left: mean" if seeds > 1 else "Mean")


def test_amounts_of_text_are_lines_and_budgets_panels_and_one_amount_leaves_the_budgets_as_lines() -> None:
    grid = worlds.cells(K=(2, 4, 16), text_bytes=(2e4, 1e5, 4e5), steps=(1000, 2000, 4000))
    df = worlds.table(grid, worlds.effect("F18"), 2, 0.02, np.random.default_rng([6]))
    study = worlds.study("F18")
    whole = enough.data(df, study)
    assert set(whole["panel"]) == {"1,000 steps", "2,000 steps", "4,000 steps"} and whole["line"].nunique() == 3
    texts_of(enough, df, study)
    one = enough.data(df[df["text_bytes"] == 4e5], study)
    assert one["panel"].nunique() == 1 and set(one["line"]) == {1000.0, 2000.0, 4000.0}


def test_equal_values_still_have_a_readable_axis() -> None:
    grid = worlds.cells(K=(2, 4, 8), alpha=(0.1, 0.3, 0.5, 0.7, 0.8, 0.9, 1.0))
    df = worlds.table(grid, worlds.nothing, 2, 0.0, np.random.default_rng([5]))
    for module in (curse, sampling):
        texts_of(module, df, worlds.study("F6"))


def test_references_far_from_the_lines_are_written_at_the_foot_and_near_ones_drawn() -> None:
    df, study = of_world("F1"), worlds.study("F1")
    assert "Off the scale (zero-shot accuracy): guessing evenly 5 %; commonest class 12 %." in texts_of(
        zeroshot, df, study
    )
    near = df.assign(chance=0.38, majority=0.39)
    near.loc[(near["task"] == "intents") & (near["language"] == "en"), "value"] = 0.9
    said = texts_of(zeroshot, near, study)
    assert "English, supervised, 90.0 to 90.0 %" in said and "guessing" not in said


def test_unfinished_cells_are_named_by_the_axis_of_the_figure() -> None:
    df = of_world("F13")
    own = df.drop_duplicates("run").iloc[0].to_dict() | {"text_bytes": 3e6, "seed": 2}
    study = replace(worlds.study("F13"), runs=("late",), planned={"late": own})
    said = texts_of(text, df, study, Completeness(10, 9, ("late",)))
    assert "Not finished: 1 of the study's 10 runs; here: text bytes 3e+06, width 64 (seed 2)." in said


def test_widths_that_keep_the_total_and_one_body_are_told_apart() -> None:
    total = vocabulary.data(of_world("F9"), worlds.study("F9"))
    body = vocabulary.data(of_world("F10"), worlds.study("F10"))
    assert set(total["panel"]) == {"constant total"} and set(body["panel"]) == {"constant body"}
    wild = of_world("F9")
    wild.loc[wild["vocabulary"] == 24000, "body_parameters"] *= 10
    assert vocabulary.skipped(vocabulary.data(wild, worlds.study("F9")))


def test_growing_width_takes_the_widest_cell_that_is_there() -> None:
    df = of_world("F4")
    points = capacity.data(df, worlds.study("F4"))
    assert set(zip(points["K"], points["width"], points["widened"], strict=True)) >= {
        (2, 32, True), (16, 128, True), (16, 32, False)
    }  # fmt: skip
    less = df[(df["K"] != 16) | (df["width"] != 128)]
    points = capacity.data(less, worlds.study("F4"))
    assert set(points.loc[points["widened"], "width"]) == {32, 64}


def test_all_text_stands_beyond_the_largest_amount() -> None:
    places = text.AXIS.places([1e5, float("inf"), 1e6])
    assert places[1e5] < places[1e6] < places[float("inf")]
    assert [text.AXIS.text(x) for x in (3e4, float("inf"))] == ["30kB", "all"]
    assert panels.Axis("x", "", "category").places(["b", "a", "b"]) == {"b": 0.0, "a": 1.0}


def test_tokens_by_language_are_drawn_from_most_to_least() -> None:
    points = seen.data(of_world("F6"), worlds.study("F6"))
    assert set(points["line"]) == {0.0, 0.3, 0.7, 1.0} and seen.skipped(points) == ""
    bits_only = of_world("F6").query("task == 'heldout'")
    assert "no tokens" in seen.skipped(seen.data(bits_only, worlds.study("F6")))


def test_all_but_equal_tokens_look_equal() -> None:
    points = seen.data(of_world("F6").query("alpha == 0"), worlds.study("F6"))
    points["mean"] = 188_000.0 + points["language"].rank()
    figure = seen.draw(points, of_world("F6"), worlds.study("F6"), WHOLE)
    low, high = figure.axes[0].get_ylim()
    assert high > 4 * low
    figure.canvas.draw()
    names = [label.get_text() for label in figure.axes[0].get_yticklabels()]
    assert len(names) == len(set(names))
