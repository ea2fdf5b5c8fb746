"""Why attempts fail, in a few words that a user can act on; and which failures would only come again."""

from __future__ import annotations

import errno
from dataclasses import dataclass
from typing import Literal

from harness.store import DISK_FULL
from harness.train.errors import LossFailed, TooLittleMemory
from sweeps.errors import BadInput

Cause = Literal[
    "memory", "node", "time", "loss", "data", "disk", "code", "killed", "cancelled", "prepare", "start", "unknown"
]


@dataclass(frozen=True)
class Advice:
    meaning: str
    todo: str


ADVICE: dict[str, Advice] = {
    "memory": Advice(
        "out of memory",
        "smaller micro-batches, a higher ZeRO stage, activation checkpointing or more memory (the batch and the run's "
        "id stay): babelscale retry {study} --cause memory --set micro_rows=N",
    ),
    "node": Advice(
        "a node or the network between nodes was lost",
        "babelscale retry {study} --cause node; where one node is named again and again, "
        "--set sbatch.exclude=NODE leaves it out",
    ),
    "time": Advice(
        "the time limit came before a checkpoint that goes further",
        "more hours, or checkpoints more often: babelscale retry {study} --cause time --set hours=H",
    ),
    "loss": Advice(
        "the loss was not finite, or never came back from a spike",
        "needs a person: another recipe.learning_rate or schedule.warmup makes another run",
    ),
    "data": Advice(
        "the text, the tokenizer or the study is not what the run needs",
        "mend what the sentence names, then babelscale retry {study} --cause data --anyway",
    ),
    "disk": Advice("no space was left", "free some space, then babelscale retry {study} --cause disk"),
    "code": Advice(
        "an error in the code", "mend it; retry takes the runs once the code has changed: babelscale retry {study}"
    ),
    "killed": Advice(
        "a process was killed from outside: by hand, or for want of memory",
        "babelscale retry {study} --cause killed; where it comes again, --set memory_gb=N asks for more",
    ),
    "cancelled": Advice("cancelled by a person", "{submit} goes on from the last checkpoint"),
    "prepare": Advice("the tokenizer or the shards could not be made", "mend what the sentence names, then {submit}"),
    "start": Advice(
        "the job ended before the run began",
        "its last lines tell: a line of execution.setup, execution.python, or a package that is not there; mend it, "
        "then {submit}",
    ),
    "unknown": Advice("the attempt left no word", "{submit} goes on from the last checkpoint"),
}

DETERMINISTIC = frozenset({"memory", "loss", "data", "code"})
"""Tried again unchanged, these fail again."""
_WAY = ("devices", "nodes", "zero", "micro_rows", "activation_checkpointing", "device")
MENDS: dict[str, tuple[str, ...]] = {
    "memory": (*_WAY, "memory_gb", "pack", "partition"),
    "code": (*_WAY, "compile", "threads", "setup", "python"),
    "loss": (),
    "data": (),
}
"""Values of `execution` that may keep such a failure from coming again; nothing of it changes losses or texts."""

_LOST = frozenset({errno.EIO, errno.ESTALE, errno.EREMOTEIO, errno.ENODEV, errno.ETIMEDOUT, errno.EHOSTUNREACH})
"""What a file system of the network answers when it is not at its best."""
_MEMORY_WORDS = ("out of memory", "can't allocate memory", "cannot allocate memory", "bad_alloc")
_NETWORK_WORDS = (
    "nccl",
    "gloo",
    "connection reset",
    "connection closed",
    "connection refused",
    "broken pipe",
    "socket timeout",
    "connecttimeout",
    "heartbeat timeout",
)
_DEVICE_WORDS = (
    "ecc error",
    "cuda-capable device",
    "busy or unavailable",
    "unspecified launch failure",
)


def cause_of(error: BaseException) -> Cause:
    """The cause of an attempt that ended with this exception."""
    text = f"{type(error).__name__}: {error}".lower()
    if isinstance(error, TooLittleMemory | MemoryError) or any(words in text for words in _MEMORY_WORDS):
        return "memory"
    if isinstance(error, LossFailed):
        return "loss"
    if isinstance(error, BadInput):
        return "disk" if "no space left" in text else "data"
    if isinstance(error, OSError) and error.errno in DISK_FULL:
        return "disk"
    if isinstance(error, OSError) and error.errno in _LOST:
        return "node"
    if isinstance(error, ConnectionError | TimeoutError) or lost_connection(text):
        return "node"
    if any(words in text for words in _DEVICE_WORDS):
        return "node"
    return "data" if isinstance(error, FileNotFoundError) else "code"


def lost_connection(error: str) -> bool:
    """Whether an error tells of a connection that is gone, which another rank's end may have caused, and not of a
    device or a file system of its own."""
    return any(words in error.lower() for words in _NETWORK_WORDS)


_SLURM_CAUSES: dict[str, Cause] = {
    "OUT_OF_MEMORY": "memory",
    "NODE_FAIL": "node",
    "BOOT_FAIL": "node",
    "TIMEOUT": "time",
    "DEADLINE": "time",
    "CANCELLED": "cancelled",
    "PREEMPTED": "cancelled",
}


def cause_of_state(state: str) -> Cause:
    """What the state that Slurm's accounting gives a job says of an attempt without words of its own."""
    return _SLURM_CAUSES.get(state.split()[0] if state else "", "unknown")
