"""A synthetic CC-100 tree: 100 languages, sizes skewed as the real ones are, as large as wanted.

`python -m tests.synthetic_cc100 FOLDER --bytes 5GB` writes FOLDER/<code>.txt, a line a sentence, an empty line between
documents, one document in fifty an exact copy of an earlier one. The words are made up, each language's own, with a
Zipf-like law over them, in the script it is written in. The same arguments give the same bytes.
"""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Iterator
from itertools import count, islice
from pathlib import Path

import numpy as np

_SCRIPTS = {
    "latin": (0x61, 26),
    "cyrillic": (0x430, 32),
    "greek": (0x3B1, 25),
    "hebrew": (0x5D0, 27),
    "arabic": (0x628, 35),
    "devanagari": (0x905, 53),
    "bengali": (0x995, 34),
    "gurmukhi": (0xA15, 34),
    "gujarati": (0xA95, 34),
    "oriya": (0xB15, 34),
    "tamil": (0xB95, 34),
    "telugu": (0xC15, 34),
    "kannada": (0xC95, 34),
    "malayalam": (0xD15, 34),
    "sinhala": (0xD9A, 34),
    "thai": (0xE01, 46),
    "lao": (0xE94, 20),
    "burmese": (0x1000, 32),
    "georgian": (0x10D0, 33),
    "armenian": (0x561, 38),
    "ethiopic": (0x1200, 90),
    "khmer": (0x1780, 35),
    "kana": (0x3041, 83),
    "han": (0x4E00, 3000),
    "hangul": (0xAC00, 3000),
}
"""A letter of each script to start from, and how many to take."""
_OWN = {
    "cyrillic": "ru uk bg sr mk be kk ky mn",
    "greek": "el",
    "hebrew": "he yi",
    "arabic": "ar fa ur ps sd ug ku",
    "devanagari": "hi mr ne sa",
    "bengali": "bn as",
    "gurmukhi": "pa",
    "gujarati": "gu",
    "oriya": "or",
    "tamil": "ta",
    "telugu": "te",
    "kannada": "kn",
    "malayalam": "ml",
    "sinhala": "si",
    "thai": "th",
    "lao": "lo",
    "burmese": "my",
    "georgian": "ka",
    "armenian": "hy",
    "ethiopic": "am",
    "khmer": "km",
    "kana": "ja",
    "han": "zh zh-Hant",
    "hangul": "ko",
}
"""What is written in which script; the rest in Latin."""
_GIB = """
en 300.8 ru 278.0 id 148.3 vi 137.3 fa 111.6 uk 84.6 th 71.7 ja 69.3 de 66.6 ro 61.4 hu 58.4 bg 57.5 fr 56.8 fi 54.3
ko 54.2 es 53.3 pt 49.1 no 49.0 el 46.9 zh 46.9 da 45.6 pl 44.6 he 31.6 it 30.2 nl 29.3 ar 28.0 sk 23.2 tr 20.9 hr 20.5
hi 20.2 zh-Hant 16.6 cs 16.3 lt 13.7 ta 12.2 sv 12.1 sl 10.3 ca 10.1 ka 9.1 sr 9.1 lv 8.8 ms 8.5 bn 8.4 ml 7.6 az 6.5
kk 6.4 et 6.1 ur 5.7 hy 5.5 sq 5.4 mk 4.8 te 4.7 be 4.3 ne 3.8 si 3.6 kn 3.3 is 3.2 tl 3.1 mn 3.0 gl 2.9 mr 2.8 la 2.5
eu 2.0 gu 1.9 my_zaw 1.6 sw 1.6 km 1.5 af 1.3 ky 1.2 eo 0.9 am 0.8 cy 0.8 pa 0.8 ps 0.7 uz 0.7 lo 0.6 or 0.6 bn_rom 0.5
ga 0.5 hi_rom 0.5 ur_rom 0.5 ku 0.4 my 0.4 sd 0.4 so 0.4 ug 0.4 ha 0.3 sa 0.3 ta_rom 0.3 te_rom 0.3 yi 0.3 fy 0.2 jv 0.2
mg 0.2 as 0.1 br 0.1 bs 0.1 gd 0.1 om 0.1 su 0.1 xh 0.1
"""
"""Sizes of CC-100 by language in GiB, as the appendix of the XLM-R paper prints them (arXiv:1911.02116)."""
GIB = dict(zip(_GIB.split()[0::2], map(float, _GIB.split()[1::2]), strict=True))

COPIES = 50
"""One document in so many is an exact copy of one of the last few hundred."""
_WORDS = 4000
_AT_ONCE = 512
_FRESH = 16
_LEAST = 20_000
_UNITS = {"": 1, "k": 10**3, "M": 10**6, "G": 10**9, "T": 10**12}


def sizes(total: int) -> dict[str, int]:
    """Bytes of each language, in proportion to CC-100's, 20 kB at the least."""
    return {code: max(_LEAST, int(total * gib / sum(GIB.values()))) for code, gib in GIB.items()}


def vocabulary(code: str) -> list[str]:
    """Made-up words of one language."""
    rng = np.random.default_rng([*code.encode()])
    script = next((name for name, codes in _OWN.items() if code in codes.split()), "latin")
    first, letters = _SCRIPTS[script]
    lengths = rng.integers(1, 4 if letters > 1000 else 11, _WORDS)
    return ["".join(map(chr, first + rng.integers(0, letters, length))) for length in lengths]


def fresh(code: str) -> Iterator[bytes]:
    """Documents of one language without end, some hundreds a block, each closed by a blank line.

    A document is one to some tens of sentences, and begins with its number.
    """
    rng = np.random.default_rng([1, *code.encode()])
    words = np.array(vocabulary(code), dtype=object)
    ranks = 1 / (np.arange(_WORDS) + 2.7)
    ends = np.cumsum(ranks / ranks.sum())
    number = 0
    while True:
        sentences = rng.geometric(0.12, _AT_ONCE)
        lengths = rng.integers(4, 30, sentences.sum())
        drawn = words[np.minimum(np.searchsorted(ends, rng.random(lengths.sum())), _WORDS - 1)].tolist()
        block, word, sentence = [], 0, 0
        for many in sentences.tolist():
            lines = []
            for length in lengths[sentence : sentence + many].tolist():
                lines.append(" ".join(drawn[word : word + length]) + ".")
                word += length
            sentence += many
            block.append(f"{number} " + "\n".join(lines))  # the number makes every original distinct
            number += 1
        for copy in range(COPIES - 1, _AT_ONCE, COPIES):
            block[copy] = block[int(rng.integers(0, copy))]
        yield "\n\n".join([*block, ""]).encode()


def blocks(code: str) -> Iterator[bytes]:
    """The same, at the speed of a disk: after a few megabytes the text comes again, each time under other numbers."""
    first: list[bytes] = []
    for block in islice(fresh(code), _FRESH):
        first.append(block)
        yield block
    for again in count(1):
        for block in first:
            yield (b"\n\n" + block[:-2]).replace(b"\n\n", b"\n\n%d." % again)[2:] + b"\n\n"


def write_tree(folder: Path, total: int) -> dict[str, int]:
    """Write the tree, about `total` bytes; the bytes of each file."""
    folder.mkdir(parents=True, exist_ok=True)
    written: dict[str, int] = {}
    for code, wanted in sizes(total).items():
        with (folder / f"{code}.txt").open("wb") as stream:
            for block in blocks(code):
                left = wanted - stream.tell()
                # Cut where a document ends, so that a small language is small.
                stream.write(block if len(block) <= left else block[: block.index(b"\n\n", left) + 2])
                if stream.tell() >= wanted:
                    break
            written[code] = stream.tell()
    return written


def parsed_bytes(text: str) -> int:
    match = re.fullmatch(r"(\d+(?:\.\d+)?)([kMGT]?)B?", text)
    if not match:
        raise argparse.ArgumentTypeError(f"{text} is no size such as 500MB or 5GB")
    return int(float(match[1]) * _UNITS[match[2]])


if __name__ == "__main__":
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    options.add_argument("folder", type=Path)
    options.add_argument("--bytes", type=parsed_bytes, default=parsed_bytes("100MB"))
    given = options.parse_args()
    made = write_tree(given.folder, given.bytes)
    print(f"{len(made)} languages, {sum(made.values()):,} bytes", file=sys.stderr)
