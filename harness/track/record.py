"""All that W&B shall have of one run, from the run's files as they are now, with a digest by which it is compared."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from harness.launch.attempts import EXIT, attempt_folders, read_or_empty
from harness.store import Store, digest
from harness.track.files import described
from harness.track.identity import Card, card_of
from harness.track.rows import RECORD, Row, rows_of, summary_of, whole_groups
from harness.track.studies import groups_of

DIGEST = RECORD + "digest"
"""In the summary: of all that was sent. Equal, and nothing is sent again."""


@dataclass(frozen=True)
class Record:
    card: Card
    rows: list[Row]
    summary: dict[str, Any]
    state: str
    """done, or how the last attempt ended."""

    @property
    def digest(self) -> str:
        return str(self.summary[DIGEST])


@dataclass(frozen=True)
class Source:
    """Where a run's record comes from."""

    folder: Path
    card: Card
    groups: dict[str, list[str]]
    steps: int

    @classmethod
    def of(cls, store: Store, run: str, studies: Sequence[Mapping[str, Any]]) -> Source:
        """`studies`: the frozen studies of the root. Raises BadInput for a run.json that is not whole."""
        axes = described(store, run)["axes"]
        card = card_of(store, run, studies)
        groups = whole_groups(groups_of(store, card.study), axes["languages"])
        return cls(store.run(run), card, groups, int(axes["steps"]))

    def record(self) -> Record:
        """As the files are now. Raises BadInput for one that is not whole."""
        rows = rows_of(self.folder, self.groups, self.steps)
        summary = summary_of(self.folder, self.groups, self.steps)
        summary[DIGEST] = digest([asdict(self.card), [asdict(row) for row in rows], summary])
        attempts = attempt_folders(self.folder)
        ended = read_or_empty(attempts[-1] / EXIT).get("state", "killed") if attempts else "killed"
        return Record(self.card, rows, summary, "done" if (self.folder / "done.json").exists() else str(ended))
