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
    """Floating-point operations for one token (a multiply-add is two), in matrix products alone."""

    body: float
    """The blocks' weights."""
    attention: float
    """Scores and mixing: products of activations, in proportion to the row's length."""
    head: float
    """Masked-LM head, spread over all tokens: only the masked share of positions has logits."""

    @property
    def total(self) -> float:
        return self.body + self.attention + self.head


def forward_flops_per_token(config: EncoderConfig, *, tokens_per_row: int, masked_share: float) -> Flops:
    """One forward pass: 2 for each weight, 4 TD a layer for attention over rows of T tokens.

    `masked_share` is the fraction of positions whose logits are computed (mask rate), in [0, 1]. Only they look, and
    pass the feed-forward matrices, in the last block: nothing reads what it would make of the others.
    """
    w = config.width
    after_looking = w * w + _feedforward_weights(config)
    layers = config.layers - 1 + masked_share
    weights = config.layers * 3 * w * w + layers * after_looking
    scores_and_mixing = layers * 2 * tokens_per_row * w
    head = masked_share * (w * w + w * config.vocabulary)
    return Flops(body=2.0 * weights, attention=2.0 * scores_and_mixing, head=2.0 * head)


def training_flops_per_token(config: EncoderConfig, *, tokens_per_row: int, masked_share: float) -> Flops:
    """Forward and backward: three times the forward pass, since each product has two gradients.

    What the model needs, not what a kernel does: scores that a fused attention computes again, and blocks that
    checkpointing does, are not counted. `masked_share` as in `forward_flops_per_token`.
    """
    forward = forward_flops_per_token(config, tokens_per_row=tokens_per_row, masked_share=masked_share)
    return Flops(body=3 * forward.body, attention=3 * forward.attention, head=3 * forward.head)


def training_bytes_per_parameter(zero_stage: int, ranks: int) -> float:
    """Model state per parameter and rank with fp32 weights and AdamW: 4 weight, 4 gradient, 8 moments.

    Stages 1 to 3 hold a second fp32 copy of the partitioned weights (measured in DeepSpeed 0.19), split over the ranks.
    Raises ValueError for a stage that is not 0 to 3 and for no rank.
    """
    if zero_stage not in (0, 1, 2, 3):
        raise ValueError(f"ZeRO stage is {zero_stage}; it must be 0, 1, 2 or 3")
    if ranks < 1:
        raise ValueError(f"ranks is {ranks}; it must be at least 1")
    weight, gradient, moments = 4.0, 4.0, 8.0
    if zero_stage == 0:
        return weight + gradient + moments
    master = 4.0
    if zero_stage == 1:
        return weight + gradient + (moments + master) / ranks
    if zero_stage == 2:
        return weight + (gradient + moments + master) / ranks
    return (weight + gradient + moments + master) / ranks


def activation_bytes_per_row(
    config: EncoderConfig,
    *,
    tokens_per_row: int,
    masks_per_row: int,
    bf16: bool,
    checkpointed: bool,
    fused_attention: bool = True,
) -> int:
    """Bytes that one more row of a micro-batch adds to the peak of a training step: an upper bound, within twice.

    Counts what the backward pass needs of each block, and beside it the larger of what the head and what one block's
    backward pass hold. Model state is not in it (`training_bytes_per_parameter`), nor autocast's bf16 copies of the
    weights (2 bytes a parameter). `bf16` is autocast over fp32 weights: the residual stream and the loss stay fp32.
    With `checkpointed` blocks only their inputs stay, and one block is held at a time.

    `fused_attention` is false where scores are held, three times H x T x T a block: on the CPU that is so with dropout.
    """
    w, f, t = config.width, config.feedforward, tokens_per_row
    cast = 2 if bf16 else 4
    modern = config.kind == "modern"
    # Of every token: query, key and value, fp32 even under bf16, as they are on the CPU (models.encoder), which rotary
    # positions copy turned; what the first LayerNorm reads and what the matrix after it reads.
    token_w = 3 * 4 + (4 * 2 if modern else 0) + 4 + cast
    # Of every token that looks: attention's output (rotary positions leave it in another order, and the matrix after it
    # reads a cast one under bf16), the second LayerNorm, the feed-forward matrices.
    looking_w = 4 + (4 if modern else 0) + (cast if bf16 else 0) + 4 + cast + (2 * 4 if config.dropout else 0)
    feedforward_f = (4 if config.gated else 2) * cast
    statistics = 2 * 8 + 4 * config.heads

    def block(looking: int) -> int:
        held = t * (w * token_w + statistics) + looking * (w * looking_w + f * feedforward_f)
        if not fused_attention:
            held += 3 * 4 * looking * (config.heads * t + w)
        return held + (4 * looking * t if config.attention == "document" else 0)

    blocks = (config.layers - 1) * block(t) + block(masks_per_row)  # the last block: masked positions alone look
    backward = t * (w * 16 + f * feedforward_f)
    ends = t * (w * (12 + (4 if config.dropout else 0)) + 64) + (t * t if config.attention == "document" else 0)
    head = masks_per_row * (12 * config.vocabulary + 32 * w)
    if checkpointed:
        return ends + config.layers * t * w * 4 + max(head, block(t) + backward)
    return ends + blocks + max(head, backward)
