"""Text out of bytes: invalid UTF-8 is counted to the end of the file, its first place kept, and then dealt with.

* strict: the file is refused once all of it was seen, with the count and the first place
* replace: each invalid sequence becomes U+FFFD
* drop-line: the line (or record) that holds one is left out
"""

from __future__ import annotations

from typing import Literal, get_args

from sweeps.errors import BadInput

Errors = Literal["strict", "replace", "drop-line"]
ERRORS: tuple[Errors, ...] = get_args(Errors)


class Decoder:
    """Decodes one file's lines and counts what is not UTF-8."""

    def __init__(self, path: str, errors: Errors) -> None:
        self.path = path
        self.errors = errors
        self.invalid = 0
        """Invalid sequences so far; a lone surrogate in a JSON string counts as one."""
        self.first = ""
        """Where the first was: `byte 12` of the decompressed text, or `row 12`."""

    def lines(self, block: bytes, offset: int) -> str:
        """A block of whole lines, less those that are dropped. A line feed is never part of a longer sequence, so no
        sequence is cut where blocks are."""
        try:
            return block.decode("utf-8")
        except UnicodeDecodeError as error:
            self._note(f"byte {offset + error.start}")
        if self.errors == "drop-line":
            return "".join([self._or_nothing(line + b"\n") for line in block.split(b"\n")]).removesuffix("\n")
        text, count = _replaced(block)
        self.invalid += count
        return text

    def line(self, line: bytes, place: int, unit: str = "byte") -> tuple[str, int, bool]:
        """One line or record: its text (replacements made), its invalid sequences, and whether it may stay."""
        try:
            return line.decode("utf-8"), 0, True
        except UnicodeDecodeError as error:
            self._note(f"{unit} {place + error.start if unit == 'byte' else place}")
        text, count = _replaced(line)
        self.invalid += count
        return text, count, self.errors != "drop-line"

    def string(self, text: str, place: int) -> tuple[str, int]:
        """A string out of JSON, whose escapes can spell lone surrogates: text that UTF-8 has no bytes for."""
        try:
            text.encode("utf-8")
        except UnicodeEncodeError:
            self._note(f"byte {place}")
        else:
            return text, 0
        good = "".join("\ufffd" if "\ud800" <= character <= "\udfff" else character for character in text)
        count = sum("\ud800" <= character <= "\udfff" for character in text)
        self.invalid += count
        return good, count

    def finish(self) -> None:
        """To be called at the end of the file. Raises BadInput in strict mode where anything was invalid."""
        if self.invalid and self.errors == "strict":
            raise BadInput(
                f"{self.path} is not UTF-8 at {self.first} of its text ({self.invalid} invalid sequences in all): "
                f"convert it to UTF-8, or add --errors replace or --errors drop-line"
            )

    def _or_nothing(self, line: bytes) -> str:
        try:
            return line.decode("utf-8")
        except UnicodeDecodeError:
            self.invalid += _replaced(line)[1]
            return ""

    def _note(self, place: str) -> None:
        self.first = self.first or place


def _replaced(data: bytes) -> tuple[str, int]:
    """The text with U+FFFD for each invalid sequence, and how many there were (a U+FFFD of the text's own is none)."""
    text = data.decode("utf-8", "replace")
    return text, text.count("\ufffd") - data.count("\ufffd".encode())
