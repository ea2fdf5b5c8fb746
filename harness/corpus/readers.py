"""Readers: files of text to documents.

One layout so far, CC-100's: a file a language, named by its code (`sw.txt`, `sw.txt.xz`, `sw.txt.gz`), one sentence or
paragraph a line, a blank line between documents.
"""

from __future__ import annotations

import codecs
import gzip
import lzma
import re
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from sweeps.errors import BadInput

READER = {"name": "cc100", "version": 1}
SUFFIXES = (".txt", ".txt.xz", ".txt.gz")

_CODE = re.compile(r"[A-Za-z]{2,3}([-_][A-Za-z0-9]{2,8})*")
_BLOCK = 1 << 20


def language_files(sources: list[Path]) -> dict[str, Path]:
    """Language code -> its file, sorted by code. A folder stands for the CC-100 files directly inside it.

    Raises BadInput for a path that is missing or of another kind, and for a language that comes twice.
    """
    if not sources:
        raise BadInput("no files given: name files like sw.txt or sw.txt.xz, or a folder of them")
    found: dict[str, Path] = {}
    for path in (path for source in sources for path in _files(source)):
        code = _code(path)
        if code is None:
            raise BadInput(f"{path} does not say its language: expected a name like sw.txt, sw.txt.xz or pt-BR.txt.gz")
        if code in found:
            raise BadInput(f"the language {code} comes twice, as {found[code]} and {path}: give one file a language")
        found[code] = path
    return dict(sorted(found.items()))


def _files(source: Path) -> list[Path]:
    if source.is_dir():
        inside = sorted(path for path in source.iterdir() if path.is_file() and _code(path) is not None)
        if not inside:
            raise BadInput(f"the folder {source} holds no text: expected files like sw.txt, sw.txt.xz or sw.txt.gz")
        return inside
    if not source.exists():
        raise BadInput(f"{source} does not exist: name files like sw.txt or sw.txt.xz, or a folder of them")
    return [source]


def _code(path: Path) -> str | None:
    for suffix in SUFFIXES:
        if path.name.endswith(suffix) and _CODE.fullmatch(code := path.name.removesuffix(suffix)):
            return code.replace("_", "-")
    return None


def read_documents(path: Path) -> Iterator[str]:
    """The documents of one file, streamed; their lines are stripped and joined by a line feed.

    Raises BadInput for a file that is empty, cut short, damaged or not UTF-8 (with the byte offset).
    """
    lines: list[str] = []
    documents = 0
    for line in _lines(path):
        if stripped := line.strip():
            lines.append(stripped)
        elif lines:
            documents += 1
            yield "\n".join(lines)
            lines = []
    if lines:
        documents += 1
        yield "\n".join(lines)
    if not documents:
        raise BadInput(f"{path} holds no text: expected one sentence a line and a blank line between documents")


def _lines(path: Path) -> Iterator[str]:
    """Lines of the decompressed text, split at line feeds only. A byte-order mark at the start is skipped."""
    decoder = codecs.getincrementaldecoder("utf-8")()
    offset, rest = 0, ""
    for block in _blocks(path):
        try:
            text = decoder.decode(block)
        except UnicodeDecodeError as error:
            # The decoder was handed what it kept of the last block in front of this one.
            raise _not_text(path, offset - (len(error.object) - len(block)) + error.start) from error
        if offset == 0:
            text = text.removeprefix("\ufeff")
        offset += len(block)
        *whole, rest = (rest + text).split("\n")
        yield from whole
    try:
        decoder.decode(b"", final=True)
    except UnicodeDecodeError as error:
        raise _not_text(path, offset - len(error.object)) from error
    yield rest


def _not_text(path: Path, offset: int) -> BadInput:
    return BadInput(f"{path} is not UTF-8 at byte {offset} of its text: convert it to UTF-8 first")


def _blocks(path: Path) -> Iterator[bytes]:
    try:
        with _open(path) as stream:
            while block := stream.read(_BLOCK):
                yield block
    except EOFError as error:
        raise BadInput(f"{path} ends too early: fetch it again") from error
    except (lzma.LZMAError, gzip.BadGzipFile, zlib.error) as error:
        raise BadInput(f"{path} is damaged ({error}): fetch it again") from error
    except OSError as error:
        raise BadInput(f"{path} cannot be read ({error.strerror or error}): check its permissions") from error


def _open(path: Path) -> IO[bytes]:
    if path.name.endswith(".xz"):
        return lzma.open(path)
    if path.name.endswith(".gz"):
        return gzip.open(path)  # type: ignore[return-value]
    return path.open("rb")
