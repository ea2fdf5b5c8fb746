"""Parts of speech: Universal Dependencies' treebanks, and XTREME's files of them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import ClassVar

from harness.evaluate.formats import PACKED, conllu, find, one_of, read_text, tagged
from harness.evaluate.task import Split, TaggedItem, Tagging
from sweeps.errors import BadInput

_TAGS = "ADJ ADP ADV AUX CCONJ DET INTJ NOUN NUM PART PRON PROPN PUNCT SCONJ SYM VERB X"
UNIVERSAL = tuple(_TAGS.split())


class Treebanks(Tagging):
    """Folders UD_Language-NAME with files LL_name-ud-split.conllu. A language's treebanks are read one after another;
    where one has no such split, it adds nothing."""

    name = "ud-pos"
    labels = UNIVERSAL
    entities = False

    def languages(self, data: Path) -> list[str]:
        found = sorted({path.name.partition("_")[0] for path in self._files(data, self.test_split, "*")})
        if not found:
            raise BadInput(f"{data} has no UD_*/*-ud-{self.test_split}.conllu: unpack Universal Dependencies there")
        return found

    def read(self, data: Path, split: Split, language: str) -> Iterator[TaggedItem]:
        files = [data] if data.is_file() else self._files(data, split, language)
        if not files:
            raise BadInput(f"{data} has no UD_*/{language}_*-ud-{split}.conllu: leave {language} out")
        for path in files:
            for number, sentence in enumerate(conllu(read_text(path)), 1):
                tags = tuple(one_of(tag, self.labels, f"{path}:{sentence.line}") for tag in sentence.tags)
                yield TaggedItem(f"{split}-{number}", sentence.words, tags)  # PUD's sentences are parallel

    def _files(self, data: Path, split: Split, language: str) -> list[Path]:
        each = (data.glob(f"UD_*/{language}_*-ud-{split}.conllu{packing}") for packing in PACKED)
        return sorted(path for paths in each for path in paths)


class XtremeSpeech(Tagging):
    """Files train-LL.tsv and dev-LL.tsv: a word and its tag a line."""

    name = "udpos"
    labels = (*UNIVERSAL, "_")
    entities = False
    test_split: ClassVar[Split] = "dev"  # XTREME keeps the labels of its test side to itself

    def languages(self, data: Path) -> list[str]:
        found = {
            path.name.partition(".")[0].removeprefix(f"{self.test_split}-")
            for packing in PACKED
            for path in data.glob(f"{self.test_split}-*.tsv{packing}")
        }
        if not found:
            raise BadInput(f"{data} has no {self.test_split}-LANGUAGE.tsv: unpack XTREME's udpos there")
        return sorted(found)

    def read(self, data: Path, split: Split, language: str) -> Iterator[TaggedItem]:
        path = data if data.is_file() else find(data, f"{split}-{language}.tsv")
        if path is None:
            raise BadInput(f"{data} has no {split}-{language}.tsv: leave {language} out, or fetch its file")
        for sentence in tagged(read_text(path)):
            for word, tag in enumerate(sentence.tags):
                one_of(tag, self.labels, f"{path}:{sentence.line + word}")
            yield TaggedItem(f"{split}-{sentence.line}", sentence.words, sentence.tags)
