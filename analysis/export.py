"""The table of records for other programs: CSV, and a LaTeX tabular that needs no package."""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping

import pandas as pd

_GREEK = {
    "α": "alpha", "β": "beta", "γ": "gamma", "δ": "delta", "ε": "varepsilon", "φ": "varphi", "ψ": "psi", "σ": "sigma",
    "λ": "lambda", "μ": "mu", "ρ": "rho", "θ": "theta", "Δ": "Delta", "Σ": "Sigma",
}  # fmt: skip
_SPECIAL = {
    "\\": r"\textbackslash{}",
    "&": r"\&",
    "%": r"\%",
    "$": r"\$",
    "#": r"\#",
    "_": r"\_",
    "{": r"\{",
    "}": r"\}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    "×": r"$\times$",
    "±": r"$\pm$",
    "–": "--",
    "—": "---",
    "…": r"\dots{}",
    "≤": r"$\leq$",
    "≥": r"$\geq$",
    "−": "$-$",
    "’": "'",
    "“": "``",
    "”": "''",
    "✓": "yes",
    "✗": "no",
    '"': "''",
    "‘": "`",
    "«": "<<",
    "»": ">>",
    "·": r"$\cdot$",
    "≈": r"$\approx$",
    "→": r"$\to$",
    "°": r"$^\circ$",
    "²": "$^2$",
    "³": "$^3$",
    "µ": r"$\mu$",
    "∞": r"$\infty$",
    "æ": r"\ae{}",
    "Æ": r"\AE{}",
    "ø": r"\o{}",
    "Ø": r"\O{}",
    "œ": r"\oe{}",
    "Œ": r"\OE{}",
    "ß": r"\ss{}",
    "ł": r"\l{}",
    "Ł": r"\L{}",
    "ı": r"\i{}",
    "å": r"\aa{}",
    "Å": r"\AA{}",
    **{letter: rf"$\{name}$" for letter, name in _GREEK.items()},
}
_ACCENTS = {
    "\u0300": "`", "\u0301": "'", "\u0302": "^", "\u0303": "~", "\u0304": "=", "\u0306": "u", "\u0307": ".",
    "\u0308": '"', "\u030a": "r", "\u030b": "H", "\u030c": "v", "\u0327": "c", "\u0323": "d",
}  # fmt: skip
"""Combining marks, and LaTeX's command for each."""
_ABOVE = set(_ACCENTS) - {"\u0327", "\u0323"}


def csv_bytes(df: pd.DataFrame) -> bytes:
    """UTF-8 with one line a row, numbers in full precision, missing ones empty."""
    text: str = df.to_csv(index=False, lineterminator="\n")
    return text.encode()


def latex_text(value: object) -> str:
    """Text as plain pdflatex sets it, without any font package: Latin letters with their accents, Greek, common signs.
    Any other character becomes a question mark, for pdflatex would stop at it."""
    return "".join(_latex_character(c) for c in str(value))


def _latex_character(character: str) -> str:
    if character in _SPECIAL:
        return _SPECIAL[character]
    if " " <= character <= "~":
        return character
    if character.isspace():
        return " "
    base, *marks = list(unicodedata.normalize("NFD", character))
    if base.isascii() and base.isalpha() and len(marks) == 1 and marks[0] in _ACCENTS:
        dotless = {"i": r"\i", "j": r"\j"}.get(base, base) if marks[0] in _ABOVE else base
        return rf"\{_ACCENTS[marks[0]]}{{{dotless}}}"
    return "?"


def latex_tabular(df: pd.DataFrame, align: Mapping[str, str] | None = None, *, long: bool = False) -> str:
    """A tabular of text cells with its heads, rules by \\hline. align: column -> l, r, c or p{...}.

    long: a longtable, which breaks over pages and repeats its heads (package longtable, in every LaTeX).
    """
    kinds = dict(align or {})
    spec = "".join(kinds.get(name, "r" if pd.api.types.is_numeric_dtype(df[name]) else "l") for name in df.columns)
    kind = "longtable" if long else "tabular"
    head = " & ".join(latex_text(name) for name in df.columns) + r" \\ \hline"
    lines = [rf"\begin{{{kind}}}{{{spec}}}", r"\hline", head, *([r"\endhead"] if long else [])]
    for row in df.itertuples(index=False):
        lines.append(" & ".join("" if _missing(value) else latex_text(value) for value in row) + r" \\")
    return "\n".join([*lines, r"\hline", rf"\end{{{kind}}}", ""])


def _missing(value: object) -> bool:
    return value is None or (isinstance(value, float) and value != value)
