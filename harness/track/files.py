"""A run's files as tracking reads them: whole, or one sentence on what is wrong with which file and line.

A line cut short by a kill at a file's end is no fault: it counts as not written yet.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from harness.store import Store
from sweeps.errors import BadInput

_AGAIN = "submit the study again, which writes it anew"
_ORIGIN = ("study", "profile", "corpus")
_AXES: dict[str, tuple[type, ...]] = {
    "languages": (list,),
    "K": (int,),
    "kind": (str,),
    "steps": (int,),
    "vocabulary": (int,),
    "body_parameters": (int, float),
    "embedding_parameters": (int, float),
}


def described(store: Store, run: str) -> dict[str, Any]:
    """The run.json of a run. Raises BadInput where it is not there or lacks what is shown of it."""
    path = store.run(run) / "run.json"
    try:
        told = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise BadInput(f"{path} is not there: {_AGAIN}") from None
    except ValueError as error:
        raise BadInput(f"{path} is not valid JSON ({error}): {_AGAIN}") from error
    except OSError as error:
        raise unreadable(path, error) from error
    parts = told if isinstance(told, dict) else {}
    axes, science, origin = (parts.get(name) for name in ("axes", "science", "origin"))
    if not (isinstance(axes, dict) and isinstance(science, dict) and isinstance(origin, dict)):
        raise BadInput(f"{path} lacks its axes, science or origin: {_AGAIN}")
    for name, kinds in _AXES.items():
        if not isinstance(axes.get(name), kinds):
            raise BadInput(f"{path}: axes.{name} is {axes.get(name)!r}, a {kinds[0].__name__} was expected: {_AGAIN}")
    if not all(isinstance(code, str) for code in axes["languages"]):
        raise BadInput(f"{path}: axes.languages is {axes['languages']!r}, a list of codes was expected: {_AGAIN}")
    if not isinstance(science.get("tokenizer", {}), dict):
        raise BadInput(f"{path}: science.tokenizer is {science['tokenizer']!r}, an object was expected: {_AGAIN}")
    for name in _ORIGIN:
        if not isinstance(origin.get(name), str):
            raise BadInput(f"{path}: origin.{name} is {origin.get(name)!r}, a text was expected: {_AGAIN}")
    return parts


def records_in(folder: Path) -> list[dict[str, Any]]:
    """The records of a run. Raises BadInput for a line that is none; of a run that is done, for a cut one too."""
    path = folder / "records.jsonl"
    try:
        *lines, cut = path.read_bytes().split(b"\n")
    except FileNotFoundError:
        return []
    except OSError as error:
        raise unreadable(path, error) from error
    if cut and (folder / "done.json").exists():  # it is done once all of them are written
        raise BadInput(_wrong(path, len(lines) + 1, "it is cut short though the run is done"))
    found = []
    for number, line in enumerate(lines, start=1):
        record = line_of(path, number, line)
        for name in ("task", "metric", "language"):
            if not isinstance(record.get(name), str):
                raise BadInput(_wrong(path, number, f"its {name} is {record.get(name)!r}, a text was expected"))
        if not isinstance(record.get("details") or {}, dict):
            raise BadInput(_wrong(path, number, f"its details are {record['details']!r}, an object was expected"))
        found.append(record)
    return found


def line_of(path: Path, number: int, line: bytes) -> dict[str, Any]:
    """A JSON line that holds an object. Raises BadInput for any other."""
    try:
        told = json.loads(line)
    except ValueError as error:
        raise BadInput(_wrong(path, number, "it is not valid JSON")) from error
    if not isinstance(told, dict):
        raise BadInput(_wrong(path, number, f"it is {told!r}, an object was expected"))
    return told


def whole_number(path: Path, number: int, told: dict[str, Any], name: str, default: int | None = None) -> int:
    """A field of a line. Raises BadInput where it is no whole number."""
    value = told.get(name, default)
    if isinstance(value, bool) or not isinstance(value, int):
        raise BadInput(_wrong(path, number, f"its {name} is {value!r}, a whole number was expected"))
    return value


def parts_of(path: Path, number: int, told: dict[str, Any], name: str) -> dict[str, Any]:
    """An object in a line, {} where there is none. Raises BadInput for anything else."""
    value = told.get(name) or {}
    if not isinstance(value, dict):
        raise BadInput(_wrong(path, number, f"its {name} is {value!r}, an object was expected"))
    return value


def unreadable(path: Path, error: OSError) -> BadInput:
    """What is said of a file that is there and cannot be read."""
    return BadInput(f"{path} cannot be read ({error.strerror}): see to its owner and mode")


def _wrong(path: Path, number: int, what: str) -> str:
    return f"{path}, line {number}: {what}; remove the line or do the run again"


def passed_over(folder: Path) -> list[tuple[int, int]]:
    """The windows of steps that a run went back from. Raises BadInput for a file that does not say."""
    path = folder / "returns.json"
    try:
        windows = json.loads(path.read_text(encoding="utf-8"))["passed_over"]
        return [(int(start), int(stop)) for start, stop in windows]
    except FileNotFoundError:
        return []
    except OSError as error:
        raise unreadable(path, error) from error
    except (ValueError, KeyError, TypeError, OverflowError) as error:
        raise BadInput(f"{path} does not say what steps were passed over: remove it, or do the run again") from error
