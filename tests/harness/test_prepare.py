"""What a run stands on fits together, or is refused."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from tiny import study_text, submit_here

from harness.batches.stream import rows_of
from harness.prepare import open_shards, open_stream
from harness.store import Store
from sweeps.errors import BadInput


def test_a_model_whose_table_is_not_the_tokenizer_s_is_refused(tiny_store: Callable[[str], Store]) -> None:
    store = tiny_store("tables")
    _, (run,) = submit_here(store, study_text())
    assert open_stream(store, run.science).vocabulary == run.science["model"]["vocabulary"]
    other = run.science | {"model": run.science["model"] | {"vocabulary": 500}}
    with pytest.raises(BadInput, match=r"has 34\d rows with its special ones, the run's model 500: set model.vocab"):
        open_stream(store, other)


def test_a_run_that_may_use_less_text_draws_from_no_more_and_shares_count_what_it_may_use(
    tiny_store: Callable[[str], Store],
) -> None:
    store = tiny_store("held back")
    _, (whole,) = submit_here(store, study_text())
    _, (less,) = submit_here(store, study_text("less").replace("  row_tokens", "  text_bytes: 2000\n  row_tokens"))
    full, short = (open_stream(store, run.science) for run in (whole, less))
    shards = open_shards(store, less.science, "train")
    assert all(0 < shard.text_bytes <= 2000 for shard in shards.values())
    assert short.rows < full.rows and short.rows == [rows_of(shards[code], 16) for code in short.languages]
    assert short.q["ru"] == pytest.approx(1 / 3, abs=0.01) and full.q["ru"] < 0.31
    assert short.samples(0, 4096).row.max() < max(short.rows)
    heldout = [open_shards(store, run.science, "heldout")["en"].text_bytes for run in (whole, less)]
    assert heldout[0] == heldout[1], "both are scored on the same text"
