"""Named entities: CoNLL-2002/2003 (paper section 3.2), WikiAnn in XTREME's form, and MasakhaNER 2.0."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import ClassVar

from harness.evaluate.formats import PACKED, find, one_of, read_text, tagged
from harness.evaluate.task import Split, TaggedItem, Tagging
from sweeps.errors import BadInput


def _labels(*types: str) -> tuple[str, ...]:
    return ("O", *(f"{letter}-{kind}" for kind in types for letter in "BI"))


class Entities(Tagging):
    """A benchmark whose files have a word a line."""

    tried: ClassVar[Mapping[Split, tuple[str, ...]]]
    """Names of files, with {language} in them."""

    def read(self, data: Path, split: Split, language: str) -> Iterator[TaggedItem]:
        path = data if data.is_file() else self._file(data, split, language)
        for sentence in tagged(read_text(path)):
            for word, tag in enumerate(sentence.tags):
                one_of(tag, self.labels, f"{path}:{sentence.line + word}")
            yield TaggedItem(f"{split}-{sentence.line}", sentence.words, sentence.tags)

    def _file(self, data: Path, split: Split, language: str) -> Path:
        names = [name.format(language=language) for name in self.tried[split]]
        path = find(data, *names)
        if path is None:
            raise BadInput(f"{data} has no {' or '.join(names)}: leave {language} out, or fetch its file")
        return path

    def languages(self, data: Path) -> list[str]:
        found = set()
        for name in self.tried[self.test_split]:
            before, _, after = name.partition("{language}")
            for packing in PACKED:
                for path in data.glob(f"{before}*{after}{packing}"):
                    rest = path.relative_to(data).as_posix()
                    found.add(rest.removeprefix(before).removesuffix(packing).removesuffix(after))
        if not found:
            raise BadInput(f"{data} has none of the files {', '.join(self.tried[self.test_split])}")
        return sorted(found)


class WikiAnn(Entities):
    name = "wikiann"
    labels = _labels("PER", "ORG", "LOC")
    test_split = "dev"  # XTREME keeps the labels of its test side to itself
    tried: ClassVar = {
        "train": ("train-{language}.tsv",),
        "dev": ("dev-{language}.tsv",),
        "test": ("test-{language}.tsv",),
    }


class Masakhaner(Entities):
    name = "masakhaner"
    labels = _labels("PER", "ORG", "LOC", "DATE")
    source = "swa"
    tried: ClassVar = {
        "train": ("{language}/train.txt",),
        "dev": ("{language}/dev.txt",),
        "test": ("{language}/test.txt",),
    }


CONLL_CODES = {"es": "esp", "nl": "ned", "en": "eng", "de": "deu"}
_CONLL_SPLITS: dict[Split, str] = {"train": "train", "dev": "testa", "test": "testb"}


class Conll(Tagging):
    name = "conll"
    labels = _labels("PER", "ORG", "LOC", "MISC")

    def languages(self, data: Path) -> list[str]:
        side = _CONLL_SPLITS[self.test_split]
        found = [language for language, code in CONLL_CODES.items() if find(data, f"{code}.{side}")]
        if not found:
            raise BadInput(f"{data} has none of {', '.join(f'{code}.{side}' for code in CONLL_CODES.values())}")
        return found

    def read(self, data: Path, split: Split, language: str) -> Iterator[TaggedItem]:
        if language not in CONLL_CODES:
            raise BadInput(f"CoNLL has no {language}: its languages are {', '.join(CONLL_CODES)}")
        name = f"{CONLL_CODES[language]}.{_CONLL_SPLITS[split]}"
        path = data if data.is_file() else find(data, name)
        if path is None:
            raise BadInput(f"{data} has no {name}: leave {language} out, or bring the shared task's file")
        for sentence in tagged(read_text(path)):
            tags = tuple(one_of(tag, self.labels, f"{path}:{sentence.line + n}") for n, tag in enumerate(sentence.tags))
            yield TaggedItem(f"{split}-{sentence.line}", sentence.words, tags)
