"""Language sets that studies name. Sets of one family are nested: each holds the one before it.

The paper prints XLM-7 and the sizes 15, 30, 60 and 100 of its other sets, but not their members, so these are ours:

`core-N`   XLM-7, then the rest of XNLI's 15, then CC-100's other rows from the largest to the smallest.
`other-N`  XLM-7, then one at a time the row whose family has the fewest members so far (the largest of those): another
           order of the same hundred, since which languages are added is confounded with how many.

`demo-*` serve the demo corpus (user-interface text). They start from English with two low-resource languages, add
their relatives, then languages of other branches and scripts. Only languages with both text and intents are used, so
that loss and zero-shot accuracy are measured on the same languages.
"""

from __future__ import annotations

from collections import Counter

from sweeps.language_table import LANGUAGES

CC100_GIB: dict[str, float] = {code: row.gib for code, row in LANGUAGES.items()}
"""GiB of CC-100 by language, all 100 rows."""

XLM_7 = ("en", "fr", "de", "ru", "zh", "sw", "ur")
"""The languages that every ablation of the paper holds (section 5.1)."""
XNLI_15 = (*XLM_7, "ar", "bg", "el", "es", "hi", "th", "tr", "vi")
HIGH, LOW = ("en", "fr"), ("sw", "ur")
"""The paper's high- and low-resource groups (section 5.1); the core is XLM_7."""
SIZES = (7, 15, 30, 60, 100)

_DEMO_ORDER = ("en", "lb", "da", "de", "nl", "nb", "it", "pl", "fi", "uk", "bg", "he", "vi", "id", "ca", "ro")


def _by_size(codes: tuple[str, ...]) -> tuple[str, ...]:
    """All codes: these first, the rest from the largest on; equal sizes by code."""
    rest = [code for code in LANGUAGES if code not in codes]
    return codes + tuple(sorted(rest, key=lambda code: (-CC100_GIB[code], code)))


def _by_family(codes: tuple[str, ...]) -> tuple[str, ...]:
    """All codes: these first, then always the largest of a family that has the fewest; equal sizes by code."""
    order = list(codes)
    members = Counter(LANGUAGES[code].family for code in order)
    left = [code for code in LANGUAGES if code not in codes]
    while left:
        chosen = min(left, key=lambda code: (members[LANGUAGES[code].family], -CC100_GIB[code], code))
        left.remove(chosen)
        order.append(chosen)
        members[LANGUAGES[chosen].family] += 1
    return tuple(order)


_ORDERS = {"core": _by_size(XNLI_15), "other": _by_family(XLM_7)}

LANGUAGE_SETS: dict[str, tuple[str, ...]] = {
    **{f"demo-{count}": _DEMO_ORDER[:count] for count in (3, 6, 16)},
    **{f"{family}-{count}": order[:count] for family, order in _ORDERS.items() for count in SIZES},
}


def language_set(name: str) -> tuple[str, ...]:
    """Codes of a named set, in nesting order. Raises KeyError for a name that is none."""
    return LANGUAGE_SETS[name]
