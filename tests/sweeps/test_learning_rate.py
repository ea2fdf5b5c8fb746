"""The learning rate across widths: a number, a power law, muP; what each puts into a run's science."""

from __future__ import annotations

import pytest

from sweeps.errors import BadInput
from sweeps.grid import Run, expand
from sweeps.study import parse_study

STUDY = """
name: rates
question: Does the rate move?
corpus: text
axes: {{languages: [[en, lb, da]], width: {widths}}}
recipe:
  model: {model}
  budget: {{batch_tokens: 1024, steps: 700}}
  row_tokens: 64
  learning_rate: {rate}
"""
MODEL = "{kind: modern, layers: 3, width: 32, vocabulary: 4000}"
PINNED_POWER = ["k3-a0.3-w64-l3-v4000-s0-74ee32c788", "k3-a0.3-w128-l3-v4000-s0-f2753ea45f"]
PINNED_MUP = ["k3-a0.3-w32-l3-v4000-s0-086180306f", "k3-a0.3-w256-l3-v4000-s0-104ed7cde6"]
MUP = "{rule: mup, rate: 0.01, width: 64}"


def runs(rate: str, widths: str = "[64, 128]", model: str = MODEL) -> list[Run]:
    return expand(parse_study(STUDY.format(rate=rate, widths=widths, model=model), "rates.yaml"), "key")


def refused(rate: str, widths: str = "[64, 128]", model: str = MODEL) -> str:
    with pytest.raises(BadInput) as caught:
        runs(rate, widths, model)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_the_power_law_keeps_its_ids_whether_or_not_it_is_named() -> None:
    plain = runs("{rate: 0.01, width: 64, power: 0.5}")
    assert [run.id for run in plain] == PINNED_POWER
    for same in ("{rate: 0.01, width: 64}", "{rule: power, rate: 0.01, width: 64}"):
        assert [run.id for run in runs(same)] == PINNED_POWER
    assert [run.science["learning_rate"] for run in plain] == [0.01, 0.00707107]


def test_a_run_at_the_base_width_of_mup_is_the_run_with_that_rate() -> None:
    assert runs(MUP, "[64]")[0].id == runs("0.01", "[64]")[0].id == PINNED_POWER[0]


def test_mup_divides_logits_and_hidden_rates_by_the_width_and_keeps_the_rate() -> None:
    narrow, wide = runs(MUP, "[32, 256]")
    for run, scale in ((narrow, 2.0), (wide, 0.25)):
        assert run.science["learning_rate"] == run.axes["learning_rate"] == 0.01
        assert run.science["hidden_rate_scale"] == run.science["model"]["output_multiplier"] == scale
    assert [run.id for run in (narrow, wide)] == PINNED_MUP


def test_mup_is_another_run_than_one_with_its_rate() -> None:
    assert runs(MUP, "[128]")[0].id != runs("0.01", "[128]")[0].id


@pytest.mark.parametrize(
    ("model", "heads"),
    [
        ("{layers: 3, width: 32, vocabulary: 4000}", [1, 2, 4, 8]),  # 64 wide has two heads of 32 where none is named
        ("{layers: 3, width: 32, vocabulary: 4000, heads: 4}", [2, 4, 8, 16]),
        ("{layers: 3, width: 32, vocabulary: 4000, head_width: 16}", [2, 4, 8, 16]),
    ],
)
def test_a_head_keeps_its_width_under_mup(model: str, heads: list[int]) -> None:
    assert [run.science["model"]["heads"] for run in runs(MUP, "[32, 64, 128, 256]", model)] == heads


def test_a_head_width_names_the_heads_of_any_model() -> None:
    model = "{layers: 3, width: 32, head_width: 32, vocabulary: 4000}"
    assert [run.science["model"]["heads"] for run in runs("0.01", "[32, 96]", model)] == [1, 3]


def test_a_feedforward_width_grows_with_the_width_under_mup() -> None:
    model = "{layers: 3, width: 32, feedforward: 96, vocabulary: 4000}"
    assert [run.science["model"]["feedforward"] for run in runs(MUP, "[32, 64, 128]", model)] == [48, 96, 192]


@pytest.mark.parametrize(
    ("rate", "widths", "model", "words"),
    [
        (MUP, "[64]", "{kind: xlm-r, layers: 3, width: 64, vocabulary: 400}", "rule mup is for model kind modern"),
        (MUP, "[48]", MODEL, "width 48 is not a multiple of the head width 32, which rule mup keeps at all widths"),
        (MUP, "[64]", "{layers: 1, width: 64, heads: 3, vocabulary: 400}", "3 heads do not divide 64"),
        ("{rule: mup, rate: 0.01, width: 64, power: 0.5}", "[64]", MODEL, "rule mup has no power; remove power"),
        (
            "{rule: mup, rate: 0.01, wdth: 64}",
            "[64]",
            MODEL,
            "unknown key recipe.learning_rate.wdth; did you mean width?",
        ),
        ("{rule: mu, rate: 0.01, width: 64}", "[64]", MODEL, "recipe.learning_rate.rule: input should be 'power' or"),
        (MUP, "[64]", "{layers: 1, width: 64, heads: 2, head_width: 32, vocabulary: 400}", "say the same twice"),
        ("0.01", "[64]", "{layers: 1, width: 64, head_width: 24, vocabulary: 400}", "64 is not a multiple of the head"),
        (MUP, "[96]", "{layers: 1, width: 64, feedforward: 99, vocabulary: 400}", "at width 96, no whole number"),
    ],
)
def test_a_rule_that_cannot_be_is_refused_in_one_sentence(rate: str, widths: str, model: str, words: str) -> None:
    assert words in refused(rate, widths, model)


def test_a_key_of_the_rule_can_be_an_axis() -> None:
    text = STUDY.format(rate=MUP, widths="[64]", model=MODEL).replace("width: [64]", "learning_rate.rate: [0.01, 0.02]")
    text = text.replace("width: 32, vocabulary", "width: 128, vocabulary")
    found = expand(parse_study(text, "rates.yaml"), "key")
    assert [run.axes["learning_rate"] for run in found] == [0.01, 0.02]
