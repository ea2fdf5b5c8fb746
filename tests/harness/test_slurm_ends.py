"""Which rank's end explains an attempt, in whatever order the supervisors saw them, and what is said of it."""

from __future__ import annotations

import itertools
import signal
from pathlib import Path

import pytest

from harness.launch.slurm.ends import End, bad, ends_of, first_to_fall, record_of, tell
from harness.store import write_json

GONE = "RuntimeError: [gloo] Connection closed by peer (loop.py:9)"
OWN = {
    "memory": "TooLittleMemory: out of memory",
    "code": "KeyError: 'x' (loop.py:7)",
    "node": "RuntimeError: CUDA error: uncorrectable ECC error encountered",
}


def end(rank: int, status: int, time: float, *, put_down: bool = False) -> End:
    return End(rank, status, f"node{rank}", time, put_down)


def say(attempt: Path, rank: int, cause: str, error: str, time: float) -> None:
    write_json(attempt / f"rank-{rank:05d}.json", {"rank": rank, "error": error, "cause": cause, "time": time})


def explained(attempt: Path, *ends: End, why_stopped: str = "") -> tuple[str, str, int]:
    """State, cause and the rank named: the same in whatever order the ends are read."""
    told = [record_of(attempt, some, len(ends), why_stopped) for some in itertools.permutations(ends)]
    said = {(one["state"], one["cause"], one["first_bad_rank"]["rank"]) for one in told}
    assert len(said) == 1
    return said.pop()


@pytest.mark.parametrize("seen", [(1.0, 2.0), (2.0, 1.0)])
def test_a_killed_rank_is_named_before_those_that_lost_their_connection_to_it(
    tmp_path: Path, seen: tuple[float, float]
) -> None:
    say(tmp_path, 0, "node", GONE, seen[0])
    ends = [end(0, 1, seen[0]), end(1, -signal.SIGKILL, seen[1]), end(2, -signal.SIGABRT, 0.5)]
    assert explained(tmp_path, *ends) == ("killed", "killed", 1)
    assert record_of(tmp_path, ends, 3, "")["error"] == "rank 1 on node1 was killed by SIGKILL"


@pytest.mark.parametrize("cause", OWN)
@pytest.mark.parametrize(
    "last", [end(2, 1, 3.0), end(2, -signal.SIGABRT, 3.0), end(2, -signal.SIGKILL, 30.0, put_down=True)]
)
def test_a_rank_with_a_reason_of_its_own_is_named_however_it_ended(tmp_path: Path, cause: str, last: End) -> None:
    say(tmp_path, 0, "node", GONE, 1.0)
    say(tmp_path, 2, cause, OWN[cause], 1.5)
    waited = end(1, -signal.SIGKILL, 0.1, put_down=True)  # on a machine whose clock is late
    assert explained(tmp_path, end(0, 1, 1.0), waited, last) == ("failed", cause, 2)
    record = record_of(tmp_path, [end(0, 1, 1.0), waited, last], 3, "")
    assert record["error"] == f"rank 2 on node2: {OWN[cause]}" and record["deterministic"] == (cause != "node")


def test_of_equals_the_earliest_by_its_own_word_is_named(tmp_path: Path) -> None:
    assert first_to_fall(tmp_path, []) is None
    for cause, error in (("node", GONE), ("code", OWN["code"])):
        say(tmp_path, 0, cause, error, 5.0)
        say(tmp_path, 1, cause, error, 4.0)
        assert explained(tmp_path, end(0, 1, 5.1), end(1, 1, 5.2)) == ("failed", cause, 1)


def test_a_stop_is_no_kill_from_outside(tmp_path: Path) -> None:
    """TERM killed a rank that did not listen yet, and its supervisor the one that waited for it."""
    ends = [end(0, -signal.SIGTERM, 1.0), end(1, -signal.SIGKILL, 21.0, put_down=True)]
    assert [one.rank for one in bad(ends, asked=True)] == [1] and len(bad(ends, asked=False)) == 2
    record = record_of(tmp_path, ends, 2, "time")
    assert (record["state"], record["cause"], record["deterministic"]) == ("stopped", "time", False)
    early = record_of(tmp_path, [end(0, -signal.SIGTERM, 1.0), end(1, 0, 2.0)], 2, "cancelled")
    assert (early["state"], early["cause"]) == ("stopped", "cancelled")


def test_ranks_without_a_word_mean_a_lost_node(tmp_path: Path) -> None:
    say(tmp_path, 0, "node", GONE, 1.0)
    record = record_of(tmp_path, [end(0, 1, 1.0)], 3, "")
    assert record["cause"] == "node" and record["error"].endswith("no word of ranks [1, 2]")
    nothing = record_of(tmp_path, [end(0, 0, 1.0)], 1, "")
    assert (nothing["state"], nothing["error"]) == ("killed", "rank 0 ended without a word")


def test_ends_are_read_as_they_were_told_and_by_rank(tmp_path: Path) -> None:
    tell(tmp_path, 1, -9, "b", put_down=True)
    tell(tmp_path, 0, 3, "a")
    assert [(one.rank, one.status, one.host, one.put_down) for one in ends_of(tmp_path)] == [
        (0, 3, "a", False),
        (1, -9, "b", True),
    ]
