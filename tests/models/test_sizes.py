"""Named sizes, the dial and equal totals are the paper's arithmetic, and every one of them is a legal encoder."""

from __future__ import annotations

import itertools

import pytest

from models.cost import parameters
from models.sizes import (
    NAMED_SIZES,
    EncoderConfig,
    constant_total_width,
    default_feedforward,
    default_heads,
    dial,
    formula_parameters,
)

LADDER = ["tiny", "mini", "compact", "small", "medium", "base", "large", "xl", "xxl"]

TABLE_7 = [
    # model, vocabulary, layers, width, parameters as printed
    ("BERT-Base", 30_000, 12, 768, 110e6),
    ("BERT-Large", 30_000, 24, 1024, 335e6),
    ("mBERT", 110_000, 12, 768, 172e6),
    ("RoBERTa-Base", 50_000, 12, 768, 125e6),
    ("RoBERTa", 50_000, 24, 1024, 355e6),
    ("XLM-15", 95_000, 12, 1024, 250e6),
    ("XLM-100", 200_000, 16, 1280, 570e6),
    ("XLM-R Base", 250_000, 12, 768, 270e6),
    ("XLM-R", 250_000, 24, 1024, 550e6),
]

FIGURE_6 = {32_000: 1073, 64_000: 977, 128_000: 815, 256_000: 587, 512_000: 355}
"""Widths at 200 million parameters and 12 layers, to the unit; "K" is a thousand: 32,768 would give 1070."""


def encoder(size: dict[str, int], vocabulary: int = 250_002) -> EncoderConfig:
    width = size["width"]
    return EncoderConfig(
        kind="xlm-r",
        vocabulary=vocabulary,
        width=width,
        layers=size["layers"],
        heads=size.get("heads", default_heads(width)),
        feedforward=default_feedforward(width),
        positions=512,
    )


def test_the_ladder_rises_from_under_a_million_to_xxl() -> None:
    assert list(NAMED_SIZES) == LADDER
    bodies = [parameters(encoder(NAMED_SIZES[name], 1000)).body for name in LADDER]
    assert bodies[0] < bodies[1] < 1e6 and bodies[-1] > 9.6e9
    assert all(1.8 < above / below < 12 for below, above in itertools.pairwise(bodies))


@pytest.mark.parametrize(
    ("name", "dimensions"),
    [
        ("base", (12, 768, 12, 3072)),
        ("large", (24, 1024, 16, 4096)),
        ("xl", (36, 2560, 32, 10_240)),
        ("xxl", (48, 4096, 32, 16_384)),
    ],
)
def test_the_released_models_have_their_published_dimensions(name: str, dimensions: tuple[int, ...]) -> None:
    config = encoder(NAMED_SIZES[name])
    assert (config.layers, config.width, config.heads, config.feedforward) == dimensions


def test_sizes_whose_heads_follow_from_the_width_do_not_repeat_them() -> None:
    for size in NAMED_SIZES.values():
        assert size.get("heads") != default_heads(size["width"])


@pytest.mark.parametrize(("model", "vocabulary", "layers", "width", "printed"), TABLE_7)
def test_the_papers_formula_gives_its_table_7(
    model: str, vocabulary: int, layers: int, width: int, printed: float
) -> None:
    assert formula_parameters(vocabulary=vocabulary, width=width, layers=layers) == pytest.approx(printed, rel=0.03)


@pytest.mark.parametrize(
    ("vocabulary", "width", "millions"),
    [(150_000, 768, 200.1), (150_000, 960, 276.7), (150_000, 1152, 363.9), (128_000, 768, 183), (256_000, 768, 282)],
)
def test_the_papers_formula_gives_the_ablation_models(vocabulary: int, width: int, millions: float) -> None:
    """Figures 2, 4 and 6(b): 12 layers."""
    total = formula_parameters(vocabulary=vocabulary, width=width, layers=12)
    assert total / 1e6 == pytest.approx(millions, abs=0.5 if millions == int(millions) else 0.05)


@pytest.mark.parametrize(("name", "billions", "table_share"), [("xl", 3.5, 0.18), ("xxl", 10.7, 0.10)])
def test_xl_and_xxl_hold_what_their_paper_says(name: str, billions: float, table_share: float) -> None:
    size = NAMED_SIZES[name]
    total = formula_parameters(vocabulary=250_000, width=size["width"], layers=size["layers"])
    assert total / 1e9 == pytest.approx(billions, abs=0.05)
    assert 250_000 * size["width"] / total == pytest.approx(table_share, abs=0.006)


@pytest.mark.parametrize("name", LADDER)
def test_the_formula_leaves_out_biases_norms_positions_and_the_head(name: str) -> None:
    width, layers, vocabulary = NAMED_SIZES[name]["width"], NAMED_SIZES[name]["layers"], 250_000
    blocks = layers * 13 * width  # 9 widths of biases and two LayerNorms
    ends = (514 + 1 + 2) * width + (width * width + 3 * width) + vocabulary
    priced = parameters(encoder(NAMED_SIZES[name], vocabulary)).total
    assert priced == formula_parameters(vocabulary=vocabulary, width=width, layers=layers) + blocks + ends


@pytest.mark.parametrize(("n", "named"), [(12, "base"), (8, "medium"), (6, "small")])
def test_the_dial_passes_through_base_and_two_rungs_below(n: int, named: str) -> None:
    assert dial(n) == NAMED_SIZES[named]


def test_the_dial_only_ever_adds_parameters_and_every_stop_is_legal() -> None:
    stops = [encoder(dial(n), 1000) for n in range(1, 65)]
    bodies = [parameters(stop).body for stop in stops]
    assert bodies == sorted(set(bodies))
    assert all(stop.head_width == 64 for stop in stops[1:]) and stops[0].heads == 2


def test_a_dial_below_one_is_refused() -> None:
    with pytest.raises(ValueError, match="model dial is 0; it must be at least 1"):
        dial(0)


@pytest.mark.parametrize(("vocabulary", "width"), FIGURE_6.items())
def test_equal_totals_give_the_widths_of_figure_6(vocabulary: int, width: int) -> None:
    assert constant_total_width(200_000_000, vocabulary=vocabulary, layers=12, multiple_of=1) == width
    rounded = constant_total_width(200_000_000, vocabulary=vocabulary, layers=12)
    assert rounded == 64 * round(width / 64) and default_heads(rounded) == rounded // 64


def test_at_half_a_million_pieces_little_of_an_equal_total_is_body() -> None:
    """Why the fixed-capacity curve of Figure 6 turns over: 18 million of 200 are left."""
    width = constant_total_width(200_000_000, vocabulary=512_000, layers=12, multiple_of=1)
    assert formula_parameters(vocabulary=0, width=width, layers=12) / 1e6 == pytest.approx(18, abs=0.5)


@pytest.mark.parametrize("multiple_of", [1, 16, 64])
@pytest.mark.parametrize("total", [40_000_000, 200_000_000, 3_333_333_333])
@pytest.mark.parametrize(("vocabulary", "layers"), [(1000, 3), (32_000, 6), (250_000, 12), (64_000, 24)])
def test_the_width_of_an_equal_total_is_the_nearest_legal_one(
    vocabulary: int, layers: int, total: int, multiple_of: int
) -> None:
    found = constant_total_width(total, vocabulary=vocabulary, layers=layers, multiple_of=multiple_of)
    assert found % multiple_of == 0
    low, high = found - multiple_of / 2, found + multiple_of / 2
    assert 12 * layers * low**2 + vocabulary * low <= total <= 12 * layers * high**2 + vocabulary * high


@pytest.mark.parametrize(
    ("total", "vocabulary", "layers", "words"),
    [
        (20_000_000, 512_000, 12, "takes 32,768,000 parameters at a width of 64, more than the total of 20,000,000"),
        (100_000, 300, 12, "12 layers, 64 wide, has 609,024 parameters, more than the total of 100,000"),
        (0, 300, 12, "total is 0; it must be at least 1"),
        (100_000, 300, 0, "layers is 0; it must be at least 1"),
    ],
)
def test_a_total_that_no_width_has_is_refused_with_its_numbers(
    total: int, vocabulary: int, layers: int, words: str
) -> None:
    with pytest.raises(ValueError, match=words):
        constant_total_width(total, vocabulary=vocabulary, layers=layers)
