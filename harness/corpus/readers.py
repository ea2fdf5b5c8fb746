"""Readers: one input to its documents, streamed in batches.

A document is stripped, non-empty lines joined by line feeds, whatever format it came in; what is left empty is dropped.

* cc100: one sentence or paragraph a line, a blank line between documents
* jsonl: one JSON object a line, its text in a field
* parquet: one row a document, its text in a column
* wikiextractor: `<doc id=...>` ... `</doc>`, or that tool's JSON lines; the line that repeats the title is left out
* datasets: what Hugging Face `datasets` opens, streamed
"""

from __future__ import annotations

import html
import json
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from harness.corpus.sources import Input, language_code
from harness.corpus.streams import MOST_DOCUMENT_BYTES, Source, Tick, too_long
from harness.corpus.utf8 import Decoder, Errors
from sweeps.errors import BadInput

READER = {"name": "corpus", "version": 2}
"""Of the rules that turn inputs into documents; part of what names a corpus."""

_ROWS = 1024
_DOC_OPENS = re.compile(r'<doc id=.*? title="(?P<title>.*)">')


@dataclass(frozen=True)
class Reading:
    """How inputs are read: the options that change what comes out."""

    text_field: str = "text"
    language_field: str = ""
    errors: Errors = "strict"


@dataclass(frozen=True)
class Batch:
    """Documents of one language, in the order of the input, and the invalid UTF-8 sequences met on the way."""

    language: str
    documents: list[str]
    invalid: int = 0


class Reader:
    """One input, read once; `sha256` and `decoder` tell of the whole of it when `batches` has ended."""

    def __init__(self, source: Input, reading: Reading, tick: Tick) -> None:
        self.input = source
        self.reading = reading
        self.decoder = Decoder(source.path, reading.errors)
        self.sha256 = ""
        self._file = Source(source.path, tick)

    def batches(self) -> Iterator[Batch]:
        """Raises BadInput for anything wrong with the file, its encoding or its records, and where it holds no text."""
        some = False
        for batch in _READERS[self.input.format](self):
            some = some or bool(batch.documents)
            yield batch
        self.decoder.finish()
        if not some:
            raise BadInput(f"{self.input.path} holds no text: {_EXPECTED[self.input.format]}")
        self.sha256 = self.sha256 or self._file.sha256

    def cc100(self) -> Iterator[Batch]:
        carried = ""
        for text, invalid in self._texts():
            lines = carried + "\n".join([line.strip() for line in text.split("\n")])
            *whole, carried = lines.split("\n\n")
            yield Batch(self.input.language, _stripped(whole), invalid)
            if len(carried) > MOST_DOCUMENT_BYTES:
                raise too_long(self.input.path)
        yield Batch(self.input.language, _stripped([carried]))

    def jsonl(self) -> Iterator[Batch]:
        number = 0
        for offset, block in self._file.blocks():
            rows: list[tuple[str, str, int]] = []
            for line in _lines(block):
                number += 1
                place, offset = offset, offset + len(line)
                text, invalid, keep = self.decoder.line(line, place)
                if not keep and self.input.language:  # what is left of the line need not be JSON
                    rows.append((self.input.language, "", invalid))
                elif text.strip():
                    language, document = self._record(_parsed(self.input.path, number, text), f"line {number}")
                    document, lone = self.decoder.string(document, place)
                    keep = keep and not (lone and self.reading.errors == "drop-line")
                    rows.append((language, document if keep else "", invalid + lone))
            yield from _by_language(rows)

    def parquet(self) -> Iterator[Batch]:
        import pyarrow as pa
        import pyarrow.parquet as pq

        self.sha256 = self._file.digest_whole()
        fields = [self.reading.text_field, *([] if self.input.language else [self.reading.language_field])]
        try:
            with pq.ParquetFile(self.input.path, pre_buffer=False, buffer_size=1 << 20) as file:
                for field in fields:
                    self._check_field(field, file.schema_arrow.names, "")
                row = 0
                for table in file.iter_batches(batch_size=_ROWS, columns=fields):
                    columns = [self._column(name, table.column(name)) for name in fields]
                    yield from _by_language(self._rows(columns, row))
                    row += table.num_rows
        except (pa.ArrowException, OSError) as error:
            reason = str(error).splitlines()[0] if str(error) else "no reason given"
            raise BadInput(f"{self.input.path} is no Parquet file that can be read ({reason})") from error

    def wikiextractor(self) -> Iterator[Batch]:
        _, beginning = next(Source(self.input.path, lambda read: None).blocks(), (0, b""))
        if beginning.lstrip().startswith(b"{"):
            yield from self.jsonl()
            return
        title: str | None = None
        lines: list[str] = []
        for text, invalid in self._texts():
            documents: list[str] = []
            for line in map(str.strip, text.split("\n")):
                if title is None:
                    if opens := _DOC_OPENS.fullmatch(line):
                        title, lines = opens["title"], []
                elif line == "</doc>":
                    # The title stands once more above the text.
                    body = lines[1:] if lines and html.unescape(lines[0]) == html.unescape(title) else lines
                    documents.append(_unescaped("\n".join(body)))
                    title = None
                elif line:
                    lines.append(line)
            yield Batch(self.input.language, [document for document in documents if document], invalid)
        if title is not None:
            raise BadInput(f"{self.input.path} ends too early, inside the document {title!r}: extract it again")

    def datasets(self) -> Iterator[Batch]:
        from harness.corpus.hub import HubRows

        fields = [self.reading.text_field, *([] if self.input.language else [self.reading.language_field])]
        rows = HubRows(self.input.path)
        number = 0
        for columns in rows.batches(fields, _ROWS, lambda field, there: self._check_field(field, there, "")):
            yield from _by_language(self._rows(columns, number))
            number += len(columns[0])
        self.sha256 = rows.sha256

    def _column(self, name: str, column: Any) -> list[bytes | None]:
        """A column of text as bytes: only so can text that is not UTF-8 be counted."""
        import pyarrow as pa

        values = column.dictionary_decode() if pa.types.is_dictionary(column.type) else column
        kinds = (pa.types.is_string, pa.types.is_large_string, pa.types.is_string_view, pa.types.is_null)
        if not any(kind(values.type) for kind in kinds):
            raise BadInput(
                f"{self.input.path}: the field {name!r} holds {values.type}, not text: name another with --text-field "
                f"or --language-field"
            )
        return values.cast(pa.large_binary()).to_pylist()

    def _texts(self) -> Iterator[tuple[str, int]]:
        """Blocks of whole lines as text, and the invalid sequences of each."""
        for offset, block in self._file.blocks():
            before = self.decoder.invalid
            text = self.decoder.lines(block, offset)
            yield (text.removeprefix("\ufeff") if offset == 0 else text), self.decoder.invalid - before

    def _rows(self, columns: list[list[bytes | None]], first: int) -> list[tuple[str, str, int]]:
        """(language, document, invalid sequences) of each row; a null is an empty document, and so is a dropped one."""
        rows = []
        for i, value in enumerate(columns[0]):
            text, invalid, keep = self.decoder.line(value or b"", first + i, unit="row")
            language = self.input.language
            if not language:
                language = self._language((columns[1][i] or b"").decode("utf-8", "replace"), f"row {first + i}")
            rows.append((language, _document(text) if keep else "", invalid))
        return rows

    def _record(self, record: Any, where: str) -> tuple[str, str]:
        """Language and document of one JSON object."""
        if not isinstance(record, dict):
            raise BadInput(f"{self.input.path} {where} is no JSON object: expected one object a line")
        language = self.input.language
        if not language:
            self._check_field(self.reading.language_field, record, where)
            language = self._language(record[self.reading.language_field], where)
        self._check_field(self.reading.text_field, record, where)
        text = record[self.reading.text_field]
        if text is not None and not isinstance(text, str):
            raise BadInput(
                f"{self.input.path} {where}: the field {self.reading.text_field!r} is {type(text).__name__}, not text: "
                f"name another with --text-field"
            )
        return language, (_unescaped if self.input.format == "wikiextractor" else _document)(text or "")

    def _check_field(self, field: str, there: Iterable[str], where: str) -> None:
        if field not in there:
            option = "--text-field" if field == self.reading.text_field else "--language-field"
            raise BadInput(
                f"{' '.join(filter(None, (self.input.path, where)))} has no field {field!r} (there: "
                f"{', '.join(map(str, there)) or 'none'}): name the right one with {option}"
            )

    def _language(self, value: Any, where: str) -> str:
        code = language_code(value) if isinstance(value, str) else None
        if code is None:
            raise BadInput(f"{self.input.path} {where}: the language {value!r} is no code such as sw or pt-BR")
        return code


_READERS: dict[str, Callable[[Reader], Iterator[Batch]]] = {
    "cc100": Reader.cc100,
    "jsonl": Reader.jsonl,
    "parquet": Reader.parquet,
    "wikiextractor": Reader.wikiextractor,
    "datasets": Reader.datasets,
}
_EXPECTED = {
    "cc100": "expected one sentence a line and a blank line between documents",
    "jsonl": "expected one JSON object a line, with text",
    "parquet": "expected rows with text",
    "wikiextractor": "expected <doc id=...> elements, or JSON lines",
    "datasets": "expected rows with text",
}


def _stripped(pieces: list[str]) -> list[str]:
    """Pieces between blank lines, as documents: a run of blank lines leaves line feeds at their ends, or nothing."""
    return [document for piece in pieces if (document := piece.strip("\n"))]


def _document(text: str) -> str:
    if "\n" not in text:
        return text.strip()
    return "\n".join(filter(None, map(str.strip, text.split("\n"))))


def _unescaped(text: str) -> str:
    """WikiExtractor escapes &, < and > unless told otherwise; a reader sees the characters."""
    return _document(html.unescape(text))


def _lines(block: bytes) -> Iterator[bytes]:
    """Lines with their line feeds; other line breaks belong to the text."""
    start = 0
    while start < len(block):
        end = block.find(b"\n", start) + 1 or len(block)
        yield block[start:end]
        start = end


def _parsed(path: str, number: int, text: str) -> Any:
    try:
        return json.loads(text.removeprefix("\ufeff"))
    except (ValueError, RecursionError) as error:
        raise BadInput(f"{path} line {number} is no JSON ({error}): expected one object a line") from error


def _by_language(rows: Iterable[tuple[str, str, int]]) -> Iterator[Batch]:
    """Rows as one batch a language."""
    documents: dict[str, list[str]] = {}
    invalid: dict[str, int] = {}
    for language, document, count in rows:
        kept = documents.setdefault(language, [])
        if document:
            kept.append(document)
        invalid[language] = invalid.get(language, 0) + count
    for language, kept in documents.items():
        yield Batch(language, kept, invalid[language])
