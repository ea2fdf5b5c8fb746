"""Every benchmark file at hand is read whole, with the numbers of items that its makers publish."""

from __future__ import annotations

import tarfile
from collections import Counter
from pathlib import Path

import pytest

from harness.evaluate.formats import Questions, aligned, conllu, find, read_text, squad, table, tagged
from harness.evaluate.spans import spans_of
from harness.evaluate.tasks.sib200 import Sib200

DATA = Path(__file__).resolve().parents[4] / "shared" / "data"
pytestmark = pytest.mark.skipif(not DATA.is_dir(), reason="the benchmarks are not at hand")

XNLI_LABELS = ("entailment", "neutral", "contradiction")


def test_xnli_has_2490_and_5010_items_in_each_of_15_languages_a_third_of_each_label() -> None:
    for split, items in (("dev", 2490), ("test", 5010)):
        path = find(DATA / "xnli", f"xnli.{split}.tsv")
        assert path is not None
        rows = table(read_text(path), ["language", "gold_label", "sentence1", "sentence2"])
        counts = Counter((language, label) for _, (language, label, *_) in rows)
        assert len({language for language, _ in counts}) == 15
        assert set(counts.values()) == {items // 3} and {label for _, label in counts} == set(XNLI_LABELS)


@pytest.mark.parametrize(("name", "items"), [("SICK_train", 4500), ("SICK_trial", 500), ("SICK_test_annotated", 4927)])
def test_sick_is_whole(name: str, items: int) -> None:
    path = find(DATA / "sick", f"{name}.txt")
    assert path is not None
    rows = list(table(read_text(path), ["sentence_A", "sentence_B", "entailment_judgment"]))
    assert len(rows) == items and {label for _, (*_, label) in rows} == {name.upper() for name in XNLI_LABELS}


@pytest.mark.parametrize(
    ("name", "sentences", "entities"),
    [
        ("esp.train", 8323, 18798),
        ("esp.testa", 1915, 4352),
        ("esp.testb", 1517, 3559),
        ("ned.train", 15806, 13344),
        ("ned.testa", 2895, 2616),
        ("ned.testb", 5195, 3941),
    ],
)
def test_conll_2002_has_the_sentences_and_entities_of_its_shared_task(name: str, sentences: int, entities: int) -> None:

    path = find(DATA / "conll2002", name)
    assert path is not None
    found = list(tagged(read_text(path)))
    assert (len(found), sum(len(spans_of(one.tags)) for one in found)) == (sentences, entities)


def files(folder: str, pattern: str) -> list[Path]:
    return sorted((DATA / folder).glob(pattern))


HUNDRED = {"gu", "jv", "my", "pa", "qu", "yo"}
THOUSAND = {"af", "az", "bn", "hi", "kk", "ml", "mr", "ms", "sw", "ta", "te", "tl", "ur"}


@pytest.mark.parametrize("path", files("panx", "*.tsv*"), ids=lambda path: path.name.split(".")[0])
def test_wikiann_has_the_sentences_of_its_balanced_split(path: Path) -> None:
    split, language = path.name.split(".")[0].split("-")
    wanted = 20_000 if split == "train" else 100 if language in HUNDRED else 1000 if language in THOUSAND else 10_000
    found = list(tagged(read_text(path)))
    assert len(found) == wanted
    assert {tag for one in found for tag in one.tags} <= {
        "O",
        *(f"{b}-{t}" for b in "BI" for t in ("PER", "ORG", "LOC")),
    }


MASAKHANER = {
    "bam": (638, 1274), "bbj": (483, 966), "ewe": (501, 1001), "fon": (623, 1228), "hau": (816, 1633),
    "ibo": (1090, 2181), "kin": (1118, 2235), "lug": (706, 1412), "luo": (737, 1474), "mos": (648, 1294),
    "nya": (893, 1785), "pcm": (806, 1613), "sna": (887, 1773), "swa": (942, 1883), "tsn": (499, 996),
    "twi": (605, 1211), "wol": (656, 1312), "xho": (817, 1633), "yor": (983, 1964), "zul": (836, 1670),
}  # fmt: skip


@pytest.mark.parametrize(("language", "sentences"), MASAKHANER.items())
def test_masakhaner_2_is_whole(language: str, sentences: tuple[int, int]) -> None:
    found = []
    for split in ("dev", "test"):
        path = find(DATA / "masakhaner2" / language, f"{split}.txt")
        assert path is not None
        found.append(len(list(tagged(read_text(path)))))
    assert tuple(found) == sentences


@pytest.mark.parametrize("path", files("ud", "*/*.conllu*"), ids=lambda path: path.name.split(".")[0])
def test_treebanks_have_the_sentences_of_their_release(path: Path) -> None:
    wanted = {
        "en_ewt-ud-train": (12544, 204577), "en_ewt-ud-dev": (2001, 25147), "en_ewt-ud-test": (2077, 25094),
        "wo_wtb-ud-train": (1188, 23561), "wo_wtb-ud-dev": (449, 10294), "wo_wtb-ud-test": (470, 10403),
        "yo_ytb-ud-test": (317, 8243),
    }  # fmt: skip
    found = list(conllu(read_text(path)))
    name = path.name.split(".")[0]
    if "pud" in name:
        assert len(found) == 1000, "PUD's sentences are parallel"
    else:
        assert (len(found), sum(len(one.words) for one in found)) == wanted[name]


# Dev sentences of each treebank of UD 2.5 that XTREME put together, by language; of train-en their sum.
SPEECH = {
    "train-en": (21_253,), "af": (194,), "ar": (909,), "bg": (1115,), "de": (799, 18_434), "el": (403,),
    "en": (2002, 784, 1032, 156), "es": (1654, 1400), "et": (3125,), "eu": (1798,), "fa": (599,), "fi": (1875, 1364),
    "fr": (1476, 107, 412, 908), "he": (484,), "hi": (1659,), "hu": (441,), "id": (559,),
    "it": (564, 156, 671, 144, 743), "ja": (511,), "ko": (950, 2066), "lt": (617, 55), "mr": (46,), "nl": (718, 676),
    "pl": (1745, 2215), "pt": (560, 1210), "ro": (2247,), "ru": (579, 6584, 945), "ta": (80,), "te": (131,),
    "tr": (988,), "uk": (672,), "ur": (552,), "vi": (800,), "wo": (449,), "zh": (500, 500),
}  # fmt: skip


@pytest.mark.parametrize("path", files("udpos", "*.tsv*"), ids=lambda path: path.name.split(".")[0])
def test_xtremes_parts_of_speech_are_universal_and_every_word_has_one(path: Path) -> None:
    found = list(tagged(read_text(path)))
    tags = {tag for one in found for tag in one.tags}
    assert found and tags <= {
        "ADJ",
        "ADP",
        "ADV",
        "AUX",
        "CCONJ",
        "DET",
        "INTJ",
        "NOUN",
        "NUM",
        "PART",
        "PRON",
        "PROPN",
        "PUNCT",
        "SCONJ",
        "SYM",
        "VERB",
        "X",
        "_",
    }
    assert len(found) == sum(SPEECH[path.name.split(".")[0].removeprefix("dev-")])


QUESTIONS = {
    **{
        f"xquad.{language}": 1190
        for language in ["ar", "de", "el", "en", "es", "hi", "ro", "ru", "th", "tr", "vi", "zh"]
    },
    **{
        f"dev-context-{language}-question-{language}": items
        for language, items in {"ar": 517, "de": 512, "en": 1148, "es": 500, "hi": 507, "vi": 511, "zh": 504}.items()
    },
    "tydiqa.goldp.en.train": 3696,
    "tydiqa.goldp.ko.train": 1625,
    "tydiqa.goldp.sw.train": 2755,
}


@pytest.mark.parametrize(("name", "items"), QUESTIONS.items())
def test_questions_are_all_there_with_answers_that_stand_where_the_file_says(name: str, items: int) -> None:
    path = next(path for folder in ("xquad", "mlqa", "tydiqa-goldp") if (path := find(DATA / folder, f"{name}.json")))
    found: Questions = squad(read_text(path))
    assert len(found.items) == items and not found.astray
    assert all(item.answers for item in found.items)


def test_sib_200_has_701_99_and_204_sentences_in_each_of_205_languages_parallel_by_id(tmp_path: Path) -> None:
    with tarfile.open(DATA / "sib-200" / "annotated.tar.xz") as archive:
        archive.extractall(tmp_path, filter="data")
    task = Sib200()
    languages = task.languages(tmp_path)
    assert len(languages) == 205
    for split, items in (("train", 701), ("dev", 99), ("test", 204)):
        english = {item.id: item.label for item in task.read(tmp_path, split, "eng_Latn")}
        assert len(english) == items and set(english.values()) == set(Sib200.labels)
        for language in languages:
            found = list(task.read(tmp_path, split, language))
            assert len(found) == items and {item.id: item.label for item in found} == english, language


SHORT = {
    "amh": 168, "ang": 134, "arq": 911, "arz": 477, "ast": 127, "awa": 231, "bos": 354, "ceb": 600, "cha": 137,
    "csb": 253, "cym": 575, "dsb": 479, "fao": 262, "fry": 173, "gla": 829, "gsw": 117, "hsb": 483, "hye": 742,
    "jav": 205, "kat": 746, "kaz": 575, "khm": 722, "kur": 410, "mal": 687, "max": 284, "mon": 440, "nov": 257,
    "orv": 835, "pms": 525, "slv": 823, "swg": 112, "swh": 390, "tam": 307, "tel": 234, "tha": 548, "tuk": 203,
    "tzl": 104, "uzb": 428, "xho": 142, "yid": 848,
}  # fmt: skip


def test_tatoeba_has_up_to_a_thousand_pairs_for_112_languages() -> None:
    found = {}
    for path in files("tatoeba", "tatoeba.*-eng.eng*"):
        language = path.name.split(".")[1][:3]
        other = find(path.parent, f"tatoeba.{language}-eng.{language}")
        assert other is not None
        found[language] = len(aligned(read_text(other), read_text(path)))
    assert len(found) == 112 and max(found.values()) == 1000
    assert {language: count for language, count in found.items() if count < 1000} == SHORT
