"""A run's files as what W&B shows: rows of a history in one order that only grows, and a summary.

Each row has a number of its own, W&B's internal step, that only rises: the training step, and after the last one a
number more for each stage of evaluation. So W&B itself leaves out a row that it has already, whoever sends it again: a
step that was done twice (after a requeue, or when a run went back) is shown as it was first.
"""

from __future__ import annotations

import statistics
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness.launch.attempts import read_or_empty
from harness.track.files import line_of, parts_of, passed_over, records_in, unreadable, whole_number

AXES = ("tokens", "step")
"""What the panels are drawn over. Steps of two batch sizes are no common measure, tokens are: they come first."""

_NAMES = {
    "loss": "train/loss",
    "bits_per_byte": "train/bits_per_byte",
    "learning_rate": "train/learning_rate",
    "gradient_norm": "train/gradient_norm",
    "tokens_per_second": "speed/tokens_per_second",
    "mfu": "speed/mfu",
    "memory_gb": "speed/memory_gb",
    "skipped": "events/spikes",
}
"""Fields of a line of metrics, by what they are called in W&B."""
ATTEMPT, RETURNS = "events/attempt", "events/rollbacks"
HELDOUT = "heldout"
FINE_TUNED_IN = "en"
RECORD = "record/"
"""Before what the summary says of the record as a whole."""


@dataclass(frozen=True)
class Row:
    number: int
    data: dict[str, float]


class Metrics:
    """The lines of a growing metrics.jsonl as rows; each call reads what came since the last."""

    def __init__(self, folder: Path) -> None:
        self._folder, self._path = folder, folder / "metrics.jsonl"
        self._offset, self._rest, self._lines = 0, b"", 0
        self.step = 0
        """Of the last row."""
        self.tokens = 0

    def more(self) -> list[Row]:
        """Rows of the lines that are new, whole, and of a step that was not seen before.

        Raises BadInput for a whole line that is none of metrics.
        """
        try:
            with self._path.open("rb") as stream:
                if stream.seek(0, 2) < self._offset:  # a torn line was taken away by the next attempt
                    self._offset = stream.tell()
                    self._rest = b""
                stream.seek(self._offset)
                read = stream.read()
        except FileNotFoundError:
            return []
        except OSError as error:
            raise unreadable(self._path, error) from error
        self._offset += len(read)
        *lines, self._rest = (self._rest + read).split(b"\n")
        ends = [stop for _, stop in passed_over(self._folder)] if lines else []
        return [row for line in lines if (row := self._row(line, ends)) is not None]

    def _row(self, line: bytes, ends: Sequence[int]) -> Row | None:
        """`ends`: steps to which the run had come when it went back."""
        self._lines += 1
        told = line_of(self._path, self._lines, line)
        step, attempt = (whole_number(self._path, self._lines, told, name) for name in ("step", "attempt"))
        if step <= self.step:
            return None
        self.step, self.tokens = step, whole_number(self._path, self._lines, told, "tokens", 0)
        returns = sum(stop <= step for stop in ends)
        epochs = parts_of(self._path, self._lines, told, "epochs")
        data: dict[str, Any] = {"step": step, "tokens": self.tokens, ATTEMPT: attempt, RETURNS: returns}
        data |= {name: told[field] for field, name in _NAMES.items() if field in told}
        data |= {f"epochs/{language}": passed for language, passed in epochs.items()}
        return Row(step, {name: value for name, value in data.items() if _finite(value)})


def _finite(value: Any) -> bool:
    return isinstance(value, int | float) and abs(value) <= sys.float_info.max  # also of a whole number of any length


def whole_groups(groups: Mapping[str, Sequence[str]], languages: Sequence[str]) -> dict[str, list[str]]:
    """The groups all of whose languages a run was trained on: only these means may be compared between runs."""
    return {name: list(members) for name, members in groups.items() if set(members) <= set(languages)}


def evaluation_rows(folder: Path, groups: Mapping[str, Sequence[str]], steps: int, tokens: int) -> list[Row]:
    """A row for each stage that is scored, in the order in which they came."""
    stages: dict[str, list[dict[str, Any]]] = {}
    for record in records_in(folder):
        if record["task"] != "training":
            stages.setdefault(str((record.get("details") or {}).get("stage", record["task"])), []).append(record)
    return [
        Row(steps + number, {"step": steps, "tokens": tokens} | scores(records, groups))
        for number, records in enumerate(stages.values(), start=1)
    ]


def scored(task: str, languages: Sequence[str]) -> list[str]:
    """Those of a group's languages that a mean of a task is over: not the one in which the model was fine-tuned for it,
    whose score is no zero-shot one (as in `analysis.statistics`)."""
    return [language for language in languages if task == HELDOUT or language != FINE_TUNED_IN]


def scores(records: Sequence[Mapping[str, Any]], groups: Mapping[str, Sequence[str]]) -> dict[str, float]:
    """Values by `task/metric/language`, and means over groups by `task_groups/metric/group`.

    A mean is over those of a group's languages (`scored`) that a benchmark has records of, of held-out text over all;
    there is none where one of their values is no number. `groups` are `whole_groups` of the run.
    """
    by_metric: dict[tuple[str, str], dict[str, Any]] = {}
    for record in records:
        by_metric.setdefault((record["task"], record["metric"]), {})[record["language"]] = record.get("value")
    found: dict[str, float] = {}
    for (task, metric), values in by_metric.items():
        found |= {f"{task}/{metric}/{language}": float(value) for language, value in values.items() if _finite(value)}
        for group, languages in groups.items():
            wanted = scored(task, languages)
            inside: list[Any] = [values.get(language) for language in wanted if task == HELDOUT or language in values]
            if inside and all(map(_finite, inside)):
                found[f"{task}_groups/{metric}/{group}"] = statistics.fmean(inside)
    return found


def rows_of(folder: Path, groups: Mapping[str, Sequence[str]], steps: int) -> list[Row]:
    """All rows that a run's files hold now."""
    metrics = Metrics(folder)
    return [*metrics.more(), *evaluation_rows(folder, groups, steps, metrics.tokens)]


def summary_of(folder: Path, groups: Mapping[str, Sequence[str]], steps: int) -> dict[str, Any]:
    """The final records, and where the run stands. What stands in the history's last row is kept by W&B itself."""
    records = records_in(folder)
    found: dict[str, Any] = scores([record for record in records if record["task"] != "training"], groups)
    found |= {
        f"training/{record['metric']}/{record['language']}": record["value"]
        for record in records
        if record["task"] == "training" and _finite(record.get("value"))
    }
    metrics = Metrics(folder)
    metrics.more()
    done = read_or_empty(folder / "done.json")
    found[RECORD + "progress"] = 1.0 if done else round(metrics.step / steps, 4) if steps else 0.0
    found[RECORD + "state"] = "done" if done else "unfinished"
    if done:
        found[RECORD + "train_seconds"] = done.get("train_seconds")
        found[RECORD + "device"] = done.get("device", "")
    return found
