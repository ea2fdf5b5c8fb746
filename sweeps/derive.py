"""Values that a study computes for each cell: registered pure functions of the cell's other values.

    derive:
      width: {rule: constant-total, total: 200000000}

sets the width of every cell from its vocabulary and layers. A rule names what it may set and what it looks at, so that
rules can stand on each other in any order and a circle is found before anything is computed.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from models.sizes import constant_total_width
from sweeps.sampling import language_distribution
from sweeps.strict import Positive, Strict

RuleName = Literal[
    "constant-total", "per-language", "equal-updates", "equal-core-tokens", "equal-tokens", "power-of-batch"
]

WIDTH, LAYERS, VOCABULARY = "model.width", "model.layers", "model.vocabulary"
STEPS, BATCH, RATE = "budget.steps", "budget.batch_tokens", "learning_rate"


@dataclass(frozen=True)
class Cell:
    """What a rule may look at."""

    recipe: Mapping[str, Any]
    """The recipe's values by dotted path, other derived values among them."""
    languages: tuple[str, ...]
    language_sets: Mapping[str, tuple[str, ...]]
    """The study's sets, by the name that its axis gives them."""
    groups: Mapping[str, tuple[str, ...]]
    bytes_of: Mapping[str, float]
    """Training text of each language, as far as the run may use it."""
    alpha: float | None
    """Sampling exponent; none for UniMax."""


class DerivedValue(Strict):
    """One derived value: a rule, and the arguments that the rule knows."""

    rule: RuleName
    total: Positive | None = None
    """`constant-total`: parameters by the paper's formula, 12 LH^2 + VH."""
    multiple_of: Positive | None = None
    """`constant-total`: widths to choose from are its multiples. Default: 64, a head's width."""
    pieces: Positive | None = None
    """`per-language`: pieces of the vocabulary for each language."""
    least: Positive | None = None
    """`per-language`: the smallest vocabulary."""
    steps: Positive | None = None
    """`equal-updates`: updates of every cell. `equal-core-tokens`: of the cells with the language set `at`."""
    group: str | None = None
    """`equal-core-tokens`: the group whose languages shall see the same text. Default: core."""
    at: str | None = None
    """`equal-core-tokens`: the language set that `steps` counts for."""
    tokens: Positive | None = None
    """`equal-tokens`: of every cell."""
    rate: Annotated[float, Field(gt=0)] | None = None
    """`power-of-batch`: the rate that was found at `batch_tokens`."""
    batch_tokens: Positive | None = None
    power: Annotated[float, Field(ge=0, le=2)] | None = None
    """`power-of-batch`: default 0.5, the square-root rule."""

    @model_validator(mode="after")
    def _own_arguments(self) -> DerivedValue:
        rule = RULES[self.rule]
        given = [key for key in type(self).model_fields if key != "rule" and getattr(self, key) is not None]
        for key in given:
            if key not in rule.arguments | rule.ignored:
                raise ValueError(f"rule {self.rule} has no {key}; it has {', '.join(sorted(rule.arguments))}")
        for key in sorted(rule.needed):
            if key not in given:
                raise ValueError(f"rule {self.rule} needs the key {key}")
        return self


@dataclass(frozen=True)
class Rule:
    """A registered function and what may be said of it."""

    function: Callable[[DerivedValue, Cell, str], Any]
    """Given the arguments, the cell and the path it sets. Raises ValueError with a sentence."""
    sets: frozenset[str]
    looks_at: frozenset[str]
    needed: frozenset[str]
    optional: frozenset[str] = frozenset()
    ignored: frozenset[str] = frozenset()
    """Arguments of a rule beside which this one stands on an axis."""

    @property
    def arguments(self) -> frozenset[str]:
        return self.needed | self.optional


def _constant_total(block: DerivedValue, cell: Cell, path: str) -> int:
    assert block.total is not None
    layers, vocabulary = cell.recipe[LAYERS], cell.recipe[VOCABULARY]
    if layers is None:
        raise ValueError("rule constant-total needs recipe.model.layers; a size or a dial would name a width too")
    multiple = {} if block.multiple_of is None else {"multiple_of": block.multiple_of}
    return constant_total_width(block.total, vocabulary=vocabulary, layers=layers, **multiple)


def _per_language(block: DerivedValue, cell: Cell, path: str) -> int:
    assert block.pieces is not None
    return max(block.least or 1, block.pieces * len(cell.languages))


def _equal_updates(block: DerivedValue, cell: Cell, path: str) -> int:
    assert block.steps is not None
    return block.steps


def _equal_core_tokens(block: DerivedValue, cell: Cell, path: str) -> int:
    """Adding a language changes no ratio between the others (q_l ~ p_l^alpha), so where a group's sum of tokens is the
    same, each of its languages sees the same."""
    assert block.steps is not None and block.at is not None
    group = block.group or "core"
    if group not in cell.groups:
        raise ValueError(f"group {group} is not one of {', '.join(cell.groups) or 'the groups (there are none)'}")
    if block.at not in cell.language_sets:
        raise ValueError(f"at {block.at} is not a set of axes.languages ({', '.join(cell.language_sets)})")
    if cell.alpha is None:
        raise ValueError("with sampling unimax shares follow from the steps, so steps cannot follow from shares")
    there, here = (
        _share(codes, cell.groups[group], group, cell) for codes in (cell.language_sets[block.at], cell.languages)
    )
    return max(1, round(block.steps * there / here))


def _share(languages: tuple[str, ...], members: tuple[str, ...], group: str, cell: Cell) -> float:
    lacking = [code for code in members if code not in languages]
    if lacking:
        raise ValueError(f"group {group} has {', '.join(lacking)}, which a cell of {len(languages)} languages lacks")
    unknown = [code for code in languages if code not in cell.bytes_of]
    if unknown:
        raise ValueError(f"the size of {', '.join(unknown)} is not known before the corpus is added")
    assert cell.alpha is not None
    q = language_distribution({code: cell.bytes_of[code] for code in languages}, cell.alpha)
    return sum(q[code] for code in members)


def _equal_tokens(block: DerivedValue, cell: Cell, path: str) -> int:
    assert block.tokens is not None
    if path == STEPS:
        return max(1, round(block.tokens / cell.recipe[BATCH]))
    row_tokens = cell.recipe["row_tokens"]
    return int(row_tokens * max(1, round(block.tokens / cell.recipe[STEPS] / row_tokens)))


def _power_of_batch(block: DerivedValue, cell: Cell, path: str) -> float:
    assert block.rate is not None and block.batch_tokens is not None
    power = 0.5 if block.power is None else block.power
    return float(f"{block.rate * (cell.recipe[BATCH] / block.batch_tokens) ** power:.6g}")


def _set(*names: str) -> frozenset[str]:
    return frozenset(names)


RULES: dict[str, Rule] = {
    "constant-total": Rule(_constant_total, _set(WIDTH), _set(LAYERS, VOCABULARY), _set("total"), _set("multiple_of")),
    "per-language": Rule(_per_language, _set(VOCABULARY), _set(), _set("pieces"), _set("least")),
    "equal-updates": Rule(_equal_updates, _set(STEPS), _set(), _set("steps"), ignored=_set("group", "at")),
    "equal-core-tokens": Rule(_equal_core_tokens, _set(STEPS), _set(), _set("steps", "at"), _set("group")),
    "equal-tokens": Rule(_equal_tokens, _set(STEPS, BATCH), _set(STEPS, BATCH), _set("tokens")),
    "power-of-batch": Rule(_power_of_batch, _set(RATE), _set(BATCH), _set("rate", "batch_tokens"), _set("power")),
}


def order(blocks: Mapping[str, DerivedValue]) -> list[str]:
    """The paths in an order in which each stands behind what it looks at. Raises ValueError for a circle."""
    left, done = dict(blocks), list[str]()
    while left:
        ready = [path for path, block in left.items() if not (_looks(block, path) & left.keys())]
        if not ready:
            circle = " from ".join([*left, next(iter(left))])
            raise ValueError(f"{circle} is a circle; give one of them as a number")
        done += ready
        for path in ready:
            del left[path]
    return done


def _looks(block: DerivedValue, path: str) -> frozenset[str]:
    return RULES[block.rule].looks_at - {path}


def check_target(block: DerivedValue, path: str) -> None:
    """Raises ValueError where the rule cannot set this."""
    allowed = RULES[block.rule].sets
    if path not in allowed:
        raise ValueError(f"rule {block.rule} sets {' or '.join(sorted(allowed))}, not {path}")


def derived(blocks: Mapping[str, DerivedValue], cell: Cell, paths: list[str]) -> dict[str, Any]:
    """The values of `blocks` by path, computed in the order of `paths` (`order`). Raises ValueError."""
    values = dict(cell.recipe)
    found: dict[str, Any] = {}
    for path in paths:
        block = blocks[path]
        here = Cell(values, cell.languages, cell.language_sets, cell.groups, cell.bytes_of, cell.alpha)
        values[path] = found[path] = RULES[block.rule].function(block, here, path)
    return found
