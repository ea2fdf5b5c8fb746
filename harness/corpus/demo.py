"""The demo corpus: user-interface text of Home Assistant, in 46 languages, through pip alone.

The translations inside the `homeassistant` wheel (Apache-2.0) are real sentences with a real skew between high- and
low-resource languages. The wheel is pinned by digest, downloaded by pip, read as a zip and never installed.

* A document is what one component says in one language: one string a line, in the order of the file.
* A component falls on one side in all languages, so no translation of a held-out string is trained on.
* Dropped: English copies left untranslated, repeated strings, strings of the held-out side met again in training text,
  references to other strings, strings without a letter.
* Left out: `en-GB` and `es-419`, which are spelling variants of `en` and `es`. `pt-BR`, `sr-Latn`, `zh-Hans` and
  `zh-Hant` stay: each is a translation or a script of its own.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tempfile
import zipfile
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from shutil import rmtree
from typing import Any

from harness.corpus.artefact import LAYOUT, LanguageText, Progress, no_progress, text_bytes
from harness.corpus.split import HELDOUT_SHARE, is_heldout
from harness.store import SCHEMA, file_digest, lease
from sweeps.errors import BadInput

NAME = "demo"
NOTE = "Home Assistant 2026.11.0, translations of its user interface; Apache-2.0"
REQUIREMENT = "homeassistant==2026.11.0"
WHEEL = "homeassistant-2026.11.0-py3-none-any.whl"
WHEEL_DIGEST = "7ca5fbde9dea879ac7723949fc84347aac5182e6309c357b2e4973fd391b00f7"
CACHE_VARIABLE = "BABELSCALE_CACHE"

READER = {"name": "homeassistant-interface", "version": 1}
VARIANTS = ("en-GB", "es-419")
FLOOR = 1_500
"""Bytes needed on each side. Lower than a corpus of one's own asks for, so that the smallest languages take part."""
SALT = "demo-1158"
"""Components differ much in size. The first of demo-0, demo-1, ... that holds out 7-15 % of the bytes of each language
above 20 kB and at least 3,000 bytes of Luxembourgish and Frisian; chosen on sizes alone, before any training."""

_MEMBER = re.compile(r"homeassistant/components/([^/]+)/translations/([^/]+)\.json")
_DOWNLOAD = ("--no-deps", "--only-binary=:all:", "--ignore-requires-python", REQUIREMENT)


def demo_source(wheel_digest: str = WHEEL_DIGEST, floor: int = FLOOR) -> dict[str, Any]:
    """Everything that makes the demo corpus. Its digest is the key, known before anything is downloaded."""
    return {
        "schema": SCHEMA,
        "layout": LAYOUT,
        "reader": READER,
        "inputs": {WHEEL: wheel_digest},
        "left_out": list(VARIANTS),
        "split": {"by": "component", "share": HELDOUT_SHARE, "floor": floor, "salt": SALT},
    }


def default_cache() -> Path:
    """Where the wheel is kept: BABELSCALE_CACHE, else `babelscale` in the user's cache folder."""
    if named := os.environ.get(CACHE_VARIABLE):
        return Path(named).expanduser().absolute()
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache").expanduser().absolute() / "babelscale"


def fetch(cache: Path | None = None, *, wheel_digest: str = WHEEL_DIGEST, progress: Progress = no_progress) -> Path:
    """The wheel, from the cache folder or through pip; its digest is checked either way.

    Raises BadInput where pip cannot get it (and says what to put where), or where the file is not the pinned one.
    """
    folder = default_cache() if cache is None else cache
    path = folder / WHEEL
    try:
        with lease(path):
            for leftover in folder.glob(".fetch-*"):
                rmtree(leftover, ignore_errors=True)
            if not path.exists():
                progress(f"downloading {WHEEL} (68 MB)", 0.0)
                with tempfile.TemporaryDirectory(prefix=".fetch-", dir=folder) as beside:
                    _download(Path(beside), folder)
                    _check(Path(beside) / WHEEL, path, wheel_digest)
                    (Path(beside) / WHEEL).replace(path)
                progress(f"downloading {WHEEL} (68 MB)", 1.0)
            else:
                _check(path, path, wheel_digest)
    except OSError as error:
        raise BadInput(
            f"the cache folder {folder} cannot be used ({error.strerror or error}): name another in {CACHE_VARIABLE}"
        ) from error
    return path


def _download(beside: Path, cache: Path) -> None:
    command = [sys.executable, "-m", "pip", "download", *_DOWNLOAD, "-d", str(beside)]
    quiet = ["--quiet", "--no-input", "--disable-pip-version-check", "--progress-bar", "off"]
    done = subprocess.run([*command, *quiet], stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    if done.returncode == 0 and (beside / WHEEL).is_file():
        return
    said = [line for line in done.stderr.splitlines() if line.strip()]
    reason = said[-1].removeprefix("ERROR: ").strip() if said else f"exit code {done.returncode}"
    raise BadInput(
        f"pip could not download {WHEEL} ({reason}): with a network, run "
        f"`pip download {' '.join(_DOWNLOAD)} -d {cache}` "
        f"(or copy the file into {cache}), then run the same command again"
    )


def _check(file: Path, shown: Path, expected: str) -> None:
    got = file_digest(file)
    if got != expected:
        raise BadInput(
            f"{shown} is not the pinned wheel (sha256 expected {expected}, got {got}): "
            f"delete it and run the same command again"
        )


def read_demo(
    wheel: Path, skipped: dict[str, str], *, floor: int = FLOOR, progress: Progress = no_progress
) -> Iterator[tuple[str, LanguageText]]:
    """Languages of the wheel, one at a time, cleaned and split. Those too small for both sides go into `skipped`."""
    with zipfile.ZipFile(wheel) as archive:
        members: dict[str, dict[str, str]] = defaultdict(dict)
        for member in archive.namelist():
            if match := _MEMBER.fullmatch(member):
                members[match[2]][match[1]] = member
        for variant in VARIANTS:
            members.pop(variant, None)
        sizes = {
            code: sum(archive.getinfo(member).file_size for member in found.values()) for code, found in members.items()
        }
        english = {name: _strings(archive, member) for name, member in members.get("en", {}).items()}
        done = 0
        for code in sorted(members):
            progress("reading the demo corpus", done / sum(sizes.values()))
            read = _read_language(archive, code, members[code], english)
            train, heldout = text_bytes(read.train), text_bytes(read.heldout)
            if heldout < floor or train < floor:
                skipped[code] = f"too small: {train} bytes to train on, {heldout} held out, {floor} needed of each"
            else:
                yield code, read
            done += sizes[code]
        progress("reading the demo corpus", 1.0)


Strings = dict[tuple[str, ...], str]


def _strings(archive: zipfile.ZipFile, member: str) -> Strings:
    """Path in the file -> string, in the order of the file."""
    found: Strings = {}

    def walk(value: Any, path: tuple[str, ...]) -> None:
        if isinstance(value, dict):
            for key, inner in value.items():
                walk(inner, (*path, key))
        elif isinstance(value, str):
            found[path] = value

    walk(json.loads(archive.read(member)), ())
    return found


def _read_language(
    archive: zipfile.ZipFile, code: str, members: dict[str, str], english: dict[str, Strings]
) -> LanguageText:
    counts = {"duplicates_dropped": 0, "english_copies_dropped": 0}
    sides = {component: is_heldout(component, HELDOUT_SHARE, SALT) for component in members}
    seen: set[str] = set()
    read: set[str] = set()
    train: list[str] = []
    heldout: list[str] = []
    # Held-out components first: whatever they say is then a repetition wherever training text says it too.
    for component in sorted(members, key=lambda component: (not sides[component], component)):
        lines: list[str] = []
        original = english.get(component, {}) if code != "en" else {}
        for path, string in _strings(archive, members[component]).items():
            if original.get(path) == string:
                counts["english_copies_dropped"] += 1
                continue
            line = "" if string in read else clean(string)
            if string in read or line in seen:
                counts["duplicates_dropped"] += 1
            elif line:
                lines.append(line)
                seen.add(line)
            read.add(string)
        if lines:
            (heldout if sides[component] else train).append("\n".join(lines))
    return LanguageText(train, heldout, counts)


_REFERENCE = re.compile(r"\[%\w+:[^\]]*%\]")
_FENCE = re.compile(r"```.*?```", re.DOTALL)
_IMAGE = re.compile(r"!\[[^\]]*\]\([^)]*\)")
_LINK = re.compile(r"\[([^\[\]]*)\]\([^()]*\)")
_TAG = re.compile(r"</?[A-Za-z][^<>]*>")
_URL = re.compile(r"(?:https?|homeassistant)://[^\s\])}>'\"”,;]+[^\s\])}>'\"”,;.:!?]")
_PLACEHOLDER = re.compile(r"\{[^{}]*\}")
_ONLY_GAP = re.compile(
    r"\(\s*…\s*\)|\[\s*…\s*\]|`\s*…\s*`|\"\s*…\s*\"|'\s*…\s*'|[“„”]\s*…\s*[“”]|«\s*…\s*»|「…」|（…）|\*+\s*…\s*\*+"
)
_EMPHASIS = re.compile(r"(?<![\w/])(\*{1,3})(?=\S)(.+?)(?<=\S)\1", re.DOTALL)
_UNDERSCORES = re.compile(r"(?<!\w)(_{1,2})(?=\S)([^_]+?)(?<=\S)\1(?!\w)")
_LINE_MARK = re.compile(r"^\s*(?:#{1,6}|[-*+•>]|\d{1,2}\.)\s+", re.MULTILINE)
_INVISIBLE = re.compile("[\u00ad\u200b\u200e\u200f\u2060\ufeff\x00-\x08\x0e-\x1f\x7f]")
_GAPS = re.compile(r"…(?:[\s,:/.·-]*…)+")
_MARKED = re.compile("[\\[{<`*_/\n…\u00ad\u200b\u200e\u200f\u2060\ufeff\x00-\x08\x0e-\x1f\x7f]|^\\s*[#\\-+•>\\d]")
"""What any rule of `clean` could act on; nine strings of ten have none of it, and skip the rules."""
_SPACE_BEFORE_MARK = re.compile(r" +([.,](?:\s|$))")


def clean(string: str) -> str:
    """The sentence a reader would see, on one line; empty where nothing is left to read.

    Markdown and HTML go. A placeholder or an address becomes an ellipsis, which every language reads as a gap; brackets
    or quotes around nothing else go with it.
    """
    if _REFERENCE.search(string):
        return ""
    text = " ".join((_unmark(string) if _MARKED.search(string) else string).split()).strip("–-,;/|· ")
    return text if any(character.isalpha() for character in text) else ""


def _unmark(text: str) -> str:
    text = _INVISIBLE.sub("", text).replace("'<'", "<").replace("'>'", ">")
    text = _IMAGE.sub("", _FENCE.sub("\n", text))
    while (shorter := _PLACEHOLDER.sub("…", text)) != text:
        text = shorter
    text = _LINK.sub(r"\1", text)
    text = _URL.sub("…", _TAG.sub("", text))
    text = _UNDERSCORES.sub(r"\2", _EMPHASIS.sub(r"\2", _LINE_MARK.sub("", text)))
    text = _ONLY_GAP.sub("…", text).replace("`", "")
    return _SPACE_BEFORE_MARK.sub(r"\1", _GAPS.sub("…", text))
