"""The encoder, read top-down: embedding, block, encoder. No distributed code, no losses.

Shape suffixes: B rows, T tokens, Q tokens that look (T of them; K, the positions of a row that are read; in a mask 1
where all see alike), D width, H heads, C width of a head, F feed-forward width, V vocabulary; N = B x K.

`xlm-r` is RoBERTa to the letter (post-LayerNorm, learned positions offset by the padding id, GELU, biases), so its
weights travel to and from transformers (`models.huggingface`). `modern` is pre-LayerNorm with rotary positions and
no biases, its feed-forward gated where the configuration says so. Both share every line that they can.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.autograd.function import FunctionCtx, once_differentiable
from torch.utils.checkpoint import checkpoint

from models.cross_entropy import TableGradient
from models.sizes import END_ID, PAD_ID, EncoderConfig, Kind

LAYER_NORM_EPS = 1e-5
INIT_STD = 0.02
MODERN_TABLE_STD = 0.1


def same_document(ids_BT: Tensor) -> Tensor:
    """Which tokens may look at each other when attention stops at documents: (B, 1, T, T) bool, true where both stand
    in the same one. </s> closes a document and belongs to it; masking never hides it, so corrupted rows say the same.
    """
    closes_BT = ids_BT.eq(END_ID).long()
    document_BT = closes_BT.cumsum(1) - closes_BT
    return (document_BT[:, :, None] == document_BT[:, None, :])[:, None]


def _attention(
    query_BHQC: Tensor, key_BHTC: Tensor, value_BHTC: Tensor, mask_B1QT: Tensor | None, rate: float
) -> Tensor:
    """Scaled-dot-product attention, (B, H, Q, C); on the CPU in the type of its inputs."""
    with torch.autocast("cpu", enabled=False):
        return F.scaled_dot_product_attention(query_BHQC, key_BHTC, value_BHTC, attn_mask=mask_B1QT, dropout_p=rate)


class _Lookup(torch.autograd.Function):
    """Rows of a table. The gradient is the output layer's with the rows' added, or only the rows', sparse."""

    @staticmethod
    def forward(ctx: FunctionCtx, table_VD: Tensor, ids_BT: Tensor, outputs: TableGradient) -> Tensor:  # type: ignore[override]
        ctx.save_for_backward(ids_BT)
        ctx.table_size, ctx.outputs = table_VD.shape, outputs  # type: ignore[attr-defined]
        return F.embedding(ids_BT, table_VD)

    @staticmethod
    @once_differentiable  # type: ignore[untyped-decorator]
    def backward(ctx: FunctionCtx, grad_BTD: Tensor) -> tuple[Tensor, None, None]:
        (ids_BT,) = ctx.saved_tensors  # type: ignore[attr-defined]
        outputs: TableGradient = ctx.outputs  # type: ignore[attr-defined]
        table_VD, outputs.value_VD = outputs.value_VD, None
        if table_VD is not None:
            rows_ND = grad_BTD.flatten(0, 1).to(table_VD.dtype)
            return table_VD.index_add_(0, ids_BT.flatten(), rows_ND), None, None
        rows_1N, values_ND = ids_BT.reshape(1, -1), grad_BTD.flatten(0, 1)
        size = ctx.table_size  # type: ignore[attr-defined]
        return torch.sparse_coo_tensor(rows_1N, values_ND, size, check_invariants=False), None, None


class TokenTable(nn.Embedding):
    """Token ids (B, T) to rows of the table (B, T, D)."""

    tied = False
    """Whether the output layer uses the table too, and so has made a gradient of all of it, to which this one's few
    rows are added, instead of a whole table of zeros with them in it."""
    outputs: TableGradient | None = None
    """Of the newest forward pass: where the output layer may leave the table's gradient; None where autograd adds."""

    def forward(self, ids_BT: Tensor) -> Tensor:
        self.outputs = None
        # On a GPU the sum of such a gradient has no fixed order, and a table of zeros costs little.
        if self.tied and ids_BT.device.type == "cpu" and torch.is_grad_enabled() and self.weight.requires_grad:
            self.outputs = TableGradient()
            rows_BTD: Tensor = _Lookup.apply(self.weight, ids_BT, self.outputs)
            return rows_BTD
        return super().forward(ids_BT)


class Embedding(nn.Module):
    """Token ids (B, T) to vectors (B, T, D). In `xlm-r`: plus position and token type, then LayerNorm and dropout."""

    def __init__(self, config: EncoderConfig) -> None:
        super().__init__()
        self.tokens = TokenTable(config.vocabulary, config.width)
        self.learned_positions = config.kind == "xlm-r"
        if self.learned_positions:
            # Position ids start behind the padding id, as in fairseq: the first real token sits at PAD_ID + 1.
            self.positions = nn.Embedding(config.positions + PAD_ID + 1, config.width)
            self.token_type = nn.Embedding(1, config.width)
            self.norm = nn.LayerNorm(config.width, eps=LAYER_NORM_EPS)
        self.dropout = nn.Dropout(config.dropout)

    def forward(self, ids_BT: Tensor) -> Tensor:
        hidden_BTD = self.tokens(ids_BT)
        if self.learned_positions:
            real_BT = ids_BT.ne(PAD_ID)
            positions_BT = torch.cumsum(real_BT, dim=1) * real_BT + PAD_ID
            hidden_BTD = self.norm(hidden_BTD + self.positions(positions_BT) + self.token_type.weight[0])
        return self.dropout(hidden_BTD)


class Rotary(nn.Module):
    """Rotary position tables, (T, C/2) each, fp32. Buffers that are never saved: they follow from the config."""

    cos_TC: Tensor
    sin_TC: Tensor

    def __init__(self, config: EncoderConfig) -> None:
        super().__init__()
        half = config.head_width // 2
        frequency = config.rotary_base ** (-torch.arange(half, dtype=torch.float32) / half)
        angle_TC = torch.outer(torch.arange(config.positions, dtype=torch.float32), frequency)
        self.register_buffer("cos_TC", angle_TC.cos(), persistent=False)
        self.register_buffer("sin_TC", angle_TC.sin(), persistent=False)

    def forward(self, x_2BHTC: Tensor) -> Tensor:
        """Queries and keys (2, B, H, T, C), turned together: half as many operations to start."""
        tokens = x_2BHTC.shape[-2]
        cos, sin = self.cos_TC[:tokens].to(x_2BHTC.dtype), self.sin_TC[:tokens].to(x_2BHTC.dtype)
        first, second = x_2BHTC.chunk(2, dim=-1)
        return torch.cat((first * cos - second * sin, second * cos + first * sin), dim=-1)


class Block(nn.Module):
    """One transformer layer, (B, T, D) to (B, T, D), or to (N, D) where only some positions are read after it."""

    def __init__(self, config: EncoderConfig) -> None:
        super().__init__()
        width, bias = config.width, config.kind == "xlm-r"
        self.pre_norm = config.kind == "modern"
        self.heads, self.dropout_rate, self.gated = config.heads, config.dropout, config.gated
        # One matrix for query, key and value: fewer parameters are fewer DeepSpeed hooks, and one larger product.
        self.qkv = nn.Linear(width, 3 * width, bias=bias)
        self.out = nn.Linear(width, width, bias=bias)
        self.up = nn.Linear(width, (2 if config.gated else 1) * config.feedforward, bias=bias)
        self.down = nn.Linear(config.feedforward, width, bias=bias)
        self.attention_norm = nn.LayerNorm(width, eps=LAYER_NORM_EPS, bias=bias)
        self.feedforward_norm = nn.LayerNorm(width, eps=LAYER_NORM_EPS, bias=bias)
        self.dropout = nn.Dropout(config.dropout)

    def attend(
        self, hidden_BTD: Tensor, rotary: Rotary | None, mask_B1QT: Tensor | None, index_N: Tensor | None
    ) -> Tensor:
        rows, tokens, _ = hidden_BTD.shape
        qkv_BTE = self.qkv(hidden_BTD)
        if qkv_BTE.device.type == "cpu":
            # Always fp32: the backward of PyTorch's bf16 kernel there was measured at five times the time of the fp32
            # one, 35 % of a small model's step.
            qkv_BTE = qkv_BTE.float()
        qkv_3BHTC = qkv_BTE.view(rows, tokens, 3, self.heads, -1).permute(2, 0, 3, 1, 4)
        query_key_2BHTC, value_1BHTC = qkv_3BHTC.split((2, 1))
        if rotary is not None:
            query_key_2BHTC = rotary(query_key_2BHTC)
        query_BHQC, key_BHTC = query_key_2BHTC.unbind()
        if index_N is not None:
            query_NHC = query_BHQC.transpose(1, 2).flatten(0, 1).index_select(0, index_N)
            query_BHQC = query_NHC.unflatten(0, (rows, -1)).transpose(1, 2)
            if mask_B1QT is not None and mask_B1QT.shape[2] > 1:
                mask_B1QT = mask_B1QT.flatten(0, 2).index_select(0, index_N).view(rows, 1, -1, tokens)
        rate = self.dropout_rate if self.training else 0.0
        mixed_BHQC = _attention(query_BHQC, key_BHTC, value_1BHTC[0], mask_B1QT, rate)
        mixed_BQD = mixed_BHQC.transpose(1, 2).flatten(2)
        return self.out(mixed_BQD if index_N is None else mixed_BQD.flatten(0, 1))

    def feed(self, hidden: Tensor) -> Tensor:
        """(..., D) to (..., D)."""
        up = self.up(hidden)
        if self.gated:
            gate, value = up.chunk(2, dim=-1)
            return self.down(F.gelu(gate) * value)
        return self.down(F.gelu(up))

    def forward(
        self, hidden_BTD: Tensor, rotary: Rotary | None, mask_B1QT: Tensor | None, index_N: Tensor | None = None
    ) -> Tensor:
        """`index_N` as in `Encoder`."""
        looked_BTD = self.attention_norm(hidden_BTD) if self.pre_norm else hidden_BTD
        attended = self.dropout(self.attend(looked_BTD, rotary, mask_B1QT, index_N))
        hidden = hidden_BTD if index_N is None else hidden_BTD.flatten(0, 1).index_select(0, index_N)
        if self.pre_norm:
            hidden = hidden + attended
            return hidden + self.dropout(self.feed(self.feedforward_norm(hidden)))
        hidden = self.attention_norm(hidden + attended)
        return self.feedforward_norm(hidden + self.dropout(self.feed(hidden)))


class Encoder(nn.Module):
    """Token ids (B, T) int64 to hidden states (B, T, D), or (N, D) where only those at `index_N` are asked for.

    `index_N` (int64) points into the flattened (B x T) positions, as many of each row, row by row, as masking makes
    them. The states are the same; the last block then works out no others, which at 15 % masks spares most of it.
    `padded` says whether rows may hold PAD_ID: packed training rows never do, and attention without a mask is faster.
    Raises ValueError for rows longer than the configuration's positions.
    """

    checkpoint_blocks: bool = False
    """Keep only each block's input for the backward pass and compute the block again there: about a third more work for
    a fraction of the memory (`models.cost.activation_bytes_per_row`). How a run is executed, never part of its science:
    loss and gradients stay the same."""

    def __init__(self, config: EncoderConfig) -> None:
        super().__init__()
        self.config = config
        self.embedding = Embedding(config)
        self.rotary = Rotary(config) if config.kind == "modern" else None
        self.blocks = nn.ModuleList(Block(config) for _ in range(config.layers))
        self.final_norm = (
            nn.LayerNorm(config.width, eps=LAYER_NORM_EPS, bias=False) if config.kind == "modern" else nn.Identity()
        )

    def forward(self, ids_BT: Tensor, *, padded: bool = False, index_N: Tensor | None = None) -> Tensor:
        if ids_BT.shape[1] > self.config.positions:
            raise ValueError(f"rows of {ids_BT.shape[1]} tokens, but the model has {self.config.positions} positions")
        mask_B1QT = ids_BT.ne(PAD_ID)[:, None, None, :] if padded else None
        if self.config.attention == "document":
            # Padding stands behind the last </s>, so real tokens never see it, and each row of the mask sees something.
            mask_B1QT = same_document(ids_BT)
        hidden = self.embedding(ids_BT)
        for number, block in enumerate(self.blocks, 1):
            read_N = index_N if number == len(self.blocks) else None
            if self.checkpoint_blocks and self.training:
                hidden = checkpoint(
                    block,
                    hidden,
                    self.rotary,
                    mask_B1QT,
                    read_N,
                    use_reentrant=False,
                    preserve_rng_state=self.config.dropout > 0.0,  # nothing else in a block is random
                )
            else:
                hidden = block(hidden, self.rotary, mask_B1QT, read_N)
        return self.final_norm(hidden)


def init_weights(module: nn.Module, generator: torch.Generator, *, kind: Kind = "xlm-r", layers: int = 1) -> None:
    """Draw every weight of `module` from `generator`; biases 0, LayerNorm gains 1.

    `xlm-r`: every matrix and table N(0, 0.02), as RoBERTa. `modern`: matrices N(0, 1/sqrt(fan in)), those that write
    into the residual stream smaller by sqrt(2 x layers), the table N(0, 0.1). At widths under about 200 RoBERTa's 0.02
    leaves a model on the unigram plateau for thousands of steps: measured on the demo corpus at width 64, three
    languages, 600 steps, English ends at 2.93 bits per byte with it and at 2.63 without.

    The order is that of `named_parameters`, so equal configurations and seeds give equal weights on any rank count.
    """
    for name, parameter in module.named_parameters():
        with torch.no_grad():
            if parameter.dim() >= 2:
                parameter.normal_(0.0, _init_std(name, parameter, kind, layers), generator=generator)
            elif name.endswith("weight"):
                parameter.fill_(1.0)
            else:
                parameter.zero_()


def _init_std(name: str, parameter: Tensor, kind: Kind, layers: int) -> float:
    if kind == "xlm-r":
        return INIT_STD
    if name.endswith("tokens.weight"):
        return MODERN_TABLE_STD
    into_residual = name.endswith(("out.weight", "down.weight"))
    return parameter.shape[1] ** -0.5 / ((2 * layers) ** 0.5 if into_residual else 1.0)
