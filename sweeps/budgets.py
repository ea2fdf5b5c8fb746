"""Several token budgets from one trunk: warm-up, plateau, and a decay of its own for each (warm-up-stable-decay).

With `budget: {steps: [N1, N2, N3]}` each Ni is an ordinary run: an id, weights, records. They share one warm-up, a
share of the smallest budget, and the plateau behind it. So run Ni is the largest run, the *trunk*, up to the step where
its own decay begins: it may start from the trunk's state there, and ends with the numbers that it would have had alone.
Where its first steps were made is execution, not science.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sweeps.recipe import BudgetBlock, RecipeBlock


@dataclass(frozen=True)
class Trunk:
    """Where a run may branch off."""

    run: str
    """Id of the trunk."""
    step: int
    """Updates that both have in common."""


def warmup_steps(schedule: Mapping[str, Any], steps: int) -> int:
    """Updates over which the rate of a run of `steps` rises, at least 1. `schedule` as in a run's science."""
    if "warmup_steps" in schedule:
        return int(schedule["warmup_steps"])
    return max(1, round(schedule["warmup"] * steps))


def decay_steps(schedule: Mapping[str, Any], steps: int) -> int:
    """Updates over which the rate of a `wsd` run of `steps` falls, at least 1."""
    return max(1, round(schedule["decay"] * steps))


def budgets(recipe: RecipeBlock) -> list[RecipeBlock]:
    """The recipe of each budget, smallest first; a recipe of one budget as it is.

    The warm-up is named in steps where the budget's own share of it would be another number: the smallest budget, and
    any other that agrees, is the run that it is without the list.
    """
    steps, schedule = recipe.budget.steps, recipe.schedule
    if isinstance(steps, int):
        return [recipe]
    warmup = warmup_steps(schedule.science(), steps[0])
    each = []
    for count in steps:
        own = schedule
        if warmup_steps(schedule.science(), count) != warmup:
            own = schedule.model_copy(update={"warmup": None, "warmup_steps": warmup})
        budget = BudgetBlock(batch_tokens=recipe.budget.batch_tokens, steps=count)
        each.append(recipe.model_copy(update={"budget": budget, "schedule": own}))
    return each


def trunk_of(science: Mapping[str, Any], trunk: str) -> Trunk | None:
    """Where the run of this science leaves the run `trunk`; None where its decay begins at once."""
    step = science["steps"] - decay_steps(science["schedule"], science["steps"])
    return Trunk(trunk, step) if step > 0 else None
