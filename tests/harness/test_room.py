"""Micro-batches from the memory at hand."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tiny import finish, last_exit, study_text, submit_here

from harness.memory import available_bytes
from harness.store import Store, read_json
from harness.train import room
from harness.train.ranks import Ranks
from harness.train.room import choose_micro_rows
from models.room import USABLE, Need, rows_that_fit, what_would_fit
from models.sizes import EncoderConfig

CONFIG = EncoderConfig(
    kind="xlm-r", vocabulary=250_002, width=768, layers=12, heads=12, feedforward=3072, positions=512
)
NEED = Need(CONFIG, tokens_per_row=512, masks_per_row=77, bf16=True, zero=1, world=8, checkpointed=False, on_cpu=False)
ALONE = Ranks(0, 1, 0, torch.device("cpu"))
GB = 10**9


@settings(deadline=None)
@given(st.integers(1, 512), st.integers(1, 200 * GB))
def test_the_micro_batch_divides_the_share_fits_and_could_not_be_larger(share: int, free: int) -> None:
    rows = rows_that_fit(NEED, share, free)

    def fits(rows: int) -> bool:
        return NEED.state_bytes + rows * NEED.row_bytes <= USABLE * free

    assert share % rows == 0
    assert rows == 1 or fits(rows)
    assert not any(fits(more) for more in range(rows + 1, share + 1) if share % more == 0)


def test_xlm_r_base_on_an_80_gb_device_holds_dozens_of_rows() -> None:
    assert 16 <= rows_that_fit(NEED, 1024, 80 * GB) <= 256
    assert rows_that_fit(replace(NEED, checkpointed=True), 1024, 80 * GB) >= 64


@pytest.mark.parametrize(
    ("free", "fitting"), [(2 * GB, ["ZeRO stage 3"]), (GB, ["ZeRO stage 3 on 64 devices"]), (1000, [])]
)
def test_what_is_said_to_fit_is_what_does(free: int, fitting: list[str]) -> None:
    assert not NEED.holds_a_row(free)
    assert what_would_fit(NEED, free) == fitting


def test_rows_too_long_are_told_how_long_they_may_be() -> None:
    need = replace(NEED, tokens_per_row=1 << 20, masks_per_row=157_286)
    fitting = what_would_fit(need, 80 * GB)
    assert any(text.startswith("rows of ") and text.endswith(" tokens") for text in fitting)
    tokens = int(next(text for text in fitting if text.startswith("rows of")).split()[2])
    assert replace(need, tokens_per_row=tokens, masks_per_row=tokens * 3 // 20).holds_a_row(80 * GB)


def test_a_resumed_run_keeps_its_micro_batch_while_that_fits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    need = replace(NEED, world=1, zero=0, on_cpu=True)

    def chosen(rows: float) -> int:
        """With memory for so many rows."""
        free = int((need.state_bytes + rows * need.row_bytes) / USABLE) + 1
        monkeypatch.setattr(room, "available_bytes", lambda: free)
        micro, problem = choose_micro_rows(need, 64, ALONE, tmp_path, beside=1)
        assert not problem
        return micro

    assert chosen(9) == 8
    assert chosen(100) == 8
    assert chosen(5) == 8  # priced from above: it ran, and so it may go on
    assert chosen(3) == 2
    assert chosen(100) == 2


def test_the_memory_of_this_machine_is_neither_nothing_nor_more_than_it_has() -> None:
    total = int(Path("/proc/meminfo").read_text(encoding="ascii").split("MemTotal:")[1].split()[0]) * 1024
    assert 0 < available_bytes() <= total


def test_a_model_that_cannot_fit_fails_once_with_what_is_missing(tiny_store: Callable[[str], Store]) -> None:
    store = tiny_store("large")
    text = study_text().replace("layers: 1, width: 16,", "layers: 24, width: 16384, heads: 128,")
    _, (run,) = submit_here(store, text)
    finish(store, "tiny")
    ended = last_exit(store, run.id)
    assert ended["deterministic"]
    assert ended["error"].startswith("a row of 16 tokens does not fit the memory at hand: on each device the model's")
    assert "ZeRO stage 3 on" in ended["error"]
    assert [path.name for path in (store.run(run.id) / "attempts").iterdir()] == ["001"]


def test_a_run_notes_the_micro_batch_that_it_chose(tiny_store: Callable[[str], Store]) -> None:
    store = tiny_store("noted")
    _, (run,) = submit_here(store, study_text())
    finish(store, "tiny")
    assert read_json(store.run(run.id) / "micro-batch.json")["micro_rows"] == 8
