"""What an encoder costs: parameters, floating-point operations, bytes. Plain arithmetic, no torch.

Body and embedding are always apart: at 250,000 pieces the embedding is 69 % of XLM-R base (paper Table 7), so a
capacity axis that mixes the two says nothing about capacity.
"""

from __future__ import annotations

from dataclasses import dataclass

from models.sizes import EncoderConfig


@dataclass(frozen=True)
class Parameters:
    """Counts of trained numbers, equal to the built model's (a test compares them)."""

    body: int
    """Transformer blocks, their LayerNorms, learned positions and the masked-LM head's dense layer."""
    embedding: int
    """Token table (tied with the output layer) and the output bias."""

    @property
    def total(self) -> int:
        return self.body + self.embedding


def _feedforward_weights(config: EncoderConfig) -> int:
    """Weights of one block's feed-forward matrices: up (twice where it is gated) and down."""
    return (3 if config.gated else 2) * config.width * config.feedforward


def parameters(config: EncoderConfig) -> Parameters:
    """Trained numbers of the encoder with its masked-LM head."""
    w, f = config.width, config.feedforward
    bias = config.kind == "xlm-r"
    norm = 2 * w if bias else w
    attention = 4 * w * w + (4 * w if bias else 0)
    feedforward = _feedforward_weights(config) + (f + w if bias else 0)
    block = attention + feedforward + 2 * norm
    head = w * w + (w if bias else 0) + norm
    body = config.layers * block + norm + head
    if bias:
        body += (config.positions + 2) * w + w  # learned positions (offset by pad + 1) and the one token type
    return Parameters(body=body, embedding=config.vocabulary * w + config.vocabulary)


@dataclass(frozen=True)
class Flops:
    """Floating-point operations for one token of training (forward and backward, a multiply-add is two)."""

    body: float
    head: float
    """Masked-LM head, spread over all tokens: only the masked share of positions has logits."""

    @property
    def total(self) -> float:
        return self.body + self.head


def training_flops_per_token(config: EncoderConfig, *, tokens_per_row: int, masked_share: float) -> Flops:
    """Matrix products only: 2 per weight forward, 4 backward; attention scores and mixing counted with the row length.

    `masked_share` is the fraction of positions whose logits are computed (mask rate), in [0, 1].
    """
    w = config.width
    weights = config.layers * (4 * w * w + _feedforward_weights(config))
    attention = config.layers * 2 * tokens_per_row * w
    head = masked_share * (w * w + w * config.vocabulary)
    return Flops(body=6.0 * (weights + attention), head=6.0 * head)


def training_bytes_per_parameter(zero_stage: int, ranks: int) -> float:
    """Model state per parameter and rank with fp32 weights and AdamW: 4 weight, 4 gradient, 8 moments.

    Stages 1 to 3 hold a second fp32 copy of the partitioned weights (measured in DeepSpeed 0.19), split over the ranks.
    """
    weight, gradient, moments = 4.0, 4.0, 8.0
    if zero_stage == 0:
        return weight + gradient + moments
    master = 4.0
    if zero_stage == 1:
        return weight + gradient + (moments + master) / ranks
    if zero_stage == 2:
        return weight + (gradient + moments + master) / ranks
    return (weight + gradient + moments + master) / ranks
