"""Files as blocks of whole lines: decompressed, checked, never in memory as a whole.

One pass over the file's bytes serves three ends: the digest of the file, the bytes that a progress bar counts, and the
text. A damaged or truncated file is told in one sentence whatever packed it.
"""

from __future__ import annotations

import bz2
import hashlib
import lzma
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Protocol

import zstandard

from sweeps.errors import BadInput

Tick = Callable[[int], None]
"""Called with the number of input bytes that were just read."""

MOST_DOCUMENT_BYTES = 64 << 20
"""A document or line above this is a file without blank lines or line feeds; it is refused before it fills memory."""

_PLAIN_READ = 1 << 20
_PACKED_READ = 1 << 16
"""Small, since a packed block comes out several times larger."""
_BLOCK = 2 << 20
_GZIP = 31
"""zlib's `wbits` for the gzip container."""


class Unpacker(Protocol):
    """What the decompressors of the standard library and of zstandard have in common."""

    @property
    def eof(self) -> bool: ...

    @property
    def unused_data(self) -> bytes: ...

    def decompress(self, data: bytes, /) -> bytes: ...


_UNPACKERS: dict[str, Callable[[], Unpacker]] = {
    ".xz": lzma.LZMADecompressor,
    ".bz2": bz2.BZ2Decompressor,
    ".gz": lambda: zlib.decompressobj(_GZIP),
    ".zst": lambda: zstandard.ZstdDecompressor().decompressobj(),
}
_DAMAGE = (lzma.LZMAError, zlib.error, zstandard.ZstdError)


class Source:
    """One file, read once. `sha256` is complete when `blocks` has ended."""

    def __init__(self, path: str, tick: Tick) -> None:
        self.path = Path(path)
        self._tick = tick
        self._hash = hashlib.sha256()

    @property
    def sha256(self) -> str:
        return self._hash.hexdigest()

    def blocks(self) -> Iterator[tuple[int, bytes]]:
        """Blocks of whole lines, each with its byte offset in the decompressed text; the last may end without a feed.

        Raises BadInput for a file that cannot be read, is cut short or damaged, or has a line of more than
        MOST_DOCUMENT_BYTES.
        """
        offset, held = 0, 0
        kept: list[bytes] = []
        for piece in self._unpacked():
            kept.append(piece)
            held += len(piece)
            if held < _BLOCK:
                continue
            block = b"".join(kept)
            cut = block.rfind(b"\n") + 1
            if cut:
                yield offset, block[:cut]
                offset += cut
            elif held > MOST_DOCUMENT_BYTES:
                raise BadInput(
                    f"{self.path} has a line of more than {MOST_DOCUMENT_BYTES >> 20} MiB at byte {offset} of its "
                    f"text: put a line feed between sentences or paragraphs"
                )
            kept, held = [block[cut:]], len(block) - cut
        if rest := b"".join(kept):
            yield offset, rest

    def digest_whole(self) -> str:
        """The file's digest, for readers that do not go through `blocks`."""
        for _ in self._packed(_PLAIN_READ):
            pass
        return self.sha256

    def _packed(self, size: int) -> Iterator[bytes]:
        try:
            with self.path.open("rb", buffering=0) as stream:
                while block := stream.read(size):
                    self._hash.update(block)
                    self._tick(len(block))
                    yield block
        except OSError as error:
            raise BadInput(f"{self.path} cannot be read ({error.strerror}): check its permissions") from error

    def _unpacked(self) -> Iterator[bytes]:
        new = _UNPACKERS.get(self.path.suffix)
        if new is None:
            yield from self._packed(_PLAIN_READ)
            return
        unpacker: Unpacker | None = None
        for packed in self._packed(_PACKED_READ):
            try:
                while packed:
                    if unpacker is None:
                        # A file may hold several streams one after another, and zeros that pad them.
                        packed = packed.lstrip(b"\0")
                        if not packed:
                            break
                        unpacker = new()
                    if text := unpacker.decompress(packed):
                        yield text
                    packed = b""
                    if unpacker.eof:
                        packed, unpacker = unpacker.unused_data, None
            except _DAMAGE as error:
                raise self._damaged(str(error)) from error
            except OSError as error:  # what bz2 raises for bytes that are none of its own
                raise self._damaged(str(error)) from error
        if unpacker is not None:
            raise BadInput(f"{self.path} ends too early: fetch it again, then run the same command")

    def _damaged(self, why: str) -> BadInput:
        return BadInput(f"{self.path} is damaged ({why}): fetch it again, then run the same command")


def too_long(path: str) -> BadInput:
    """The sentence for a document above MOST_DOCUMENT_BYTES."""
    return BadInput(
        f"{path} holds a document of more than {MOST_DOCUMENT_BYTES >> 20} MiB: divide it, in CC-100's layout by a "
        f"blank line between documents"
    )
