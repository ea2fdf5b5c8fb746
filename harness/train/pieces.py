"""Safetensors files written as a stream and read by ranges: no more than `CHUNK` elements are ever copied at once.

The library's own writer wants all tensors of a file in memory a second time; here they go from where they live to the
disk chunk by chunk, and the digest is taken on the way. What is written is an ordinary safetensors file.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections import defaultdict
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from torch import Tensor

CHUNK = 1 << 24
"""Elements: 64 MiB of fp32."""


def write_tensors(path: Path, tensors: Mapping[str, Tensor]) -> dict[str, Any]:
    """Write fp32 tensors, wait for the disk, and return the file's size and sha256. Raises OSError."""
    header: dict[str, Any] = {}
    end = 0
    for name, tensor in tensors.items():
        assert tensor.dtype == torch.float32, f"{name} is {tensor.dtype}"
        begin, end = end, end + 4 * tensor.numel()
        header[name] = {"dtype": "F32", "shape": list(tensor.shape), "data_offsets": [begin, end]}
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)  # the data begins at a multiple of eight bytes
    sha256, written = hashlib.sha256(), 0
    with path.open("wb") as stream:

        def put(data: Any) -> None:
            nonlocal written
            stream.write(data)
            sha256.update(data)
            written += len(data)

        put(len(text).to_bytes(8, "little"))
        put(text)
        for tensor in tensors.values():
            for chunk in tensor.detach().reshape(-1).split(CHUNK):
                put(memoryview(chunk.cpu().numpy()).cast("B"))
        stream.flush()
        os.fsync(stream.fileno())
    return {"bytes": written, "sha256": sha256.hexdigest()}


def piece_name(label: str, start: int) -> str:
    """Name in a file of the piece of the flattened tensor `label` that begins at element `start`."""
    return f"{label}@{start}"


class Pieces:
    """Tensors that lie in pieces in several files, opened while the block runs."""

    def __init__(self, files: Sequence[Path]) -> None:
        self._files = files
        self._stack = ExitStack()
        self._pieces: dict[str, list[tuple[int, int, Any]]] = defaultdict(list)

    def __enter__(self) -> Pieces:
        for path in self._files:
            file = self._stack.enter_context(safe_open(path, framework="pt", device="cpu"))
            for name in file.keys():  # noqa: SIM118 - no mapping, it has no iterator
                label, _, start = name.rpartition("@")
                piece = file.get_slice(name)
                self._pieces[label].append((int(start), piece.get_shape()[0], piece))
        for pieces in self._pieces.values():
            pieces.sort(key=lambda piece: piece[0])
        return self

    def __exit__(self, *problem: Any) -> None:
        self._pieces.clear()
        self._stack.__exit__(*problem)

    def read(self, label: str, start: int, out: Tensor) -> None:
        """Fill the one-dimensional `out` with the elements of `label` from `start` on."""
        at, end = start, start + out.numel()
        for begin, numel, piece in self._pieces.get(label, ()):
            while begin <= at < min(end, begin + numel):
                stop = min(end, begin + numel, at + CHUNK)
                out[at - start : stop - start].copy_(piece[at - begin : stop - begin])
                at = stop
        if at < end:
            raise ValueError(f"the files hold no elements {at} to {end} of {label}")
