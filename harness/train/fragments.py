"""Which pieces of the weights and of Adam's moments this rank holds, at every ZeRO stage.

DeepSpeed keeps the fp32 weights whole on every rank (stage 0), as this rank's slice of one flat tensor a parameter
group (1, 2), or as this rank's slice of every parameter (3). AdamW keeps its moments in the shape of what it updates.
A `Fragment` says the same of all of them, so a checkpoint is a loop over fragments that each rank does by itself: no
collective, nothing gathered. All that is known here of DeepSpeed's insides is known nowhere else (seen in 0.19).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

MOMENTS = ("exp_avg", "exp_avg_sq")
KINDS = ("weight", *MOMENTS)
"""What a checkpoint holds of every element of every parameter, in fp32."""
BYTES_PER_PARAMETER = 4 * len(KINDS)


@dataclass(frozen=True)
class Fragment:
    """Elements `start` to `start + numel` of the flattened parameter `name`: they lie in `flat` from `offset` on."""

    name: str
    start: int
    numel: int
    flat: Tensor
    """What AdamW updates, and under which it keeps its state."""
    offset: int


class Held:
    """The state of an engine as this rank holds it. `shapes`: whole shape of each trained parameter, by name."""

    def __init__(self, engine: Any, zero_stage: int) -> None:
        self._zero = engine.optimizer
        self._stage = zero_stage
        self._adamw: torch.optim.AdamW = engine.basic_optimizer
        parameters = [(name, p) for name, p in engine.module.named_parameters() if p.requires_grad]
        self.shapes = {name: list(p.ds_shape if zero_stage == 3 else p.shape) for name, p in parameters}
        if zero_stage == 0:
            self._flats = [p for _, p in parameters]
            self.fragments = [Fragment(name, 0, p.numel(), p, 0) for name, p in parameters]
        elif zero_stage < 3:
            self._flats = list(self._zero.single_partition_of_fp32_groups)
            self.fragments = list(self._partitioned_flat(parameters))
        else:
            self._flats = list(self._zero.fp32_partitioned_groups_flat)
            self.fragments = list(self._partitioned_each(parameters))
        self._ensure_moments()

    def _partitioned_flat(self, parameters: Iterable[tuple[str, Any]]) -> Iterator[Fragment]:
        """Stages 1 and 2: DeepSpeed hangs the place of a parameter's local part on the parameter itself."""
        for name, parameter in parameters:
            place = parameter._hp_mapping
            if place is not None:  # else all of it belongs to other ranks
                part, flat = place.lp_fragment_address, self._flats[place.param_group_index]
                yield Fragment(name, part.start, part.numel, flat, place.hp_fragment_address.start)

    def _partitioned_each(self, parameters: Iterable[tuple[str, Any]]) -> Iterator[Fragment]:
        """Stage 3: every parameter is cut into equal parts, one a rank; the last ones may be padding."""
        for name, parameter in parameters:
            group, offset, part = self._zero.grad_position[self._zero.get_param_id(parameter)]
            start = part * self._zero._get_param_partition_rank(parameter)
            numel = min(part, parameter.ds_numel - start)
            if numel > 0:
                yield Fragment(name, start, numel, self._flats[group], offset)

    def _ensure_moments(self) -> None:
        """AdamW makes its state at its first step; a loaded state needs the place before, and zeros are its start."""
        for flat in self._flats:
            state = self._adamw.state[flat]
            if not state:
                state["step"] = torch.zeros((), dtype=torch.float32, device=flat.device)  # as the fused AdamW keeps it
                for moment in MOMENTS:
                    state[moment] = torch.zeros_like(flat, memory_format=torch.preserve_format)

    def view(self, fragment: Fragment, kind: str) -> Tensor:
        """The elements themselves, one-dimensional, to read or to write."""
        whole = fragment.flat if kind == "weight" else self._adamw.state[fragment.flat][kind]
        return whole.detach().view(-1).narrow(0, fragment.offset, fragment.numel)

    def share(self, rank: int, world: int) -> list[Fragment]:
        """What this rank writes, so that all ranks together write every element once."""
        return list(_slice(self.fragments, rank, world)) if self._stage == 0 else self.fragments

    @property
    def step(self) -> int:
        """Updates that AdamW made: the run's steps, less those that were skipped."""
        steps = {int(self._adamw.state[flat]["step"]) for flat in self._flats}
        assert len(steps) == 1, f"the parameters were updated differently often: {sorted(steps)}"
        return steps.pop()

    @step.setter
    def step(self, step: int) -> None:
        for flat in self._flats:
            self._adamw.state[flat]["step"].fill_(step)

    def write_start(self, weights: Mapping[str, Tensor]) -> None:
        """Make the state that of `weights` (whole, by parameter name) before any update. Called by all ranks."""
        self.before_writing()
        for fragment in self.fragments:
            part = weights[fragment.name].detach().reshape(-1).narrow(0, fragment.start, fragment.numel)
            self.view(fragment, "weight").copy_(part)
            for moment in MOMENTS:
                self.view(fragment, moment).zero_()
        self.step = 0
        self.after_writing()

    def before_writing(self) -> None:
        """Called by all ranks before the views are written to."""
        if self._stage == 3:  # small parameters stand gathered between steps: their copies would be out of date
            self._zero.checkpoint_event_prologue()

    def after_writing(self) -> None:
        """Carry the new fp32 weights to where the forward reads them. Called by all ranks."""
        if self._stage in (1, 2):
            self._zero.update_lp_params()
        elif self._stage == 3:
            for group in range(len(self._flats)):
                self._zero._reassign_or_swap_out_partitioned_parameters(group)
            self._zero.checkpoint_event_epilogue()


def local_gradients(engine: Any, zero_stage: int) -> list[Tensor]:
    """The averaged gradient as this rank holds it once a backward pass has ended: whole at stage 0, its part later.

    All ranks' parts together are every element once, beside zeros.
    """
    if zero_stage == 0:
        return [p.grad for p in engine.module.parameters() if p.grad is not None]
    return [part for parts in engine.optimizer.averaged_gradients.values() for part in parts if part is not None]


def _slice(fragments: Iterable[Fragment], rank: int, world: int) -> Iterator[Fragment]:
    """The `rank`-th of `world` equal runs of elements, through all fragments in order."""
    fragments = list(fragments)
    total, begin = sum(fragment.numel for fragment in fragments), 0
    first, last = total * rank // world, total * (rank + 1) // world
    for fragment in fragments:
        low, high = max(first, begin), min(last, begin + fragment.numel)
        if low < high:
            skipped = low - begin
            yield replace(fragment, start=fragment.start + skipped, numel=high - low, offset=fragment.offset + skipped)
        begin += fragment.numel
