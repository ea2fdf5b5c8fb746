"""What must hold across all cells of a study, so that they differ in what the study varies and in nothing else.

Checked when a study is expanded, so before anything is spent. A study that breaks one on purpose names the others in
its `invariants`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise
from typing import Any

from sweeps.errors import BadInput
from sweeps.study import SHORT_NAMES, Study

LEAST_BYTES_PER_PIECE = 10
"""Sampled text for each piece of a vocabulary. A rule of thumb from below: SentencePiece finds its candidates among the
substrings that come twice, and was never seen to fill a vocabulary from less."""

Values = Mapping[str, Any]
"""A run's science and axes in one mapping."""


def check(
    study: Study, runs: Sequence[Values], sets: Mapping[str, tuple[str, ...]], bytes_of: Mapping[str, float]
) -> None:
    """Raises BadInput for the first of the study's invariants that does not hold."""
    for name in study.invariants:
        if sentence := _CHECKS[name](study, runs, sets, bytes_of):
            others = ", ".join(other for other in study.invariants if other != name)
            raise BadInput(f"{study.at('axes')}: {sentence}; where that is meant, write invariants: [{others}]")


def _varied(study: Study) -> set[str]:
    """Paths of the recipe's keys that axes and pairs set."""
    names = [name for name, values in study.axes.items() if values is not None]
    names += [name for pair in study.pairs for name in pair]
    return {SHORT_NAMES.get(name, name) for name in names}


def _one_value(study: Study, runs: Sequence[Values], key: str, path: str) -> str:
    found = sorted({run[key] for run in runs})
    if len(found) > 1 and path not in _varied(study):
        return f"cells differ in {key} ({', '.join(map(str, found[:4]))}), which is no axis of the study"
    return ""


def _same_batch(study: Study, runs: Sequence[Values], sets: Any, bytes_of: Any) -> str:
    return _one_value(study, runs, "batch_tokens", "budget.batch_tokens")


def _same_evaluation(study: Study, runs: Sequence[Values], sets: Any, bytes_of: Any) -> str:
    """Held-out text is scored on rows as long as the run's, at its mask rate."""
    return _one_value(study, runs, "row_tokens", "row_tokens") or _one_value(study, runs, "mask_rate", "mask_rate")


def _nested(study: Study, runs: Sequence[Values], sets: Mapping[str, tuple[str, ...]], bytes_of: Any) -> str:
    used = {run["set"] for run in runs}
    rising = sorted(((name, codes) for name, codes in sets.items() if name in used), key=lambda item: len(item[1]))
    for (inner, few), (outer, many) in pairwise(rising):
        lacking = [code for code in few if code not in many]
        if lacking:
            return f"the language sets are not nested: {outer} lacks {', '.join(lacking[:5])} of {inner}"
    return ""


def _vocabulary_fits(
    study: Study, runs: Sequence[Values], sets: Mapping[str, tuple[str, ...]], bytes_of: Mapping[str, float]
) -> str:
    seen = set()
    for run in runs:
        tokenizer = run["tokenizer"]
        key = (tokenizer["vocabulary"], tuple(tokenizer["languages"]), tokenizer["sample_bytes"])
        if key in seen or not all(code in bytes_of for code in tokenizer["languages"]):
            continue
        seen.add(key)
        text = min(tokenizer["sample_bytes"], sum(bytes_of[code] for code in tokenizer["languages"]))
        if text < LEAST_BYTES_PER_PIECE * tokenizer["vocabulary"]:
            return (
                f"a vocabulary of {tokenizer['vocabulary']:,} cannot be filled from {text:,.0f} bytes of sampled text: "
                f"raise recipe.tokenizer.sample_bytes to {LEAST_BYTES_PER_PIECE * tokenizer['vocabulary']:,} or more, "
                "where the corpus has them, or lower the vocabulary"
            )
    return ""


_CHECKS: dict[str, Callable[[Study, Sequence[Values], Mapping[str, tuple[str, ...]], Mapping[str, float]], str]] = {
    "same-batch-tokens": _same_batch,
    "same-evaluation": _same_evaluation,
    "nested-languages": _nested,
    "vocabulary-fits": _vocabulary_fits,
}
