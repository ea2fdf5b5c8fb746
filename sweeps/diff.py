"""What two studies differ in: which runs, and which values of their science and execution."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from sweeps.grid import Run
from sweeps.study import Study


def difference(study: Study, runs: Sequence[Run], other: Study, others: Sequence[Run]) -> dict[str, Any]:
    """JSON-able: ids of either study alone, how many both hold, and by dotted key the values of each where they differ
    (science: the distinct values over all runs, sorted; execution: the study's)."""
    mine, theirs = {run.id for run in runs}, {run.id for run in others}
    ours, yours = _values(runs), _values(others)
    science = {
        key: (ours.get(key, []), yours.get(key, []))
        for key in sorted({*ours, *yours})
        if ours.get(key, []) != yours.get(key, [])
    }
    one, two = (
        dict(_flat(study.execution.model_dump(mode="json"))),
        dict(_flat(other.execution.model_dump(mode="json"))),
    )
    execution = {key: ([one.get(key)], [two.get(key)]) for key in sorted({*one, *two}) if one.get(key) != two.get(key)}
    return {
        "only": sorted(mine - theirs),
        "only_other": sorted(theirs - mine),
        "shared": len(mine & theirs),
        "science": science,
        "execution": execution,
    }


def _values(runs: Sequence[Run]) -> dict[str, list[Any]]:
    """Distinct values of each key of the science."""
    found: dict[str, set[str]] = {}
    for run in runs:
        for key, value in _flat(run.science):
            found.setdefault(key, set()).add(json.dumps(value))
    return {key: [json.loads(value) for value in sorted(values)] for key, values in found.items()}


def _flat(block: Mapping[str, Any], above: str = "") -> Iterator[tuple[str, Any]]:
    for key, value in block.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{above}{key}.")
        else:
            yield f"{above}{key}", value
