"""GLUE's six tasks of the paper's Table 4, on the benchmark's own tables: MNLI, QNLI, QQP, SST-2, MRPC and STS-B.

The test side has no labels, so the dev side is scored. MRPC comes as `msr_paraphrase_train.txt` and
`msr_paraphrase_test.txt` or, with GLUE's own split, as train.tsv and dev.tsv.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np

from harness.evaluate.formats import find, one_of, read_text, table
from harness.evaluate.metrics import f1_of_class, pearson, spearman
from harness.evaluate.task import Classification, Item, Score, Split
from sweeps.errors import BadInput


@dataclass(frozen=True)
class Table:
    """Where a task's files are, and their columns."""

    folder: str
    first: str
    second: str
    label: str
    dev: tuple[str, ...] = ("dev.tsv",)
    header: tuple[str, ...] | None = None


class Glue(Classification):
    """One of GLUE's tasks, English only."""

    where: ClassVar[Table]
    test_split: ClassVar[Split] = "dev"

    def languages(self, data: Path) -> list[str]:
        if find(data / self.where.folder, *self.where.dev) is None:
            raise BadInput(f"{data} has no {self.where.folder}/{self.where.dev[0]}: unpack GLUE there")
        return ["en"]

    def read(self, data: Path, split: Split, language: str) -> Iterator[Item]:
        if split == "test":
            raise BadInput(f"{data}: GLUE keeps the labels of its test sides to itself; its dev sides are scored")
        names = ("train.tsv",) if split == "train" else self.where.dev
        path = data if data.is_file() else find(data / self.where.folder, *names)
        if path is None:
            raise BadInput(f"{data} has no {self.where.folder}/{names[0]}: unpack GLUE there")
        columns = [name for name in (self.where.first, self.where.second, self.where.label) if name]
        for line, values in table(read_text(path), columns, header=self.where.header):
            label = self.label(values[-1], f"{path}:{line}")
            yield Item(f"{split}-{line}", values[0], label, values[1] if self.where.second else "")

    def label(self, value: str, where: str) -> str:
        return one_of(value, self.labels, where)


class Mnli(Glue):
    name = "mnli"
    labels = ("entailment", "neutral", "contradiction")
    where = Table("MNLI", "sentence1", "sentence2", "gold_label", ("dev_matched.tsv",))


class MnliMismatched(Mnli):
    name = "mnli-mm"
    where = Table("MNLI", "sentence1", "sentence2", "gold_label", ("dev_mismatched.tsv",))


class Qnli(Glue):
    name = "qnli"
    labels = ("entailment", "not_entailment")
    where = Table("QNLI", "question", "sentence", "label")


class Sst(Glue):
    name = "sst-2"
    labels = ("0", "1")
    where = Table("SST-2", "sentence", "", "label")


class Paraphrases(Glue):
    """QQP and MRPC: accuracy, and F1 of the pairs that mean the same."""

    labels = ("0", "1")

    def scores(self, items: Sequence[Item], said: Sequence[str], language: str) -> list[Score]:
        gold = [item.label for item in items]
        rows = np.array(
            [[one == other == "1", one == "1", other == "1"] for one, other in zip(gold, said, strict=True)],
            dtype=float,
        )
        return [*super().scores(items, said, language), Score("f1", f1_of_class(gold, said, "1"), rows, "f1")]


class Qqp(Paraphrases):
    name = "qqp"
    where = Table("QQP", "question1", "question2", "is_duplicate")


class Mrpc(Paraphrases):
    name = "mrpc"
    where = Table("MRPC", "#1 String", "#2 String", "Quality")


class Stsb(Glue):
    """How alike two sentences are, from 0 to 5: a regression; Pearson's and Spearman's correlation."""

    name = "sts-b"
    labels = ()
    where = Table("STS-B", "sentence1", "sentence2", "score")

    def label(self, value: str, where: str) -> str:
        try:
            number = float(value)
        except ValueError:
            number = -1.0
        if not 0.0 <= number <= 5.0:
            raise BadInput(f"{where}: the score {value!r} is no number from 0 to 5")
        return value

    def scores(self, items: Sequence[Item], said: Sequence[str], language: str) -> list[Score]:
        gold, found = [float(item.label) for item in items], [float(one) for one in said]
        rows = np.array([gold, found]).T
        return [
            Score("pearson", pearson(gold, found), rows, "pearson"),
            Score("spearman", spearman(gold, found), rows, "spearman"),
        ]
