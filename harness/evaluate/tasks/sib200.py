"""SIB-200: topics of 1,004 sentences in 205 languages and scripts.

Folders `annotated/<code>` with train.tsv, dev.tsv and test.tsv, codes as FLORES writes them (eng_Latn).
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from harness.evaluate.formats import find, one_of, read_text, table
from harness.evaluate.task import Classification, Item, Split
from sweeps.errors import BadInput


class Sib200(Classification):
    name = "sib200"
    labels = ("entertainment", "geography", "health", "politics", "science/technology", "sports", "travel")
    source = "eng_Latn"

    def languages(self, data: Path) -> list[str]:
        name = f"{self.test_split}.tsv"
        found = sorted(path.name for path in self._top(data).iterdir() if find(path, name))
        if not found:
            raise BadInput(f"{data} has no folders with a {name}: unpack SIB-200's data/annotated there")
        return found

    def read(self, data: Path, split: Split, language: str) -> Iterator[Item]:
        path = find(self._top(data) / language, f"{split}.tsv")
        if path is None:
            raise BadInput(f"{data} has no {language}/{split}.tsv: leave the language out, or fetch its folder")
        for line, (number, label, text) in table(read_text(path), ["index_id", "category", "text"]):
            yield Item(f"{split}-{number}", text, one_of(label, self.labels, f"{path}:{line}"))

    def _top(self, data: Path) -> Path:
        return data / "annotated" if (data / "annotated").is_dir() else data
