"""Benchmarks from Hugging Face data sets are the items of the official files; what a set lacks is told."""

from __future__ import annotations

import sys
import tarfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import datasets
import pytest
from datasets import ClassLabel, List, Value
from hub_folder import write_hub
from learnable import Letters, encoder

from harness.evaluate.data import Data, asked, languages_of, located, read_items, read_pairs, scored
from harness.evaluate.driven import Means
from harness.evaluate.hub_layouts import Form
from harness.evaluate.stage import score_stage
from harness.evaluate.task import Classification, Extraction, Item, Retrieval, Split, Tagging, Task
from harness.evaluate.tasks import BY_NAME, task_named
from harness.launch.stages import keep_stages
from harness.store import Store, read_json
from models.encoder import Encoder
from sweeps.errors import BadInput
from sweeps.tasks import TaskBlock

DATA = Path(__file__).resolve().parents[4] / "shared" / "data"
at_hand = pytest.mark.skipif(not DATA.is_dir(), reason="the benchmarks are not at hand")
TEXT, NUMBER = Value("string"), Value("int32")


@pytest.fixture(autouse=True)
def own_cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path_factory.mktemp("cache"))


def otherwise(labels: Sequence[str]) -> ClassLabel:
    """The labels in another order than ours, so that only the features can tell them."""
    return ClassLabel(names=[*reversed(labels)])


def rows_of(task: Task, items: Sequence[Any]) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    """Rows as the hub's sets hold them, and their features."""
    if isinstance(task, Tagging):
        column = "pos_tags" if task.name == "udpos" else "ner_tags"
        told = otherwise(task.labels)
        rows = [{"tokens": [*item.words], column: told.str2int([*item.tags])} for item in items]
        return rows, {"tokens": List(TEXT), column: List(told)}
    if isinstance(task, Extraction):
        answers = {"text": List(TEXT), "answer_start": List(NUMBER)}
        rows = [
            {
                "id": item.id.partition("-")[2],
                "title": "",
                "context": item.context,
                "question": item.question,
                "answers": {
                    "text": [text for text, _ in item.answers],
                    "answer_start": [start for _, start in item.answers],
                },
            }
            for item in items
        ]
        return rows, {"id": TEXT, "title": TEXT, "context": TEXT, "question": TEXT, "answers": answers}
    if isinstance(task, Retrieval):
        rows = [{"source_sentence": item.text + "\n", "target_sentence": item.translation + "\n"} for item in items]
        return rows, {"source_sentence": TEXT, "target_sentence": TEXT}
    assert isinstance(task, Classification)
    if task.name == "sib200":
        rows = [{"index_id": int(item.id.split("-")[1]), "category": item.label, "text": item.text} for item in items]
        return rows, {"index_id": Value("int64"), "category": TEXT, "text": TEXT}
    told = otherwise(task.labels)
    rows = [{"premise": item.text, "hypothesis": item.second, "label": told.str2int(item.label)} for item in items]
    return rows, {"premise": TEXT, "hypothesis": TEXT, "label": told}


def read(task: Task, data: Data, split: Split, language: str) -> list[Any]:
    return read_pairs(task, data, language) if isinstance(task, Retrieval) else read_items(task, data, split, language)


@pytest.fixture(scope="module")
def official(tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, Path]:
    """The official files by their folder here; SIB-200's two languages unpacked."""
    sib = tmp_path_factory.mktemp("sib")
    with tarfile.open(DATA / "sib-200" / "annotated.tar.xz") as archive:
        wanted = [one for one in archive.getmembers() if {"eng_Latn", "tha_Thai"} & {*Path(one.name).parts}]
        archive.extractall(sib, members=wanted, filter="data")
    return {path.name: path for path in DATA.iterdir()} | {"sib-200": sib}


VALIDATED = {"train": "train", "dev": "validation", "test": "test"}


@at_hand
@pytest.mark.parametrize(
    ("name", "folder", "config", "splits", "languages"),
    [
        ("xnli", "xnli", "{}", {"dev": "validation", "test": "test"}, {"en": "en", "sw": "sw"}),
        ("sib200", "sib-200", "{}", VALIDATED, {"eng_Latn": "eng_Latn", "tha_Thai": "tha_Thai"}),
        ("wikiann", "panx", "{}", {"dev": "validation"}, {"en": "en", "yo": "yo"}),
        ("wikiann", "panx", "PAN-X.{}", {"dev": "validation"}, {"jv": "jv"}),
        ("masakhaner", "masakhaner2", "{}", {"dev": "validation", "test": "test"}, {"bbj": "bbj", "yor": "yor"}),
        ("conll", "conll2002", "{}", VALIDATED, {"es": "es", "nl": "nl"}),
        ("udpos", "udpos", "udpos.{}", {"dev": "validation"}, {"mr": "Marathi", "te": "Telugu", "tr": "Turkish"}),
        ("xquad", "xquad", "xquad.{}", {"test": "validation"}, {"en": "en", "th": "th"}),
        ("mlqa", "mlqa", "mlqa.{0}.{0}", {"dev": "validation"}, {"de": "de", "zh": "zh"}),
        ("tatoeba", "tatoeba", "tatoeba.{}", {"test": "validation"}, {"tha": "tha", "afr": "afr"}),
    ],
)
def test_items_of_a_hub_set_are_those_of_the_official_files(
    name: str,
    folder: str,
    config: str,
    splits: Mapping[Split, str],
    languages: Mapping[str, str],
    official: Mapping[str, Path],
    tmp_path: Path,
) -> None:
    task, files = BY_NAME[name], official[folder]
    there = {(language, split): read(task, files, split, language) for language in languages for split in splits}
    made = {key: rows_of(task, items) for key, items in there.items()}
    features = next(iter(made.values()))[1]
    configs = {
        config.format(called): {theirs: made[language, ours][0] for ours, theirs in splits.items()}
        for language, called in languages.items()
    }
    data = located(write_hub(tmp_path, configs, features), "test")
    if task.test_split in splits:
        assert languages_of(task, data) == sorted(languages)
    for (language, split), items in there.items():
        found = read(task, data, split, language)
        if isinstance(task, Tagging):  # files number their lines, the hub its rows
            assert [item.id for item in found] == [f"{split}-{number}" for number in range(1, len(items) + 1)]
            found = [replace(item, id=other.id) for item, other in zip(found, items, strict=True)]
        assert found == items and items


INFERENCE = {"premise": TEXT, "hypothesis": TEXT, "label": ClassLabel(names=["entailment", "neutral", "contradiction"])}
PAIR = {"premise": "a", "hypothesis": "b", "label": 2}


def test_sets_of_one_configuration_stand_in_for_training_data(tmp_path: Path) -> None:
    xnli, xquad, conll = BY_NAME["xnli"], BY_NAME["xquad"], BY_NAME["conll"]
    mnli = {"train": [PAIR, PAIR | {"label": -1}], "validation_matched": [PAIR], "validation_mismatched": [PAIR] * 3}
    source = write_hub(tmp_path / "mnli", {"default": mnli}, INFERENCE)
    assert read_items(xnli, located(source, "train"), "train", "en") == [Item("train-1", "a", "contradiction", "b")], (
        "what annotators did not agree on is left out"
    )
    assert len(read_items(xnli, located(source, "dev"), "dev", "en")) == 1
    assert len(read_items(BY_NAME["mnli-mm"], located(source, "test"), "dev", "en")) == 3
    other = located(f"{source}@validation_mismatched", "train")
    assert len(read_items(xnli, other, "train", "en")) == 3, "a split that is named is trained on"
    question = {"id": "7", "context": "one two", "question": "?", "answers": {"text": ["two"], "answer_start": [0]}}
    answers = {"text": List(TEXT), "answer_start": List(NUMBER)}
    features = {"id": TEXT, "context": TEXT, "question": TEXT, "answers": answers}
    squad = write_hub(tmp_path / "squad", {"plain_text": {"train": [question], "validation": [question]}}, features)
    (item,) = read_items(xquad, located(squad, "train"), "train", "en")
    assert item.id == "train-7" and item.answers == (("two", 4),), "looked up where it does not stand at its place"
    assert read_items(xquad, located(squad, "dev"), "dev", "en")
    tags = {"tokens": List(TEXT), "ner_tags": List(ClassLabel(names=["O", "B-PER", "I-PER"]))}
    rows = [{"tokens": ["Ada"], "ner_tags": [1]}, {"tokens": [], "ner_tags": []}]
    named = write_hub(tmp_path / "conll", {"conll2003": {"train": rows}}, tags)
    assert [item.tags for item in read_items(conll, located(named, "train"), "train", "en")] == [("B-PER",)]


@pytest.mark.parametrize(
    ("name", "config", "columns", "feature", "value", "label"),
    [
        (
            "qnli",
            "qnli",
            ("question", "sentence"),
            ClassLabel(names=["entailment", "Not Entailment"]),
            1,
            "not_entailment",
        ),
        ("qqp", "qqp", ("question1", "question2"), ClassLabel(names=["not_duplicate", "duplicate"]), 1, "1"),
        ("sst-2", "sst2", ("sentence",), ClassLabel(names=["negative", "positive"]), 0, "0"),
        ("mrpc", "mrpc", ("sentence1", "sentence2"), ClassLabel(names=["not_equivalent", "equivalent"]), 1, "1"),
        ("sts-b", "stsb", ("sentence1", "sentence2"), Value("float32"), 2.4, "2.4"),
        ("mnli", "mnli", ("premise", "hypothesis"), INFERENCE["label"], 0, "entailment"),
    ],
)
def test_glue_is_read_by_its_own_configurations(
    name: str, config: str, columns: tuple[str, ...], feature: Any, value: Any, label: str, tmp_path: Path
) -> None:
    row = {column: column for column in columns} | {"label": value, "idx": 0}
    split = "validation_matched" if name == "mnli" else "validation"
    features = dict.fromkeys(columns, TEXT) | {"label": feature, "idx": NUMBER}
    data = located(write_hub(tmp_path, {config: {split: [row]}, "cola": {split: [row]}}, features), "test")
    assert languages_of(BY_NAME[name], data) == ["en"]
    (item,) = read_items(BY_NAME[name], data, "dev", "en")
    assert item == Item("dev-1", columns[0], label, columns[1] if len(columns) > 1 else "")


def test_the_converted_copy_of_a_script_is_read_by_its_folders(tmp_path: Path) -> None:
    configs = {"en": {"test": [PAIR]}, "sw": {"test": [PAIR], "validation": [PAIR, PAIR]}}
    data = located(write_hub(tmp_path, configs, INFERENCE, card=False), "test")
    assert languages_of(BY_NAME["xnli"], data) == ["en", "sw"]
    assert len(read_items(BY_NAME["xnli"], data, "dev", "sw")) == 2
    with pytest.raises(BadInput, match="has no dev side of en"):
        read_items(BY_NAME["xnli"], data, "dev", "en")


def test_a_split_that_is_named_is_scored_and_dev_still_chooses(tmp_path: Path) -> None:
    tags = {"tokens": List(TEXT), "ner_tags": List(ClassLabel(names=["O", "B-PER"]))}
    rows = [{"tokens": ["Ada"], "ner_tags": [1]}]
    source = write_hub(tmp_path, {"en": {"validation": rows, "test": rows * 2}}, tags)
    wikiann = BY_NAME["wikiann"]
    data = located(f"{source}@test", "test")
    task = scored(wikiann, data)
    assert (task.test_split, wikiann.test_split) == ("test", "dev") and languages_of(task, data) == ["en"]
    assert [len(read_items(task, data, split, "en")) for split in ("test", "dev")] == [2, 1]


def test_a_train_set_with_other_codes_of_the_same_language_is_found(tmp_path: Path) -> None:
    features = {"index_id": NUMBER, "category": TEXT, "text": TEXT}
    row = {"index_id": 3, "category": "Science/Technology", "text": "a"}
    source = write_hub(tmp_path, {"en": {"train": [row]}, "de": {"train": [row]}}, features)
    found = read_items(BY_NAME["sib200"], located(source, "train"), "train", "eng_Latn")
    assert found == [Item("train-3", "a", "science/technology")]


@pytest.mark.parametrize(
    ("form", "config", "language"),
    [
        ("mlqa.{language}.{language}", "mlqa.en.en", "en"),
        ("mlqa.{language}.{language}", "mlqa.en.de", None),
        ("{language}", "all_languages", None),
        ("{language}", "eng_Latn", "eng_Latn"),
        ("{language}-eng", "afr-eng", "afr"),
        ("mnli", "mnli", "en"),
        ("mnli", "qnli", None),
    ],
)
def test_a_configuration_says_its_language_where_it_has_the_form(form: str, config: str, language: str | None) -> None:
    assert Form(form).language(config, "en") == language


UNPAIRED = {"premise": TEXT, "label": INFERENCE["label"]}
UNKNOWN = INFERENCE | {"label": ClassLabel(names=["entailment", "neutral", "maybe"])}
BROKEN: Mapping[str, tuple[str, Mapping[str, Any], Mapping[str, Any], str]] = {
    "column": ("", {"premise": "a", "label": 0}, UNPAIRED, "were expected, here are premise, label"),
    "label": ("", PAIR, UNKNOWN, ":en@test, row 1: the label 'maybe' is none of entailment"),
    "numbers": ("", PAIR, INFERENCE | {"label": Value("int64")}, "'label' holds int64, and the set does not say which"),
    "untold": ("", PAIR | {"label": -1}, INFERENCE, "row 1: the label -1 is not told"),
    "empty": ("", PAIR | {"premise": None}, INFERENCE, "row 1: the column 'premise' holds NoneType"),
    "config": (":xx", PAIR, INFERENCE, ":xx names a configuration that the set has not: it has en"),
    "split": ("@nowhere", PAIR, INFERENCE, "@nowhere has no nowhere side of en for xnli: the configuration en has"),
}


@pytest.mark.parametrize("case", BROKEN)
def test_what_a_set_lacks_is_told_with_set_split_and_row(case: str, tmp_path: Path) -> None:
    end, row, features, words = BROKEN[case]
    source = write_hub(tmp_path, {"en": {"test": [row]}}, features)
    with pytest.raises(BadInput) as raised:
        read_items(BY_NAME["xnli"], located(source + end, "test"), "test", "en")
    assert words in str(raised.value) and str(tmp_path) in str(raised.value) and "\n" not in str(raised.value)


def test_what_is_no_hub_set_of_the_task_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = write_hub(tmp_path / "set", {"en": {"test": [PAIR]}}, INFERENCE)
    xnli = BY_NAME["xnli"]
    with pytest.raises(BadInput, match="has no configuration of de for xnli: leave de out"):
        read_items(xnli, located(source, "test"), "test", "de")
    with pytest.raises(BadInput, match=r"mlqa can be scored on: mlqa\.\{language\}.* was expected, it has en"):
        languages_of(BY_NAME["mlqa"], located(source, "test"))
    with pytest.raises(BadInput, match="names no data set"):
        asked(xnli, "hf:")
    with pytest.raises(BadInput, match="cannot be read through datasets"):
        languages_of(xnli, located(f"hf:{tmp_path / 'gone'}", "test"))
    own = tmp_path / "parity.py"
    own.write_text(
        "from harness.evaluate.task import Retrieval\n\nclass Parity(Retrieval):\n    name = 'parity'\n"
        "    def languages(self, data):\n        return [data.name]\n    def pairs(self, data, language):\n"
        "        return []\n\nTASK = Parity()\n",
        encoding="utf-8",
    )
    parity = task_named(str(own))
    assert languages_of(parity, located(str(tmp_path / "set"), "test")) == ["set"], "a user's task is given the path"
    with pytest.raises(BadInput, match="the task parity reads no Hugging Face data set"):
        asked(parity, source)
    monkeypatch.setitem(sys.modules, "datasets", None)
    with pytest.raises(BadInput, match=r"needs the package datasets: pip install 'babelscale\[hub\]'"):
        languages_of(xnli, located(source, "test"))


def test_a_frozen_stage_names_the_set_so_that_jobs_elsewhere_find_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "mine").mkdir()
    monkeypatch.chdir(tmp_path)
    block = TaskBlock(data="hf:mine:en@test", train="hf:nyu-mll/multi_nli", dev="mine")
    store = Store(tmp_path / "root")
    keep_stages(store, {"xnli@1": block.model_dump(mode="json")})
    kept = read_json(store.stage("xnli@1"))
    assert kept["data"] == f"hf:{tmp_path}/mine:en@test", "a folder here"
    assert (kept["train"], kept["dev"]) == ("hf:nyu-mll/multi_nli", f"{tmp_path}/mine")


class Small:
    """A small model's encoders."""

    def trained(self) -> Encoder:
        return encoder()

    def untrained(self, seed: int) -> Encoder:
        return encoder()


def topics(language: str, split: str) -> Iterator[dict[str, Any]]:
    labels = ("sports", "travel")
    for number in range({"train": 40, "dev": 10, "test": 20}[split]):
        label = labels[number % 2]
        yield {"index_id": number, "category": label, "text": f"{language[0]} {label[0] * 5} {'xyz'[number % 3]}"}


def test_a_model_has_the_same_records_on_a_hub_set_as_on_the_official_files(tmp_path: Path, means: Means) -> None:
    """Of a stage with a language that neither has: it is told, the others are scored."""
    configs: dict[str, dict[str, list[dict[str, Any]]]] = {}
    for language in ("eng_Latn", "deu_Latn"):
        folder = tmp_path / "files" / language
        folder.mkdir(parents=True)
        configs[language] = {}
        for split in ("train", "dev", "test"):
            rows = [*topics(language, split)]
            table = ["index_id\tcategory\ttext", *("\t".join(map(str, row.values())) for row in rows)]
            (folder / f"{split}.tsv").write_text("\n".join(table) + "\n", encoding="utf-8")
            configs[language][VALIDATED[split]] = rows
    told = otherwise(BY_NAME["sib200"].labels)  # type: ignore[attr-defined]
    for splits in configs.values():
        for rows in splits.values():
            for row in rows:
                row["category"] = told.str2int(row["category"])
    hub = write_hub(tmp_path / "hub", configs, {"index_id": NUMBER, "category": told, "text": TEXT})
    records, said = [], []
    for number, data in enumerate((str(tmp_path / "files"), hub)):
        wanted = ("eng_Latn", "deu_Latn", "tha_Thai")
        block = TaskBlock(data=data, train=data, languages=wanted, rates=(1e-2,), seeds=(0,), epochs=3)
        kept, heard = tmp_path / f"kept{number}", []
        records.append(
            score_stage(
                block.frozen(), "sib200@1", Letters(), Small(), kept,
                languages=None, means=means, say=heard.append,
            )
        )  # fmt: skip
        said.append([line for line in heard if "not scored" in line])
        assert len(said[-1]) == 1 and "tha_Thai" in said[-1][0]
    assert [{row["details"].pop("train") for row in rows} for rows in records] == [{str(tmp_path / "files")}, {hub}]
    assert records[0] == records[1] and {row["language"] for row in records[0]} == {"en", "de"}
    names = [sorted(path.name for path in (tmp_path / f"kept{number}").iterdir()) for number in (0, 1)]
    assert names[0] == names[1], "what is kept is named by a digest of the items"


def test_a_language_is_found_and_recorded_by_the_code_that_the_study_writes(tmp_path: Path, means: Means) -> None:
    """Studies may write nb where the rest of the world's nob is their no."""
    for pair, text in (("nob", "abc"), ("deu", "xyz")):
        for side in (pair, "eng"):
            sentences = (f"{letter}{side[0]}\n" for letter in text)
            (tmp_path / f"tatoeba.{pair}-eng.{side}").write_text("".join(sentences), encoding="utf-8")
    block = TaskBlock(data=str(tmp_path)).frozen()
    for trained, recorded in ((["en", "nb"], {"nb"}), (["en", "no", "de"], {"no", "de"})):
        rows = score_stage(
            block, "tatoeba@1", Letters(), Small(), tmp_path / "kept", languages=trained, means=means
        )  # fmt: skip
        assert {row["language"] for row in rows} == recorded
