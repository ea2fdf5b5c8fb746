"""The frozen studies of a root, as far as tracking reads them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from harness.launch.attempts import read_or_empty
from harness.launch.freeze import read_frozen
from harness.store import Store
from sweeps.errors import BadInput


def frozen_studies(store: Store, say: Callable[[str], None] = lambda text: None) -> list[dict[str, Any]]:
    """All that are whole, by name; `say` is told of each other."""
    found = []
    for path in sorted(path for path in store.studies.glob("*.json") if "." not in path.stem):
        try:
            found.append(read_frozen(path))
        except BadInput as error:
            say(str(error))
    return found


def groups_of(store: Store, study: str) -> dict[str, list[str]]:
    """The groups of languages that a study names."""
    groups: dict[str, list[str]] = read_or_empty(store.studies / f"{study}.json").get("groups", {})
    return groups
