"""Going back: the loss left its course, so a run takes up an older checkpoint and passes over what led there.

What is passed over is a function of steps alone, never of when a checkpoint happened to be written: it reaches from
some updates before the first that was refused to where the watch gave up. A checkpoint from before it lies on the same
way, whichever it is, so a run that was killed or resumed elsewhere ends with the same weights.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from harness.store import SCHEMA, now, read_json, write_json

STEPS_IN_A_ROW = 20
"""Updates refused in a row after which the run goes back."""
STEPS_BEFORE = 20
"""Updates before the first refused one that are taken for its cause."""
MOST_RETURNS = 3
"""A run that would go back once more has failed."""


@dataclass
class Returns:
    """How often a run went back, in its folder's `returns.json`, and which steps it passes over since."""

    path: Path
    windows: list[tuple[int, int]] = field(default_factory=list)
    """Steps [start, stop) counted from 0."""

    @classmethod
    def of(cls, run_folder: Path) -> Returns:
        path = run_folder / "returns.json"
        windows = read_json(path)["passed_over"] if path.exists() else []
        return cls(path, [(int(start), int(stop)) for start, stop in windows])

    def passes_over(self, step: int) -> bool:
        return any(start <= step < stop for start, stop in self.windows)

    def passed_over(self, done: int) -> int:
        """How many of the first `done` steps."""
        return sum(map(self.passes_over, range(min((start for start, _ in self.windows), default=done), done)))

    def from_before(self, step: int, state: Mapping[str, Any]) -> bool:
        """Whether a checkpoint lies on the way as it is now: before each window that was not yet known to it."""
        return all(step <= start for start, _ in self.windows[len(state.get("passed_over", ())) :])

    def earliest(self, step: int) -> int:
        """The last of the first `step` steps after which nothing had been passed over."""
        return min([step, *(start for start, _ in self.windows)])

    def window(self, done: int, in_a_row: int) -> tuple[int, int]:
        """What to pass over when the last `in_a_row` updates up to `done` were refused."""
        start, wanted = done, in_a_row + STEPS_BEFORE
        while start > 0 and wanted > 0:
            start -= 1
            wanted -= not self.passes_over(start)
        return start, done

    def add(self, *windows: tuple[int, int], write: bool) -> None:
        """Pass over more. `write` for one rank of a run: its folder shall know before anything follows from it."""
        self.windows.extend(windows)
        if write and windows:
            write_json(self.path, {"schema": SCHEMA, "passed_over": self.windows, "time": now()})
