"""The one rank that fine-tunes inside the tests' own process."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from harness.evaluate.driven import Means, alone


@pytest.fixture(scope="package")
def means() -> Iterator[Means]:
    before = dict(os.environ)
    with alone() as one:
        yield one
    os.environ.clear()
    os.environ.update(before)
