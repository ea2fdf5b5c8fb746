"""What an encoder is, before any tensor exists: its configuration and the rules that make it legal.

Plain arithmetic: `plan` and `sweeps` read this module, so it never imports torch.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal, get_args

Attention = Literal["row", "document"]
"""What a token may look at: its whole row, or the document it stands in (rows hold several, each closed by </s>)."""

Kind = Literal["xlm-r", "modern"]
"""`xlm-r`: post-LayerNorm, learned positions, biases (RoBERTa to the letter, paper section 4).
`modern`: pre-LayerNorm, rotary positions, no biases in the body."""

PAD_ID, END_ID = 1, 2
"""XLM-R's id layout: <s> 0, <pad> 1, </s> 2, <unk> 3, pieces, <mask> last."""

HEAD_WIDTHS = (64, 32, 16)
"""Widths tried, largest first, for one attention head when the number of heads is derived."""


@dataclass(frozen=True, kw_only=True)
class EncoderConfig:
    """One encoder. Every field is part of a run's science.

    Raises ValueError, with the numbers, for a width that the heads do not divide and for sizes below one.
    """

    kind: Kind
    vocabulary: int
    """Rows of the embedding table: special tokens and <mask> included."""
    width: int
    layers: int
    heads: int
    feedforward: int
    positions: int
    """Longest row in tokens."""
    dropout: float = 0.0
    rotary_base: float = 10_000.0
    """`modern` only: the slowest position wave is about 2 pi times this many tokens long. Short rows learn order sooner
    with a small one."""

    attention: Attention = "row"
    gated: bool = False
    """`modern` only: GeGLU (Shazeer 2020), down(gelu(a) * b) with a and b of the feed-forward width each. At the same
    width that is half as many weights again; a feed-forward of 8/3 the model's width instead of 4 keeps them equal."""
    output_multiplier: float = 1.0
    """What the states are multiplied with before the tied table makes logits of them: base width / width under the
    maximal-update parametrisation (Tensor Programs V, table 8)."""

    def __post_init__(self) -> None:
        if self.attention not in get_args(Attention):
            raise ValueError(f"model attention {self.attention!r} is not one of {', '.join(get_args(Attention))}")
        if self.kind not in get_args(Kind):
            raise ValueError(f"model kind {self.kind!r} is not one of {', '.join(get_args(Kind))}")
        for name in ("vocabulary", "width", "layers", "heads", "feedforward", "positions"):
            if getattr(self, name) < 1:
                raise ValueError(f"model {name} is {getattr(self, name)}; it must be at least 1")
        if self.width % self.heads:
            raise ValueError(
                f"model width {self.width} is not divisible by {self.heads} heads; "
                f"use a multiple of {self.heads} or set model.heads to a divisor of the width"
            )
        if self.kind == "modern" and (self.width // self.heads) % 2:
            raise ValueError(
                f"rotary positions need an even width per head, got {self.width} / {self.heads} = {self.head_width}"
            )
        if self.gated and self.kind != "modern":
            raise ValueError(f"model kind {self.kind} has no gated feed-forward; remove gated, or set kind to modern")
        if self.rotary_base <= 1.0:
            raise ValueError(f"model rotary_base is {self.rotary_base}; it must be above 1")
        if not self.output_multiplier > 0.0:
            raise ValueError(f"model output_multiplier is {self.output_multiplier}; it must be above 0")
        if self.kind == "xlm-r" and self.output_multiplier != 1.0:
            raise ValueError("an output_multiplier is for kind modern; RoBERTa has none, so kind xlm-r takes 1")
        if not 0.0 <= self.dropout < 1.0:
            raise ValueError(f"model dropout is {self.dropout}; it must lie in [0, 1)")

    @property
    def head_width(self) -> int:
        return self.width // self.heads


def default_heads(width: int) -> int:
    """Number of heads when the user names none: 64 wide if the width allows it, else 32, else 16, else one head.

    A narrow model keeps at least two heads where it can.
    """
    for head_width in HEAD_WIDTHS:
        if width % head_width == 0 and width // head_width >= 2:
            return width // head_width
    return 1


def default_feedforward(width: int) -> int:
    """Feed-forward width when the user names none: 4 times the width, as in every model of the paper's Table 7."""
    return 4 * width


NAMED_SIZES: dict[str, dict[str, int]] = {
    "tiny": {"width": 64, "layers": 3},
    "mini": {"width": 128, "layers": 4},
    "compact": {"width": 256, "layers": 4},
    "small": {"width": 384, "layers": 6},
    "medium": {"width": 512, "layers": 8},
    "base": {"width": 768, "layers": 12},
    "large": {"width": 1024, "layers": 24},
    "xl": {"width": 2560, "layers": 36, "heads": 32},
    "xxl": {"width": 4096, "layers": 48, "heads": 32},
}
"""Named sizes: width, layers, and heads where `default_heads` would give others.

`base` and `large` are XLM-R's (paper Table 7). `xl` and `xxl` have the dimensions of XLM-R XL and XXL (Goyal et al.
2021), whose released weights are of another form: pre-LayerNorm, which kind `xlm-r` is not. The others are the ladder
below them: bodies of 0.15, 0.8, 3, 11 and 25 million parameters.
"""

DIAL_ASPECT = 64
"""Width for each layer on the dial: XLM-R base's, 768 / 12."""


def dial(n: int) -> dict[str, int]:
    """Width and layers from one number: n layers, 64 n wide. 12 is `base`, 8 `medium`, 6 `small`.

    The body grows as the cube of n (49,152 n^3 by the paper's formula), and every width is whole heads of 64 (two of 32
    at n = 1). Raises ValueError for n below 1.
    """
    if n < 1:
        raise ValueError(f"model dial is {n}; it must be at least 1")
    return {"width": DIAL_ASPECT * n, "layers": n}


def formula_parameters(*, vocabulary: int, width: int, layers: int, feedforward: int | None = None) -> int:
    """Parameters by the paper's approximation (section 5.1), 4LH^2 + 2LHF + VH: matrices and token table alone.

    No biases, no LayerNorms, no positions, no head: `cost.parameters` counts those too. `feedforward` is four times the
    width when none is given.
    """
    feedforward = feedforward or default_feedforward(width)
    return layers * (4 * width * width + 2 * width * feedforward) + vocabulary * width


def constant_total_width(total: int, *, vocabulary: int, layers: int, multiple_of: int = HEAD_WIDTHS[0]) -> int:
    """Width at which a model of this vocabulary has `total` parameters by the paper's formula, feed-forward 4 times it.

    The positive root of 12LH^2 + VH = total, rounded to the nearest multiple of `multiple_of` (a head's width), and to
    one multiple at least: vocabularies compared at equal total parameters, as in the paper's Figure 6.

    Raises ValueError where the token table alone is more than the total at that width, or one multiple of width is.
    """
    for name, value in (("total", total), ("vocabulary", vocabulary), ("layers", layers), ("multiple_of", multiple_of)):
        if value < 1:
            raise ValueError(f"{name} is {value}; it must be at least 1")
    exact = (math.sqrt(vocabulary**2 + 48 * layers * total) - vocabulary) / (24 * layers)
    multiples = math.floor(exact / multiple_of + 0.5)
    width = multiple_of * max(1, multiples)
    table = vocabulary * width
    if table > total:
        raise ValueError(
            f"a vocabulary of {vocabulary:,} takes {table:,} parameters at a width of {width}, more than the total of "
            f"{total:,}; raise the total or lower the vocabulary"
        )
    if not multiples:
        narrowest = formula_parameters(vocabulary=vocabulary, width=width, layers=layers)
        raise ValueError(
            f"the narrowest model of {layers} layers, {width} wide, has {narrowest:,} parameters, more than the total "
            f"of {total:,}; raise the total or take fewer layers"
        )
    return width
