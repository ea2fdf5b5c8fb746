"""What stands on the encoder: masked-LM logits at masked positions only, and a sequence classifier.

Shape suffixes as in `models.encoder`; N masked positions of a batch, flattened; Y classes.
"""

from __future__ import annotations

from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from models.cross_entropy import TableGradient, mean_cross_entropy
from models.encoder import LAYER_NORM_EPS, Encoder, init_weights
from models.sizes import EncoderConfig
from models.transformers_encoder import Body

Pool = Literal["first", "mean"]


class Decoder(nn.Linear):
    """States (N, D) to logits (N, V), or, given the true ids (N,) int64, to their mean loss in nats.

    The loss is made in here because ZeRO stage 3 shows a module its weight only while it runs.
    """

    def forward(
        self, hidden_ND: Tensor, labels_N: Tensor | None = None, outputs: TableGradient | None = None
    ) -> Tensor:
        """`outputs`: where to leave the weight's gradient instead of giving it to autograd, which would copy it."""
        if labels_N is None:
            return super().forward(hidden_ND)
        return mean_cross_entropy(hidden_ND, self.weight, self.bias, labels_N, outputs=outputs)


class MaskedLM(nn.Module):
    """Encoder with XLM-R's masked-LM head: dense, GELU, LayerNorm, then the tied token table and a bias.

    Only masked positions see the head and the most of the last block: at 15 % masks and a 250,000-piece vocabulary that
    is most of a step's work saved (equal values, a test compares). `forward` returns the loss at each of them, for
    scores; `mean_loss` their mean, for training, in less memory.
    """

    def __init__(self, config: EncoderConfig) -> None:
        super().__init__()
        bias = config.kind == "xlm-r"
        self.encoder = Encoder(config)
        self.dense = nn.Linear(config.width, config.width, bias=bias)
        self.norm = nn.LayerNorm(config.width, eps=LAYER_NORM_EPS, bias=bias)
        # Tied as a module, not only as a tensor: ZeRO stage 3 then gathers the weight for both uses.
        self.decoder = Decoder(config.width, config.vocabulary, bias=True)
        self.decoder.weight = self.encoder.embedding.tokens.weight
        self.encoder.embedding.tokens.tied = True
        self.output_multiplier = config.output_multiplier

    def transform(self, hidden_ND: Tensor) -> Tensor:
        """The head before its table: dense, GELU, LayerNorm, (N, D) to (N, D)."""
        transformed_ND: Tensor = self.norm(F.gelu(self.dense(hidden_ND)))
        return transformed_ND if self.output_multiplier == 1.0 else transformed_ND * self.output_multiplier

    def logits(self, hidden_ND: Tensor) -> Tensor:
        """Hidden states (N, D) to logits (N, V)."""
        logits_NV: Tensor = self.decoder(self.transform(hidden_ND))
        return logits_NV

    def masked_states(self, ids_BT: Tensor, index_N: Tensor) -> Tensor:
        """States (N, D) at the positions `index_N` of the flattened (B*T) ones, as many of each row, row by row."""
        states_ND: Tensor = self.encoder(ids_BT, index_N=index_N)
        return states_ND

    def forward(self, ids_BT: Tensor, index_N: Tensor, labels_N: Tensor) -> Tensor:
        """The loss at each masked position, (N,) fp32 in nats. `index_N` points into the flattened (B*T) positions,
        as many of each row, row by row; `labels_N` holds the true ids there. Both int64."""
        logits_NV = self.logits(self.masked_states(ids_BT, index_N))
        return F.cross_entropy(logits_NV.float(), labels_N, reduction="none")

    def mean_loss(self, ids_BT: Tensor, index_N: Tensor, labels_N: Tensor) -> Tensor:
        """The mean of what `forward` returns, a scalar, fp32 in nats, in less time and memory."""
        states_ND = self.transform(self.masked_states(ids_BT, index_N))
        loss: Tensor = self.decoder(states_ND, labels_N, self.encoder.embedding.tokens.outputs)
        return loss


def build_masked_lm(config: EncoderConfig, seed: int) -> MaskedLM:
    """A masked-LM model on the CPU in fp32, its weights drawn from `seed` alone."""
    model = MaskedLM(config)
    init_weights(model, torch.Generator().manual_seed(seed), kind=config.kind, layers=config.layers)
    return model


class SequenceClassifier(nn.Module):
    """Encoder with a classifier over one state of a row: ids (B, T) to logits (B, Y).

    The state is that of `<s>`, as in RoBERTa and XLM-R, or the mean of the real tokens' (`pool`). Dropout, dense, tanh,
    dropout, linear: RoBERTa's classification head to the letter.
    """

    def __init__(self, encoder: Body, classes: int, *, pool: Pool, dropout: float, seed: int) -> None:
        super().__init__()
        self.pool = pool
        width = encoder.config.width
        self.encoder = encoder
        self.encoder.embedding.tokens.tied = False
        self.dense = nn.Linear(width, width)
        self.dropout = nn.Dropout(dropout)
        self.out = nn.Linear(width, classes)
        generator = torch.Generator().manual_seed(seed)
        init_weights(self.dense, generator)
        init_weights(self.out, generator)

    def forward(self, ids_BT: Tensor, real_BT: Tensor) -> Tensor:
        """`real_BT` is true where a token is not padding."""
        hidden_BTD = self.encoder(ids_BT, padded=True)
        state_BD = hidden_BTD[:, 0] if self.pool == "first" else mean_state(hidden_BTD, real_BT)
        return self.out(self.dropout(torch.tanh(self.dense(self.dropout(state_BD)))))


class TokenClassifier(nn.Module):
    """Encoder with a linear layer over each token's state: ids (B, T) to logits (B, T, Y). With two classes, begin and
    end of an answer, it is SQuAD's head."""

    def __init__(self, encoder: Body, classes: int, *, dropout: float, seed: int) -> None:
        super().__init__()
        self.encoder = encoder
        self.encoder.embedding.tokens.tied = False
        self.dropout = nn.Dropout(dropout)
        self.out = nn.Linear(encoder.config.width, classes)
        init_weights(self.out, torch.Generator().manual_seed(seed))

    def forward(self, ids_BT: Tensor, real_BT: Tensor) -> Tensor:
        """`real_BT` is true where a token is not padding; logits of padding mean nothing."""
        logits_BTY: Tensor = self.out(self.dropout(self.encoder(ids_BT, padded=True)))
        return logits_BTY


def mean_state(hidden_BTD: Tensor, real_BT: Tensor) -> Tensor:
    """Mean of the real tokens' states, (B, D)."""
    weight_BT1 = real_BT.unsqueeze(-1).to(hidden_BTD.dtype)
    return (hidden_BTD * weight_BT1).sum(1) / weight_BT1.sum(1).clamp_min(1.0)
