"""The table every finding and figure is made from: one row a measured number, with everything needed to plot it.

A store holds, for each run, `run.json` (its axes), `records.jsonl` (what was measured) and, once it is finished,
`done.json`. A study file names its runs. `collect` joins the three into one table whose columns are documented in
`COLUMNS` and versioned by `SCHEMA`; `write_parquet` and `read_parquet` carry it outside.
"""

from __future__ import annotations

import json
import math
import os
import re
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any

import pandas as pd

from sweeps.errors import BadInput

SCHEMA = 1
"""Version of the JSON files read here."""
TABLE_SCHEMA = 2
"""Version of `COLUMNS`: of a table written as Parquet."""


@dataclass(frozen=True)
class Column:
    """One column of the table: its pandas dtype and what it means (units included)."""

    dtype: str
    doc: str


COLUMNS: dict[str, Column] = {
    "run": Column("str", "id of the run: the same whatever study asks for it"),
    "languages": Column("str", "the languages trained on, comma-joined, in the order of the set"),
    "K": Column("int64", "number of languages trained on"),
    "alpha": Column("float64", "exponent of the language sampling, q ~ p^alpha; NaN where another rule samples"),
    "vocabulary": Column("int64", "pieces in the tokenizer"),
    "kind": Column("str", "architecture: xlm-r or modern"),
    "width": Column("int64", "width of the hidden states"),
    "layers": Column("int64", "number of encoder layers"),
    "body_parameters": Column("int64", "parameters outside the embeddings"),
    "embedding_parameters": Column("int64", "parameters of the embeddings"),
    "batch_tokens": Column("int64", "tokens in a global batch"),
    "steps": Column("int64", "optimiser steps of the whole run"),
    "tokens": Column("int64", "tokens of the whole run"),
    "flops": Column("float64", "floating-point operations of the whole run"),
    "seed": Column("int64", "seed of the run"),
    "step": Column("int64", "optimiser step at which the number was measured"),
    "task": Column("str", "heldout, training, or the name of a downstream task"),
    "split": Column("str", "part of the data: heldout, train, test"),
    "language": Column("str", "language the number belongs to, or all"),
    "metric": Column("str", "what was measured: bits_per_byte, accuracy, epochs, ..."),
    "value": Column("float64", "the number, in the metric's own unit (accuracy as a fraction)"),
    "standard_error": Column("float64", "standard error over items within this one run; NaN where none applies"),
    "n": Column("int64", "items behind the value (masked tokens, sentences)"),
    "chance": Column("float64", "accuracy of guessing evenly among the classes; NaN where none applies"),
    "majority": Column("float64", "accuracy of always naming the commonest class; NaN where it was not recorded"),
    "sampling": Column("str", "what shares languages out: alpha, or unimax and its most epochs"),
    "tokenizer_languages": Column("int64", "languages the tokenizer was trained on; 0 where that was not recorded"),
    "tokenizer_alpha": Column("float64", "exponent of the tokenizer's own sampling; NaN where it was not recorded"),
    "tokenizer_algorithm": Column("str", "unigram or bpe; empty where it was not recorded"),
    "text_bytes": Column("float64", "bytes of text a language may have at most; infinite where all of it"),
    "learning_rate": Column("float64", "peak learning rate; NaN where it was not recorded"),
}

KEY = ["run", "step", "task", "split", "language", "metric"]
"""What makes a row unique. A number measured twice is kept once, as it was written last."""

OTHER_AXES = ["sampling", "tokenizer_languages", "tokenizer_alpha", "tokenizer_algorithm", "text_bytes"]
"""Axes that are read from a run's science."""
AXES = ["K", "alpha", "vocabulary", "kind", "width", "layers", "batch_tokens", "steps", "languages", *OTHER_AXES]
"""What a cell is made of, seed apart."""

_RUN_AXES = [*list(COLUMNS)[1 : list(COLUMNS).index("seed")], "seed"]
_ROW_FIELDS = ("step", "task", "split", "language", "metric", "value", "n")
_KINDS: dict[str, tuple[type | tuple[type, ...], str]] = {
    "str": (str, "a text"), "int64": (int, "a whole number"), "float64": ((int, float), "a number"),
}  # fmt: skip
_ORDER = ["K", "languages", "alpha", "vocabulary", "kind", "width", "layers", "steps", "seed", *KEY]


@dataclass(frozen=True)
class Study:
    """What was asked: the study file, and the axes of those of its runs that have a run.json (finished or not)."""

    name: str
    question: str
    findings: tuple[str, ...]
    profile: str
    corpus: str
    corpus_note: str
    groups: dict[str, tuple[str, ...]]
    runs: tuple[str, ...]
    command: str
    planned: dict[str, dict[str, Any]]
    evaluate: tuple[str, ...] = ()
    """What was asked to be scored: heldout, intents, benchmark stages (`sib200@1f2e3d4c`). Empty: not written down."""

    def asks_for(self, stage: object) -> bool:
        """Whether a record of this stage is the study's: not another study's, nor of files that have changed since."""
        return not stage or not self.evaluate or stage in self.evaluate

    def group(self, name: str) -> tuple[str, ...]:
        """The languages of a group, or () where the study has no such group."""
        return self.groups.get(name, ())


@dataclass(frozen=True)
class Completeness:
    """How much of a study is finished: number of runs it holds, number done, ids of those that are not."""

    expected: int
    done: int
    missing: tuple[str, ...]

    @property
    def whole(self) -> bool:
        return not self.missing


def load_study(root: Path, name: str) -> Study:
    """Read <root>/studies/<name>.json and its runs' axes. BadInput when it was never submitted or is broken."""
    path = root / "studies" / f"{name}.json"
    if "/" in name or "\\" in name or not path.is_file():
        known = sorted(p.stem for p in (root / "studies").glob("*.json"))
        have = f"this root holds {', '.join(known)}" if known else "this root holds no study yet"
        raise BadInput(f"study {name!r} was never submitted to {root}: {have}; run `babelscale submit` first")
    raw = _read_object(path)
    groups = raw.get("groups") or {}
    if not isinstance(groups, dict):
        raise BadInput(f"{path}: groups must be an object of language lists; submit the study again")
    if str(raw.get("name", name)) != name:
        raise BadInput(f"{path} holds the study {raw['name']!r}: give the file that name, or submit the study again")
    lists = {field: raw.get(field) or [] for field in ("runs", "findings", "evaluate")}
    for field, value in (lists | {f"groups.{group}": own for group, own in groups.items()}).items():
        if not isinstance(value, list):
            raise BadInput(f"{path}: {field} is {value!r}, a list was expected; submit the study again")
    runs = tuple(dict.fromkeys(map(str, lists["runs"])))
    planned = {}
    for run in runs:
        if (root / "runs" / run / "run.json").is_file():
            planned[run] = _axes(root / "runs" / run / "run.json")
    return Study(
        name=str(raw.get("name", name)),
        question=str(raw.get("question") or ""),
        findings=tuple(map(str, lists["findings"])),
        profile=str(raw.get("profile") or ""),
        corpus=str(raw.get("corpus") or ""),
        corpus_note=str(raw.get("corpus_note") or ""),
        groups={str(k): tuple(str(x) for x in v) for k, v in groups.items()},
        runs=runs,
        command=str(raw.get("command") or ""),
        planned=planned,
        evaluate=tuple(map(str, lists["evaluate"])),
    )


def completeness(root: Path, study: Study) -> Completeness:
    """Which runs of the study have a done.json."""
    missing = tuple(run for run in study.runs if not (root / "runs" / run / "done.json").is_file())
    return Completeness(len(study.runs), len(study.runs) - len(missing), missing)


def collect(root: Path, study: Study, notes: list[str] | None = None) -> pd.DataFrame:
    """Every record of every finished run of the study: a table with `COLUMNS`, in an order that never varies.

    A number measured twice is kept as it was written last; of benchmarks, the stages that the study asks for count.
    `notes` is given a sentence for each thing that a reader of the table must know and cannot see in it: numbers
    measured twice with different results, runs of mixed versions.
    """
    rows: list[dict[str, Any]] = []
    versions: dict[Any, int] = {}
    for run in study.runs:
        folder = root / "runs" / run
        if not (folder / "done.json").is_file():
            continue
        axes = study.planned.get(run) or _axes(folder / "run.json")
        versions[axes["version"]] = versions.get(axes["version"], 0) + 1
        rows.extend(_records(folder / "records.jsonl", run, axes, study))
    table = pd.DataFrame(rows, columns=list(COLUMNS))
    table = table.astype({name: column.dtype for name, column in COLUMNS.items()})
    if notes is not None:
        notes += _conflicts(table)
        if len(versions) > 1:
            shown = ", ".join(f"{count} of version {name}" for name, count in sorted(versions.items(), key=str))
            notes.append(
                f"runs of mixed versions of the recipe's meaning stand in one table ({shown}); train them anew"
            )
    table = table.drop_duplicates(KEY, keep="last")
    return table.sort_values(_ORDER, kind="stable").reset_index(drop=True)


def _conflicts(table: pd.DataFrame) -> list[str]:
    """A sentence on numbers that were measured twice and differ."""
    again = table[table.duplicated(KEY, keep=False)]
    if again.empty:
        return []
    differ = again.groupby(KEY)["value"].nunique(dropna=False)
    differ = differ[differ > 1]
    if differ.empty:
        return []
    run, step, task, _, language, metric = differ.index[0]
    example = f"{metric} of {task}, {language}, step {step} of {run}"
    return [f"{len(differ)} numbers were measured twice with different results, the later ones count ({example})"]


def read_metrics(run_dir: Path) -> pd.DataFrame:
    """The loss curve of one run, by step: columns of metrics.jsonl, empty where there is none yet.

    A step that was done twice, because the run resumed from before it, is kept as the newest attempt saw it. A last
    line cut short by a crash is left out; a broken line elsewhere is BadInput.
    """
    path = run_dir / "metrics.jsonl"
    if not path.is_file():
        return pd.DataFrame(columns=["attempt", "step", "loss"])
    table = pd.DataFrame(list(json_lines(path, torn_end=True)))
    if table.empty:
        return pd.DataFrame(columns=["attempt", "step", "loss"])
    if not {"attempt", "step"} <= set(table.columns):
        raise BadInput(f"{path}: every line needs attempt and step; the file was not written by this harness")
    table = table.sort_values(["step", "attempt"], kind="stable").drop_duplicates("step", keep="last")
    return table.reset_index(drop=True)


def write_parquet(df: pd.DataFrame, path: Path) -> None:
    """Write the table with its schema version; the same table gives the same bytes. The file appears whole."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    types = {"str": pa.string(), "int64": pa.int64(), "float64": pa.float64()}
    schema = pa.schema(
        [pa.field(name, types[c.dtype], metadata={"doc": c.doc}) for name, c in COLUMNS.items()],
        metadata={"babelscale.records.schema": str(TABLE_SCHEMA)},
    )
    buffer = BytesIO()
    pq.write_table(pa.Table.from_pandas(df[list(COLUMNS)], schema=schema, preserve_index=False), buffer)
    write_whole(path, buffer.getvalue())


def read_parquet(path: Path) -> pd.DataFrame:
    """Read a table written by `write_parquet`. BadInput when it is missing, no such table, or of another version."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    if not path.is_file():
        raise BadInput(f"{path} does not exist; run `babelscale collect` to write it")
    try:
        table = pq.read_table(path)
    except pa.ArrowInvalid as error:
        raise BadInput(f"{path} is not a Parquet file; run `babelscale collect` to write it again") from error
    found = (table.schema.metadata or {}).get(b"babelscale.records.schema", b"none").decode()
    if found != str(TABLE_SCHEMA):
        raise BadInput(
            f"{path} holds records of schema {found}, this version reads {TABLE_SCHEMA}; run `babelscale collect` again"
        )
    df = table.to_pandas()
    return df.astype({name: column.dtype for name, column in COLUMNS.items()})


def write_whole(path: Path, data: bytes) -> None:
    """Write beside, flush, rename: the file appears whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, beside = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "wb") as out:
            out.write(data)
            out.flush()
            os.fsync(out.fileno())
        Path(beside).chmod(0o644)  # mkstemp makes it private; a report is there to be read
        Path(beside).replace(path)
    except BaseException:
        Path(beside).unlink(missing_ok=True)
        raise


def _read_object(path: Path) -> dict[str, Any]:
    try:
        raw = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise BadInput(
            f"{path} is missing though its run is marked done; delete its done.json and submit again"
        ) from error
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise BadInput(f"{path} is not valid JSON ({error}); restore it or submit the study again") from error
    if not isinstance(raw, dict) or raw.get("schema") != SCHEMA:
        found = raw.get("schema") if isinstance(raw, dict) else None
        raise BadInput(f"{path} has schema {found!r}, this version reads {SCHEMA}; submit the study again")
    return raw


def _axes(path: Path) -> dict[str, Any]:
    """The axes of one run as columns of the table."""
    described = _read_object(path)
    axes = described.get("axes")
    absent = [name for name in _RUN_AXES if not isinstance(axes, dict) or name not in axes]
    if not isinstance(axes, dict) or absent:
        raise BadInput(f"{path}: axes lacks {', '.join(absent)}; submit the study again to have it rewritten")
    if not isinstance(axes["languages"], list):
        raise BadInput(f"{path}: axes.languages is {axes['languages']!r}, a list was expected; submit the study again")
    values = {name: axes[name] for name in _RUN_AXES}
    values["languages"] = ",".join(str(code) for code in axes["languages"])
    values["alpha"] = float("nan") if axes["alpha"] is None else axes["alpha"]
    science = described.get("science") or {}
    if not isinstance(science, dict):
        raise BadInput(f"{path}: science is {science!r}, an object was expected; submit the study again")
    values |= _from_science(science, axes)
    try:
        for name, value in values.items():
            if name not in COLUMNS:
                continue
            kind = COLUMNS[name].dtype
            values[name] = str(value) if kind == "str" else int(value) if kind == "int64" else float(value)
    except (TypeError, ValueError, OverflowError) as error:
        raise BadInput(f"{path}: axes.{name} is {value!r}, a number was expected; submit the study again") from error
    return values


def _from_science(science: Mapping[str, Any], axes: Mapping[str, Any]) -> dict[str, Any]:
    """What tells runs apart beside their axes."""
    tokenizer, sampling = science.get("tokenizer") or {}, science.get("sampling") or {}
    unimax = sampling.get("kind") == "unimax"
    return {
        "sampling": f"unimax {sampling.get('max_epochs', '')}".strip() if unimax else "alpha",
        "tokenizer_languages": len(tokenizer.get("languages") or ()),
        "tokenizer_alpha": tokenizer.get("alpha", float("nan")),
        "tokenizer_algorithm": tokenizer.get("algorithm", ""),
        "text_bytes": science.get("text_bytes", float("inf")),
        "learning_rate": axes.get("learning_rate", float("nan")),
        "version": science.get("version", ""),
    }


def _records(path: Path, run: str, axes: dict[str, Any], study: Study) -> Iterator[dict[str, Any]]:
    if not path.is_file():
        return  # a run may be done with nothing evaluated yet
    for number, row in enumerate(json_lines(path, torn_end=False), start=1):
        absent = [name for name in _ROW_FIELDS if row.get(name) is None]
        if row.get("schema") != SCHEMA or absent or row.get("run") != run:
            why = f"lacks {', '.join(absent)}" if absent else f"is not a record of {run} in schema {SCHEMA}"
            raise BadInput(f"{path}, record {number}, {why}; evaluate the run again")
        details = row.get("details")
        details = details if isinstance(details, dict) else {}
        if not study.asks_for(details.get("stage")):
            continue
        given = {name: row[name] for name in _ROW_FIELDS} | {"standard_error": row.get("standard_error")}
        given |= {name: details.get(name) for name in ("chance", "majority")}
        for name, value in given.items():
            wanted = _KINDS[COLUMNS[name].dtype]
            beyond = isinstance(value, int) and abs(value) >= 2**63  # no column holds it
            if value is not None and (beyond or not isinstance(value, wanted[0]) or isinstance(value, bool)):
                raise BadInput(f"{path}, record {number}: {name} is {value!r}, not {wanted[1]}; evaluate the run again")
        yield {"run": run, **axes, **{name: math.nan if value is None else value for name, value in given.items()}}


def json_lines(path: Path, torn_end: bool, without: re.Pattern[str] | None = None) -> Iterator[dict[str, Any]]:
    """Objects of a JSON-lines file. With `torn_end`, a last line that a crash cut short is passed over. `without`: what
    is cut out before reading."""
    text = path.read_text(encoding="utf-8", errors="replace")
    lines = (without.sub("", text) if without else text).split("\n")
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except json.JSONDecodeError as error:
            if torn_end and number == len(lines):
                return
            raise BadInput(f"{path}, line {number}, is not valid JSON; remove the line or do the run again") from error
        if not isinstance(row, dict):
            raise BadInput(f"{path}, line {number}, is not a JSON object; remove the line or do the run again")
        yield row
