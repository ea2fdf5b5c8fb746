"""The table every finding and figure is made from: one row a measured number, with everything needed to plot it.

A store holds, for each run, `run.json` (its axes), `records.jsonl` (what was measured) and, once it is finished,
`done.json`. A study file names its runs. `collect` joins the three into one table whose columns are documented in
`COLUMNS` and versioned by `SCHEMA`; `write_parquet` and `read_parquet` carry it outside.
"""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any

import pandas as pd

from sweeps.errors import BadInput

SCHEMA = 1
"""Version of `COLUMNS`, and of the JSON files read here."""


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
}

KEY = ["run", "step", "task", "split", "language", "metric"]
"""What makes a row unique. A number measured twice is kept once, as it was written last."""

AXES = ["K", "alpha", "vocabulary", "kind", "width", "layers", "batch_tokens", "steps", "languages"]
"""What a cell is made of, seed apart."""

_RUN_AXES = [*list(COLUMNS)[1 : list(COLUMNS).index("seed")], "seed"]
_ROW_FIELDS = ("step", "task", "split", "language", "metric", "value", "n")
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
    runs = tuple(dict.fromkeys(str(run) for run in raw.get("runs") or ()))
    planned = {}
    for run in runs:
        if (root / "runs" / run / "run.json").is_file():
            planned[run] = _axes(root / "runs" / run / "run.json")
    return Study(
        name=str(raw.get("name", name)),
        question=str(raw.get("question") or ""),
        findings=tuple(str(f) for f in raw.get("findings") or ()),
        profile=str(raw.get("profile") or ""),
        corpus=str(raw.get("corpus") or ""),
        corpus_note=str(raw.get("corpus_note") or ""),
        groups={str(k): tuple(str(x) for x in v) for k, v in groups.items()},
        runs=runs,
        command=str(raw.get("command") or ""),
        planned=planned,
    )


def completeness(root: Path, study: Study) -> Completeness:
    """Which runs of the study have a done.json."""
    missing = tuple(run for run in study.runs if not (root / "runs" / run / "done.json").is_file())
    return Completeness(len(study.runs), len(study.runs) - len(missing), missing)


def collect(root: Path, study: Study) -> pd.DataFrame:
    """Every record of every finished run of the study: a table with `COLUMNS`, in an order that never varies."""
    rows: list[dict[str, Any]] = []
    for run in study.runs:
        folder = root / "runs" / run
        if not (folder / "done.json").is_file():
            continue
        axes = study.planned.get(run) or _axes(folder / "run.json")
        rows.extend(_records(folder / "records.jsonl", run, axes))
    table = pd.DataFrame(rows, columns=list(COLUMNS))
    table = table.astype({name: column.dtype for name, column in COLUMNS.items()})
    table = table.drop_duplicates(KEY, keep="last")
    return table.sort_values(_ORDER, kind="stable").reset_index(drop=True)


def read_metrics(run_dir: Path) -> pd.DataFrame:
    """The loss curve of one run, by step: columns of metrics.jsonl, empty where there is none yet.

    A step that was done twice, because the run resumed from before it, is kept as the newest attempt saw it. A last
    line cut short by a crash is left out; a broken line elsewhere is BadInput.
    """
    path = run_dir / "metrics.jsonl"
    if not path.is_file():
        return pd.DataFrame(columns=["attempt", "step", "loss"])
    table = pd.DataFrame(list(_lines(path, torn_end=True)))
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
        metadata={"babelscale.records.schema": str(SCHEMA)},
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
    if found != str(SCHEMA):
        raise BadInput(
            f"{path} holds records of schema {found}, this version reads {SCHEMA}; run `babelscale collect` again"
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
    axes = _read_object(path).get("axes")
    absent = [name for name in _RUN_AXES if not isinstance(axes, dict) or name not in axes]
    if not isinstance(axes, dict) or absent:
        raise BadInput(f"{path}: axes lacks {', '.join(absent)}; submit the study again to have it rewritten")
    values = {name: axes[name] for name in _RUN_AXES}
    values["languages"] = ",".join(str(code) for code in axes["languages"])
    values["alpha"] = float("nan") if axes["alpha"] is None else axes["alpha"]
    try:
        for name, value in values.items():
            kind = COLUMNS[name].dtype
            values[name] = str(value) if kind == "str" else int(value) if kind == "int64" else float(value)
    except (TypeError, ValueError) as error:
        raise BadInput(f"{path}: axes.{name} is {value!r}, a number was expected; submit the study again") from error
    return values


def _records(path: Path, run: str, axes: dict[str, Any]) -> Iterator[dict[str, Any]]:
    if not path.is_file():
        return  # a run may be done with nothing evaluated yet
    for number, row in enumerate(_lines(path, torn_end=False), start=1):
        absent = [name for name in _ROW_FIELDS if row.get(name) is None]
        if row.get("schema") != SCHEMA or absent or row.get("run") != run:
            why = f"lacks {', '.join(absent)}" if absent else f"is not a record of {run} in schema {SCHEMA}"
            raise BadInput(f"{path}, record {number}, {why}; evaluate the run again")
        details = row.get("details") or {}
        error = row.get("standard_error")
        yield {
            "run": run,
            **axes,
            **{name: row[name] for name in _ROW_FIELDS},
            "standard_error": float("nan") if error is None else error,
            "chance": _optional(details, "chance"),
            "majority": _optional(details, "majority"),
        }


def _optional(details: dict[str, Any], name: str) -> float:
    value = details.get(name)
    return float("nan") if value is None else float(value)


def _lines(path: Path, torn_end: bool) -> Iterator[dict[str, Any]]:
    """Objects of a JSON-lines file. With `torn_end`, a last line that a crash cut short is passed over."""
    lines = path.read_text(encoding="utf-8", errors="replace").split("\n")
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
