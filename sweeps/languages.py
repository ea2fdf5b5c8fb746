"""Language sets that studies name. Sets of one family are nested: each holds the one before it.

`demo-*` serve the demo corpus (user-interface text). They start from English with two low-resource languages, add
their relatives, then languages of other branches and scripts. Only languages with both text and intents are used, so
that loss and zero-shot accuracy are measured on the same languages.
"""

from __future__ import annotations

_DEMO_ORDER = ("en", "lb", "da", "de", "nl", "nb", "it", "pl", "fi", "uk", "bg", "he", "vi", "id", "ca", "ro")

LANGUAGE_SETS: dict[str, tuple[str, ...]] = {f"demo-{count}": _DEMO_ORDER[:count] for count in (3, 6, 16)}


def language_set(name: str) -> tuple[str, ...]:
    """Codes of a named set, in nesting order. Raises KeyError for a name that is none."""
    return LANGUAGE_SETS[name]
