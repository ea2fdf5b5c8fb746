"""What users write: a study file, strict; every message names the file, the line, the key and the nearest legal one.

A study is a question, axes, a recipe that all cells share, groups, findings and profiles (other sizes of the same
question). `sweeps.grid` turns it into cells and runs. It can be written in Python as well: `Study(name=..., ...)`.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Any, Literal, get_args

from pydantic import BaseModel, Field, PrivateAttr, ValidationError, model_validator

from sweeps.derive import DerivedValue
from sweeps.errors import BadInput
from sweeps.execution import ExecutionBlock, ExecutionRule
from sweeps.rates import LearningRateRule
from sweeps.recipe import RecipeBlock
from sweeps.strict import LIST, NUMBER, RULE, Strict
from sweeps.tasks import BUILT_IN, TaskBlock, stage_of
from sweeps.yaml_text import Origin, read_yaml

STUDIES = Path(__file__).parent / "studies"
"""Studies that ship; a bare name on the command line means one of these."""
SCALES = Path(__file__).parent / "scales"
"""Sizes that studies share: a corpus, a recipe, groups and an execution, laid under a study or profile that names one
as its `scale`."""

SHORT_NAMES = {
    "alpha": "sampling.alpha",
    "kind": "model.kind",
    "size": "model.size",
    "dial": "model.dial",
    "width": "model.width",
    "layers": "model.layers",
    "vocabulary": "model.vocabulary",
    "policy": "tokenizer.policy",
    "tokenizer_alpha": "tokenizer.alpha",
    "algorithm": "tokenizer.algorithm",
    "batch_tokens": "budget.batch_tokens",
    "steps": "budget.steps",
    "text_bytes": "text_bytes",
    "row_tokens": "row_tokens",
    "learning_rate": "learning_rate",
    "mask_rate": "mask_rate",
}
"""Short names of axes and derived values, and the key of the recipe that each one sets. Any other key is named by its
path."""

Scalar = bool | int | float | str
AxisValue = Scalar | list[str]
Finding = Literal[
    "F1", "F2", "F3", "F4", "F5", "F6", "F7", "F8", "F9", "F10", "F11", "F12", "F13", "F14", "F15", "F16", "F17", "F18",
]  # fmt: skip
"""The paper's, as `analysis.findings` judges them."""
Invariant = Literal["same-batch-tokens", "same-evaluation", "nested-languages", "vocabulary-fits"]
INVARIANTS: tuple[Invariant, ...] = get_args(Invariant)

_STANDS_FOR_DERIVED: dict[str, Any] = {
    "model.width": 64,
    "model.vocabulary": 8_000,
    "budget.steps": 1,
    "learning_rate": 1.0,
}
"""What the recipe holds, until a cell is computed, where a derived value will stand: some legal value."""


class Study(Strict):
    """A study with one profile applied."""

    name: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]{0,63}$")]
    question: str
    findings: tuple[Finding, ...] = ()
    corpus: str
    axes: dict[str, list[AxisValue] | None]
    """Axis names (`languages`, `seed`, a short name, or the path of a key of the recipe or of `derive`) to values; null
    leaves an axis out that the study has and a profile does not want."""
    pairs: tuple[dict[str, list[AxisValue | None]], ...] = ()
    """Axes that move together: lists of one length, taken side by side. null leaves a key at its default."""
    exclude: tuple[str, ...] = ()
    """Conditions (`sweeps.where`); a cell that meets one is left out."""
    derive: dict[str, DerivedValue | None] = Field(default_factory=dict)
    """Values computed for each cell (`sweeps.derive`), by short name or path; null leaves one out."""
    recipe: RecipeBlock
    evaluate: tuple[str, ...] = ("heldout",)
    """Stages of scoring: heldout, intents, and names of `tasks`."""
    tasks: dict[Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]{0,63}$")], TaskBlock] = Field(default_factory=dict)
    """Benchmarks by the names that their records have."""
    groups: dict[str, tuple[str, ...]] = Field(default_factory=dict)
    invariants: tuple[Invariant, ...] = INVARIANTS
    """What is checked of all cells together (`sweeps.invariants`); a study that breaks one on purpose leaves it out."""
    execution: ExecutionBlock = ExecutionBlock()
    profile: str = "default"
    _origin: Origin | None = PrivateAttr(default=None)

    @model_validator(mode="before")
    @classmethod
    def _fill_in_for_derived_values(cls, raw: Any) -> Any:
        """A recipe may leave out what `derive` computes. What it gives all the same is refused, not overwritten."""
        if not isinstance(raw, dict) or not isinstance(raw.get("recipe"), dict):
            return raw
        derive = raw.get("derive")
        if not isinstance(derive, dict):
            return raw
        recipe = raw["recipe"]
        for name, block in derive.items():
            path = SHORT_NAMES.get(str(name), str(name))
            if block is None:
                continue
            *above, last = path.split(".")
            target = recipe
            for key in above:
                target = target.get(key, {}) if isinstance(target, dict) else None
            if isinstance(target, dict) and target.get(last) is not None:
                raise ValueError(f"derive computes {path}, and the recipe gives it ({target[last]!r}); keep one")
            if path == "budget.batch_tokens":
                recipe = _laid(recipe, above, last, recipe.get("row_tokens", 512))
            elif path in _STANDS_FOR_DERIVED:
                recipe = _laid(recipe, above, last, _STANDS_FOR_DERIVED[path])
        return raw | {"recipe": recipe}

    @property
    def stages(self) -> tuple[str, ...]:
        """What is scored of a run, by the names of the stages (`sweeps.tasks.stage_of`)."""
        return tuple(name if name in BUILT_IN else stage_of(name, self.tasks[name]) for name in self.evaluate)

    def at(self, path: str = "") -> str:
        """Where `path` stands, for messages: file and line, or the study's name where it was made in Python."""
        if self._origin is not None:
            return self._origin.at(path)
        return f"study {self.name}, {path}" if path else f"study {self.name}"


def _laid(block: dict[str, Any], above: list[str], last: str, value: Any) -> dict[str, Any]:
    """A copy of nested mappings with one value put in."""
    if not above:
        return block | {last: value}
    inner = block.get(above[0]) or {}
    return block | {above[0]: _laid(inner, above[1:], last, value) if isinstance(inner, dict) else inner}


class StudyFile(Study):
    """The keys of a file; `scale` and `profiles` are gone when a study has been read."""

    scale: str | None = None
    profiles: dict[str, dict[str, Any]] = Field(default_factory=dict)


def studies_that_ship() -> list[str]:
    return sorted(path.stem for path in STUDIES.glob("*.yaml"))


def profiles_of(name_or_path: str) -> list[str]:
    """Names of a study's profiles, its default first."""
    path = _find(name_or_path)
    raw, _ = read_yaml(path.read_text(encoding="utf-8", errors="replace"), str(name_or_path))
    profiles = raw.get("profiles") if isinstance(raw, dict) else None
    return [str(name) for name in profiles] if isinstance(profiles, dict) else []


def load_study(name_or_path: str, profile: str | None = None) -> Study:
    """Read a study by path, or by the name of one that ships, with a profile applied (default: its first).

    Raises BadInput for everything a user can get wrong.
    """
    path = _find(name_or_path)
    return parse_study(path.read_text(encoding="utf-8", errors="replace"), str(name_or_path), profile)


def _find(name_or_path: str) -> Path:
    path = Path(name_or_path)
    if path.suffix in (".yaml", ".yml") or path.is_file():
        if not path.is_file():
            raise BadInput(f"there is no study file {name_or_path}")
        return path
    shipped = STUDIES / f"{name_or_path}.yaml"
    if name_or_path not in studies_that_ship():
        near = difflib.get_close_matches(name_or_path, studies_that_ship(), n=1)
        hint = f"did you mean {near[0]}?" if near else f"these ship: {', '.join(studies_that_ship())}"
        raise BadInput(f"there is no study {name_or_path!r} (a name that ships or the path of a .yaml file); {hint}")
    return shipped


def parse_study(text: str, source: str, profile: str | None = None) -> Study:
    """`source` names the text in messages. See `load_study`."""
    raw, lines = read_yaml(text, source)
    if not isinstance(raw, dict):
        raise BadInput(f"{source}: a study is a mapping of keys (name, question, axes, recipe, ...)")
    raw = {str(key): value for key, value in raw.items()}
    profiles = raw.pop("profiles", None) or {}
    if not isinstance(profiles, dict) or not all(isinstance(value, dict) for value in profiles.values()):
        raise BadInput(f"{Origin(source, lines).at('profiles')}: expected a mapping of profile names to blocks")
    if profile is not None and profile not in profiles:
        raise BadInput(f"{source}: there is no profile {profile!r}; it has: {', '.join(map(str, profiles)) or 'none'}")
    chosen = profile or next(iter(profiles), None)
    if chosen is not None:
        raw = _merged(raw, profiles[chosen]) | {"profile": str(chosen)}
    if (scale := raw.pop("scale", None)) is not None:
        raw = _merged(_scale(scale, Origin(source, lines, chosen)), raw)
    origin = Origin(source, lines, None if chosen is None else str(chosen))
    try:
        study = Study.model_validate(raw)
    except ValidationError as error:
        raise BadInput(_first_problem(error, origin)) from error
    study._origin = origin
    for name in study.evaluate:
        if name not in BUILT_IN and name not in study.tasks:
            known = ", ".join([*BUILT_IN, *study.tasks])
            raise BadInput(f"{study.at('evaluate')}: {name!r} is none of {known}: give it a block under tasks")
    return study


def scales_that_ship() -> list[str]:
    return sorted(path.stem for path in SCALES.glob("*.yaml"))


def _scale(name: Any, origin: Origin) -> dict[str, Any]:
    """What a scale puts under a study: corpus, recipe, groups and execution."""
    if name not in scales_that_ship():
        near = difflib.get_close_matches(str(name), scales_that_ship(), n=1)
        hint = f"did you mean {near[0]}?" if near else f"there are: {', '.join(scales_that_ship())}"
        raise BadInput(f"{origin.at('scale')}: there is no scale {name!r}; {hint}")
    raw, _ = read_yaml((SCALES / f"{name}.yaml").read_text(encoding="utf-8"), f"scale {name}")
    assert isinstance(raw, dict)
    return raw


def _merged(base: dict[str, Any], over: dict[str, Any]) -> dict[str, Any]:
    """`over` laid on `base`: mappings merge key by key, anything else replaces."""
    result = dict(base)
    for key, value in over.items():
        below = result.get(key)
        result[key] = _merged(below, value) if isinstance(below, dict) and isinstance(value, dict) else value
    return result


def _first_problem(error: ValidationError, origin: Origin) -> str:
    """One sentence for the first problem that pydantic found."""
    # An unknown key first: a misspelt one is also a missing one, and the spelling is what to mend.
    problem = min(error.errors(), key=lambda entry: entry["type"] != "extra_forbidden")
    path = path_of(problem["loc"])
    if problem["type"] == "extra_forbidden":
        legal = _fields_at(problem["loc"][:-1])
        near = difflib.get_close_matches(str(problem["loc"][-1]), legal, n=1)
        hint = f"did you mean {near[0]}?" if near else f"legal here: {', '.join(legal) or 'no keys'}"
        return f"{origin.line_of(path)}: unknown key {path}; {hint}"
    if problem["type"] == "missing":
        return f"{origin.line_of(path)}: the key {path} is missing"
    message = problem["msg"].removeprefix("Value error, ")
    message = " ".join((message[:1].lower() + message[1:]).split())
    given = problem.get("input")
    shown = f" (given {given!r})" if isinstance(given, (str, int, float, bool)) else ""
    return f"{origin.at(path)}: {message}{shown}"


_KINDS_OF_VALUES = ("bool", "int", "float", "str", "list[str]")


def path_of(location: Iterable[int | str]) -> str:
    """Where pydantic found a problem, as a dotted path of the keys that a user wrote."""
    parts: list[int | str] = []
    for part in location:
        of_a_list = bool(parts) and isinstance(parts[-1], int)
        if part not in (NUMBER, LIST, RULE) and not (of_a_list and part in _KINDS_OF_VALUES):
            parts.append(part)
    return ".".join(map(str, parts))


def _fields_at(path: tuple[int | str, ...]) -> list[str]:
    """The legal keys of the block at a location, as pydantic gives it."""
    block: type[BaseModel] = StudyFile
    if path[:1] == ("derive",) and len(path) == 2:
        return list(DerivedValue.model_fields)
    if path[:2] == ("execution", "rules") and len(path) == 3:
        return list(ExecutionRule.model_fields)
    if RULE in path:
        block, path = LearningRateRule, path[path.index(RULE) + 1 :]
    for part in path:
        inner = block.model_fields[str(part)].annotation if str(part) in block.model_fields else None
        if not (isinstance(inner, type) and issubclass(inner, BaseModel)):
            return []
        block = inner
    return list(block.model_fields)
