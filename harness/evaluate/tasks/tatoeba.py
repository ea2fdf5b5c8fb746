"""Tatoeba: find the translation among up to 1,000 sentences (LASER's files tatoeba.xxx-eng.xxx and .eng)."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from harness.evaluate.formats import PACKED, aligned, find, read_text
from harness.evaluate.task import PairItem, Retrieval
from sweeps.errors import BadInput


class Tatoeba(Retrieval):
    name = "tatoeba"
    source = "eng"

    def languages(self, data: Path) -> list[str]:
        each = (path for packing in PACKED for path in data.glob(f"tatoeba.*-eng.eng{packing}"))
        found = sorted({path.name.split(".")[1].removesuffix("-eng") for path in each})
        if not found:
            raise BadInput(f"{data} has no tatoeba.LLL-eng.eng: unpack LASER's data/tatoeba/v1 there")
        return found

    def pairs(self, data: Path, language: str) -> Iterator[PairItem]:
        sides = [find(data, f"tatoeba.{language}-eng.{side}") for side in (language, "eng")]
        if sides[0] is None or sides[1] is None:
            raise BadInput(f"{data} has no pair of files tatoeba.{language}-eng: leave {language} out")
        for number, (text, english) in enumerate(aligned(read_text(sides[0]), read_text(sides[1])), 1):
            yield PairItem(f"{language}-{number}", text, english)
