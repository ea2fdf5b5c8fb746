"""From a study to its runs: axes and pairs make points, each point a resolved run with an id (`sweeps.science`)."""

from __future__ import annotations

import difflib
import itertools
import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from pydantic import ValidationError

from sweeps.budgets import Trunk, budgets, trunk_of
from sweeps.corpora import known_bytes
from sweeps.derive import Cell, DerivedValue, check_target, derived, order
from sweeps.errors import BadInput
from sweeps.execution import execution_of
from sweeps.invariants import check
from sweeps.languages import LANGUAGE_SETS, language_set
from sweeps.recipe import RecipeBlock, SamplingBlock
from sweeps.science import Resolved, resolve_recipe, run_id, science_of
from sweeps.study import SHORT_NAMES, Study, path_of
from sweeps.where import matches

MOST_CELLS = 100_000

_OWN_AXES = ("languages", "seed")


@dataclass(frozen=True)
class Run:
    """One cell with one seed."""

    id: str
    science: dict[str, Any]
    """Resolved and JSON-able. The harness trains from this and from nothing else."""
    axes: dict[str, Any]
    """What figures and conditions may name: languages, set, K, alpha, width, ... and the run's cost."""
    trunk: Trunk | None = None
    """The run of the study that it may start from; its numbers are the same without."""


def expand(
    study: Study, corpus_key: str, corpus_languages: Mapping[str, int] | None = None, *, force: bool = False
) -> list[Run]:
    """All runs of a study, in the order of its pairs and axes (the last axis fastest).

    `corpus_languages` maps the corpus's languages to bytes, where the corpus is at hand: a language it lacks is then
    an error. `force` lets a grid be of any size. Raises BadInput.
    """
    grid = _Grid(study, corpus_key, corpus_languages, force)
    runs: dict[str, Run] = {}
    for point in grid.points():
        family = [run for run in grid.runs(point) if not _excluded(study, run)]
        # Budgets rise, so what is left of a family ends with its trunk.
        for run in family:
            trunk = trunk_of(run.science, family[-1].id) if run is not family[-1] else None
            runs.setdefault(run.id, replace(run, trunk=trunk))
    if not runs:
        raise BadInput(f"{study.at('exclude')}: the grid is empty, exclude removes every cell")
    _check_execution(study, runs.values())
    check(study, [run.science | run.axes for run in runs.values()], grid.sets, grid.bytes_of)
    return list(runs.values())


def _check_execution(study: Study, runs: Iterable[Run]) -> None:
    if not study.execution.rules:
        return
    for run in runs:
        try:
            execution_of(study.execution, run.axes)
        except ValidationError as error:
            message = " ".join(error.errors()[0]["msg"].removeprefix("Value error, ").split())
            raise BadInput(f"{study.at('execution.rules')}: for {run.id}, {message}") from error


def _excluded(study: Study, run: Run) -> bool:
    return any(matches(condition, run.axes) for condition in study.exclude)


class _Grid:
    """A study's axes, checked, and what the points of the grid share."""

    def __init__(self, study: Study, corpus_key: str, corpus_languages: Mapping[str, int] | None, force: bool) -> None:
        self.study, self._corpus_key = study, corpus_key
        self.axes = {name: values for name, values in study.axes.items() if values is not None}
        self._check_names()
        cells = math.prod(
            [len(values) for values in self.axes.values()] + [len(next(iter(pair.values()))) for pair in study.pairs]
        )
        if cells > MOST_CELLS and not force:
            raise BadInput(
                f"{study.at('axes')}: the grid has {cells:,} points, more than {MOST_CELLS:,}; split the study, or add "
                "--force"
            )
        values = [*self.axes.get("languages", []), *(v for pair in study.pairs for v in pair.get("languages", []))]
        self.sets = {_set_name(value): _languages(value, study, corpus_languages) for value in values}
        self.superset = tuple(dict.fromkeys(language for codes in self.sets.values() for language in codes))
        for group, members in study.groups.items():
            lacking = [language for language in members if language not in self.superset]
            if lacking:
                raise BadInput(f"{study.at(f'groups.{group}')}: no cell of the study has {', '.join(lacking)}")
        self.bytes_of = corpus_languages or known_bytes(study.corpus)
        self._raw = study.recipe.model_dump()
        self._derive = {SHORT_NAMES.get(name, name): block for name, block in study.derive.items() if block is not None}
        self._check_derived()
        self._recipes: dict[tuple[Any, ...], list[RecipeBlock]] = {}
        self._resolved: dict[int, Resolved] = {}

    def _check_names(self) -> None:
        study = self.study
        names = [*((name, f"axes.{name}") for name in self.axes)]
        for number, pair in enumerate(study.pairs):
            here = f"pairs.{number}"
            names += [(name, f"{here}.{name}") for name in pair]
            lengths = {name: len(values) for name, values in pair.items()}
            if len(set(lengths.values())) != 1:
                said = ", ".join(f"{name} has {count}" for name, count in lengths.items()) or "it names no axis"
                raise BadInput(f"{study.at(here)}: the lists of a pair are of one length; {said}")
        for name, where in names:
            if name not in _OWN_AXES and name not in SHORT_NAMES and "." not in name:
                near = difflib.get_close_matches(name, [*_OWN_AXES, *SHORT_NAMES], n=1)
                hint = f"did you mean {near[0]}?" if near else f"axes: {', '.join([*_OWN_AXES, *SHORT_NAMES])}"
                raise BadInput(f"{study.at(where)}: unknown axis {name}; {hint}")
        for name, values in [*self.axes.items(), *(item for pair in study.pairs for item in pair.items())]:
            if not values:
                raise BadInput(f"{study.at(f'axes.{name}')}: the list is empty")
        paths = [SHORT_NAMES.get(name, name) for name, _ in names]
        for (name, where), path in zip(names, paths, strict=True):
            if paths.count(path) > 1:
                raise BadInput(f"{study.at(where)}: {name} sets {path}, and so does another axis; keep one")
            if path in {SHORT_NAMES.get(key, key) for key, block in study.derive.items() if block is not None}:
                raise BadInput(f"{study.at(where)}: derive computes {path}, so it is no axis; keep one")
        if "languages" not in paths:
            raise BadInput(f"{study.at('axes')}: the axis languages is missing")

    def _check_derived(self) -> None:
        study = self.study
        for name, block in study.derive.items():
            path = SHORT_NAMES.get(name, name)
            if block is None:
                continue
            try:
                check_target(block, path)
            except ValueError as error:
                raise BadInput(f"{study.at(f'derive.{name}')}: {error}") from error
        try:
            self._order = order(self._derive)
        except ValueError as error:
            raise BadInput(f"{study.at('derive')}: {error}") from error

    def points(self) -> Iterator[dict[str, Any]]:
        """Axis values by name, the last axis fastest."""
        pairs = [
            [dict(zip(pair, side, strict=True)) for side in zip(*pair.values(), strict=True)]
            for pair in self.study.pairs
        ]
        singles = [[{name: value} for value in values] for name, values in self.axes.items()]
        for chosen in itertools.product(*pairs, *singles):
            yield {name: value for part in chosen for name, value in part.items()}

    def runs(self, point: Mapping[str, Any]) -> Iterator[Run]:
        """The runs of a point: one, or one a budget."""
        languages = self.sets[_set_name(point["languages"])]
        seed = point.get("seed", 0)
        if not isinstance(seed, int) or isinstance(seed, bool) or seed < 0:
            raise BadInput(f"{self.study.at('axes.seed')}: {seed!r} is not a whole number of at least 0")
        for recipe in self._recipes_of(point, languages):
            resolved = self._resolved.get(id(recipe)) or self._resolved.setdefault(
                id(recipe), resolve_recipe(self.study, recipe)
            )
            science = science_of(
                resolved, corpus_key=self._corpus_key, languages=languages, superset=self.superset, seed=seed
            )
            axes = {
                "set": _set_name(point["languages"]),
                "languages": list(languages),
                "K": len(languages),
                **resolved.axes,
                "seed": seed,
                **({"text_bytes": recipe.text_bytes} if recipe.text_bytes else {}),
                # What else the study varies, under the name that it gives it.
                **{
                    name: value
                    for name, value in point.items()
                    if name not in _OWN_AXES and name not in resolved.axes and name != "text_bytes"
                },
            }
            yield Run(run_id(science, axes), science, axes)

    def _recipes_of(self, point: Mapping[str, Any], languages: tuple[str, ...]) -> list[RecipeBlock]:
        """The recipe of each budget with this point's values in it, validated; once for all points that share them."""
        values = tuple((name, value) for name, value in point.items() if name not in _OWN_AXES)
        # Only derived values look at the languages.
        memo = (values, languages if self._derive else None)
        try:
            known = self._recipes.get(memo)
        except TypeError as error:  # a list of texts is a set of languages, and nothing else
            raise BadInput(
                f"{self.study.at('axes')}: only languages takes lists of codes, not {dict(values)}"
            ) from error
        if known is None:
            known = self._recipes[memo] = budgets(self._recipe(dict(values), languages))
        return known

    def _recipe(self, point: Mapping[str, Any], languages: tuple[str, ...]) -> RecipeBlock:
        raw: dict[str, Any] = dict(self._raw)
        blocks = dict(self._derive)
        for name, value in point.items():
            path = SHORT_NAMES.get(name, name)
            if path.startswith("derive."):
                self._set_in_derive(blocks, path, value)
            elif value is not None:
                raw = self._set(raw, path.split("."), value, name)
        if blocks:
            raw = self._with_derived(raw, blocks, languages)
        try:
            return RecipeBlock.model_validate(raw)
        except ValidationError as error:
            first = error.errors()[0]
            path = path_of(first["loc"])
            message = " ".join(first["msg"].removeprefix("Value error, ").split())
            raise BadInput(f"{self.study.at('axes')}: {path or 'recipe'} at {dict(point)}: {message}") from error

    def _set(self, block: dict[str, Any], path: list[str], value: Any, name: str) -> dict[str, Any]:
        """A copy of nested mappings with one value put in, a key that is there."""
        first, *rest = path
        if not isinstance(block, dict) or first not in block:
            near = difflib.get_close_matches(name, [path for path, _ in _flat(self._raw)], n=1)
            hint = f"; did you mean {near[0]}?" if near else ""
            raise BadInput(f"{self.study.at(f'axes.{name}')}: {name} is not a key of the recipe{hint}")
        if not rest:
            return block | {first: value}
        return block | {first: self._set(block[first], rest, value, name)}

    def _set_in_derive(self, blocks: dict[str, DerivedValue], path: str, value: Any) -> None:
        """`derive.steps.rule`: the block of steps, with another rule."""
        _, _, rest = path.partition(".")
        name, _, key = rest.rpartition(".")
        target = SHORT_NAMES.get(name, name)
        if target not in blocks or key not in DerivedValue.model_fields:
            raise BadInput(f"{self.study.at(f'axes.{path}')}: {path} is not a key of the block derive")
        try:
            blocks[target] = DerivedValue.model_validate(blocks[target].model_dump() | {key: value})
            check_target(blocks[target], target)
        except ValueError as error:
            said = error.errors()[0]["msg"] if isinstance(error, ValidationError) else str(error)
            message = " ".join(said.removeprefix("Value error, ").split())
            raise BadInput(f"{self.study.at(f'axes.{path}')}: {path} {value!r}: {message}") from error

    def _with_derived(
        self, raw: dict[str, Any], blocks: Mapping[str, DerivedValue], languages: tuple[str, ...]
    ) -> dict[str, Any]:
        flat = dict(_flat(raw))
        most = raw["text_bytes"]
        held = {code: min(size, most) if most else size for code, size in self.bytes_of.items()}
        alpha = _alpha(raw["sampling"])
        cell = Cell(flat, languages, self.sets, self.study.groups, held, alpha)
        try:
            found = derived(blocks, cell, self._order)
        except (ValueError, TypeError, ArithmeticError) as error:
            raise BadInput(f"{self.study.at('derive')}: {error}") from error
        for path, value in found.items():
            raw = self._set(raw, path.split("."), value, path)
        return raw


def _flat(block: Mapping[str, Any], above: str = "") -> Iterator[tuple[str, Any]]:
    """Values of nested mappings by dotted path."""
    for key, value in block.items():
        if isinstance(value, dict):
            yield from _flat(value, f"{above}{key}.")
        else:
            yield f"{above}{key}", value


def _alpha(sampling: Mapping[str, Any]) -> float | None:
    try:
        return SamplingBlock.model_validate(sampling).exponent
    except ValidationError:
        return None  # the recipe's own check says what is wrong with it


def _set_name(value: Any) -> str:
    return "+".join(map(str, value)) if isinstance(value, list) else str(value)


def _languages(value: Any, study: Study, corpus_languages: Mapping[str, int] | None) -> tuple[str, ...]:
    where = study.at("axes.languages")
    if isinstance(value, str):
        if value not in LANGUAGE_SETS:
            near = difflib.get_close_matches(value, LANGUAGE_SETS, n=1)
            hint = f"did you mean {near[0]}?" if near else f"sets: {', '.join(LANGUAGE_SETS)}; or write a list of codes"
            raise BadInput(f"{where}: there is no language set {value!r}; {hint}")
        codes = language_set(value)
    elif isinstance(value, list) and value:
        codes = tuple(value)
    else:
        raise BadInput(f"{where}: {value!r} is neither a set's name nor a list of codes")
    twice = sorted({code for code in codes if codes.count(code) > 1})
    if twice:
        raise BadInput(f"{where}: {', '.join(twice)} stands twice in {_set_name(value)}")
    if corpus_languages is not None:
        for code in codes:
            if code not in corpus_languages:
                near = difflib.get_close_matches(code, corpus_languages, n=1)
                hint = f"did you mean {near[0]}?" if near else "babelscale corpus stats lists what it has"
                raise BadInput(f"{where}: the corpus {study.corpus} has no language {code!r}; {hint}")
    return codes
