"""The peak learning rate as users write it: a number, or a rule across widths."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Discriminator, Field, Tag, model_validator

from sweeps.strict import NUMBER, RULE, Positive, Strict


class LearningRateRule(Strict):
    """Peak rate at any width, from the one that was found at `width`.

    `power`: rate x (width / model width) ^ power, for every weight, whatever the model's kind.
    `mup`: the maximal-update parametrisation for Adam with a tied table (Yang et al. 2022, Tensor Programs V, table 8),
    kind `modern` only. With m = model width / width: matrices inside the body train at rate / m; the table, biases and
    LayerNorm gains at the rate itself; logits are divided by m; an attention head keeps its width. AdamW's shrinkage of
    a weight in one step, its rate x weight decay, stays the same at every width; epsilon is not scaled.
    """

    rule: Literal["power", "mup"] = "power"
    rate: Annotated[float, Field(gt=0)]
    width: Positive
    """Width at which `rate` was found."""
    power: Annotated[float, Field(ge=0.0, le=2.0)] | None = None
    """Rule `power` only. Default: 0.5; 0 is one rate for all widths."""

    @model_validator(mode="after")
    def _own_keys(self) -> LearningRateRule:
        if self.rule == "mup" and self.power is not None:
            raise ValueError("rule mup has no power; remove power, or set rule to power")
        return self

    def at(self, width: int) -> float:
        """The run's peak rate; what `mup` scales of it, the optimizer's groups scale."""
        if self.rule == "mup":
            return self.rate
        power = 0.5 if self.power is None else self.power
        return float(f"{self.rate * (self.width / width) ** power:.6g}")


RateOrRule = Annotated[
    Annotated[float, Field(gt=0), Tag(NUMBER)] | Annotated[LearningRateRule, Tag(RULE)],
    Discriminator(lambda value: RULE if isinstance(value, dict | LearningRateRule) else NUMBER),
]
