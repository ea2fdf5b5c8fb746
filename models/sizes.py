"""What an encoder is, before any tensor exists: its configuration and the rules that make it legal.

Plain arithmetic: `plan` and `sweeps` read this module, so it never imports torch.
"""

from __future__ import annotations

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
    "small": {"width": 384, "layers": 6},
    "base": {"width": 768, "layers": 12},
    "large": {"width": 1024, "layers": 24},
}
"""Named sizes. `base` and `large` are XLM-R's (paper Table 7); the others are the ladder below them."""
