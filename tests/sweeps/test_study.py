"""What users write: what is understood, and what every mistake is answered with."""

from __future__ import annotations

import random
import re
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sweeps.errors import BadInput
from sweeps.grid import expand
from sweeps.study import STUDIES, load_study, parse_study, studies_that_ship

SAMPLE = Path(__file__).with_name("sample.yaml").read_text(encoding="utf-8")


def changed(old: str, new: str) -> str:
    assert old in SAMPLE, f"the sample study does not hold {old!r}"
    return SAMPLE.replace(old, new, 1)


def said(text: str, profile: str | None = None) -> str:
    """The one sentence that a text is refused with, by the reader or by the grid."""
    with pytest.raises(BadInput) as caught:
        expand(parse_study(text, "mine.yaml", profile), "key")
    message = str(caught.value)
    assert "\n" not in message
    return message


def test_every_study_that_ships_can_be_read_under_each_of_its_profiles() -> None:
    assert "demo" in studies_that_ship()
    for name in studies_that_ship():
        assert expand(load_study(name), "key")
    assert load_study("demo").profile == "laptop"


def test_a_profile_lays_its_values_over_the_study_and_keeps_the_rest() -> None:
    smoke, laptop = parse_study(SAMPLE, "mine.yaml", "smoke"), parse_study(SAMPLE, "mine.yaml")
    assert (smoke.name, smoke.profile, laptop.profile) == ("sample-smoke", "smoke", "laptop")
    assert smoke.recipe.budget.steps < laptop.recipe.budget.steps
    assert smoke.recipe.learning_rate == laptop.recipe.learning_rate
    assert smoke.recipe.model.layers == laptop.recipe.model.layers


def test_a_study_is_found_by_name_and_by_path(tmp_path: Path) -> None:
    path = tmp_path / "copy.yaml"
    path.write_text(SAMPLE, encoding="utf-8")
    assert load_study(str(path)) == parse_study(SAMPLE, "mine.yaml")


@pytest.mark.parametrize(
    ("name", "profile", "words"),
    [
        ("demmo", None, "did you mean demo?"),
        ("zzzz", None, "these ship: alpha"),
        ("nowhere/mine.yaml", None, "there is no study file nowhere/mine.yaml"),
        ("demo", "laptob", "there is no profile 'laptob'; it has: laptop, smoke"),
    ],
)
def test_a_study_or_profile_that_is_not_there_is_answered_with_those_that_are(
    name: str, profile: str | None, words: str
) -> None:
    with pytest.raises(BadInput, match=re.escape(words)):
        load_study(name, profile)


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("mask_rate:", "mask_rat:", "unknown key recipe.mask_rat; did you mean mask_rate?"),
        ("groups:", "group:", "unknown key group; did you mean groups?"),
        ("policy:", "polcy:", "unknown key recipe.tokenizer.polcy; did you mean policy?"),
        ("warmup:", "warm_up:", "unknown key recipe.schedule.warm_up; did you mean warmup?"),
        ("threads: 1, checkpoint_seconds: 10", "thread: 1", "unknown key execution.thread; did you mean threads?"),
        ("batch_tokens:", "batch_token:", "unknown key recipe.budget.batch_token; did you mean batch_tokens?"),
        ("corpus: text", "korpus: text", "unknown key korpus; did you mean corpus?"),
        ("mask_rate:", "zzz:", "unknown key recipe.zzz; legal here: model, sampling"),
    ],
)
def test_an_unknown_key_is_answered_with_the_nearest(old: str, new: str, words: str) -> None:
    assert words in said(changed(old, new))


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("corpus: text\n", "", "the key corpus is missing"),
        ("  learning_rate: 0.006", "  # nothing", "the key recipe.learning_rate is missing"),
        ("steps: 700", "steps: 0", "recipe.budget.steps: input should be greater than or equal to 1 (given 0)"),
        ("steps: 700", "steps: many", "recipe.budget.steps"),
        ("mask_rate: 0.3", "mask_rate: 0.9", "recipe.mask_rate"),
        ("mask_rate: 0.3", "mask_rate: .nan", "recipe.mask_rate"),
        ("precision: bf16", "precision: fp64", "recipe.precision: input should be 'fp32' or 'bf16' (given 'fp64')"),
        ("kind: modern", "kind: bert", "recipe.model.kind"),
        (
            "n, layers: 3, width: 32",
            "n",
            "give size (tiny, mini, compact, small, medium, base, large, xl, xxl), or dial",
        ),
        ("n, layers: 3, width: 32", "n", "or dial, or both width and layers; this has none of them"),
        ("layers: 3, width: 32", "width: 32", "or both width and layers; this has width"),
        ("layers: 3, width: 32", "size: base, width: 960", "this has size and width"),
        ("layers: 3, width: 32", "size: base, dial: 12", "this has size and dial"),
        ("layers: 3", "layers: 3, dial: 3", "this has dial and width and layers"),
        ("layers: 3, width: 32", "dial: 0", "recipe.model.dial: input should be greater than or equal to 1 (given 0)"),
        ("kind: modern", "size: huge, kind: modern", "size 'huge' is not one of tiny, mini"),
        ("evaluate: [heldout", "evaluate: [xnli", "evaluate: 'xnli' is none of heldout, intents: give it a block"),
        ("name: sample\n", "name: The Demo\n", "name: string should match"),
        ("question:", "question: a: b", "line 3: not valid YAML"),
        ("recipe:", "recipe: [", "not valid YAML"),
    ],
)
def test_a_wrong_value_is_named_with_what_was_expected(old: str, new: str, words: str) -> None:
    assert words in said(changed(old, new))


@pytest.mark.parametrize("text", ["", "- a\n- b\n", "just words", "3", "null"])
def test_a_text_that_is_no_mapping_is_told_what_a_study_is(text: str) -> None:
    assert "mine.yaml: a study is a mapping of keys" in said(text)


@pytest.mark.parametrize("text", ["a: [", "a: b: c", "\x00", "a: \ud800", "a: *nowhere", "a: !!int wide", "[" * 5000])
def test_a_text_that_is_no_yaml_is_told_so(text: str) -> None:
    assert said(text).startswith("mine.yaml") and "not valid YAML" in said(text)


@pytest.mark.parametrize("value", ["!!bool x", '!!int ""', "!!timestamp x", "!!python/name:os.system x"])
def test_a_yaml_tag_that_does_not_fit_its_value_is_bad_input(value: str) -> None:
    said(changed("steps: 700", f"steps: {value}"))


@pytest.mark.parametrize("profiles", ["profiles: 3", "profiles: [laptop]", "profiles: {laptop: 3}"])
def test_profiles_that_are_no_mapping_are_bad_input(profiles: str) -> None:
    assert "profiles: expected a mapping" in said(SAMPLE[: SAMPLE.index("profiles:")] + profiles)


_WORDS = [
    *sorted({*re.findall(r"[\w.-]+", SAMPLE)}),
    ":",
    "[",
    "]",
    "{",
    "}",
    ",",
    "- ",
    "#",
    "null",
    "~",
    ".inf",
    "-1",
    "1e9",
    "pairs",
    "derive",
    "invariants",
    "steps: {rule: equal-core-tokens, steps: 9, at: demo-3}",
    "{width: [32, 64], layers: [1, 2]}",
    "!!int",
    "<<: *a",
    "&a",
]


def _mutated(seed: int, text: str = SAMPLE) -> str:
    """A study after a few small accidents: bytes lost, doubled or swapped, words and lines moved."""
    source = random.Random(seed)
    for _ in range(source.randint(1, 4)):
        at = source.randrange(len(text))
        match source.randrange(6):
            case 0:
                text = text[:at] + text[at + source.randint(1, 12) :]
            case 1:
                text = text[:at] + source.choice(_WORDS) + text[at:]
            case 2:
                word = source.choice(_WORDS)
                text = text.replace(word, source.choice(_WORDS), 1)
            case 3:
                text = text[:at] + chr(source.choice([0, 9, 10, 34, 39, 92, 0xE9, 0x4E2D, 0x1F600])) + text[at + 1 :]
            case 4:
                lines = text.splitlines(keepends=True)
                lines.insert(source.randrange(len(lines)), lines.pop(source.randrange(len(lines))))
                text = "".join(lines)
            case _:
                text = re.sub(
                    r"\d+(\.\d+)?", source.choice(["0", "-3", "7.5", "x", "", "1000003", "[1]"]), text, count=1
                )
    return text


_RICH = (
    SAMPLE.replace(
        "recipe:\n",
        """pairs:
  - layers: [3, 4]
    sampling.count: [null, tokens]
derive:
  steps: {rule: equal-tokens, tokens: 716800}
  vocabulary: {rule: per-language, pieces: 300, least: 2000}
invariants: [nested-languages, vocabulary-fits]
recipe:
""",
        1,
    )
    .replace(", steps: 700}", "}")
    .replace("width: 32, vocabulary: 4000", "width: 32")
    .replace("steps: 30}", "row_x: 30}")
)


@pytest.mark.parametrize("part", range(4))
def test_two_thousand_damaged_studies_each_work_or_are_bad_input(part: int) -> None:
    """Those that ship, the sample, and one that uses every block; under a profile or none. Never any other error."""
    assert len(expand(parse_study(_RICH, "rich.yaml"), "key")) == 48
    texts = [SAMPLE, _RICH, *((STUDIES / f"{name}.yaml").read_text("utf-8") for name in studies_that_ship())]
    refused = 0
    for seed in range(500 * part, 500 * (part + 1)):
        text = _mutated(seed, texts[seed % len(texts)])
        try:
            expand(parse_study(text, "mine.yaml", "smoke" if seed % 7 == 0 else None), "key")
        except BadInput as error:
            refused += 1
            assert "\n" not in str(error), seed
        except Exception as error:
            raise AssertionError(f"study {seed} ends in {error!r}") from error
    assert 50 < refused < 500


@given(st.integers(0, 2**32), st.sampled_from([None, "smoke"]))
@settings(max_examples=200)
def test_a_damaged_study_works_or_is_bad_input(seed: int, profile: str | None) -> None:
    try:
        assert expand(parse_study(_mutated(seed), "mine.yaml", profile), "key")
    except BadInput as error:
        assert str(error)
