"""The root folder: where everything lives, and how files come to be there.

Three rules, kept here so that no caller has to think of them:

* a file or folder appears whole or not at all: written beside, flushed, renamed;
* two jobs that want the same artefact never build it twice: a lease is held while one builds, the other waits;
* anything may be killed at any moment: the kernel drops a dead process's lease, and leftovers of a killed build are
  swept by the next one.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import hashlib
import json
import os
import shutil
import time
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

from sweeps.errors import BadInput

ROOT_VARIABLE = "BABELSCALE_ROOT"
DEFAULT_ROOT = "babelscale-data"
_BLOCK = 1 << 16
SCHEMA = 1
DISK_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
"""What the kernel answers where nothing more fits: the disk, the quota, the largest file allowed."""


def digest(value: Any, length: int = 12) -> str:
    """Hexadecimal digest of a JSON-able value; the order of keys does not matter."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()[:length]


def file_digest(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def sync_folder(folder: Path) -> None:
    """Wait until the disk knows the names in `folder`."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def write_text(path: Path, text: str, *, durable: bool = True) -> None:
    """Write `path` whole or not at all. A full disk is told in one sentence and leaves the old file as it was.

    `durable` waits for the disk; a file that is rewritten every second (a heartbeat) does without.
    """
    beside = path.with_name(f".{path.name}.{uuid.uuid4().hex}.tmp")
    try:
        with beside.open("w", encoding="utf-8") as stream:
            stream.write(text)
            stream.flush()
            if durable:
                os.fsync(stream.fileno())
        beside.replace(path)
        if durable:
            sync_folder(path.parent)
    except BaseException as error:
        with contextlib.suppress(OSError):
            beside.unlink()
        if isinstance(error, OSError):
            raise explain(error, path) from error
        raise


def write_json(path: Path, value: Any, *, durable: bool = True) -> None:
    write_text(path, json.dumps(value, indent=1, ensure_ascii=False) + "\n", durable=durable)


def read_json(path: Path) -> Any:
    return json.loads(path.read_text(encoding="utf-8"))


def read_lines(path: Path) -> list[dict[str, Any]]:
    """The JSON lines of a file that may end in a line cut short by a kill; that last piece is left out."""
    if not path.exists():
        return []
    rows: list[dict[str, Any]] = []
    # Bytes, cut at line feeds alone: text may hold other line breaks, and a kill may cut a character in two.
    for line in path.read_bytes().split(b"\n"):
        try:
            rows.append(json.loads(line))
        except ValueError:
            continue
    return rows


def append_lines(path: Path, rows: list[dict[str, Any]]) -> None:
    """Append JSON lines, all of them or none. A line cut short by an earlier kill is taken away first."""
    data = memoryview("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows).encode())
    with path.open("ab+", buffering=0) as stream:
        end = _end_of_last_line(stream)
        stream.truncate(end)
        try:
            while data:
                data = data[stream.write(data) :]
        except OSError:
            stream.truncate(end)
            raise


def _end_of_last_line(stream: BinaryIO) -> int:
    """Bytes of a file up to and with its last line feed."""
    end = stream.seek(0, os.SEEK_END)
    while end:
        begin = max(0, end - _BLOCK)
        stream.seek(begin)
        if (found := stream.read(end - begin).rfind(b"\n")) >= 0:
            return begin + found + 1
        end = begin
    return 0


def explain(error: OSError, path: Path) -> BadInput | OSError:
    """Turn what a user can mend (full disk, no permission) into one sentence; leave the rest as it is."""
    if error.errno in DISK_FULL:
        why = "" if error.errno == errno.ENOSPC else f" ({os.strerror(error.errno)})"
        return BadInput(f"no space left on the disk that holds {path}{why}: free some, then run the same command again")
    if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
        return BadInput(
            f"{path} cannot be written ({os.strerror(error.errno or 0)}): "
            f"choose another root with --root or {ROOT_VARIABLE}"
        )
    return error


@contextlib.contextmanager
def whole_folder(path: Path, *, durable: bool = True) -> Iterator[Path]:
    """A new folder to fill; it takes the name `path` when the block ends, and vanishes if the block fails.

    `durable` waits for the disk; what is soon put together elsewhere, and looked at again before that, does without.

    The caller holds the lease of `path`, so leftovers of earlier builds (killed ones) are its to sweep.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    for leftover in path.parent.glob(f".{path.name}.*.tmp"):
        shutil.rmtree(leftover, ignore_errors=True)
    beside = path.with_name(f".{path.name}.{uuid.uuid4().hex}.tmp")
    try:
        beside.mkdir()
        yield beside
        for file in beside.rglob("*") if durable else ():
            if file.is_file():
                with file.open("rb") as stream:
                    os.fsync(stream.fileno())
        beside.rename(path)
        if durable:
            sync_folder(path.parent)
    except OSError as error:
        raise explain(error, path) from error
    finally:
        shutil.rmtree(beside, ignore_errors=True)


@contextlib.contextmanager
def lease(path: Path, *, wait: bool = True) -> Iterator[bool]:
    """Hold the right to build `path`. Yields False at once, when `wait` is off, if another process holds it.

    An advisory kernel lock on `.<name>.lock` beside it: a dead holder's lock is gone with its process.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    lock = path.with_name(f".{path.name}.lock")
    with lock.open("ab") as stream:
        try:
            fcntl.flock(stream, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
        except BlockingIOError:
            yield False
            return
        yield True


class Store:
    """Paths under one root. Opening creates the root, and says in one sentence why it cannot.

    `create=False` is for readers: a root that is not there is an empty store.
    """

    def __init__(self, root: str | os.PathLike[str] | None = None, *, create: bool = True) -> None:
        named = Path(root or os.environ.get(ROOT_VARIABLE) or DEFAULT_ROOT)
        try:
            self.root = named.expanduser().absolute()
        except RuntimeError as error:  # ~nobody-of-that-name
            raise BadInput(f"the root {named} names a home folder that does not exist: write its path out") from error
        if create:
            self._create()
        elif self.root.exists() and not self.root.is_dir():
            raise BadInput(f"the root {self.root} is not a folder: choose another with --root or {ROOT_VARIABLE}")

    def _create(self) -> None:
        try:
            for folder in (self.corpora, self.tokenizers, self.shards, self.tasks, self.runs, self.studies):
                folder.mkdir(parents=True, exist_ok=True)
            probe = self.root / f".probe-{uuid.uuid4().hex}"
            probe.touch()
            probe.unlink()
        except OSError as error:
            raise BadInput(
                f"the root {self.root} cannot be written ({error.strerror}): "
                f"choose another with --root or {ROOT_VARIABLE}"
            ) from error

    @property
    def corpora(self) -> Path:
        return self.root / "corpora"

    @property
    def tokenizers(self) -> Path:
        return self.root / "tokenizers"

    @property
    def shards(self) -> Path:
        return self.root / "shards"

    @property
    def tasks(self) -> Path:
        return self.root / "tasks"

    @property
    def benchmarks(self) -> Path:
        """Where a user puts benchmarks' official files; nothing is written there."""
        return self.root / "benchmarks"

    @property
    def runs(self) -> Path:
        return self.root / "runs"

    @property
    def studies(self) -> Path:
        return self.root / "studies"

    def run(self, run_id: str) -> Path:
        return self.runs / run_id

    def stage(self, name: str) -> Path:
        """The block of a benchmark stage (`sweeps.tasks`)."""
        return self.tasks / "stages" / f"{name}.json"

    def reports(self, study: str) -> Path:
        return self.root / "reports" / study


def now() -> str:
    """The time as records write it: UTC, to the second."""
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
