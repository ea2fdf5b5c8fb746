"""How the ranks of one attempt ended, as their supervisors saw it; and which of those ends explains the others."""

from __future__ import annotations

import signal
import time
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from harness.launch.attempts import read_or_empty
from harness.launch.causes import DETERMINISTIC, lost_connection
from harness.store import now, write_json


@dataclass(frozen=True)
class End:
    """Of one rank's process."""

    rank: int
    status: int
    """Its exit status; minus the signal where one ended it."""
    host: str
    time: float
    """Seconds of the epoch at which its supervisor saw it, which looks a few times a second."""
    put_down: bool = False
    """Killed by its own supervisor: another rank had failed, and it still waited for that one."""


def tell(attempt: Path, rank: int, status: int, host: str, *, put_down: bool = False) -> None:
    end = End(rank, status, host, time.time(), put_down)
    write_json(attempt / f"end-{rank:05d}.json", asdict(end))


def ends_of(attempt: Path) -> list[End]:
    """Those told so far, by rank."""
    found = (read_or_empty(path) for path in sorted(attempt.glob("end-*.json")))
    return [End(**end) for end in found if end]


def bad(ends: Iterable[End], *, asked: bool) -> list[End]:
    """Those that did not end well. asked: the job was to stop, and its signal may kill a rank that does not listen yet,
    or is done."""
    return [end for end in ends if end.status != 0 and not (asked and end.status == -signal.SIGTERM)]


def record_of(attempt: Path, ends: Sequence[End], devices: int, why_stopped: str) -> dict[str, Any]:
    """What `exit.json` says of an attempt whose rank 0 could not say it. devices: ranks that it had. why_stopped: the
    cause where the job was asked to stop, else ""."""
    first = first_to_fall(attempt, bad(ends, asked=bool(why_stopped)))
    told = words_of(attempt, first.rank) if first else {}
    where = f"rank {first.rank} on {first.host}" if first else ""
    waited = first is not None and first.put_down and not told
    if why_stopped and (waited or (first is None and len(ends) == devices)):
        how = f"{where} did not end by itself" if waited else "before it had begun"
        record: dict[str, Any] = {"state": "stopped", "error": f"asked to stop, {how}", "cause": why_stopped}
    elif first is None:
        record = {"state": "killed", "error": "rank 0 ended without a word", "cause": "killed"}
    elif first.status < 0 and not told:
        what = f"{where} was killed by {signal.Signals(-first.status).name}"
        record = {"state": "killed", "error": what, "cause": "killed"}
    else:
        what = told.get("error", f"it ended with status {first.status}; its log says more")
        who = f"{where}: " if devices > 1 else ""
        record = {"state": "failed", "error": who + what, "cause": told.get("cause", "code")}
    if first is not None:
        record["first_bad_rank"] = {"rank": first.rank, "host": first.host, "status": first.status}
    if len(ends) < devices:
        lost = sorted(set(range(devices)) - {end.rank for end in ends})
        record |= {"error": f"{record['error']}; no word of ranks {lost}", "cause": "node"}
    return record | {"deterministic": record["cause"] in DETERMINISTIC, "time": now()}


def words_of(attempt: Path, rank: int) -> dict[str, Any]:
    """What a rank itself could still say of its failure (`error`, `cause`, `time`); empty for one that could not."""
    return read_or_empty(attempt / f"rank-{rank:05d}.json")


def first_to_fall(attempt: Path, ends: Iterable[End]) -> End | None:
    """The end that explains the others; `ends`: the bad ones.

    Ranks feel the death of another at once, as a connection that is gone, and may be seen to end before it is. So one
    that only lost its connection (by its own word, or because the library that noticed aborted it) explains an attempt
    where no rank has a reason of its own, and one that was put down while it waited where there is nothing else.
    """

    def order(end: End) -> tuple[int, float]:
        told = words_of(attempt, end.rank)
        if told:
            felt = told.get("cause") == "node" and lost_connection(str(told.get("error", "")))
            return int(felt), float(told.get("time", end.time))
        return 2 if end.put_down else int(end.status == -signal.SIGABRT), end.time

    return min(ends, key=order, default=None)
