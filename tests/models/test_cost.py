"""Priced parameters are the built model's, to the last one, and agree with the paper's Table 7."""

from __future__ import annotations

import subprocess
import sys

import pytest
import torch

from models.cost import parameters, training_bytes_per_parameter, training_flops_per_token
from models.heads import MaskedLM
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


@pytest.mark.parametrize("kind", ["xlm-r", "modern"])
def test_flops_are_six_a_weight_when_rows_are_short(kind: Kind) -> None:
    config = EncoderConfig(kind=kind, vocabulary=1002, width=64, layers=3, heads=2, feedforward=256, positions=64)
    flops = training_flops_per_token(config, tokens_per_row=1, masked_share=1.0)
    matrices = 3 * (4 * 64 * 64 + 2 * 64 * 256)
    assert flops.body == pytest.approx(6 * matrices, rel=0.01)
    assert flops.head == 6 * (64 * 64 + 64 * 1002)
    assert training_flops_per_token(config, tokens_per_row=1, masked_share=0.5).head == flops.head / 2


def test_every_zero_stage_holds_less_per_rank_and_all_hold_the_same_on_one() -> None:
    on_eight = [training_bytes_per_parameter(stage, 8) for stage in (1, 2, 3)]
    assert on_eight == sorted(on_eight, reverse=True)
    assert training_bytes_per_parameter(0, 1) == training_bytes_per_parameter(0, 8) == 16
    assert {training_bytes_per_parameter(stage, 1) for stage in (1, 2, 3)} == {20}
    assert training_bytes_per_parameter(3, 8) == 20 / 8


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
