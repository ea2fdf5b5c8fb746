"""Language codes of benchmarks as the codes of studies: ISO 639-3 and FLORES' codes to CC-100's.

CC-100 writes two letters (ISO 639-1) where there are two, FLORES three and a script (`eng_Latn`). Where FLORES names
one member of a macrolanguage (`arb` of Arabic, `npi` of Nepali), it is that language's text that CC-100 holds.
"""

from __future__ import annotations

_TWO_OF_THREE = """
aa:aar ab:abk ae:ave af:afr ak:aka am:amh an:arg ar:ara as:asm av:ava ay:aym az:aze ba:bak be:bel bg:bul bi:bis bm:bam
bn:ben bo:bod br:bre bs:bos ca:cat ce:che ch:cha co:cos cr:cre cs:ces cu:chu cv:chv cy:cym da:dan de:deu dv:div dz:dzo
ee:ewe el:ell en:eng eo:epo es:spa et:est eu:eus fa:fas ff:ful fi:fin fj:fij fo:fao fr:fra fy:fry ga:gle gd:gla gl:glg
gn:grn gu:guj gv:glv ha:hau he:heb hi:hin ho:hmo hr:hrv ht:hat hu:hun hy:hye hz:her ia:ina id:ind ie:ile ig:ibo ii:iii
ik:ipk io:ido is:isl it:ita iu:iku ja:jpn jv:jav ka:kat kg:kon ki:kik kj:kua kk:kaz kl:kal km:khm kn:kan ko:kor kr:kau
ks:kas ku:kur kv:kom kw:cor ky:kir la:lat lb:ltz lg:lug li:lim ln:lin lo:lao lt:lit lu:lub lv:lav mg:mlg mh:mah mi:mri
mk:mkd ml:mal mn:mon mr:mar ms:msa mt:mlt my:mya na:nau nb:nob nd:nde ne:nep ng:ndo nl:nld nn:nno no:nor nr:nbl nv:nav
ny:nya oc:oci oj:oji om:orm or:ori os:oss pa:pan pi:pli pl:pol ps:pus pt:por qu:que rm:roh rn:run ro:ron ru:rus rw:kin
sa:san sc:srd sd:snd se:sme sg:sag sh:hbs si:sin sk:slk sl:slv sm:smo sn:sna so:som sq:sqi sr:srp ss:ssw st:sot su:sun
sv:swe sw:swa ta:tam te:tel tg:tgk th:tha ti:tir tk:tuk tl:tgl tn:tsn to:ton tr:tur ts:tso tt:tat tw:twi ty:tah ug:uig
uk:ukr ur:urd uz:uzb ve:ven vi:vie vo:vol wa:wln wo:wol xh:xho yi:yid yo:yor za:zha zh:zho zu:zul
"""
"""Two letters : three letters."""

_MEMBERS = (
    "als:sq arb:ar azj:az ekk:et gaz:om khk:mn kmr:ku lvs:lv nob:no npi:ne ory:or pbt:ps pes:fa plt:mg quy:qu "
    "swh:sw uzn:uz ydd:yi zsm:ms cmn:zh iw:he nb:no"
)
_BY_SCRIPT = {"zho_Hant": "zh-Hant", "arb_Latn": "ar_rom", "ben_Latn": "bn_rom", "hin_Latn": "hi_rom"}
"""Codes whose script makes another language of them in CC-100."""

_CODES = {three: two for two, _, three in (pair.partition(":") for pair in _TWO_OF_THREE.split())}
_CODES |= {member: code for member, _, code in (pair.partition(":") for pair in _MEMBERS.split())}


def study_code(code: str) -> str:
    """The code by which studies know a benchmark's language; itself where it has no other."""
    if code in _BY_SCRIPT:
        return _BY_SCRIPT[code]
    return _CODES.get(code.partition("_")[0], code)
