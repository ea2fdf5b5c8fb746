"""CC-100's 100 rows: size, family, script.

Sizes are GiB as the paper prints them (arXiv 1911.02116 v2, appendix, Table 6). A family is a branch of Indo-European,
of Afro-Asiatic or of Niger-Congo, else a whole family: the level at which languages share words. Latin stands with its
daughters. Romanised text ends in `_rom`, Burmese in the Zawgyi encoding is `my_zaw`, traditional Chinese `zh-Hant`.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Language:
    code: str
    gib: float
    """GiB of CC-100."""
    family: str
    script: str
    name: str


_ROWS = """
af         1.3  Germanic      Latin      Afrikaans
am         0.8  Semitic       Ethiopic   Amharic
ar        28.0  Semitic       Arabic     Arabic
as         0.1  Indo-Aryan    Bengali    Assamese
az         6.5  Turkic        Latin      Azerbaijani
be         4.3  Slavic        Cyrillic   Belarusian
bg        57.5  Slavic        Cyrillic   Bulgarian
bn         8.4  Indo-Aryan    Bengali    Bengali
bn_rom     0.5  Indo-Aryan    Latin      Bengali Romanized
br         0.1  Celtic        Latin      Breton
bs         0.1  Slavic        Latin      Bosnian
ca        10.1  Romance       Latin      Catalan
cs        16.3  Slavic        Latin      Czech
cy         0.8  Celtic        Latin      Welsh
da        45.6  Germanic      Latin      Danish
de        66.6  Germanic      Latin      German
el        46.9  Hellenic      Greek      Greek
en       300.8  Germanic      Latin      English
eo         0.9  Constructed   Latin      Esperanto
es        53.3  Romance       Latin      Spanish
et         6.1  Uralic        Latin      Estonian
eu         2.0  Basque        Latin      Basque
fa       111.6  Iranian       Arabic     Persian
fi        54.3  Uralic        Latin      Finnish
fr        56.8  Romance       Latin      French
fy         0.2  Germanic      Latin      Western Frisian
ga         0.5  Celtic        Latin      Irish
gd         0.1  Celtic        Latin      Scottish Gaelic
gl         2.9  Romance       Latin      Galician
gu         1.9  Indo-Aryan    Gujarati   Gujarati
ha         0.3  Chadic        Latin      Hausa
he        31.6  Semitic       Hebrew     Hebrew
hi        20.2  Indo-Aryan    Devanagari Hindi
hi_rom     0.5  Indo-Aryan    Latin      Hindi Romanized
hr        20.5  Slavic        Latin      Croatian
hu        58.4  Uralic        Latin      Hungarian
hy         5.5  Armenian      Armenian   Armenian
id       148.3  Austronesian  Latin      Indonesian
is         3.2  Germanic      Latin      Icelandic
it        30.2  Romance       Latin      Italian
ja        69.3  Japonic       Japanese   Japanese
jv         0.2  Austronesian  Latin      Javanese
ka         9.1  Kartvelian    Georgian   Georgian
kk         6.4  Turkic        Cyrillic   Kazakh
km         1.5  Austroasiatic Khmer      Khmer
kn         3.3  Dravidian     Kannada    Kannada
ko        54.2  Koreanic      Hangul     Korean
ku         0.4  Iranian       Latin      Kurdish
ky         1.2  Turkic        Cyrillic   Kyrgyz
la         2.5  Romance       Latin      Latin
lo         0.6  Kra-Dai       Lao        Lao
lt        13.7  Baltic        Latin      Lithuanian
lv         8.8  Baltic        Latin      Latvian
mg         0.2  Austronesian  Latin      Malagasy
mk         4.8  Slavic        Cyrillic   Macedonian
ml         7.6  Dravidian     Malayalam  Malayalam
mn         3.0  Mongolic      Cyrillic   Mongolian
mr         2.8  Indo-Aryan    Devanagari Marathi
ms         8.5  Austronesian  Latin      Malay
my         0.4  Sino-Tibetan  Burmese    Burmese
my_zaw     1.6  Sino-Tibetan  Burmese    Burmese (Zawgyi)
ne         3.8  Indo-Aryan    Devanagari Nepali
nl        29.3  Germanic      Latin      Dutch
no        49.0  Germanic      Latin      Norwegian
om         0.1  Cushitic      Latin      Oromo
or         0.6  Indo-Aryan    Odia       Oriya
pa         0.8  Indo-Aryan    Gurmukhi   Punjabi
pl        44.6  Slavic        Latin      Polish
ps         0.7  Iranian       Arabic     Pashto
pt        49.1  Romance       Latin      Portuguese
ro        61.4  Romance       Latin      Romanian
ru       278.0  Slavic        Cyrillic   Russian
sa         0.3  Indo-Aryan    Devanagari Sanskrit
sd         0.4  Indo-Aryan    Arabic     Sindhi
si         3.6  Indo-Aryan    Sinhala    Sinhala
sk        23.2  Slavic        Latin      Slovak
sl        10.3  Slavic        Latin      Slovenian
so         0.4  Cushitic      Latin      Somali
sq         5.4  Albanian      Latin      Albanian
sr         9.1  Slavic        Cyrillic   Serbian
su         0.1  Austronesian  Latin      Sundanese
sv        12.1  Germanic      Latin      Swedish
sw         1.6  Bantu         Latin      Swahili
ta        12.2  Dravidian     Tamil      Tamil
ta_rom     0.3  Dravidian     Latin      Tamil Romanized
te         4.7  Dravidian     Telugu     Telugu
te_rom     0.3  Dravidian     Latin      Telugu Romanized
th        71.7  Kra-Dai       Thai       Thai
tl         3.1  Austronesian  Latin      Filipino
tr        20.9  Turkic        Latin      Turkish
ug         0.4  Turkic        Arabic     Uyghur
uk        84.6  Slavic        Cyrillic   Ukrainian
ur         5.7  Indo-Aryan    Arabic     Urdu
ur_rom     0.5  Indo-Aryan    Latin      Urdu Romanized
uz         0.7  Turkic        Latin      Uzbek
vi       137.3  Austroasiatic Latin      Vietnamese
xh         0.1  Bantu         Latin      Xhosa
yi         0.3  Germanic      Hebrew     Yiddish
zh        46.9  Sino-Tibetan  Han        Chinese (simplified)
zh-Hant   16.6  Sino-Tibetan  Han        Chinese (traditional)
"""


def _row(line: str) -> Language:
    code, gib, family, script, name = line.split(maxsplit=4)
    return Language(code, float(gib), family, script, name)


LANGUAGES: dict[str, Language] = {row.code: row for row in map(_row, _ROWS.strip().splitlines())}
"""By code, in alphabetical order."""
