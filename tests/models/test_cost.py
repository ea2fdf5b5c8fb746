"""Priced parameters are the built model's, to the last one, and agree with the paper's Table 7."""

from __future__ import annotations

import subprocess
import sys
import weakref
from typing import Any

import pytest
import torch
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from torch.utils.flop_counter import FlopCounterMode
from torch.utils.weak import WeakIdKeyDictionary

from models.cost import (
    activation_bytes_per_row,
    forward_flops_per_token,
    parameters,
    training_bytes_per_parameter,
    training_flops_per_token,
)
from models.heads import MaskedLM, build_masked_lm
from models.sizes import NAMED_SIZES, EncoderConfig, Kind, default_feedforward, default_heads

SIZES = [(302, 16, 1, 1, 64, 16), (1002, 48, 3, 2, 100, 64), (57, 96, 2, 3, 384, 8), (9, 2, 5, 1, 1, 1)]
FORMS: list[tuple[Kind, bool]] = [("xlm-r", False), ("modern", False), ("modern", True)]
CONFIGS = [
    EncoderConfig(kind=kind, gated=gated, vocabulary=v, width=w, layers=n, heads=h, feedforward=f, positions=p)
    for kind, gated in FORMS
    for v, w, n, h, f, p in SIZES
]


def named(size: dict[str, int], kind: Kind, gated: bool) -> EncoderConfig:
    """A named size with XLM-R's vocabulary."""
    width, layers = size["width"], size["layers"]
    return EncoderConfig(
        kind=kind,
        gated=gated,
        vocabulary=250_002,
        width=width,
        layers=layers,
        heads=size.get("heads", default_heads(width)),
        feedforward=default_feedforward(width),
        positions=512,
    )


def small(kind: Kind, gated: bool, **shape: int) -> EncoderConfig:
    whole = {"vocabulary": 302, "width": 64, "layers": 2, "heads": 2, "feedforward": 128, "positions": 128} | shape
    return EncoderConfig(kind=kind, gated=gated, **whole)


FORMED = pytest.mark.parametrize(("kind", "gated"), FORMS, ids=["xlm-r", "modern", "gated"])
CONFIGS += [named(size, kind, gated) for size in NAMED_SIZES.values() for kind, gated in FORMS]


@pytest.mark.parametrize("config", CONFIGS, ids=lambda c: f"{c.kind}{'-gated' * c.gated}-{c.width}x{c.layers}")
def test_priced_parameters_are_the_built_models(config: EncoderConfig) -> None:
    with torch.device("meta"):  # shapes without memory: XXL would take 43 GB
        model = MaskedLM(config)
    embedding = model.encoder.embedding.tokens.weight.numel() + model.decoder.bias.numel()
    priced = parameters(config)
    assert priced.embedding == embedding
    assert priced.total == sum(value.numel() for value in model.parameters())


@pytest.mark.parametrize(("size", "millions"), [("base", 277.6), ("large", 559.9)])
def test_xlm_r_costs_what_the_released_models_hold(size: str, millions: float) -> None:
    """278,295,186 and 560,142,482 are published, pooler and 514 positions counted; Table 7 rounds to 270M and 550M."""
    assert parameters(named(NAMED_SIZES[size], "xlm-r", False)).total / 1e6 == pytest.approx(millions, rel=0.005)


def test_at_250_thousand_pieces_the_table_is_most_of_xlm_r_base() -> None:
    priced = parameters(named(NAMED_SIZES["base"], "xlm-r", False))
    assert priced.embedding / priced.total == pytest.approx(0.69, abs=0.005)


@FORMED
def test_flops_are_six_a_weight_and_twelve_a_token_that_is_looked_at(kind: Kind, gated: bool) -> None:
    config = small(kind, gated, vocabulary=1002, width=64, layers=3, feedforward=256)
    flops = training_flops_per_token(config, tokens_per_row=10, masked_share=1.0)
    assert flops.body == 6 * 3 * (4 * 64 * 64 + (3 if gated else 2) * 64 * 256)
    assert flops.attention == 12 * 3 * 10 * 64
    assert flops.head == 6 * (64 * 64 + 64 * 1002)
    assert flops.total == flops.body + flops.attention + flops.head
    assert training_flops_per_token(config, tokens_per_row=10, masked_share=0.5).head == flops.head / 2
    forward = forward_flops_per_token(config, tokens_per_row=10, masked_share=1.0)
    assert (flops.body, flops.attention, flops.head) == (3 * forward.body, 3 * forward.attention, 3 * forward.head)


@FORMED
def test_a_block_whose_states_are_read_at_masked_positions_alone_is_priced_so(kind: Kind, gated: bool) -> None:
    price = {"tokens_per_row": 10, "masked_share": 0.2}
    one, two = (forward_flops_per_token(small(kind, gated, layers=layers), **price) for layers in (1, 2))
    weights_after_looking = 64 * 64 + (3 if gated else 2) * 64 * 128
    assert two.body - one.body == pytest.approx(2 * (3 * 64 * 64 + weights_after_looking))
    assert one.body == pytest.approx(2 * (3 * 64 * 64 + 0.2 * weights_after_looking))
    assert one.attention == pytest.approx(0.2 * (two.attention - one.attention))


@FORMED
@pytest.mark.parametrize(
    ("shape", "rows", "tokens", "masks"),
    [
        ({"vocabulary": 502, "width": 64, "layers": 3, "heads": 4, "feedforward": 256}, 4, 32, 5),
        ({"vocabulary": 96, "width": 32, "layers": 6, "heads": 2, "feedforward": 48}, 2, 256, 38),  # attention leads
        ({"vocabulary": 30_002, "width": 64, "layers": 1, "heads": 1, "feedforward": 256}, 3, 64, 26),  # the head leads
        ({"vocabulary": 250_002, "width": 768, "layers": 12, "heads": 12, "feedforward": 3072}, 8, 512, 77),  # base
    ],
    ids=["even", "long rows", "large vocabulary", "base"],
)
def test_flops_are_those_that_torch_counts(
    kind: Kind, gated: bool, shape: dict[str, int], rows: int, tokens: int, masks: int
) -> None:
    """Forward and backward on the meta device, attention as plain products: a fused kernel's backward computes the
    scores a second time, and on the CPU it is not counted at all."""
    config = EncoderConfig(kind=kind, gated=gated, positions=tokens, **shape)
    with torch.device("meta"):
        model = MaskedLM(config)
        ids = torch.zeros(rows, tokens, dtype=torch.int64)
        index = torch.zeros(rows * masks, dtype=torch.int64)
    price = {"tokens_per_row": tokens, "masked_share": masks / tokens}
    with sdpa_kernel(SDPBackend.MATH), FlopCounterMode(display=False) as forward:
        loss = model(ids, index, index).mean()
    assert forward.get_total_flops() == pytest.approx(
        rows * tokens * forward_flops_per_token(config, **price).total, rel=1e-6
    )
    with FlopCounterMode(display=False) as backward:
        loss.backward()
    assert forward.get_total_flops() + backward.get_total_flops() == pytest.approx(
        rows * tokens * training_flops_per_token(config, **price).total, rel=1e-6
    )


class Live(TorchDispatchMode):
    """Bytes of the tensors that are alive, and the most there were; parameters, their casts and gradients excepted."""

    def __init__(self, model: torch.nn.Module) -> None:
        super().__init__()
        self.apart = {shape for value in model.parameters() for shape in (tuple(value.shape), tuple(value.shape)[::-1])}
        self.seen = WeakIdKeyDictionary()
        self.now = self.most = 0

    def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = function(*args, **(kwargs or {}))
        for leaf in tree_leaves(result):
            if isinstance(leaf, torch.Tensor) and tuple(leaf.shape) not in self.apart:
                storage = leaf.untyped_storage()
                if storage not in self.seen:
                    self.seen[storage] = True
                    self.now += storage.nbytes()
                    self.most = max(self.most, self.now)
                    weakref.finalize(storage, self._freed, storage.nbytes())
        return result

    def _freed(self, size: int) -> None:
        self.now -= size


def measured_bytes_per_row(config: EncoderConfig, tokens: int, masks: int, *, bf16: bool, checkpointed: bool) -> float:
    """The peak of one training step on the CPU, over its rows."""
    rows = 3
    model = build_masked_lm(config, 0).train()
    model.encoder.checkpoint_blocks = checkpointed
    ids = torch.randint(4, config.vocabulary - 1, (rows, tokens), generator=torch.Generator().manual_seed(0))
    index = torch.cat([torch.arange(masks) + row * tokens for row in range(rows)])
    with Live(model) as live:
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=bf16):
            loss = model(ids, index, ids.flatten()[index]).mean()
        loss.backward()
    return live.most / rows


@FORMED
@pytest.mark.parametrize("bf16", [False, True], ids=["fp32", "bf16"])
@pytest.mark.parametrize("checkpointed", [False, True], ids=["kept", "checkpointed"])
@pytest.mark.parametrize(
    ("shape", "tokens", "masks"),
    [
        ({"vocabulary": 1002, "width": 64, "layers": 3, "heads": 1}, 64, 10),
        ({"vocabulary": 4002, "width": 128, "layers": 4, "heads": 2}, 128, 19),
        ({"vocabulary": 30_002, "width": 64, "layers": 2, "heads": 1}, 64, 10),
        ({"vocabulary": 502, "width": 256, "layers": 6, "heads": 4}, 64, 8),
        ({"vocabulary": 1002, "width": 64, "layers": 2, "heads": 2, "dropout": 0.1}, 96, 14),
        ({"vocabulary": 1002, "width": 64, "layers": 3, "heads": 1, "attention": "document"}, 128, 19),
    ],
    ids=["even", "wider", "large vocabulary", "deep", "dropout", "documents"],
)
def test_activations_are_priced_at_no_less_than_they_take_and_at_most_twice(
    kind: Kind, gated: bool, shape: dict[str, Any], tokens: int, masks: int, checkpointed: bool, bf16: bool
) -> None:
    config = EncoderConfig(kind=kind, gated=gated, positions=tokens, feedforward=4 * shape["width"], **shape)
    priced = activation_bytes_per_row(
        config,
        tokens_per_row=tokens,
        masks_per_row=masks,
        bf16=bf16,
        checkpointed=checkpointed,
        fused_attention=not config.dropout,
    )
    measured = measured_bytes_per_row(config, tokens, masks, bf16=bf16, checkpointed=checkpointed)
    assert 1.0 <= priced / measured <= 2.0


def test_checkpointing_holds_one_block_and_the_inputs_of_all() -> None:
    def priced(layers: int, checkpointed: bool) -> int:
        config = small("modern", False, width=256, layers=layers, feedforward=1024)
        return activation_bytes_per_row(
            config, tokens_per_row=128, masks_per_row=19, bf16=True, checkpointed=checkpointed
        )

    assert priced(9, True) - priced(8, True) == 128 * 256 * 4
    assert priced(24, False) > 5 * priced(24, True)


def test_every_zero_stage_holds_less_per_rank_and_all_hold_the_same_on_one() -> None:
    on_eight = [training_bytes_per_parameter(stage, 8) for stage in (1, 2, 3)]
    assert on_eight == sorted(on_eight, reverse=True)
    assert training_bytes_per_parameter(0, 1) == training_bytes_per_parameter(0, 8) == 16
    assert {training_bytes_per_parameter(stage, 1) for stage in (1, 2, 3)} == {20}
    assert training_bytes_per_parameter(3, 8) == 20 / 8


@pytest.mark.parametrize(
    ("stage", "ranks", "weights", "gradients", "moments_and_copy"),
    [(0, 8, 4, 4, 8), (1, 8, 4, 4, 12 / 8), (2, 8, 4, 4 / 8, 12 / 8), (3, 8, 4 / 8, 4 / 8, 12 / 8), (2, 2, 4, 2, 6)],
)
def test_each_zero_stage_splits_one_more_part_of_the_model_state(
    stage: int, ranks: int, weights: float, gradients: float, moments_and_copy: float
) -> None:
    assert training_bytes_per_parameter(stage, ranks) == pytest.approx(weights + gradients + moments_and_copy)


@pytest.mark.parametrize(("stage", "ranks", "words"), [(4, 1, "ZeRO stage is 4"), (1, 0, "ranks is 0")])
def test_a_zero_stage_that_is_none_is_refused(stage: int, ranks: int, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        training_bytes_per_parameter(stage, ranks)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"width": 30, "heads": 4}, "model width 30 is not divisible by 4 heads; use a multiple of 4"),
        ({"kind": "bert"}, "model kind 'bert' is not one of xlm-r, modern"),
        ({"layers": 0}, "model layers is 0; it must be at least 1"),
        ({"dropout": 1.0}, "model dropout is 1.0"),
        ({"gated": True}, "model kind xlm-r has no gated feed-forward; remove gated, or set kind to modern"),
        ({"kind": "modern", "width": 12, "heads": 4}, "rotary positions need an even width per head, got 12 / 4 = 3"),
    ],
)
def test_an_encoder_that_cannot_be_is_refused_with_its_numbers(changes: dict[str, object], words: str) -> None:
    legal = {"kind": "xlm-r", "vocabulary": 10, "width": 16, "layers": 1, "heads": 2, "feedforward": 8, "positions": 8}
    with pytest.raises(ValueError, match=words):
        EncoderConfig(**legal | changes)  # type: ignore[arg-type]


def test_default_heads_always_divide_the_width() -> None:
    assert all(width % default_heads(width) == 0 for width in range(1, 2000))
    assert [default_heads(width) for width in (32, 64, 96, 128, 768, 1024)] == [2, 2, 3, 2, 12, 16]


def test_prices_need_no_torch() -> None:
    code = "import models.cost, models.sizes, sys; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
