"""How data sets of the Hugging Face hub hold the benchmarks: names of configurations, splits, columns and labels.

A task may be held by several sets, and some sets (google/xtreme) hold several tasks: each is a form here, tried in
order.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from harness.corpus.sources import language_code
from harness.evaluate.task import Split
from sweeps.language_table import LANGUAGES

Splits = Mapping[Split, tuple[str, ...]]
"""A side's splits on the hub; the first that the set has is read."""

STANDARD: dict[Split, tuple[str, ...]] = {"train": ("train",), "dev": ("validation", "dev"), "test": ("test",)}
_MATCHED: Splits = STANDARD | {"dev": ("validation_matched", "validation")}
_MISMATCHED: Splits = STANDARD | {"dev": ("validation_mismatched", "validation")}
_NO_TEST: Splits = {"train": ("train",), "dev": ("validation",)}
_TEST_ALONE: Splits = {"test": ("test", "validation")}
"""Sets without a dev side; on the hub, XQuAD's and XTREME's Tatoeba's one split is called validation."""

_PLACE = "{language}"
_CODES = {row.name: row.code for row in LANGUAGES.values()} | {"Chinese": "zh", "Tagalog": "tl"}
_CODES |= {"Wolof": "wo", "Yoruba": "yo"}


@dataclass(frozen=True)
class Form:
    """Configurations of one set."""

    config: str
    """Name, with {language} in it; without, it is in the task's source language."""
    splits: Splits = field(default_factory=lambda: STANDARD)
    named: bool = False
    """Whether {language} is an English name, not a code."""

    def language(self, config: str, source: str) -> str | None:
        """The task's code of the language that a configuration is in; None where it has not this form."""
        if _PLACE not in self.config:
            return source if config == self.config else None
        first, *rest = (re.escape(part) for part in self.config.split(_PLACE))
        found = re.fullmatch(first + "(?P<language>[^.]+)" + "(?P=language)".join(rest), config)
        code = found["language"] if found else ""
        if self.named:
            return _CODES.get(code)
        return code if language_code(code) else None


@dataclass(frozen=True)
class Columns:
    """Names of columns. Of tagged sentences: words and tags; of pairs: the sentence and its translation."""

    first: str
    second: str = ""
    label: str = ""
    id: str = ""
    """Where it is empty, rows are numbered: they are parallel, or not the same in two languages."""

    @property
    def needed(self) -> tuple[str, ...]:
        return tuple(name for name in (self.first, self.second, self.label, self.id) if name)


@dataclass(frozen=True)
class Layout:
    """A task on the hub."""

    forms: tuple[Form, ...]
    columns: tuple[Columns, ...]
    called: Mapping[str, str] = field(default_factory=dict)
    """The hub's names of labels that differ from ours in more than spelling."""


LONE = (Form("default"), Form("plain_text"))
"""What the hub calls the configuration of a set that has one: of the source language, for every task."""

_PER_LANGUAGE = Form(_PLACE)
_INFERENCE = Columns("premise", "hypothesis", "label")
_SENTENCES = Columns("sentence1", "sentence2", "label")
_ENTITIES = (Columns("tokens", label="ner_tags"),)
_QUESTIONS = (Columns("question", "context", "answers", "id"),)
_SQUAD = Form("SQuAD", _NO_TEST)  # in google/xtreme

LAYOUTS: dict[str, Layout] = {
    "xnli": Layout(
        (_PER_LANGUAGE, Form("mnli", _MATCHED), Form("default", _MATCHED)),
        (_INFERENCE, _SENTENCES, Columns("sentence_A", "sentence_B", "label")),
        {"contradictory": "contradiction"},
    ),
    "sib200": Layout((_PER_LANGUAGE,), (Columns("text", label="category", id="index_id"),)),
    "conll": Layout((_PER_LANGUAGE, Form("conll2003")), _ENTITIES),
    "wikiann": Layout((_PER_LANGUAGE, Form(f"PAN-X.{_PLACE}")), _ENTITIES),
    "masakhaner": Layout((_PER_LANGUAGE,), _ENTITIES),
    "udpos": Layout((Form(f"udpos.{_PLACE}", named=True),), (Columns("tokens", label="pos_tags"),)),
    "xquad": Layout((Form(f"xquad.{_PLACE}", _TEST_ALONE), Form(f"XQuAD.{_PLACE}", _TEST_ALONE), _SQUAD), _QUESTIONS),
    "mlqa": Layout(
        (
            Form(f"mlqa.{_PLACE}.{_PLACE}"),
            Form(f"MLQA.{_PLACE}.{_PLACE}"),
            Form(f"mlqa-translate-train.{_PLACE}", _NO_TEST),
            _SQUAD,
        ),
        _QUESTIONS,
    ),
    "tatoeba": Layout(
        (Form(f"tatoeba.{_PLACE}", _TEST_ALONE), Form(f"{_PLACE}-eng", _TEST_ALONE)),
        (Columns("source_sentence", "target_sentence"), Columns("sentence1", "sentence2")),
    ),
    "mnli": Layout((Form("mnli", _MATCHED), Form("default", _MATCHED)), (_INFERENCE,)),
    "mnli-mm": Layout((Form("mnli", _MISMATCHED), Form("default", _MISMATCHED)), (_INFERENCE,)),
    "qnli": Layout((Form("qnli"),), (Columns("question", "sentence", "label"),)),
    "qqp": Layout(
        (Form("qqp"),), (Columns("question1", "question2", "label"),), {"not_duplicate": "0", "duplicate": "1"}
    ),
    "sst-2": Layout((Form("sst2"),), (Columns("sentence", label="label"),), {"negative": "0", "positive": "1"}),
    "mrpc": Layout((Form("mrpc"),), (_SENTENCES,), {"not_equivalent": "0", "equivalent": "1"}),
    "sts-b": Layout((Form("stsb"),), (_SENTENCES,)),
}
"""By the task's name."""
