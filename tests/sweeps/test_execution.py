"""Execution rules: cells that need more get more, and none of it is in an id."""

from __future__ import annotations

import pytest

from sweeps.errors import BadInput
from sweeps.execution import execution_of
from sweeps.grid import expand
from sweeps.study import parse_study

BASE = """
name: rules
question: Who gets more devices?
corpus: text
axes: {languages: [[en, lb]], width: [32, 64, 128]}
recipe:
  model: {layers: 3, width: 32, vocabulary: 4000}
  budget: {batch_tokens: 1024, steps: 700}
  row_tokens: 64
  learning_rate: 0.006
execution: {devices: 1, zero: 1, hours: 2}
"""


def with_rules(rules: str) -> str:
    return BASE.replace("hours: 2}", f"hours: 2, rules: [{rules}]}}")


def test_cells_that_meet_a_condition_are_executed_as_its_rule_says_and_the_later_rule_wins() -> None:
    rules = "{when: width >= 64, devices: 2, hours: 8}, {when: width == 128, devices: 4, zero: 3}"
    study = parse_study(with_rules(rules), "rules.yaml")
    found = {run.axes["width"]: execution_of(study.execution, run.axes) for run in expand(study, "key")}
    assert [(e.devices, e.zero, e.hours) for e in found.values()] == [(1, 1, 2.0), (2, 1, 8.0), (4, 3, 8.0)]
    assert not any(execution.rules for execution in found.values())


def test_rules_change_no_id() -> None:
    plain, ruled = (parse_study(text, "rules.yaml") for text in (BASE, with_rules("{when: K > 1, devices: 8}")))
    assert [run.id for run in expand(plain, "key")] == [run.id for run in expand(ruled, "key")]


@pytest.mark.parametrize(
    ("rule", "words"),
    [
        ("{when: wdth > 3, devices: 2}", "names 'wdth', which a cell does not have; did you mean width?"),
        ("{when: K >}", "cannot be read"),
        ("{devices: 2}", "the key execution.rules.0.when is missing"),
        ("{when: K > 1, device: 2}", "unknown key execution.rules.0.device; did you mean devices?"),
        ("{when: K > 1, compile: true, zero: 3}", "compile does not go with zero 3"),
    ],
)
def test_a_rule_that_cannot_be_is_refused_in_one_sentence(rule: str, words: str) -> None:
    with pytest.raises(BadInput) as caught:
        expand(parse_study(with_rules(rule), "rules.yaml"), "key")
    assert words in str(caught.value) and "\n" not in str(caught.value)
