"""Question answering by extraction: XQuAD and MLQA (paper section 3.3), in SQuAD v1.1's JSON.

Both are trained on English SQuAD v1.1 (`train-v1.1.json`), or on any file of its format, TyDiQA-GoldP's for one.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import ClassVar

from harness.evaluate.answers import Normalise, mlqa_words
from harness.evaluate.formats import PACKED, find, read_text, squad
from harness.evaluate.task import Extraction, QuestionItem, Split
from sweeps.errors import BadInput


class Questions(Extraction):
    """A benchmark with a file for each language."""

    rates = (1e-5, 2e-5, 3e-5)
    recipe: ClassVar = {"epochs": 3}

    tried: ClassVar[Mapping[Split, str]]
    """Names of files, with {language} in them."""

    def languages(self, data: Path) -> list[str]:
        before, _, after = self.tried[self.test_split].partition("{language}")
        after = after.partition("{")[0] if "{" in after else after
        found = set()
        for packing in PACKED:
            for path in data.glob(f"{before}*.json{packing}"):
                rest = path.name.removeprefix(before)
                language = rest.partition(after)[0]
                if path.name.removesuffix(packing) == self.tried[self.test_split].format(language=language):
                    found.add(language)
        if not found:
            raise BadInput(f"{data} has none of the files {self.tried[self.test_split].format(language='LANGUAGE')}")
        return sorted(found)

    def read(self, data: Path, split: Split, language: str) -> Iterator[QuestionItem]:
        path = self._file(data, split, language)
        name = self.tried[split].format(language=language)
        if path is None:
            raise BadInput(f"{data} has no {name} of {language}: leave {language} out, or name its file")
        found = squad(read_text(path))
        for item in found.items:
            yield QuestionItem(f"{split}-{item.id}", item.question, item.context, item.answers)

    def astray(self, data: Path, split: Split, language: str) -> tuple[str, ...]:
        """Questions with an answer that does not stand where the file says."""
        path = self._file(data, split, language)
        return squad(read_text(path)).astray if path else ()

    def _file(self, data: Path, split: Split, language: str) -> Path | None:
        """A file itself, or the one of a folder; SQuAD's own are of the source language alone."""
        if data.is_file():
            return data
        if "{language}" not in self.tried[split] and language != self.source:
            return None
        return find(data, self.tried[split].format(language=language))


class Xquad(Questions):
    name = "xquad"
    tried: ClassVar = {
        "train": "train-v1.1.json",
        "dev": "dev-v1.1.json",
        "test": "xquad.{language}.json",
    }


class Mlqa(Questions):
    """Context and question in one language."""

    name = "mlqa"
    tried: ClassVar = {
        "train": "train-v1.1.json",
        "dev": "dev-context-{language}-question-{language}.json",
        "test": "test-context-{language}-question-{language}.json",
    }

    def normalise(self, language: str) -> Normalise:
        return mlqa_words(language)
