"""Each benchmark is found, read and scored by its own rules; a user's task is a file of a few lines."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from harness.evaluate.task import Classification, Extraction, Item, Retrieval, Tagging
from harness.evaluate.tasks import BY_NAME, task_named
from sweeps.errors import BadInput

DATA = Path(__file__).resolve().parents[4] / "shared" / "data"
at_hand = pytest.mark.skipif(not DATA.is_dir(), reason="the benchmarks are not at hand")


@at_hand
@pytest.mark.parametrize(
    ("name", "folder", "languages", "items"),
    [
        ("xnli", "xnli", 15, {"sw": 5010}),
        ("conll", "conll2002", 2, {"es": 1517, "nl": 5195}),
        ("wikiann", "panx", 47, {"en": 10_000, "yo": 100}),
        ("masakhaner", "masakhaner2", 20, {"yor": 1964}),
        ("ud-pos", "ud", 12, {"en": 2077, "th": 1000, "yo": 317}),
        ("udpos", "udpos", 34, {"mr": 46}),
        ("xquad", "xquad", 12, {"th": 1190}),
        ("tatoeba", "tatoeba", 112, {"tha": 548}),
    ],
)
def test_a_benchmark_is_found_with_its_languages_and_items(
    name: str, folder: str, languages: int, items: dict[str, int]
) -> None:
    task, data = BY_NAME[name], DATA / folder
    found = task.languages(data)
    assert len(found) == languages and set(items) <= set(found)
    for language, count in items.items():
        if isinstance(task, Retrieval):
            read: list[Any] = list(task.pairs(data, language))
        else:
            assert isinstance(task, Classification | Tagging | Extraction)
            read = list(task.read(data, task.test_split, language))
        assert len(read) == count and len({item.id for item in read}) == count


@at_hand
def test_sets_of_the_same_format_stand_in_for_training_data() -> None:
    xnli, xquad = BY_NAME["xnli"], BY_NAME["xquad"]
    assert isinstance(xnli, Classification) and isinstance(xquad, Extraction)
    sick = list(xnli.read(DATA / "sick" / "SICK_train.txt.xz", "train", "en"))
    assert len(sick) == 4500 and {item.label for item in sick} == set(xnli.labels)
    tydi = list(xquad.read(DATA / "tydiqa-goldp" / "tydiqa.goldp.en.train.json.xz", "train", "en"))
    assert len(tydi) == 3696 and tydi[0].context[tydi[0].answers[0][1] :].startswith(tydi[0].answers[0][0])


@at_hand
def test_parallel_items_have_one_id_in_all_languages() -> None:
    xnli, pud = BY_NAME["xnli"], BY_NAME["ud-pos"]
    assert isinstance(xnli, Classification) and isinstance(pud, Tagging)
    labels = [{item.id: item.label for item in xnli.read(DATA / "xnli", "dev", code)} for code in ("en", "sw")]
    assert labels[0] == labels[1]
    ids = [[item.id for item in pud.read(DATA / "ud", "test", code)] for code in ("de", "th")]
    assert ids[0] == ids[1]


def test_sib_200_reads_the_folders_of_its_repository(tmp_path: Path) -> None:
    folder = tmp_path / "annotated" / "eng_Latn"
    folder.mkdir(parents=True)
    head = "index_id\tcategory\ttext\n"
    (folder / "test.tsv").write_text(head + "7\tsports\tA match.\n", encoding="utf-8")
    (folder / "dev.tsv").write_text(head + "7\tsport\tA match.\n", encoding="utf-8")
    task = BY_NAME["sib200"]
    assert isinstance(task, Classification) and task.languages(tmp_path) == ["eng_Latn"]
    assert list(task.read(tmp_path, "test", "eng_Latn")) == [Item("test-7", "A match.", "sports")]
    with pytest.raises(BadInput, match=r"dev\.tsv:2: the label 'sport' is none of entertainment"):
        list(task.read(tmp_path, "dev", "eng_Latn"))
    with pytest.raises(BadInput, match="has no deu_Latn/test"):
        list(task.read(tmp_path, "test", "deu_Latn"))


GLUE = {
    "mnli": ("MNLI/dev_matched.tsv", "index\tsentence1\tsentence2\tgold_label", "0\ta\tb\tneutral"),
    "mnli-mm": ("MNLI/dev_mismatched.tsv", "index\tsentence1\tsentence2\tgold_label", "0\ta\tb\tneutral"),
    "qnli": ("QNLI/dev.tsv", "index\tquestion\tsentence\tlabel", "0\ta\tb\tentailment"),
    "qqp": ("QQP/dev.tsv", "id\tqid1\tqid2\tquestion1\tquestion2\tis_duplicate", "0\t1\t2\ta\tb\t1"),
    "sst-2": ("SST-2/dev.tsv", "sentence\tlabel", "a\t0"),
    "mrpc": ("MRPC/dev.tsv", "Quality\t#1 ID\t#2 ID\t#1 String\t#2 String", "1\t2\t3\ta\tb"),
    "sts-b": ("STS-B/dev.tsv", "index\tgenre\tsentence1\tsentence2\tscore", "0\tnews\ta\tb\t2.5"),
}


@pytest.mark.parametrize("name", GLUE)
def test_glue_is_read_from_its_own_tables(name: str, tmp_path: Path) -> None:
    file, head, row = GLUE[name]
    path = tmp_path / file
    path.parent.mkdir()
    path.write_text(f"{head}\n{row}\n", encoding="utf-8")
    task = BY_NAME[name]
    assert isinstance(task, Classification) and task.languages(tmp_path) == ["en"]
    (item,) = task.read(tmp_path, "dev", "en")
    assert item.text == "a" and item.second == ("" if name == "sst-2" else "b")
    path.write_text(f"{head}\n{row.rpartition(chr(9))[0]}\tmaybe\n", encoding="utf-8")
    if name != "mrpc":  # its label stands first
        with pytest.raises(BadInput, match=":2: the "):
            list(task.read(tmp_path, "dev", "en"))


def test_glues_metrics_are_those_of_the_papers_table() -> None:
    pairs = [Item(str(number), "a", label, "b") for number, label in enumerate("1100")]
    qqp, stsb = BY_NAME["qqp"], BY_NAME["sts-b"]
    assert isinstance(qqp, Classification) and isinstance(stsb, Classification)
    scores = {score.metric: score.value for score in qqp.scores(pairs, list("1010"), "en")}
    assert scores == {"accuracy": 0.5, "f1": 0.5}
    graded = [Item(str(number), "a", str(number), "b") for number in range(4)]
    scores = {score.metric: score.value for score in stsb.scores(graded, ["0", "1", "2", "10"], "en")}
    assert scores["spearman"] == pytest.approx(1.0) and 0.8 < scores["pearson"] < 1.0


def test_scores_by_item_add_up_to_the_metric() -> None:
    wikiann = BY_NAME["wikiann"]
    assert isinstance(wikiann, Tagging)
    from harness.evaluate.task import TaggedItem

    items = [TaggedItem("1", ("a", "b"), ("B-PER", "O")), TaggedItem("2", ("c",), ("B-LOC",))]
    (score,) = wikiann.scores(items, [("B-PER", "O"), ("B-ORG",)], "en")
    right, predicted, there = score.by_item.sum(axis=0)
    assert score.value == 2 * right / (predicted + there) == 0.5
    assert np.array_equal(score.by_item, [[1, 1, 1], [0, 1, 1]])


OWN = '''"""A task of a user."""
from harness.evaluate.task import Classification, Item

class Parity(Classification):
    name = "parity"
    labels = ("even", "odd")

    def languages(self, data):
        return ["en"]

    def read(self, data, split, language):
        for number in range(4):
            yield Item(str(number), str(number), self.labels[number % 2])

TASK = Parity()
'''


def test_a_users_task_is_a_file_and_a_name_that_is_none_is_told_with_those_there_are(tmp_path: Path) -> None:
    path = tmp_path / "parity.py"
    path.write_text(OWN, encoding="utf-8")
    task = task_named(str(path))
    assert isinstance(task, Classification)
    items = list(task.read(tmp_path, "test", "en"))
    assert task.scores(items, ["even"] * 4, "en")[0].value == 0.5
    path.write_text(OWN.replace("TASK =", "NO ="), encoding="utf-8")
    with pytest.raises(BadInput, match="names no TASK"):
        task_named(str(path))
    with pytest.raises(BadInput, match="no task is called 'xlni': there are xnli, sib200"):
        task_named("xlni")
