"""Several budgets from one trunk: each run is the one that it is alone, and they share what they say they share."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.train.schedule import learning_rate_at
from sweeps.budgets import Trunk, trunk_of
from sweeps.errors import BadInput
from sweeps.grid import Run, expand
from sweeps.study import parse_study

STUDY = """
name: budgets
question: What does a longer run bring?
corpus: text
axes: {axes}
exclude: {exclude}
recipe:
  model: {{kind: modern, layers: 3, width: 32, vocabulary: 4000}}
  sampling: {sampling}
  budget: {{batch_tokens: 1024, steps: {steps}}}
  row_tokens: 64
  learning_rate: 0.006
  schedule: {schedule}
"""
AXES = "{languages: [[en, lb, da]]}"
WSD = "{kind: wsd, warmup: 0.1, decay: 0.2}"
PINNED = [
    "k3-a0.3-w32-l3-v4000-s0-bf8a3ea2a5",
    "k3-a0.3-w32-l3-v4000-s0-5d23cb1455",
    "k3-a0.3-w32-l3-v4000-s0-13bd2ec1a6",
]


def runs(
    steps: Any = "[100, 200, 400]",
    schedule: str = WSD,
    axes: str = AXES,
    exclude: str = "[]",
    sampling: str = "{alpha: 0.3}",
) -> list[Run]:
    text = STUDY.format(steps=steps, schedule=schedule, axes=axes, exclude=exclude, sampling=sampling)
    return expand(parse_study(text, "budgets.yaml"), "key")


def test_each_budget_is_an_ordinary_run_and_keeps_its_id() -> None:
    found = runs()
    assert [run.id for run in found] == PINNED
    assert [run.axes["steps"] for run in found] == [run.science["steps"] for run in found] == [100, 200, 400]
    for run in found:
        warmup = "warmup: 0.1" if run.axes["steps"] == 100 else "warmup_steps: 10"
        (alone,) = runs(run.axes["steps"], WSD.replace("warmup: 0.1", warmup))
        assert (alone.id, alone.science, alone.trunk) == (run.id, run.science, None)


def test_the_smallest_budget_is_the_run_that_knows_no_list() -> None:
    assert runs()[0].science["schedule"] == {"kind": "wsd", "warmup": 0.1, "decay": 0.2}
    assert runs()[1].science["schedule"] == {"kind": "wsd", "warmup_steps": 10, "decay": 0.2}


def test_shorter_runs_leave_the_longest_where_their_decay_begins() -> None:
    short, middle, long = runs()
    assert (short.trunk, middle.trunk, long.trunk) == (Trunk(long.id, 80), Trunk(long.id, 160), None)


def test_every_cell_has_a_trunk_of_its_own() -> None:
    found = runs(axes="{languages: [[en, lb, da]], width: [32, 64], seed: [0, 1]}")
    assert len(found) == 12 and [run.axes["steps"] for run in found[:3]] == [100, 200, 400]
    for run in found:
        if run.trunk is not None:
            (trunk,) = (other for other in found if other.id == run.trunk.run)
            same = ("width", "seed", "languages")
            assert trunk.axes["steps"] == 400 and all(trunk.axes[name] == run.axes[name] for name in same)


def test_the_longest_budget_that_exclude_leaves_is_the_trunk() -> None:
    short, middle = runs(exclude="[steps == 400]")
    assert short.trunk == Trunk(middle.id, 80) and middle.trunk is None


def test_a_decay_over_the_whole_run_shares_nothing() -> None:
    assert [run.trunk for run in runs(schedule="{kind: wsd, decay: 1.0}")] == [None, None, None]


def test_steps_on_an_axis_are_runs_of_their_own() -> None:
    found = runs(100, axes="{languages: [[en, lb, da]], steps: [100, 200]}")
    assert [run.trunk for run in found] == [None, None]
    assert found[1].science["schedule"]["warmup"] == 0.1


@given(
    st.lists(st.integers(1, 500), min_size=2, max_size=4, unique=True).map(sorted),
    st.floats(0, 1, allow_subnormal=False),
    st.floats(0, 1, allow_subnormal=False),
)
def test_up_to_its_branch_a_run_has_the_rates_of_its_trunk(steps: list[int], warmup: float, decay: float) -> None:
    found = runs(steps, f"{{kind: wsd, warmup: {warmup}, decay: {decay}}}")
    rates = [
        [
            learning_rate_at(step, steps=run.axes["steps"], peak=0.1, schedule=run.science["schedule"])
            for step in range(run.axes["steps"])
        ]
        for run in found
    ]
    for run, own in zip(found[:-1], rates[:-1], strict=True):
        shared = 0 if run.trunk is None else run.trunk.step
        assert own[:shared] == rates[-1][:shared]
        assert shared < run.axes["steps"] and trunk_of(run.science, found[-1].id) == run.trunk


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"schedule": "{kind: linear}"}, "with schedule linear they share no steps; set schedule.kind to wsd"),
        ({"schedule": "{}"}, "with schedule linear they share no steps"),
        ({"sampling": "{kind: unimax, max_epochs: 2}"}, "with sampling unimax, whose shares follow from the budget"),
        ({"steps": "[100]"}, "recipe.budget: steps [100] must list two or more budgets"),
        ({"steps": "[]"}, "steps [] must list two or more budgets"),
        ({"steps": "[200, 100]"}, "steps [200, 100] must list two or more budgets, each larger than the one before"),
        ({"steps": "[100, 100]"}, "steps [100, 100] must list two or more budgets, each larger than the one before"),
        ({"steps": "[0, 100]"}, "recipe.budget.steps.0: input should be greater than or equal to 1 (given 0)"),
        ({"steps": "[many, 100]"}, "recipe.budget.steps.0: input should be a valid integer"),
        ({"schedule": "{kind: wsd, warmup: 0.1, warmup_steps: 3}"}, "warmup (0.1) and warmup_steps (3) say the same"),
        ({"schedule": "{kind: wsd, warmup_steps: 101}"}, "101 is more than the run's 100 steps"),
        ({"axes": "{languages: [[en, lb, da]], schedule.kind: [wsd, cosine]}"}, "with schedule cosine they share no"),
    ],
)
def test_budgets_that_cannot_be_are_refused_in_one_sentence(changes: dict[str, Any], words: str) -> None:
    with pytest.raises(BadInput) as caught:
        runs(**changes)
    assert words in str(caught.value) and "\n" not in str(caught.value)
