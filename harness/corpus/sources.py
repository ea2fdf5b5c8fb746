"""What the user points at, as a list of inputs: each with its format and its language.

A source is a file, a folder, or `hf:NAME[:CONFIG][@SPLIT]`, a data set that Hugging Face `datasets` loads (NAME may be
a local folder). Four ways say the language, the first that applies wins:

* `CODE=SOURCE`, the mapping of `--language`;
* a field of each record (`--language-field`): JSON lines, Parquet, data sets;
* the file's name: `sw.txt.xz`, `pt-BR.jsonl`;
* the nearest folder that is named by a code, at or below the source: `sw/part1.txt`, `sw/AA/wiki_00`; of a hub data
  set, the end of its configuration (`20231101.sw`).

A language may have many files where one folder or the mapping says so; two unrelated files of one language are a
mistake more often than a wish, and are refused.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

from sweeps.errors import BadInput

Format = Literal["cc100", "jsonl", "parquet", "wikiextractor", "datasets"]
FORMATS: tuple[Format, ...] = get_args(Format)
FIELDED: tuple[Format, ...] = ("jsonl", "parquet", "datasets")
"""Formats whose records have fields, one of which may say the language."""

COMPRESSIONS = (".xz", ".gz", ".zst", ".bz2")
HUB = "hf:"

_ENDINGS: dict[str, Format] = {".txt": "cc100", ".jsonl": "jsonl", ".json": "jsonl", ".ndjson": "jsonl"}
_NAMES = "sw.txt.xz, sw.jsonl.zst, sw.parquet, sw/AA/wiki_00"
_WIKI = re.compile(r"wiki_\d{2,}")
_SAVED = ("state.json", "dataset_dict.json")
"""What `Dataset.save_to_disk` and `DatasetDict.save_to_disk` leave in a folder."""
_CODE = re.compile(r"[a-z]{2,3}([-_]([A-Za-z]{2,8}|[0-9]{3}))*")


@dataclass(frozen=True, order=True)
class Input:
    """One thing to read from beginning to end; `language` is empty where each record says its own."""

    path: str
    format: Format
    language: str
    bytes: int = 0
    modified_ns: int = 0
    """Size and time of the file; 0 for what has none, a data set of the hub."""


@dataclass(frozen=True)
class Found:
    """What the sources hold, and the files of a folder that were left aside because no reader takes them."""

    inputs: tuple[Input, ...]
    left_aside: tuple[str, ...]


@dataclass(frozen=True)
class _Candidate:
    input: Input
    group: str
    """Inputs of one language may stand together when they share this."""


def language_code(text: str) -> str | None:
    """The code that `text` is (`pt_BR` is written `pt-BR`), or None where it is none."""
    return text.replace("_", "-") if _CODE.fullmatch(text) else None


def find_inputs(
    sources: Iterable[str],
    mapped: Iterable[str] = (),
    *,
    language_field: str = "",
    format: Format | None = None,
    apart: Path | None = None,
) -> Found:
    """Everything under `sources` and `mapped` (entries `CODE=SOURCE`), sorted by path.

    `format` forces the reader of every file. `apart` is a folder that no walk enters: the root, where what is made out
    of text lies as text again. Raises BadInput for what is missing, has no format or no language, and
    for a language that comes twice.
    """
    mapping = dict(_mapping(entry) for entry in mapped)
    # The mapping comes last: what it says of a file stands, even where a folder held that file too.
    wanted = [*((source, "") for source in sources if source not in mapping), *mapping.items()]
    aside: list[str] = []
    walk = _Walk(language_field, format, apart, aside)
    found: dict[str, _Candidate] = {}
    for source, language in wanted:
        found |= {entry.input.path: entry for entry in walk.expand(source, language)}
    if not found:
        raise BadInput(f"no files given: name files like {_NAMES}, or a folder of them")
    _refuse_twice(found.values())
    return Found(tuple(sorted(entry.input for entry in found.values())), tuple(sorted({*aside} - {*found})))


def _mapping(entry: str) -> tuple[str, str]:
    code, equals, source = entry.partition("=")
    known = language_code(code)
    if not equals or not source or known is None:
        raise BadInput(f"--language {entry} is not understood: write CODE=SOURCE, such as sw=texts/swahili.txt")
    return source, known


@dataclass(frozen=True)
class _Walk:
    """From a source to its inputs."""

    language_field: str
    forced: Format | None
    apart: Path | None
    aside: list[str]
    """Files in folders that nothing can be made of are put here."""

    def expand(self, source: str, language: str) -> Iterator[_Candidate]:
        if source.startswith(HUB):
            yield _hub(source, language, self.language_field)
            return
        path = Path(source).expanduser().absolute()
        if not path.exists():
            raise BadInput(f"{source} does not exist: name files like {_NAMES}, or a folder of them")
        if path.is_dir() and not _is_saved(path):
            yield from self._folder(path, language)
            return
        kind = "datasets" if path.is_dir() else self.forced or _format_of(path.name)
        if kind is None:
            raise BadInput(f"{path} has no ending that names a reader: expected {_NAMES}, or say --format")
        candidate = _candidate(path, path, kind, language, self.language_field)
        if candidate is None:
            raise _no_language(path, self.language_field)
        yield candidate

    def _folder(self, root: Path, language: str) -> Iterator[_Candidate]:
        some = False
        for path in self._files(root):
            kind: Format | None = "datasets" if path.is_dir() else self.forced or _format_of(path.name)
            candidate = _candidate(path, root, kind, language, self.language_field) if kind else None
            if candidate is None:
                self.aside.append(str(path))
            else:
                some = True
                yield candidate
        if not some:
            raise BadInput(f"the folder {root} holds no text: expected files like {_NAMES}")

    def _files(self, folder: Path) -> Iterator[Path]:
        """Files below a folder, by name; a folder that `save_to_disk` wrote counts as one."""
        try:
            inside = sorted(folder.iterdir())
        except OSError as error:
            raise BadInput(f"{folder} cannot be read ({error.strerror}): check its permissions") from error
        for path in inside:
            if path.name.startswith(".") or path == self.apart:
                continue
            if path.is_dir() and not _is_saved(path):
                yield from self._files(path)
            elif path.is_dir() or path.is_file():
                yield path


def _candidate(path: Path, root: Path, kind: Format, language: str, language_field: str) -> _Candidate | None:
    """The input that `path`, found at or below `root`, is; None where nothing says its language."""
    if language:
        group = "mapping:"
    elif language_field and kind in FIELDED:
        group = "field:"
    elif code := language_code(_stem(path.name)):
        language, group = code, f"file:{path}"
    else:
        inside = [folder for folder in path.parents if folder == root or root in folder.parents]
        if root == path and not path.is_dir():
            inside = [path.parent]
        named = next((folder for folder in inside if language_code(folder.name)), None)
        if named is None:
            return None
        language, group = language_code(named.name) or "", f"folder:{named}"
    if any("\ud800" <= character <= "\udfff" for character in str(path)):
        raise BadInput(f"the path {str(path)!r} is not UTF-8: rename the file or folder")
    try:
        state = path.stat()
        size = sum(part.stat().st_size for part in path.rglob("*")) if path.is_dir() else state.st_size
    except OSError as error:
        raise BadInput(f"{path} cannot be read ({error.strerror}): check its permissions") from error
    return _Candidate(Input(str(path), kind, language, size, state.st_mtime_ns), group)


def _hub(source: str, language: str, language_field: str) -> _Candidate:
    name, config, _ = hub_parts(source)
    code = language or ("" if language_field else language_code(config.rsplit(".", 1)[-1]) or "")
    if not code and not language_field:
        raise BadInput(
            f"{source} does not say its language: write --language CODE={source}, or name the field with "
            f"--language-field"
        )
    if not name:
        raise BadInput(f"{source} names no data set: write hf:NAME, hf:NAME:CONFIG or hf:NAME:CONFIG@SPLIT")
    group = "mapping:" if language else "field:" if not code else f"file:{source}"
    return _Candidate(Input(source, "datasets", code), group)


def hub_parts(source: str) -> tuple[str, str, str]:
    """Name, configuration and split of `hf:NAME[:CONFIG][@SPLIT]`; the split is `train` where none is named."""
    rest, _, split = source.removeprefix(HUB).partition("@")
    name, _, config = rest.partition(":")
    return name, config, split or "train"


def hub_from_anywhere(source: str) -> str:
    """The same data set, whose NAME is absolute where it is a folder here: found from any working directory."""
    rest = source.removeprefix(HUB)
    name, _, _ = hub_parts(source)
    folder = Path(name).expanduser()
    return f"{HUB}{folder.absolute()}{rest.removeprefix(name)}" if name and folder.is_dir() else source


def _is_saved(path: Path) -> bool:
    return path.is_dir() and any((path / name).is_file() for name in _SAVED)


def _stem(name: str) -> str:
    """The name without its endings: `pt-BR.txt.gz` is `pt-BR`."""
    return name.split(".", 1)[0]


def _format_of(name: str) -> Format | None:
    for compression in COMPRESSIONS:
        name = name.removesuffix(compression)
    if _WIKI.fullmatch(name):
        return "wikiextractor"
    if name.endswith(".parquet"):
        return "parquet"
    return _ENDINGS.get(os.path.splitext(name)[1])  # noqa: PTH122 (a name, no path)


def _no_language(path: Path, language_field: str) -> BadInput:
    hint = "" if language_field else ", or name the records' field with --language-field"
    return BadInput(
        f"{path} does not say its language: expected a name like sw.txt, sw.txt.xz or pt-BR.txt.gz, a folder named by "
        f"the code, or --language CODE={path}{hint}"
    )


def _refuse_twice(candidates: Iterable[_Candidate]) -> None:
    first: dict[str, _Candidate] = {}
    for candidate in sorted(candidates, key=lambda candidate: candidate.input):
        code = candidate.input.language
        other = first.setdefault(code, candidate)
        if code and other.group != candidate.group:
            raise BadInput(
                f"the language {code} comes twice, as {other.input.path} and {candidate.input.path}: put its files "
                f"into one folder named {code}, or say --language {code}=FILE for each of them"
            )
