"""Data sets through Hugging Face `datasets`: of the hub, of a local folder, or written by `save_to_disk`.

Rows are streamed, so a data set larger than memory (or than the disk, from the hub) passes through.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from harness.corpus.sources import HUB, hub_parts
from sweeps.errors import BadInput


def library(source: str) -> Any:
    """The package `datasets`, which is optional. Raises BadInput that says how `source` comes to be read."""
    try:
        import datasets
    except ImportError as error:
        raise BadInput(
            f"{source} needs the package datasets: pip install 'babelscale[hub]', then run the same command"
        ) from error
    datasets.disable_progress_bars()
    return datasets


@contextmanager
def told(source: str) -> Iterator[None]:
    """What goes wrong inside the library (no network, no such data set, odd files) comes as one sentence."""
    try:
        yield
    except BadInput:
        raise
    except Exception as error:
        reason = " ".join(str(error).split())[:300] or type(error).__name__
        raise BadInput(
            f"{source} cannot be read through datasets ({reason}): check the name, its configuration and split, and "
            f"the network"
        ) from error


class HubRows:
    """Rows of one data set; `sha256` tells of all the text once `batches` has ended, wherever it came from."""

    def __init__(self, source: str) -> None:
        self.source = source
        self._hash = hashlib.sha256()

    @property
    def sha256(self) -> str:
        return self._hash.hexdigest()

    def batches(
        self, fields: list[str], rows: int, check: Callable[[str, list[str]], None]
    ) -> Iterator[list[list[bytes | None]]]:
        """Up to `rows` rows at once, a list of UTF-8 values a field. `check` is told each field and those there are."""
        for batch in self._batches(rows):
            for field in fields:
                check(field, list(batch))
            columns = [[self._encoded(field, value) for value in batch[field]] for field in fields]
            for row in zip(*columns, strict=True):
                for value in row:
                    self._hash.update(len(value or b"").to_bytes(8, "little") + (value or b""))
            yield columns

    def _batches(self, rows: int) -> Iterator[dict[str, list[Any]]]:
        with told(self.source):
            yield from self._open().iter(batch_size=rows)

    def _open(self) -> Any:
        datasets = library(self.source)
        if self.source.startswith(HUB):
            name, config, split = hub_parts(self.source)
            return datasets.load_dataset(name, config or None, split=split, streaming=True)
        saved = datasets.load_from_disk(self.source)
        if not isinstance(saved, datasets.DatasetDict):
            return saved
        if "train" in saved:
            return saved["train"]
        if len(saved) == 1:
            return next(iter(saved.values()))
        raise BadInput(
            f"{self.source} holds the splits {', '.join(map(str, saved))} and none is named train: name the folder of "
            f"one of them"
        )

    def _encoded(self, field: str, value: Any) -> bytes | None:
        if value is not None and not isinstance(value, str):
            raise BadInput(
                f"{self.source}: the field {field!r} holds {type(value).__name__}, not text: name another with "
                f"--text-field or --language-field"
            )
        return None if value is None else value.encode("utf-8", "surrogatepass")
