"""Reads what W&B's client wrote: the records of a .wandb file, which is a LevelDB log of protobuf messages."""

from __future__ import annotations

import json
import struct
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from wandb.proto import wandb_internal_pb2 as pb

_BLOCK = 32768
_FILE_HEADER, _CHUNK_HEADER = 7, 7
FULL, FIRST, MIDDLE, LAST = 1, 2, 3, 4


def records(path: Path) -> Iterator[Any]:
    """Every record of a whole file. A file cut short raises AssertionError."""
    data = path.read_bytes()
    assert data[:4] == b":W&B", "not a file of W&B's"
    at, pending = _FILE_HEADER, b""
    while at < len(data):
        left = _BLOCK - at % _BLOCK
        if left < _CHUNK_HEADER:
            at += left
            continue
        _, length, kind = struct.unpack("<IHB", data[at : at + _CHUNK_HEADER])
        if kind == 0:
            break
        at += _CHUNK_HEADER
        assert at + length <= len(data), "the file was cut short"
        pending = (pending if kind in (MIDDLE, LAST) else b"") + data[at : at + length]
        at += length
        if kind in (FULL, LAST):
            record = pb.Record()
            record.ParseFromString(pending)
            yield record
    assert at == len(data)


@dataclass
class Read:
    """One run as its .wandb file has it."""

    run: Any = None
    config: dict[str, Any] = field(default_factory=dict)
    history: list[dict[str, Any]] = field(default_factory=list)
    summary: dict[str, Any] = field(default_factory=dict)
    metrics: dict[str, str] = field(default_factory=dict)
    """Metric, or pattern of metrics, to the axis that it is drawn over."""
    exit_code: int | None = None


def read(path: Path) -> Read:
    found = Read()
    for record in records(path):
        kind = record.WhichOneof("record_type")
        if kind == "run":
            found.run = record.run
            found.config |= {item.key: json.loads(item.value_json) for item in record.run.config.update}
        elif kind == "config":
            found.config |= {item.key: json.loads(item.value_json) for item in record.config.update}
        elif kind == "history":
            row = {(item.key or "/".join(item.nested_key)): json.loads(item.value_json) for item in record.history.item}
            found.history.append(row)
            found.summary |= row
        elif kind == "summary":
            found.summary |= {
                (item.key or "/".join(item.nested_key)): json.loads(item.value_json) for item in record.summary.update
            }
        elif kind == "metric":
            found.metrics[record.metric.name or record.metric.glob_name] = record.metric.step_metric
        elif kind == "exit":
            found.exit_code = record.exit.exit_code
    return found


def only_file(run_folder: Path) -> Path:
    """The one .wandb file that a run's folder holds."""
    (path,) = run_folder.rglob("*.wandb")
    return path
