"""Values that a study computes: equal to what the paper's arithmetic gives, in any order, never in a circle."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.cost import parameters
from models.sizes import formula_parameters
from sweeps.errors import BadInput
from sweeps.grid import Run, expand
from sweeps.sampling import language_distribution
from sweeps.science import encoder_config
from sweeps.study import RecipeBlock, parse_study

STUDY = """
name: derived
question: What follows from what?
corpus: cc100
axes: {{languages: [[en, sw], [en, sw, fr], [en, sw, fr, ru]]{axes}}}
derive: {{{derive}}}
recipe:
  model: {{kind: xlm-r, layers: 12{model}}}
  sampling: {{alpha: 0.3}}
  tokenizer: {{sample_bytes: 10000000000}}
  budget: {{{budget}}}
  row_tokens: 512
  learning_rate: {rate}
groups: {{core: [en, sw]}}
invariants: [nested-languages]
"""


def study(derive: str, *, axes: str = "", model: str = "", budget: str = "", rate: str = "0.0006") -> str:
    if "width" not in derive:
        model += ", width: 768"
    if "vocabulary" not in derive + axes:
        model += ", vocabulary: 150000"
    if "vocabulary" in axes:
        model += ", vocabulary: 1000"
    budget = budget or ", ".join(
        value for value in ("batch_tokens: 1048576", "steps: 1000") if value.split(":")[0] + ":" not in derive
    )
    text = STUDY.format(derive=derive, axes=axes and ", " + axes, model=model, budget=budget, rate=rate)
    return text.replace("  learning_rate: none\n", "")


def runs(text: str) -> list[Run]:
    return expand(parse_study(text, "derived.yaml"), "key")


def refused(text: str) -> str:
    with pytest.raises(BadInput) as caught:
        runs(text)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_widths_at_200_million_are_those_of_the_papers_figure_6() -> None:
    """paper.md 1.3: about 1073, 977, 815, 587 and 355 for 32K to 512K."""
    vocabularies = [32_000, 64_000, 128_000, 256_000, 512_000]
    text = study("width: {rule: constant-total, total: 200000000}", axes=f"vocabulary: {vocabularies}")
    found = {run.axes["vocabulary"]: run.axes["width"] for run in runs(text) if run.axes["K"] == 2}
    assert list(found) == vocabularies
    for width, printed in zip(found.values(), (1073, 977, 815, 587, 355), strict=True):
        assert abs(width - printed) <= 64 and width % 64 == 0
    for vocabulary, width in found.items():
        near = formula_parameters(vocabulary=vocabulary, width=width, layers=12)
        step = formula_parameters(vocabulary=vocabulary, width=width + 64, layers=12) - near
        assert abs(near - 200_000_000) <= step / 2 + 1


def test_parameter_columns_are_those_of_the_encoder_that_is_trained() -> None:
    for run in runs(study("width: {rule: constant-total, total: 200000000}", axes="vocabulary: [32000, 512000]")):
        model = run.science["model"]
        assert model["vocabulary"] == run.axes["vocabulary"] + 2  # <pad> and <mask>
        recipe = {
            "model": {"kind": "xlm-r", "layers": 12, "width": model["width"], "vocabulary": model["vocabulary"] - 2}
        }
        block = RecipeBlock.model_validate(
            recipe | {"budget": {"batch_tokens": 512, "steps": 1}, "row_tokens": 512, "learning_rate": 1}
        )
        priced = parameters(encoder_config(block, parse_study(study("steps: {rule: equal-updates, steps: 1}"), "x")))
        assert (run.axes["body_parameters"], run.axes["embedding_parameters"]) == (priced.body, priced.embedding)


def test_a_vocabulary_grows_with_the_languages_down_to_its_floor() -> None:
    found = runs(study("vocabulary: {rule: per-language, pieces: 2500, least: 6000}"))
    assert [run.axes["vocabulary"] for run in found] == [6000, 7500, 10_000]


@given(st.sampled_from([0.0, 0.3, 0.7, 1.0]), st.integers(100, 100_000))
@settings(max_examples=25, deadline=None)
def test_each_core_language_sees_the_same_tokens_however_many_others_there_are(alpha: float, steps: int) -> None:
    sizes = {"en": 3_000_000_000, "sw": 16_000_000, "fr": 600_000_000, "ru": 2_800_000_000}
    text = study(f"steps: {{rule: equal-core-tokens, steps: {steps}, at: en+sw}}").replace("0.3}", f"{alpha}}}", 1)
    seen = []
    for run in expand(parse_study(text, "derived.yaml"), "key", sizes):
        q = language_distribution({code: sizes[code] for code in run.axes["languages"]}, alpha)
        seen.append((q["en"] * run.axes["tokens"], q["sw"] * run.axes["tokens"]))
    for english, swahili in seen:
        # Whole updates: within half of one.
        assert english == pytest.approx(seen[0][0], rel=0.51 / steps)
        assert swahili == pytest.approx(seen[0][1], rel=0.51 / steps)


def test_text_that_is_held_back_counts_for_shares_too() -> None:
    derive = "steps: {rule: equal-core-tokens, steps: 1000, at: en+sw}"
    small = study(derive).replace("  row_tokens", "  text_bytes: 1000000\n  row_tokens")
    assert [run.axes["steps"] for run in runs(small)] == [1000, 1500, 2000], "all languages hold the same"


def test_the_rule_of_a_derived_value_may_be_an_axis() -> None:
    both = study(
        "steps: {rule: equal-updates, steps: 1000, at: en+sw}",
        axes="derive.steps.rule: [equal-updates, equal-core-tokens]",
    )
    found = {(run.axes["K"], run.axes["derive.steps.rule"]): run.axes["steps"] for run in runs(both)}
    assert found[3, "equal-updates"] == found[4, "equal-updates"] == 1000
    assert found[4, "equal-core-tokens"] > found[3, "equal-core-tokens"] > 1000
    assert (2, "equal-core-tokens") not in found, "the same run as with equal updates, so run once"


def test_equal_tokens_hold_whatever_the_batch() -> None:
    text = study("steps: {rule: equal-tokens, tokens: 1048576000}", axes="batch_tokens: [524288, 1048576, 4194304]")
    assert {
        run.axes["batch_tokens"]: run.axes["steps"] for run in runs(text.replace("budget: {", "budget: {steps: null, "))
    }
    assert {run.axes["tokens"] for run in runs(text)} == {1_048_576_000}


def test_a_batch_may_follow_from_the_steps_and_the_rate_from_the_batch() -> None:
    text = study(
        "learning_rate: {rule: power-of-batch, rate: 0.0005, batch_tokens: 1048576}, "
        "batch_tokens: {rule: equal-tokens, tokens: 1048576000}",
        axes="steps: [250, 1000]",
        rate="none",
    )
    found = {run.axes["steps"]: (run.axes["batch_tokens"], run.axes["learning_rate"]) for run in runs(text)}
    assert found == {250: (4_194_304, 0.001), 1000: (1_048_576, 0.0005)}


@pytest.mark.parametrize(
    ("derive", "words"),
    [
        ("width: {rule: constant-totl, total: 1}", "derive.width.rule: input should be 'constant-total'"),
        ("width: {rule: constant-total}", "rule constant-total needs the key total"),
        ("width: {rule: constant-total, total: 9, pieces: 3}", "rule constant-total has no pieces; it has multiple_of"),
        ("width: {rule: constant-total, totl: 9}", "unknown key derive.width.totl; did you mean total?"),
        ("width: {rule: constant-total, total: 9}", "raise the total or lower the vocabulary"),
        ("steps: {rule: constant-total, total: 9}", "sets model.width, not budget.steps"),
        ("steps: {rule: equal-core-tokens, steps: 9, at: core-7}", "at core-7 is not a set of axes.languages (en+sw"),
        ("steps: {rule: equal-core-tokens, steps: 9, at: en+sw, group: high}", "group high is not one of core"),
        (
            "steps: {rule: equal-tokens, tokens: 9}, batch_tokens: {rule: equal-tokens, tokens: 9}",
            "is a circle; give one of them as a number",
        ),
    ],
)
def test_a_derived_value_that_cannot_be_is_refused_in_one_sentence(derive: str, words: str) -> None:
    said = refused(study(derive))
    assert words in said and said.startswith("derived.yaml, line 6")


def test_a_value_is_derived_or_given_or_an_axis_and_one_of_these_only() -> None:
    given = study("steps: {rule: equal-updates, steps: 9}", budget="batch_tokens: 1024, steps: 3")
    assert "derive computes budget.steps, and the recipe gives it (3); keep one" in refused(given)
    axis = study("steps: {rule: equal-updates, steps: 9}", axes="steps: [3, 4]")
    assert "derive computes budget.steps, so it is no axis; keep one" in refused(axis)


def test_a_profile_can_leave_a_derived_value_out() -> None:
    text = study("width: {rule: constant-total, total: 200000000}")
    text += "profiles:\n  small: {derive: {width: null}, recipe: {model: {width: 64}}}\n"
    assert {run.axes["width"] for run in runs(text)} == {64}


def test_unimax_and_steps_that_follow_from_shares_do_not_go_together() -> None:
    text = study("steps: {rule: equal-core-tokens, steps: 9, at: en+sw}")
    unimax = text.replace("sampling: {alpha: 0.3}", "sampling: {kind: unimax, max_epochs: 4}")
    assert "with sampling unimax shares follow from the steps" in refused(unimax)
