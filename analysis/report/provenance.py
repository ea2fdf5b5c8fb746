"""Where a study's numbers come from: its file, corpus, tokenizers, and the code and versions of each attempt."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from analysis.records import Study
from analysis.report.actual import hours
from analysis.report.attempts import Attempt, Made, witness
from analysis.report.tables import Entry, Grid, number, plain


@dataclass(frozen=True)
class Provenance:
    """facts: names and what stands under them. sources: a line a code and its versions. attempts: a line an attempt.
    drift: a sentence for each way in which runs were not made alike."""

    facts: tuple[tuple[str, str], ...]
    sources: Grid
    attempts: Grid
    drift: tuple[str, ...]


def provenance(root: Path, study: Study, runs: Sequence[Made]) -> Provenance:
    """Of all attempts at the study's runs."""
    path = root / "studies" / f"{study.name}.json"
    facts = [
        ("study file", f"studies/{path.name}, sha256 {hashlib.sha256(path.read_bytes()).hexdigest()[:16]}"),
        ("corpora", _listed({str(one.science["corpus"]) for one in runs if one.science.get("corpus")})),
        ("tokenizers", _listed(_tokenizers(root, runs))),
        ("meaning of the recipe", _listed({str(one.science["version"]) for one in runs if "version" in one.science})),
    ]
    letters = _sources(runs)
    return Provenance(tuple(facts), _source_grid(letters, runs), _attempt_grid(letters, runs), _drift(letters, runs))


Source = tuple[str, bool, str, tuple[tuple[str, str], ...]]


def _source(one: Attempt) -> Source:
    return one.commit, one.changed, one.code, tuple(sorted(one.versions.items()))


def _sources(runs: Sequence[Made]) -> dict[Source, str]:
    """Each distinct code and set of versions, by its first attempt, with a short name."""
    every = sorted((one.started, run.run, one.number, _source(one)) for run in runs for one in run.attempts)
    found: dict[Source, str] = {}
    for *_, source in every:
        found.setdefault(source, f"S{len(found) + 1}")
    return found


def _source_grid(letters: Mapping[Source, str], runs: Sequence[Made]) -> Grid:
    rows = []
    for source, name in letters.items():
        commit, changed, code, versions = source
        mine = [(run.run, one) for run in runs for one in run.attempts if _source(one) == source]
        rows.append(
            [
                Entry(name, key=float(name[1:])),
                Entry((commit[:12] or "unknown") + (", changed" if changed else "")),
                Entry(code or "unknown"),
                Entry(", ".join(f"{package} {version}" for package, version in versions if version) or "unknown"),
                number(len(mine), str(len(mine))),
                number(len({run for run, _ in mine}), str(len({run for run, _ in mine}))),
                Entry(min((one.started for _, one in mine if one.started), default="–")),
            ]
        )
    heads = [
        ["source"],
        ["git commit"],
        ["digest", "of the code"],
        ["versions"],
        ["attempts"],
        ["runs"],
        ["first used"],
    ]
    return Grid("Code and versions", heads, rows, frozenset({0, 1, 2, 3, 6}))


def _attempt_grid(letters: Mapping[Source, str], runs: Sequence[Made]) -> Grid:
    rows: list[list[object]] = []
    for run in runs:
        for one in run.attempts:
            length = number(one.hours, hours(one.hours)) if not math.isnan(one.hours) else Entry("–")
            state = f"{one.state} ({one.cause})" if one.cause else one.state
            rows.append(
                [
                    run.run, one.number, state, one.started or "–", length, one.devices, one.cluster or "–",
                    letters[_source(one)],
                ]
            )  # fmt: skip
    heads = ["run", "attempt", "ended", "started (UTC)", "hours", "devices", "where", "source"]
    return plain("Attempts", heads, rows, left=(0, 2, 3, 6, 7))


def _drift(letters: Mapping[Source, str], runs: Sequence[Made]) -> tuple[str, ...]:
    """What was not the same for all runs that are done."""
    found = []
    done = [run for run in runs if run.done and run.attempts]
    codes = {one.code for run in done for one in run.attempts if one.code}
    if len(codes) > 1:
        found.append(
            f"the code changed between attempts at runs that are done ({len(codes)} digests: "
            f"{', '.join(sorted(codes)[:4])}): numbers may differ for that reason"
        )
    names = sorted({name for run in done for one in run.attempts for name in one.versions})
    for name in names:
        seen = sorted({one.versions[name] for run in done for one in run.attempts if one.versions.get(name)})
        if len(seen) > 1:
            found.append(f"runs were made with several versions of {name}: {', '.join(seen)}")
    devices = sorted({run.device for run in done if run.device})
    if len(devices) > 1:
        found.append(f"runs were made on different devices: {', '.join(devices)}")
    return tuple(found)


def _tokenizers(root: Path, runs: Sequence[Made]) -> set[str]:
    """Keys of the tokenizers under the root that are those of the runs."""
    manifests = [witness(path) for path in sorted((root / "tokenizers").glob("[!.]*/manifest.json"))]
    found = set()
    blocks = {json.dumps([one.science.get("corpus"), one.science.get("tokenizer")], sort_keys=True) for one in runs}
    for corpus, block in map(json.loads, sorted(blocks)):
        if not block:
            continue
        wanted = block | {"languages": sorted(set(block.get("languages") or ()))}
        for manifest in manifests:
            spec = manifest.get("spec") or {}
            if manifest.get("corpus") == corpus and all(spec.get(name) == value for name, value in wanted.items()):
                found.add(str(manifest.get("key")))
    return found


def _listed(values: set[str]) -> str:
    return ", ".join(sorted(values)) or "not recorded"
