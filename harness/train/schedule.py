"""The learning rate as a pure function of the step, so that a restart has nothing to remember."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from sweeps.budgets import decay_steps, warmup_steps


def learning_rate_at(step: int, *, steps: int, peak: float, schedule: Mapping[str, Any]) -> float:
    """Rate used by update `step` (0-based) of `steps`.

    Linear warm-up over `warmup` x steps (or `warmup_steps`), then linear or cosine to zero, or (`wsd`) constant and a
    linear decay to zero over the last `decay` x steps. The rate never is zero: the last update uses one step's worth.
    """
    warmup = warmup_steps(schedule, steps)
    if step < warmup:
        return peak * (step + 1) / warmup
    left = (steps - step) / max(1, steps - warmup)
    match schedule["kind"]:
        case "linear":
            return peak * left
        case "cosine":
            return peak * 0.5 * (1.0 - math.cos(math.pi * left))
        case "wsd":
            return peak * min(1.0, (steps - step) / decay_steps(schedule, steps))
    raise ValueError(f"schedule kind {schedule['kind']!r} is not linear, cosine or wsd")
