"""From a study to runs: the grid is the one asked for, and an id changes with the science and with nothing else."""

from __future__ import annotations

import itertools
import json
import re
import time

import pytest
import yaml

from sweeps.errors import BadInput
from sweeps.grid import Run, expand
from sweeps.languages import LANGUAGE_SETS, language_set
from sweeps.study import load_study, parse_study

BASE = """
name: ids
question: Do ids hold?
corpus: text
axes: {languages: [[en, lb, da]], seed: [0]}
recipe:
  model: {kind: modern, layers: 3, width: 32, vocabulary: 4000}
  sampling: {alpha: 0.3}
  tokenizer: {policy: frozen-superset, alpha: 0.3, byte_fallback: true, sample_bytes: 4000000}
  budget: {batch_tokens: 1024, steps: 700}
  row_tokens: 64
  mask_rate: 0.3
  learning_rate: 0.006
  schedule: {kind: linear, warmup: 0.06}
  optimizer: {beta2: 0.95}
  precision: bf16
groups: {high: [en]}
execution: {devices: 1}
"""


def runs(text: str, key: str = "key", profile: str | None = None) -> list[Run]:
    return expand(parse_study(text, "ids.yaml", profile), key)


def one(text: str = BASE, key: str = "key") -> Run:
    (run,) = runs(text, key)
    return run


def changed(old: str, new: str) -> str:
    assert old in BASE
    return BASE.replace(old, new, 1)


def test_ids_stay_as_they_were_first_given() -> None:
    """Finished runs are found by id. If this fails, raise SCIENCE_VERSION knowingly, or undo what changed the id."""
    found = {run.id for run in runs(BASE.replace("seed: [0]", "seed: [0, 2]").replace("[[en, lb, da]]", "[demo-3]"))}
    assert found == {"k3-a0.3-w32-l3-v4000-s0-82ed9b5cc0", "k3-a0.3-w32-l3-v4000-s2-0fa9fc23c4"}


def test_the_demo_is_24_runs_over_the_cells_that_its_question_needs() -> None:
    found = expand(load_study("demo"), "key")
    assert len(found) == len({run.id for run in found}) == 24
    cells = {(run.axes["K"], run.axes["width"], run.axes["alpha"]) for run in found}
    wide, narrow = {(k, 64, 0.3) for k in (3, 6, 16)}, {(k, 32, 0.3) for k in (3, 6, 16)}
    assert cells == wide | narrow | {(16, 64, 0.0), (16, 64, 1.0)}
    for cell in cells:
        seeds = [run.axes["seed"] for run in found if (run.axes["K"], run.axes["width"], run.axes["alpha"]) == cell]
        assert seeds == [0, 1, 2]


def test_the_sets_of_a_family_are_nested() -> None:
    families: dict[str, list[int]] = {}
    for name in LANGUAGE_SETS:
        family, count = name.rsplit("-", 1)
        families.setdefault(family, []).append(int(count))
    assert families["demo"] == [3, 6, 16]
    for family, counts in families.items():
        for small, large in itertools.pairwise(sorted(counts)):
            inner, outer = language_set(f"{family}-{small}"), language_set(f"{family}-{large}")
            assert len(set(inner)) == small and len(set(outer)) == large
            assert outer[:small] == inner


def test_a_frozen_superset_tokenizer_is_shared_and_a_retrained_one_is_not() -> None:
    nested = changed("[[en, lb, da]]", "[demo-3, demo-6]")
    assert len({json.dumps(run.science["tokenizer"]) for run in runs(nested)}) == 1
    retrained = runs(nested.replace("frozen-superset", "retrained"))
    assert [len(run.science["tokenizer"]["languages"]) for run in retrained] == [3, 6]


def test_the_last_axis_moves_fastest() -> None:
    grid = runs(changed("seed: [0]", "width: [32, 64], seed: [0, 1]"))
    assert [(run.axes["width"], run.axes["seed"]) for run in grid] == [(32, 0), (32, 1), (64, 0), (64, 1)]


def test_science_survives_json() -> None:
    science = one().science
    assert json.loads(json.dumps(science)) == science


EXECUTION = [
    "{devices: 4}",
    "{zero: 3}",
    "{micro_rows: 2}",
    "{threads: 8}",
    "{slots: 3}",
    "{checkpoint_seconds: 1}",
    "{attempts: 9}",
    "{hours: 1}",
]


@pytest.mark.parametrize("execution", EXECUTION)
def test_execution_is_not_in_the_id(execution: str) -> None:
    assert one(changed("{devices: 1}", execution)).id == one().id


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("name: ids", "name: other"),
        ("Do ids hold?", "What else?"),
        ("corpus: text", "corpus: renamed"),
        ("{high: [en]}", "{low: [lb]}"),
        ("groups:", "findings: [F1]\nevaluate: [heldout, intents]\ngroups:"),
        ("groups:", "# a comment\n\ngroups:"),
        ("alpha: 0.3}\n  tok", "alpha: 0.30}\n  tok"),
        ("{alpha: 0.3}\n", "{}  # the default\n"),
        ("beta2: 0.95", "beta2: 0.95, beta1: 0.9"),
        ("width: 32,", "width: 32, heads: 2, feedforward: 128,"),
        ("width: 32,", "width: 32, gated: false,"),
        ("[[en, lb, da]]", "[demo-3]"),
        ("precision: bf16", "# bf16 is the default"),
        ("seed: [0]", "seed: [0], alpha: [0.3], width: [32], mask_rate: [0.3]"),
    ],
)
def test_words_comments_and_what_is_said_twice_are_not_in_the_id(old: str, new: str) -> None:
    assert one(changed(old, new)).id == one().id


def test_the_order_of_keys_is_not_in_the_id() -> None:
    raw = yaml.safe_load(BASE)
    turned = {key: dict(reversed(value.items())) if isinstance(value, dict) else value for key, value in raw.items()}
    assert one(yaml.safe_dump(dict(reversed(turned.items())), sort_keys=False)).id == one().id


def test_a_profile_that_changes_execution_only_keeps_the_id() -> None:
    text = BASE + "profiles:\n  here: {execution: {devices: 1}}\n  there: {execution: {devices: 8, zero: 2}}\n"
    assert runs(text, profile="here")[0].id == runs(text, profile="there")[0].id == one().id


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("{alpha: 0.3}", "{alpha: 0.31}"),
        ("seed: [0]", "seed: [1]"),
        ("[[en, lb, da]]", "[[en, lb]]"),
        ("[[en, lb, da]]", "[[en, lb, de]]"),
        ("[[en, lb, da]]", "[[lb, en, da]]"),
        ("kind: modern", "kind: xlm-r"),
        ("width: 32", "width: 64"),
        ("layers: 3", "layers: 4"),
        ("width: 32", "width: 32, heads: 1"),
        ("width: 32", "width: 32, feedforward: 64"),
        ("width: 32", "width: 32, dropout: 0.1"),
        ("width: 32", "width: 32, rotary_base: 100"),
        ("width: 32", "width: 32, gated: true"),
        ("vocabulary: 4000", "vocabulary: 4001"),
        ("policy: frozen-superset, alpha: 0.3", "policy: frozen-superset, alpha: 0.5"),
        ("byte_fallback: true", "byte_fallback: false"),
        ("byte_fallback: true", "algorithm: bpe"),
        ("byte_fallback: true", "character_coverage: 0.99"),
        ("sample_bytes: 4000000", "sample_bytes: 4000001"),
        ("batch_tokens: 1024", "batch_tokens: 2048"),
        ("steps: 700", "steps: 701"),
        ("row_tokens: 64", "row_tokens: 128"),
        ("mask_rate: 0.3", "mask_rate: 0.15"),
        ("learning_rate: 0.006", "learning_rate: 0.005"),
        ("kind: linear", "kind: cosine"),
        ("warmup: 0.06", "warmup: 0.1"),
        ("warmup: 0.06", "decay: 0.3"),
        ("beta2: 0.95", "beta2: 0.98"),
        ("beta2: 0.95", "beta2: 0.95, beta1: 0.8"),
        ("beta2: 0.95", "beta2: 0.95, epsilon: 1.0e-8"),
        ("beta2: 0.95", "beta2: 0.95, weight_decay: 0.1"),
        ("beta2: 0.95", "beta2: 0.95, clip: 0"),
        ("precision: bf16", "precision: fp32"),
    ],
)
def test_everything_that_can_change_the_numbers_is_in_the_id(old: str, new: str) -> None:
    assert one(changed(old, new)).id != one().id


@pytest.mark.parametrize("size", ["size: small", "dial: 6", "size: small, heads: 6, feedforward: 1536"])
def test_a_size_is_its_width_and_layers_however_it_is_said(size: str) -> None:
    said, meant = (one(changed("layers: 3, width: 32", text)) for text in (size, "layers: 6, width: 384"))
    assert said.id == meant.id and said.science == meant.science


def test_the_dial_is_an_axis() -> None:
    grid = runs(changed("layers: 3, width: 32", "dial: 1").replace("seed: [0]", "dial: [1, 2, 12]"))
    assert [(run.axes["layers"], run.axes["width"]) for run in grid] == [(1, 64), (2, 128), (12, 768)]


def test_a_named_size_brings_its_heads_and_a_study_may_name_others() -> None:
    assert one(changed("layers: 3, width: 32", "size: xl")).science["model"]["heads"] == 32
    assert one(changed("layers: 3, width: 32", "size: xl, heads: 40")).science["model"]["heads"] == 40


def test_the_corpus_is_in_the_id_by_its_key() -> None:
    assert one(key="other").id != one().id


def test_an_id_can_be_read_and_is_a_folder_name() -> None:
    assert re.fullmatch(r"k3-a0\.3-w32-l3-v4000-s0-[0-9a-f]{10}", one().id)


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("seed: [0]", "wdth: [3]", "unknown axis wdth; did you mean width?"),
        ("seed: [0]", "zzzz: [3]", "unknown axis zzzz; axes: languages, seed, alpha"),
        ("seed: [0]", "seed: []", "axes.seed: the list is empty"),
        ("seed: [0]", "seed: [-1]", "axes.seed: -1 is not a whole number of at least 0"),
        ("seed: [0]", "seed: [true]", "axes.seed: True is not a whole number"),
        ("seed: [0]", "width: [wide]", "axes: model.width"),
        (
            "seed: [0]",
            "model.wdth: [3]",
            "axes.model.wdth: model.wdth is not a key of the recipe; did you mean model.width?",
        ),
        ("seed: [0]", "width.x: [3]", "axes.width.x: width.x is not a key of the recipe"),
        ("languages: [[en, lb, da]], ", "", "the axis languages is missing"),
        ("[[en, lb, da]]", "[demo-4]", "there is no language set 'demo-4'; did you mean demo-"),
        ("[[en, lb, da]]", "[[en, lb, en]]", "en stands twice in en+lb+en"),
        ("[[en, lb, da]]", "[[]]", "neither a set's name nor a list of codes"),
        ("[[en, lb, da]]", "[3]", "neither a set's name nor a list of codes"),
        ("{high: [en]}", "{high: [en, fr]}", "groups.high: no cell of the study has fr"),
        ("groups:", "exclude: [K > 0]\ngroups:", "the grid is empty, exclude removes every cell"),
        ("groups:", "exclude: [Kay > 0]\ngroups:", "names 'Kay'"),
        ("batch_tokens: 1024", "batch_tokens: 1000", "1000 is not a multiple of row_tokens (64)"),
        ("batch_tokens: 1024", "batch_tokens: 32", "32 is not a multiple of row_tokens (64)"),
        ("mask_rate: 0.3", "mask_rate: 0.499", "masks more than half of a row"),
        ("width: 32", "width: 32, heads: 3", "model width 32 is not divisible by 3 heads"),
        ("width: 32", "width: 33", "rotary positions need an even width per head"),
        (
            "modern, layers: 3",
            "xlm-r, gated: true, layers: 3",
            "recipe.model: model kind xlm-r has no gated feed-forward",
        ),
        ("width: 32", "width: 32, dropout: 1", "dropout"),
    ],
)
def test_a_grid_that_cannot_be_is_refused_in_one_sentence(old: str, new: str, words: str) -> None:
    with pytest.raises(BadInput) as caught:
        runs(changed(old, new))
    assert words in str(caught.value) and "\n" not in str(caught.value)


def test_a_language_that_the_corpus_lacks_is_answered_with_the_nearest() -> None:
    study = parse_study(BASE, "ids.yaml")
    assert expand(study, "key", {"en": 10**6, "lb": 10**6, "da": 10**6})
    with pytest.raises(BadInput, match=r"the corpus text has no language 'da'; did you mean dag\?"):
        expand(study, "key", {"en": 10**6, "lb": 10**6, "dag": 1})
    with pytest.raises(BadInput, match="corpus stats lists what it has"):
        expand(study, "key", {"en": 1, "lb": 1})


def test_a_number_too_large_to_price_is_bad_input() -> None:
    with pytest.raises(BadInput):
        runs(changed("steps: 700", "steps: " + "9" * 400))


def test_a_grid_too_large_is_refused_at_once_and_ten_thousand_cells_are_quick() -> None:
    many = ", ".join(map(str, range(10_000)))
    began = time.process_time()
    assert len(runs(changed("seed: [0]", f"seed: [{many}]"))) == 10_000
    assert time.process_time() - began < 4.0  # the promise is 2 s on a free core
    with pytest.raises(BadInput, match="160,000 points, more than 100,000; split the study"):
        layers = ", ".join(map(str, range(1, 17)))
        runs(changed("seed: [0]", f"layers: [{layers}], seed: [{many}]"))


def test_exclude_leaves_out_exactly_what_meets_it() -> None:
    grid = changed("seed: [0]", "width: [32, 64], seed: [0, 1]")
    left = runs(grid.replace("groups:", "exclude: [width == 64 and seed == 1, seed == 1 and width == 32]\ngroups:"))
    assert [(run.axes["width"], run.axes["seed"]) for run in left] == [(32, 0), (64, 0)]
