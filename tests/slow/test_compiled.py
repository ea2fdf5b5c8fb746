"""Compiled blocks train as the others do, on one rank and with ZeRO stage 2 on two."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from running import Ended, ended
from tiny import COUNTS, finish, make_corpus, study_text, submit_here

from harness.store import Store

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(shutil.which("g++") is None, reason="torch.compile needs a C++ compiler on a CPU"),
]


def trained(root: Path, execution: str) -> Ended:
    store = Store(root)
    make_corpus(store, "tiny", COUNTS)
    _, (run,) = submit_here(store, study_text(execution=execution))
    finish(store, "tiny")
    return ended(store, run.id)


@pytest.mark.parametrize("execution", ["{devices: 1, zero: 1, compile: true}", "{devices: 2, zero: 2, compile: true}"])
def test_a_compiled_run_has_the_losses_of_any_other(tmp_path: Path, execution: str) -> None:
    plain, compiled = trained(tmp_path / "plain", "{}"), trained(tmp_path / "compiled", execution)
    assert list(compiled.losses) == list(plain.losses)
    assert max(abs(compiled.losses[step] - plain.losses[step]) for step in plain.losses) <= 1e-5
