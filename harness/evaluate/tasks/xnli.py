"""XNLI: natural language inference in 15 languages (paper section 3.1). Files `xnli.dev.tsv` and `xnli.test.tsv` of
XNLI-1.0.

Training tables are the user's own: MNLI's (`multinli_1.0_train.txt`, `multinli.train.en.tsv`), XNLI's machine
translations of it (`multinli.train.LL.tsv`), or any other with sentence pairs and one of three labels, SICK for one.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import ClassVar

from harness.evaluate.formats import Text, find, one_of, read_text, table
from harness.evaluate.task import Classification, Item, Split
from sweeps.errors import BadInput

LABELS = ("entailment", "neutral", "contradiction")
COLUMNS = (
    ("sentence1", "sentence2", "gold_label"),
    ("premise", "hypo", "label"),
    ("premise", "hypothesis", "label"),
    ("sentence_A", "sentence_B", "entailment_judgment"),
)
"""Names under which tables hold premise, hypothesis and label."""
_ALSO_CALLED = {"contradictory": "contradiction"}  # in XNLI's machine-translated training sets
_UNDECIDED = "-"  # MNLI's label where its annotators did not agree


class Xnli(Classification):
    name = "xnli"
    labels = LABELS
    # As the authors told (rate, batch, patience, no decay); their epoch was 5,000 batches, ours a pass, 3,068 of MNLI.
    rates = (5e-6,)
    recipe: ClassVar = {"batch_rows": 128, "epochs": 30, "patience": 5, "decay": False}
    languages_of_task = ("ar", "bg", "de", "el", "en", "es", "fr", "hi", "ru", "sw", "th", "tr", "ur", "vi", "zh")

    def languages(self, data: Path) -> list[str]:
        source = read_text(self._file(data, self.test_split))
        return sorted({language for _, (language,) in table(source, ["language"])})

    def read(self, data: Path, split: Split, language: str) -> Iterator[Item]:
        if split == "train":
            yield from pairs(read_text(training_file(data, language)))
            return
        source = read_text(self._file(data, split))
        columns = ["language", "pairID", "sentence1", "sentence2", "gold_label"]
        found = False
        for line, (there, number, premise, hypothesis, label) in table(source, columns):
            if there == language:
                found = True
                label = one_of(label, LABELS, f"{source.path}:{line}")
                yield Item(f"{split}-{number}", premise, label, hypothesis)
        if not found:
            raise BadInput(f"{source.path} has no rows of the language {language}")

    def _file(self, data: Path, split: Split) -> Path:
        path = find(data, f"xnli.{split}.tsv")
        if path is None:
            raise BadInput(f"{data} has no xnli.{split}.tsv (packed or not): unpack XNLI-1.0 there")
        return path


def training_file(data: Path, language: str) -> Path:
    """A file itself, or the one of a language in a folder."""
    if data.is_file():
        return data
    path = find(data, f"multinli.train.{language}.tsv", *(["multinli_1.0_train.txt"] if language == "en" else []))
    if path is None:
        raise BadInput(
            f"{data} has no multinli.train.{language}.tsv to train on: unpack XNLI-MT-1.0 or MultiNLI there, or name "
            "another table with --train"
        )
    return path


def pairs(source: Text) -> Iterable[Item]:
    """Premise, hypothesis and label of a table whose columns have any of the usual names."""
    head = source.lines[0].split("\t") if source.lines else []
    columns = next((names for names in COLUMNS if set(names) <= set(head)), None)
    if columns is None:
        wanted = " or ".join(", ".join(names) for names in COLUMNS)
        raise BadInput(f"{source.path}:1: the columns {wanted} were expected, here are {', '.join(head[:8])}")
    for line, (premise, hypothesis, label) in table(source, columns):
        if label == _UNDECIDED:
            continue
        label = _ALSO_CALLED.get(label.lower(), label.lower())
        yield Item(f"train-{line}", premise, one_of(label, LABELS, f"{source.path}:{line}"), hypothesis)
