"""A plan's arithmetic, by hand: hours, epochs, what is missing, ranges, and what to trim."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sweeps.grid import Run, expand
from sweeps.pace import DEVICES, FLOP_MODEL_ERROR, SCALED_ERROR, Paces, Point, shape_of
from sweeps.plan import MANY_EPOCHS, Plan, cheapest_trim, expected_epochs, price, tokenizer_name
from sweeps.study import Study, parse_study

STUDY = """
name: priced
question: What does it cost?
corpus: text
axes: {languages: [[en, sw], [en, sw, fr]], width: [32, 64], seed: [0, 1, 2]}
recipe:
  model: {layers: 3, width: 32, vocabulary: 4000}
  budget: {batch_tokens: 1024, steps: 1000}
  row_tokens: 64
  learning_rate: 0.006
execution: {devices: 2, hours: 1}
"""
SIZES = {"en": 4_000_000.0, "sw": 40_000.0, "fr": 400_000.0}
CPU = DEVICES["cpu"]


def study(old: str = "", new: str = "") -> Study:
    assert old in STUDY
    return parse_study(STUDY.replace(old, new, 1), "priced.yaml")


def priced(one: Study, states: dict[str, str] | None = None, points: tuple[Point, ...] = (), **over: Any) -> Plan:
    runs = expand(one, "key")
    facts: dict[str, Any] = {
        "bytes_of": SIZES,
        "bytes_per_token": {},
        "paces": Paces(points, CPU),
        "memory_bytes": 4e9,
        "on_cpu": True,
        "beside": 1,
        "overhead_seconds": 0.0,
    }
    every = {run.id: "waiting" for run in runs} | (states or {})
    return price(runs, every, one.execution, **facts | over)


def point(run: Run, seconds: float, one: Study) -> Point:
    fields = one.execution.model_dump()
    parameters = run.axes["body_parameters"] + run.axes["embedding_parameters"]
    return Point(shape_of(run.science, fields, 1), run.axes["flops"] / run.axes["steps"], parameters, seconds)


def test_seeds_are_one_cell_and_hours_are_steps_by_seconds_on_all_devices() -> None:
    one = study()
    runs = expand(one, "key")
    plan = priced(one, points=tuple(point(run, 0.36, one) for run in runs), overhead_seconds=36.0)
    assert [len(cell.runs) for cell in plan.cells] == [3] * 4
    for cell in plan.cells:
        assert cell.pace.seconds == pytest.approx(0.36)
        assert cell.run_hours == pytest.approx((360 + 36) / 3600)
        assert cell.device_hours == pytest.approx(cell.run_hours * 2 * 3)
    assert plan.missing_hours == pytest.approx(0.11 * 2 * 12)


def test_only_what_is_neither_done_nor_under_way_is_to_be_paid() -> None:
    runs = expand(study(), "key")
    states = {runs[0].id: "done", runs[1].id: "running", runs[2].id: "failed"}
    plan = priced(study(), states)
    assert dict(plan.states) == {"done": 1, "running": 1, "failed": 1, "waiting": 9}
    first = plan.cells[0]
    assert first.missing == 1 and first.missing_hours == pytest.approx(first.device_hours / 3)


def test_without_a_measurement_hours_follow_from_the_flops_and_say_so() -> None:
    cell = priced(study()).cells[0]
    rate = CPU.peak_flops * CPU.assumed_share * 2
    assert cell.pace.seconds == pytest.approx(cell.axes["flops"] / 1000 / rate)
    assert (cell.pace.basis, cell.pace.error) == ("FLOPs", FLOP_MODEL_ERROR)


def test_a_shape_that_was_seen_is_reckoned_with_what_was_seen_and_another_is_scaled() -> None:
    one = study()
    runs = expand(one, "key")
    narrow = next(run for run in runs if run.axes["width"] == 32)
    plan = priced(one, points=(point(narrow, 0.1, one), point(narrow, 0.12, one), point(narrow, 0.14, one)))
    for cell in plan.cells:
        if cell.axes["width"] == 32:
            assert (cell.pace.seconds, cell.pace.basis) == (pytest.approx(0.12), "3 seen")
            assert cell.pace.error == pytest.approx(0.02 / 0.12)
        else:
            assert (cell.pace.basis, cell.pace.error) == ("scaled", SCALED_ERROR)
            assert cell.pace.seconds > 0.12


@given(st.tuples(*[st.floats(0.0, 5.0)] * 3).filter(lambda terms: sum(terms) > 0.1))
@settings(max_examples=30, deadline=None)
def test_a_fit_to_four_shapes_gives_back_the_law_that_they_follow(terms: tuple[float, float, float]) -> None:
    one = study("width: [32, 64]", "width: [32, 64, 128, 256, 512]")
    runs = {run.axes["width"]: run for run in expand(one, "key")}

    def law(run: Run) -> float:
        parameters = run.axes["body_parameters"] + run.axes["embedding_parameters"]
        return terms[0] * 0.01 + terms[1] * run.axes["flops"] / 1000 / 1e11 + terms[2] * parameters / 1e9

    points = tuple(point(runs[width], law(runs[width]), one) for width in (32, 64, 128, 512))
    for cell in priced(one, points=points).cells:
        assert cell.pace.seconds == pytest.approx(law(cell.runs[0]), rel=1e-3)
        assert cell.pace.basis == ("fitted to 4" if cell.axes["width"] == 256 else "1 seen")


def test_epochs_are_tokens_drawn_over_tokens_held() -> None:
    run = expand(study("axes:", "axes:").model_copy(), "key")[0]
    science = run.science | {"alpha": 1.0, "languages": ["en", "sw"]}
    epochs = {entry.language: entry.count for entry in expected_epochs(science, SIZES, {})}
    # By the data's own shares every text is passed as often: rows drawn by rows held, at 4 bytes a token.
    rows = 1000 * 16 / ((4_040_000 / 4) / 63)
    assert epochs == {"en": pytest.approx(rows, rel=1e-6), "sw": pytest.approx(rows, rel=1e-6)}
    half = {entry.language: entry.count for entry in expected_epochs(science, SIZES, {"en": 2.0, "sw": 2.0})}
    assert half["en"] == pytest.approx(epochs["en"] / 2)
    even = {entry.language: entry.count for entry in expected_epochs(science | {"alpha": 0.0}, SIZES, {})}
    assert even["sw"] / even["en"] == pytest.approx(100)
    held = science | {"alpha": 0.0, "text_bytes": 40_000}
    assert len({entry.count for entry in expected_epochs(held, SIZES, {})}) == 1
    assert expected_epochs(science | {"languages": ["en", "xx"]}, SIZES, {}) == []


def test_unimax_epochs_stay_below_the_cap() -> None:
    science = expand(study(), "key")[0].science | {"languages": ["en", "sw", "fr"]}
    unimax = science | {"sampling": {"kind": "unimax", "max_epochs": 2.0}, "steps": 1000}
    assert max(entry.count for entry in expected_epochs(unimax, SIZES, {})) == pytest.approx(2.0)


def test_a_plan_warns_of_many_epochs_of_long_runs_and_of_what_does_not_fit() -> None:
    (often,) = [w for w in priced(study()).warnings if "times" in w and "pass" in w]
    assert "sw up to" in often and MANY_EPOCHS == 4.0
    one = study()
    slow = tuple(point(run, 9.0, one) for run in expand(one, "key"))
    assert any(
        "longer than one job may (1 h): the longest is taken up again 2 times" in w
        for w in priced(one, points=slow).warnings
    )
    assert any("do not fit the device" in w for w in priced(one, memory_bytes=1e5).warnings)
    assert any("do not fit the device" in w for w in priced(study("devices: 2", "devices: 3")).warnings)


def test_the_micro_batch_is_what_the_memory_takes_and_accumulation_the_rest() -> None:
    whole = priced(study()).cells[0]
    assert (whole.micro_rows, whole.accumulation) == (8, 1)
    tight = priced(study(), memory_bytes=7e6).cells[0]
    assert 0 < tight.micro_rows < 8 and tight.micro_rows * tight.accumulation == 8


def test_branches_pay_for_their_own_steps_alone() -> None:
    one = study("steps: 1000}", "steps: [500, 1000]}\n  schedule: {kind: wsd, decay: 0.2}")
    plan = priced(one, points=tuple(point(run, 0.36, one) for run in expand(one, "key")))
    hours = {(cell.axes["K"], cell.axes["width"], cell.axes["steps"]): cell.run_hours for cell in plan.cells}
    assert hours[2, 32, 1000] == pytest.approx(0.1) and hours[2, 32, 500] == pytest.approx(100 * 0.36 / 3600)


def test_the_range_is_every_estimate_off_the_same_way() -> None:
    plan = priced(study())
    low, high = plan.low_high
    assert low == pytest.approx(plan.missing_hours * 0.6) and high == pytest.approx(plan.missing_hours * 1.4)


def test_tokenizers_and_shards_are_counted_once() -> None:
    plan = priced(study())
    assert (plan.tokenizers, plan.shards) == (1, 3)
    retrained = study("  row_tokens", "  tokenizer: {policy: retrained}\n  row_tokens")
    assert (priced(retrained).tokenizers, priced(retrained).shards) == (2, 5)
    block = {"languages": ["en", "sw"], "vocabulary": 9}
    assert tokenizer_name(block) == tokenizer_name({"vocabulary": 9, "languages": ["sw", "en"]})


def test_the_cheapest_trim_gives_up_the_fewest_cells_that_are_enough() -> None:
    plan = priced(study("width: [32, 64]", "width: [32, 64, 128, 512]"))
    wide = sum(cell.missing_hours for cell in plan.cells if cell.axes["width"] == 512)
    trim = cheapest_trim(plan, plan.missing_hours - wide)
    assert trim is not None and (trim.axis, trim.value, trim.cells, trim.enough) == ("width", 512, 2, True)
    none = cheapest_trim(plan, 0.0)
    assert none is not None and (none.axis, none.value, none.enough) == ("width", 512, False)
