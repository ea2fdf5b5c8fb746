"""How much text the languages of known corpora hold, for plans made before the text is at hand."""

from __future__ import annotations

from collections.abc import Mapping

from sweeps.languages import CC100_GIB

DEMO = "demo"

# fmt: off
DEMO_BYTES: dict[str, int] = {
    "bg": 335_872, "ca": 245_882, "cs": 1_390_535, "da": 111_247, "de": 1_474_406, "el": 1_376_608, "en": 1_216_129,
    "es": 1_514_712, "et": 1_013_909, "eu": 82_823, "fa": 4_954, "fi": 288_933, "fr": 1_205_692, "fy": 25_081,
    "ga": 1_368_163, "gl": 1_411_119, "gsw": 11_037, "he": 380_839, "hr": 16_849, "hu": 1_566_810, "hy": 60_639,
    "id": 213_881, "it": 533_802, "ja": 1_552_807, "ko": 1_500_884, "lb": 26_466, "lt": 1_405_314, "lv": 46_557,
    "mk": 158_172, "nb": 178_972, "nl": 503_433, "pl": 201_250, "pt": 1_396_360, "pt-BR": 273_920, "ro": 128_931,
    "ru": 1_362_154, "sk": 1_423_787, "sl": 119_434, "sr": 360_634, "sr-Latn": 1_392_780, "sv": 1_286_601,
    "tr": 1_304_655, "uk": 302_179, "vi": 235_702, "zh-Hans": 699_946, "zh-Hant": 1_085_042,
}
# fmt: on
"""UTF-8 bytes of training text in the demo corpus, which is pinned: these are what building it gives."""


def known_bytes(corpus: str) -> Mapping[str, float]:
    """Bytes of training text by language: of the demo corpus exactly, of any other name what CC-100 holds."""
    return DEMO_BYTES if corpus == DEMO else {code: size * 2**30 for code, size in CC100_GIB.items()}
