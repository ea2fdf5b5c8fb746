"""The frozen studies of a root, as far as tracking reads them."""

from __future__ import annotations

from typing import Any

from harness.launch.attempts import read_or_empty
from harness.store import Store


def frozen_studies(store: Store) -> list[dict[str, Any]]:
    """All of them, by name."""
    paths = sorted(path for path in store.studies.glob("*.json") if "." not in path.stem)
    return [study for path in paths if "runs" in (study := read_or_empty(path))]


def groups_of(store: Store, study: str) -> dict[str, list[str]]:
    """The groups of languages that a study names."""
    groups: dict[str, list[str]] = read_or_empty(store.studies / f"{study}.json").get("groups", {})
    return groups
