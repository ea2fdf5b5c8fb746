"""What a run stands on fits together, or is refused."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from tiny import study_text, submit_here

from harness.prepare import open_stream
from harness.store import Store
from sweeps.errors import BadInput


def test_a_model_whose_table_is_not_the_tokenizer_s_is_refused(tiny_store: Callable[[str], Store]) -> None:
    store = tiny_store("tables")
    _, (run,) = submit_here(store, study_text())
    assert open_stream(store, run.science).vocabulary == run.science["model"]["vocabulary"]
    other = run.science | {"model": run.science["model"] | {"vocabulary": 500}}
    with pytest.raises(BadInput, match=r"has 34\d rows with its special ones, the run's model 500: set model.vocab"):
        open_stream(store, other)
