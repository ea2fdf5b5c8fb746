"""The formats that benchmarks come in, read whole: tables, tagged columns, CoNLL-U, SQuAD's JSON, aligned lines.

Files may be packed (.xz, .gz, .bz2, .zst). What is wrong in one is told with the file and the line.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness.corpus.streams import Source
from sweeps.errors import BadInput

PACKED = ("", ".xz", ".gz", ".bz2", ".zst")
_DOCUMENT_START = "-DOCSTART-"


@dataclass(frozen=True)
class Text:
    """A file's text, with the digest of its bytes."""

    path: Path
    text: str
    sha256: str

    @property
    def lines(self) -> list[str]:
        """Without line ends; only line feeds part lines, as texts hold other characters that end one."""
        lines = self.text.split("\n")
        return [line.removesuffix("\r") for line in (lines[:-1] if lines[-1] == "" else lines)]


def read_text(path: Path) -> Text:
    """A whole file. Raises BadInput when it is not there, damaged, or not UTF-8."""
    if not path.is_file():
        raise BadInput(f"{path} is not there: check the folder of the task's data")
    source = Source(str(path), lambda _: None)
    data = b"".join(block for _, block in source.blocks())
    try:
        return Text(path, data.decode("utf-8-sig"), source.sha256)
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        byte = f"{data[error.start]:#04x}"
        raise BadInput(f"{path}:{line}: not UTF-8 (byte {byte}): convert the file with iconv") from error


def find(folder: Path, *names: str) -> Path | None:
    """The first of these files that the folder has, packed or not."""
    each = (folder / f"{name}{packing}" for name in names for packing in PACKED)
    return next((path for path in each if path.is_file()), None)


def table(
    source: Text, columns: Sequence[str], *, header: Sequence[str] | None = None
) -> Iterator[tuple[int, list[str]]]:
    """Line number and the values of `columns`, of each row of a tab-separated table without quoting.

    `header`: names of the columns where the file has none. Raises BadInput for a column that is missing and for a row
    that ends before one that is asked for.
    """
    lines = source.lines
    names = list(header) if header is not None else (lines[0].split("\t") if lines else [])
    if missing := [column for column in columns if column not in names]:
        raise BadInput(
            f"{source.path}:1: the column {missing[0]!r} is missing; the columns are {', '.join(names) or 'none'}"
        )
    places = [names.index(column) for column in columns]
    first = 1 if header is not None else 2
    for number, line in enumerate(lines[first - 1 :], first):
        values = line.split("\t")
        if len(values) <= max(places):
            raise BadInput(
                f"{source.path}:{number}: {len(values)} columns, {columns[places.index(max(places))]!r} is number "
                f"{max(places) + 1}: a tab is missing, or the row was cut"
            )
        yield number, [values[place] for place in places]


def one_of(value: str, labels: Sequence[str], where: str) -> str:
    """The label itself. Raises BadInput for one outside the set."""
    if value not in labels:
        raise BadInput(f"{where}: the label {value!r} is none of {', '.join(labels)}")
    return value


@dataclass(frozen=True)
class Sentence:
    """Words and their tags, and the line that it begins on."""

    line: int
    words: tuple[str, ...]
    tags: tuple[str, ...]


MOST_WORDS = 2000
"""A sentence above this is a file without blank lines."""


def tagged(source: Text) -> Iterator[Sentence]:
    """Sentences of a file with a word a line, its tag in the last column, and a blank line after each sentence.

    Columns are parted by tabs where a line has one, else by blanks (CoNLL-2002/2003, WikiAnn's and XTREME's files).
    Raises BadInput for a line without a tag, for more or fewer columns than the first line's, and for a file without
    blank lines.
    """
    words: list[str] = []
    tags: list[str] = []
    begun, width = 0, 0
    for number, line in enumerate([*source.lines, ""], 1):
        if not line.strip():
            if words:
                yield Sentence(begun, tuple(words), tuple(tags))
            words, tags = [], []
            continue
        if line.startswith(_DOCUMENT_START):
            continue
        values = line.split("\t") if "\t" in line else line.split()
        if len(values) < 2 or not values[-1].strip():
            raise BadInput(f"{source.path}:{number}: a word and its tag were expected, here stands {line!r}")
        width = width or len(values)
        if len(values) != width:
            raise BadInput(
                f"{source.path}:{number}: {len(values)} columns, the lines before have {width}: there is a blank or a "
                "tab too many or too few"
            )
        if not words:
            begun = number
        words.append(values[0])
        tags.append(values[-1].strip())
        if len(words) > MOST_WORDS:
            raise BadInput(
                f"{source.path}:{begun}: a sentence of more than {MOST_WORDS} words: blank lines between sentences are "
                "missing"
            )


_CONLLU_COLUMNS = 10


def conllu(source: Text) -> Iterator[Sentence]:
    """Words and their universal parts of speech; of multiword tokens the words, and no empty nodes."""
    words: list[str] = []
    tags: list[str] = []
    begun = 0
    for number, line in enumerate([*source.lines, ""], 1):
        if not line.strip():
            if words:
                yield Sentence(begun, tuple(words), tuple(tags))
            words, tags = [], []
            continue
        if line.startswith("#"):
            continue
        values = line.split("\t")
        if len(values) != _CONLLU_COLUMNS:
            raise BadInput(f"{source.path}:{number}: {len(values)} columns, CoNLL-U has {_CONLLU_COLUMNS}")
        if "-" in values[0] or "." in values[0]:
            continue
        begun = begun if words else number
        words.append(values[1])
        tags.append(values[3])


@dataclass(frozen=True)
class Question:
    """A question with its context; answers as texts and where in the context they begin (characters)."""

    id: str
    question: str
    context: str
    answers: tuple[tuple[str, int], ...]


@dataclass(frozen=True)
class Questions:
    items: tuple[Question, ...]
    astray: tuple[str, ...]
    """Ids of questions with an answer that does not stand where the file says; such answers have been looked up
    elsewhere in the context, or are kept as texts without a place (-1)."""


def squad(source: Text) -> Questions:
    """SQuAD v1.1's JSON. Raises BadInput where it is none."""
    try:
        raw = json.loads(source.text)
    except json.JSONDecodeError as error:
        raise BadInput(f"{source.path}:{error.lineno}: no JSON ({error.msg}): fetch the file again") from error
    items, astray = [], []
    try:
        for article in raw["data"]:
            for paragraph in article["paragraphs"]:
                context = paragraph["context"]
                for entry in paragraph["qas"]:
                    given = [(answer["text"], int(answer["answer_start"])) for answer in entry["answers"]]
                    stands = [placed(context, text, start) for text, start in given]
                    if stands != given:
                        astray.append(str(entry["id"]))
                    items.append(Question(str(entry["id"]), entry["question"], context, tuple(stands)))
    except (KeyError, TypeError, ValueError) as error:
        raise BadInput(
            f"{source.path}: not SQuAD v1.1's JSON ({type(error).__name__}: {error}): data, paragraphs, context, qas, "
            "id, question, answers, text and answer_start were expected"
        ) from error
    return Questions(tuple(items), tuple(astray))


def placed(context: Any, text: Any, start: int) -> tuple[str, int]:
    """An answer and where it begins: looked up in the context where it does not stand at `start`, -1 for nowhere."""
    return (text, start) if context[start : start + len(text)] == text else (text, context.find(text))


def aligned(left: Text, right: Text) -> list[tuple[str, str]]:
    """Line i of one file with line i of the other. Raises BadInput when one is longer."""
    ours, theirs = left.lines, right.lines
    if len(ours) != len(theirs):
        raise BadInput(f"{left.path} has {len(ours)} lines and {right.path} {len(theirs)}: they are not aligned")
    return list(zip(ours, theirs, strict=True))
