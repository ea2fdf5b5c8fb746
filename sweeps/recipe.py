"""The recipe of a study file: everything that all cells share, block by block, strict."""

from __future__ import annotations

from itertools import pairwise
from typing import Annotated, Any, Literal

from pydantic import Discriminator, Field, Tag, model_validator

from models.sizes import NAMED_SIZES, Attention, Kind
from sweeps.rates import RateOrRule
from sweeps.strict import LIST, NUMBER, Positive, Share, Strict


class ModelBlock(Strict):
    """The encoder: a named size, or the dial, or width and layers; what is not given follows from the width."""

    kind: Kind = "modern"
    size: str | None = None
    """One of `models.sizes.NAMED_SIZES`."""
    dial: Annotated[int, Field(ge=1, le=1000)] | None = None
    """Capacity as one number: so many layers, each 64 wide (`models.sizes.dial`); 12 is XLM-R base."""
    width: Positive | None = None
    layers: Positive | None = None
    heads: Positive | None = None
    """Attention heads. With the learning-rate rule `mup`: those at the rule's width, and the head keeps its width."""
    head_width: Positive | None = None
    """Width of one attention head, in place of `heads`: their number is then width / head_width."""
    feedforward: Positive | None = None
    """Default: 4 x width. With the learning-rate rule `mup`: at the rule's width, and it grows with the width."""
    vocabulary: Positive
    """SentencePiece entries; the table has two rows more (<pad>, <mask>)."""
    dropout: Share = 0.0
    rotary_base: Annotated[float, Field(gt=1.0)] = 10_000.0
    """Kind `modern` only; a small one suits short rows."""
    gated: bool = False
    """Kind `modern` only: GeGLU in place of GELU."""

    @model_validator(mode="after")
    def _one_way_to_say_how_large(self) -> ModelBlock:
        if self.size is not None and self.size not in NAMED_SIZES:
            raise ValueError(f"size {self.size!r} is not one of {', '.join(NAMED_SIZES)}")
        given = [key for key in ("size", "dial", "width", "layers") if getattr(self, key) is not None]
        if given not in (["size"], ["dial"], ["width", "layers"]):
            raise ValueError(
                f"give size ({', '.join(NAMED_SIZES)}), or dial, or both width and layers; "
                f"this has {' and '.join(given) or 'none of them'}"
            )
        if self.heads is not None and self.head_width is not None:
            raise ValueError(f"heads ({self.heads}) and head_width ({self.head_width}) say the same twice; keep one")
        return self


class SamplingBlock(Strict):
    """The batch distribution over languages. Each kind takes its own keys and no others."""

    kind: Literal["alpha", "temperature", "uniform", "unimax"] = "alpha"
    alpha: Annotated[float, Field(ge=0.0, le=5.0)] | None = None
    """Kind `alpha`: exponent over the shares (paper section 3.1); 0 uniform, 1 as the data. Default: 0.3."""
    temperature: Annotated[float, Field(ge=0.2)] | None = None
    """Kind `temperature`: 1 / alpha."""
    max_epochs: Annotated[float, Field(gt=0.0)] | None = None
    """Kind `unimax`: epochs after which a language gets no more of the budget."""
    count: Literal["bytes", "tokens", "documents"] | None = None
    """Kinds `alpha` and `temperature`: what of the training text shares are counted in. Default: bytes."""

    @model_validator(mode="after")
    def _own_keys(self) -> SamplingBlock:
        uses = {"alpha": {"alpha", "count"}, "temperature": {"temperature", "count"}, "unimax": {"max_epochs"}}
        for key in ("alpha", "temperature", "max_epochs", "count"):
            if getattr(self, key) is not None and key not in uses.get(self.kind, set()):
                owners = " or ".join(kind for kind, keys in uses.items() if key in keys)
                raise ValueError(f"kind {self.kind} has no {key}; remove {key}, or set kind to {owners}")
        needed = {"temperature": "temperature", "unimax": "max_epochs"}.get(self.kind)
        if needed is not None and getattr(self, needed) is None:
            raise ValueError(f"kind {self.kind} needs the key {needed}")
        return self

    @property
    def exponent(self) -> float | None:
        """alpha, whichever way it was written; none for UniMax."""
        if self.kind == "unimax":
            return None
        if self.kind == "uniform":
            return 0.0
        if self.temperature is not None:
            return float(f"{1 / self.temperature:.12g}")
        return 0.3 if self.alpha is None else self.alpha


class MaskSplitBlock(Strict):
    """What chosen positions show: <mask>, a random piece, or (the rest) their own token."""

    mask: Share = 0.8
    random: Share = 0.1

    @model_validator(mode="after")
    def _at_most_all(self) -> MaskSplitBlock:
        if self.mask + self.random > 1.0 + 1e-9:
            raise ValueError(f"mask ({self.mask:g}) and random ({self.random:g}) together are more than 1")
        return self


class TokenizerBlock(Strict):
    policy: Literal["frozen-superset", "retrained"] = "frozen-superset"
    """`frozen-superset`: one tokenizer, of all languages of the study, for every cell. `retrained`: one per set."""
    alpha: Annotated[float, Field(ge=0.0, le=5.0)] = 0.3
    algorithm: Literal["unigram", "bpe"] = "unigram"
    byte_fallback: bool = True
    character_coverage: Annotated[float, Field(ge=0.98, le=1.0)] = 0.9995
    sample_bytes: Positive = 10_000_000


StepsOrList = Annotated[
    Annotated[Positive, Tag(NUMBER)] | Annotated[tuple[Positive, ...], Tag(LIST)],
    Discriminator(lambda value: LIST if isinstance(value, list | tuple) else NUMBER),
]


class BudgetBlock(Strict):
    batch_tokens: Positive
    """Global batch in tokens, over all devices and accumulation."""
    steps: StepsOrList
    """Updates of a run. A list, with schedule `wsd`: a run for each, the shorter ones branching from the longest where
    their own decay begins (`sweeps.budgets`)."""

    @model_validator(mode="after")
    def _rising(self) -> BudgetBlock:
        steps = self.steps
        if isinstance(steps, tuple) and (len(steps) < 2 or any(a >= b for a, b in pairwise(steps))):
            raise ValueError(
                f"steps {list(steps)} must list two or more budgets, each larger than the one before; "
                "write a single one as a plain number"
            )
        return self

    @property
    def one(self) -> int:
        """The steps of a run: a grid's recipes hold one number each."""
        assert isinstance(self.steps, int)
        return self.steps


class ScheduleBlock(Strict):
    kind: Literal["linear", "cosine", "wsd"] = "linear"
    warmup: Share | None = None
    """Share of the steps over which the rate rises linearly; of the smallest where `budget.steps` lists several.
    Default: 0.06."""
    warmup_steps: Positive | None = None
    """The same as a number of updates, in place of the share."""
    decay: Share = 0.2
    """`wsd` only: share of the steps, at the end, over which the rate falls linearly to zero."""

    @model_validator(mode="after")
    def _one_warmup(self) -> ScheduleBlock:
        if self.warmup is not None and self.warmup_steps is not None:
            raise ValueError(
                f"warmup ({self.warmup:g}) and warmup_steps ({self.warmup_steps}) say the same twice; keep one"
            )
        return self

    def science(self) -> dict[str, Any]:
        """What of it changes numbers; the warm-up in the form in which it was written."""
        if self.warmup_steps is not None:
            return {"kind": self.kind, "warmup_steps": self.warmup_steps, "decay": self.decay}
        return {"kind": self.kind, "warmup": 0.06 if self.warmup is None else self.warmup, "decay": self.decay}


class OptimizerBlock(Strict):
    """AdamW. Defaults are RoBERTa's (paper.md 2.3: the paper prints none)."""

    beta1: Share = 0.9
    beta2: Share = 0.98
    epsilon: Annotated[float, Field(gt=0)] = 1e-6
    weight_decay: Annotated[float, Field(ge=0)] = 0.01
    clip: Annotated[float, Field(ge=0)] = 1.0
    """Global gradient norm; 0 switches clipping off."""


class RecipeBlock(Strict):
    model: ModelBlock
    sampling: SamplingBlock = SamplingBlock()
    tokenizer: TokenizerBlock = TokenizerBlock()
    budget: BudgetBlock
    text_bytes: Positive | None = None
    """Training text used of each language, at most, in bytes: its first documents. Default: all of it."""
    row_tokens: Annotated[int, Field(ge=8, le=1 << 20)] = 512
    mask_rate: Annotated[float, Field(gt=0.0, lt=0.5)] = 0.15
    mask_split: MaskSplitBlock = MaskSplitBlock()
    whole_word: bool = False
    """Mask all pieces of a word together; the number of masks in a row stays the same."""
    attention: Attention = "row"
    """What a token may look at: its row, or its document (a row holds several where documents are short)."""
    learning_rate: RateOrRule
    """Peak rate: a number, or a rule across widths (an untuned rate at each width fakes the capacity axis)."""
    schedule: ScheduleBlock = ScheduleBlock()
    optimizer: OptimizerBlock = OptimizerBlock()
    precision: Literal["fp32", "bf16"] = "bf16"
    """bf16: fp32 weights, bf16 matrix products. It changes numbers, so it belongs to the science."""

    @model_validator(mode="after")
    def _branches_share_their_start(self) -> RecipeBlock:
        if isinstance(self.budget.steps, tuple):
            if self.schedule.kind != "wsd":
                raise ValueError(
                    f"budget.steps lists several budgets, and with schedule {self.schedule.kind} they share no steps; "
                    "set schedule.kind to wsd, or make steps an axis"
                )
            if self.sampling.kind == "unimax":
                raise ValueError(
                    "budget.steps lists several budgets, and with sampling unimax, whose shares follow from the "
                    "budget, they share no steps; make steps an axis"
                )
        return self
