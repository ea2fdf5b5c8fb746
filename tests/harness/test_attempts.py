"""When another go at a run is worth it: attempts that got nowhere, failures that would only come again."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from harness.launch.attempts import doomed, forgive, in_vain, newest_step
from harness.launch.causes import ADVICE, DETERMINISTIC, MENDS, cause_of, cause_of_state
from harness.launch.provenance import code_digest
from harness.store import write_json
from harness.train.errors import LossFailed, TooLittleMemory
from sweeps.errors import BadInput

OWN = {"attempts": 3, "micro_rows": None, "hours": 1.0, "zero": 1}


def attempt(folder: Path, number: int, cause: str, from_step: int = 0, **execution: Any) -> None:
    path = folder / "attempts" / f"{number:03d}"
    path.mkdir(parents=True)
    begun = {"execution": OWN | execution, "from_step": from_step, "code": code_digest()}
    write_json(path / "execution.json", begun, durable=False)
    state = "failed" if cause in DETERMINISTIC else "killed"
    write_json(path / "exit.json", {"state": state, "cause": cause}, durable=False)


def checkpoint(folder: Path, step: int) -> None:
    path = folder / "checkpoints" / f"step-{step:09d}"
    path.mkdir(parents=True)
    (path / "COMMITTED").write_text("x", encoding="utf-8")


def test_attempts_count_only_while_the_run_gets_no_further(tmp_path: Path) -> None:
    for number in (1, 2):
        attempt(tmp_path, number, "killed")
    assert in_vain(tmp_path) == 2 and not doomed(tmp_path, OWN)
    checkpoint(tmp_path, 100)
    assert (newest_step(tmp_path), in_vain(tmp_path)) == (100, 0)
    for number in (3, 4, 5):
        attempt(tmp_path, number, "killed", from_step=100)
    assert in_vain(tmp_path) == 3 and doomed(tmp_path, OWN)
    forgive(tmp_path, "a person said so")
    assert in_vain(tmp_path) == 0 and not doomed(tmp_path, OWN)


@pytest.mark.parametrize("cause", sorted(DETERMINISTIC))
def test_what_would_fail_again_is_known_until_something_that_matters_changes(tmp_path: Path, cause: str) -> None:
    attempt(tmp_path, 1, cause)
    assert doomed(tmp_path, OWN) and doomed(tmp_path, OWN | {"hours": 9.0}), "more time mends none of these"
    helps = "micro_rows" in MENDS[cause]
    assert doomed(tmp_path, OWN | {"micro_rows": 4}) is not helps


def test_a_failure_of_the_code_is_worth_another_go_once_the_code_has_changed(tmp_path: Path) -> None:
    attempt(tmp_path, 1, "code")
    path = tmp_path / "attempts" / "001" / "execution.json"
    write_json(path, {"execution": OWN, "code": "another"}, durable=False)
    assert not doomed(tmp_path, OWN)


@pytest.mark.parametrize(
    ("error", "cause"),
    [
        (TooLittleMemory("no row fits"), "memory"),
        (RuntimeError("CUDA out of memory. Tried to allocate 2 GiB"), "memory"),
        (LossFailed("nan"), "loss"),
        (BadInput("the corpus is not there"), "data"),
        (OSError(28, "No space left on device"), "disk"),
        (RuntimeError("[gloo] Connection closed by peer [10.0.0.7]:4711"), "node"),
        (RuntimeError("NCCL error: unhandled system error"), "node"),
        (KeyError("optimizer"), "code"),
    ],
)
def test_an_exception_tells_its_cause(error: Exception, cause: str) -> None:
    assert cause_of(error) == cause and cause in ADVICE


@pytest.mark.parametrize(
    ("state", "cause"),
    [("OUT_OF_MEMORY", "memory"), ("NODE_FAIL", "node"), ("TIMEOUT", "time"), ("CANCELLED by 0", "cancelled")],
)
def test_accounting_knows_what_an_attempt_could_not_say(state: str, cause: str) -> None:
    assert cause_of_state(state) == cause
    assert cause_of_state("COMPLETED") == cause_of_state("") == "unknown"
