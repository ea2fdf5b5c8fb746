"""Language sets that studies name. Sets of one family are nested: each holds the one before it.

`demo-*` serve the demo corpus (user-interface text). They start from English with two low-resource languages, add
their relatives, then languages of other branches and scripts. Only languages with both text and intents are used, so
that loss and zero-shot accuracy are measured on the same languages.
"""

from __future__ import annotations

_DEMO_ORDER = ("en", "lb", "da", "de", "nl", "nb", "it", "pl", "fi", "uk", "bg", "he", "vi", "id", "ca", "ro")

LANGUAGE_SETS: dict[str, tuple[str, ...]] = {f"demo-{count}": _DEMO_ORDER[:count] for count in (3, 6, 16)}


XLM_7 = ("en", "fr", "de", "ru", "zh", "sw", "ur")
"""The languages that every ablation of the paper holds (section 5.1)."""

# fmt: off
CC100_GIB: dict[str, float] = {
    "af": 1.3, "am": 0.8, "ar": 28.0, "as": 0.1, "az": 6.5, "be": 4.3, "bg": 57.5, "bn": 8.4, "bn_rom": 0.5,
    "br": 0.1, "bs": 0.1, "ca": 10.1, "cs": 16.3, "cy": 0.8, "da": 45.6, "de": 66.6, "el": 46.9, "en": 300.8,
    "eo": 0.9, "es": 53.3, "et": 6.1, "eu": 2.0, "fa": 111.6, "fi": 54.3, "fr": 56.8, "fy": 0.2, "ga": 0.5, "gd": 0.1,
    "gl": 2.9, "gu": 1.9, "ha": 0.3, "he": 31.6, "hi": 20.2, "hi_rom": 0.5, "hr": 20.5, "hu": 58.4, "hy": 5.5,
    "id": 148.3, "is": 3.2, "it": 30.2, "ja": 69.3, "jv": 0.2, "ka": 9.1, "kk": 6.4, "km": 1.5, "kn": 3.3, "ko": 54.2,
    "ku": 0.4, "ky": 1.2, "la": 2.5, "lo": 0.6, "lt": 13.7, "lv": 8.8, "mg": 0.2, "mk": 4.8, "ml": 7.6, "mn": 3.0,
    "mr": 2.8, "ms": 8.5, "my": 0.4, "my_zaw": 1.6, "ne": 3.8, "nl": 29.3, "no": 49.0, "om": 0.1, "or": 0.6,
    "pa": 0.8, "pl": 44.6, "ps": 0.7, "pt": 49.1, "ro": 61.4, "ru": 278.0, "sa": 0.3, "sd": 0.4, "si": 3.6,
    "sk": 23.2, "sl": 10.3, "so": 0.4, "sq": 5.4, "sr": 9.1, "su": 0.1, "sv": 12.1, "sw": 1.6, "ta": 12.2,
    "ta_rom": 0.3, "te": 4.7, "te_rom": 0.3, "th": 71.7, "tl": 3.1, "tr": 20.9, "ug": 0.4, "uk": 84.6, "ur": 5.7,
    "ur_rom": 0.5, "uz": 0.7, "vi": 137.3, "xh": 0.1, "yi": 0.3, "zh": 46.9, "zh-Hant": 16.6,
}
# fmt: on
"""GiB of CC-100 by language: the paper's appendix table (arXiv 1911.02116 v2, Table 6), all 100 rows.
Romanised text ends in `_rom`, Burmese in Zawgyi is `my_zaw`, traditional Chinese `zh-Hant`."""


def language_set(name: str) -> tuple[str, ...]:
    """Codes of a named set, in nesting order. Raises KeyError for a name that is none."""
    return LANGUAGE_SETS[name]
