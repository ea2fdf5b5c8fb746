"""Ids that were given stay: finished runs are found by them. A new key of the science must leave all of these alone.

If this fails, undo what changed the ids, or raise SCIENCE_VERSION knowingly and pin the new ones.
"""

from __future__ import annotations

import pytest

from sweeps.grid import expand
from sweeps.study import parse_study

BASE = """
name: pinned
question: Do ids stay?
corpus: text
axes: {languages: [[en, lb, da]]}
recipe:
  model: {kind: modern, layers: 3, width: 32, vocabulary: 4000}
  budget: {batch_tokens: 1024, steps: 700}
  row_tokens: 64
  mask_rate: 0.3
  learning_rate: 0.006
"""

PINNED = {
    "": "a560aa56f7",
    "kind: modern -> kind: xlm-r": "6d52d0334a",
    "width: 32 -> width: 32, gated: true": "7a53ffa5ca",
    "layers: 3, width: 32 -> size: large": "840477154c",
    "layers: 3, width: 32 -> dial: 6": "73494a6733",
    "vocabulary: 4000 -> vocabulary: 250000": "108f931e0e",
    "width: 32 -> width: 32, dropout: 0.1": "a93e65e0d1",
    "width: 32 -> width: 32, rotary_base: 100": "f4eb2423b8",
    "row_tokens: 64 -> row_tokens: 64\n  sampling: {alpha: 1.0}": "a41a0648a8",
    "row_tokens: 64 -> row_tokens: 64\n  sampling: {kind: temperature, temperature: 2}": "91b8511a5f",
    "row_tokens: 64 -> row_tokens: 64\n  sampling: {kind: uniform}": "a1633dfa41",
    "row_tokens: 64 -> row_tokens: 64\n  sampling: {kind: unimax, max_epochs: 4}": "595090ad46",
    "row_tokens: 64 -> row_tokens: 64\n  sampling: {alpha: 0.7, count: tokens}": "171f79f6ea",
    "row_tokens: 64 -> row_tokens: 64\n  tokenizer: {policy: retrained, algorithm: bpe, alpha: 0.5}": "3677a4d819",
    "row_tokens: 64 -> row_tokens: 64\n  tokenizer: {byte_fallback: false, character_coverage: 0.99}": "ba9b28a772",
    "mask_rate: 0.3 -> mask_rate: 0.15\n  whole_word: true": "974c9ff42c",
    "mask_rate: 0.3 -> mask_rate: 0.3\n  mask_split: {mask: 1.0, random: 0.0}": "6e93222f06",
    "mask_rate: 0.3 -> mask_rate: 0.3\n  attention: document": "0cf90076b4",
    "mask_rate: 0.3 -> mask_rate: 0.3\n  precision: fp32": "6fec757684",
    "mask_rate: 0.3 -> mask_rate: 0.3\n  schedule: {kind: wsd, warmup_steps: 40, decay: 0.3}": "ee29acb8fe",
    "mask_rate: 0.3 -> mask_rate: 0.3\n  optimizer: {beta2: 0.95, clip: 0}": "af467a7d66",
    "learning_rate: 0.006 -> learning_rate: {rate: 0.006, width: 64, power: 0.9}": "6fac015652",
    "learning_rate: 0.006 -> learning_rate: {rule: mup, rate: 0.006, width: 16}": "90c497f75b",
    "[[en, lb, da]] -> [demo-16], seed: [7]": "56d1aa601c",
    "row_tokens: 64 -> row_tokens: 64\n  text_bytes: 1000000": "bd1435c02c",
}
"""Changes of BASE, `old -> new`, and the hash at the end of the id of the run that it then is."""


@pytest.mark.parametrize("change", PINNED)
def test_a_run_keeps_the_id_that_it_was_first_given(change: str) -> None:
    old, _, new = change.partition(" -> ")
    assert old in BASE
    (run,) = expand(parse_study(BASE.replace(old, new, 1), "pinned.yaml"), "key")
    assert run.id.endswith(f"-s{run.axes['seed']}-{PINNED[change]}")


def test_no_two_of_them_are_the_same_run() -> None:
    assert len(set(PINNED.values())) == len(PINNED)
