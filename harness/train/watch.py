"""The loss watch: an update whose loss or gradient is not finite, or whose loss is far above those before, is refused.

The judgement is made on the device and handed to PyTorch's fused AdamW as its `found_inf`, which then leaves weights,
moments and step count alone: no step waits for the host. Every rank judges the same numbers, so all agree.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

SPIKE_DEVIATIONS = 6.0
"""A loss this many standard deviations above the running mean is a spike."""
SETTLED_STEPS = 100
"""Steps that must have been taken before a finite loss is called a spike."""
DECAY = 0.99
"""Of the running mean and variance: they remember about the last hundred steps."""

_FIELDS = ("mean", "variance", "taken", "refused", "in_a_row")


class LossWatch:
    """Running statistics of the loss: five fp64 numbers on the device."""

    def __init__(self, device: torch.device, deviations: float = SPIKE_DEVIATIONS) -> None:
        self._deviations = deviations
        self._numbers = torch.zeros(len(_FIELDS), dtype=torch.float64, device=device)

    def judge(self, loss: Tensor, gradient_norm: Tensor) -> Tensor:
        """Whether this update is refused, () bool.

        Both are () and of the global batch: its mean loss, and the norm of its gradient before clipping.
        """
        mean, variance, taken, refused, in_a_row = self._numbers.unbind()
        value = loss.detach().double()
        spike = (taken >= SETTLED_STEPS) & (value > mean + self._deviations * variance.sqrt())
        bad = spike | ~value.isfinite() | ~gradient_norm.isfinite()
        good = (~bad).double()
        # A plain mean over the first steps, then one that forgets. What is refused leaves both alone.
        weight = good * (1.0 / (taken + 1.0)).clamp_min(1.0 - DECAY)
        apart = torch.where(bad, 0.0, value - mean)
        self._numbers = torch.stack(
            (
                mean + weight * apart,
                (1.0 - weight) * (variance + weight * apart * apart),
                taken + good,
                refused + (1.0 - good),
                (in_a_row + 1.0) * (1.0 - good),
            )
        )
        return bad

    @property
    def refused(self) -> int:
        """Updates refused so far. Waits for the device, as all that follows."""
        return int(self._numbers[3])

    @property
    def in_a_row(self) -> int:
        """Updates refused since the last one that was taken."""
        return int(self._numbers[4])

    def state(self) -> dict[str, float]:
        """For the checkpoint; exact, also through JSON."""
        return dict(zip(_FIELDS, self._numbers.tolist(), strict=True))

    def restore(self, state: Mapping[str, float]) -> None:
        """Take up a `state`; an empty one is the start."""
        numbers = [state.get(field, 0.0) for field in _FIELDS]
        self._numbers = torch.tensor(numbers, dtype=torch.float64, device=self._numbers.device)
