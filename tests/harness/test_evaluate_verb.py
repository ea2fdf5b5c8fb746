"""evaluate: a benchmark as a stage of a study, as a verb on its finished runs, and on a model folder."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from datasets import Value
from hub_folder import write_hub
from test_cli import answer, babelscale
from tiny import SENTENCES, documents, finish, study_text, submit_here

from harness.corpus.tokenizer import Tokenizer
from harness.evaluate.tasks.sib200 import Sib200
from harness.store import Store, read_json, read_lines
from models.heads import build_masked_lm
from models.huggingface import export_folder
from models.sizes import EncoderConfig
from sweeps.codes import study_code
from sweeps.errors import BadInput
from sweeps.study import parse_study

CODES = {"en": "eng_Latn", "de": "deu_Latn", "ru": "rus_Cyrl", "el": "ell_Grek"}
SHORT = ["--rates", "1e-2", "--seeds", "0", "--epochs", "2"]


@pytest.fixture(scope="module")
def sib(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """SIB-200's layout with sentences of the tests' own: the topic is the subject of the sentence."""
    data = tmp_path_factory.mktemp("sib")
    for language, code in CODES.items():
        subjects = SENTENCES[language][0].split("|")
        (data / code).mkdir()
        for split, count in (("train", 40), ("dev", 12), ("test", 16)):
            rows = ["index_id\tcategory\ttext"]
            for number, text in enumerate(documents(language, count)):
                first = next((place for place, subject in enumerate(subjects) if text.startswith(subject)), 0)
                rows.append(f"{number}\t{Sib200.labels[first]}\t{text.splitlines()[0]}")
            (data / code / f"{split}.tsv").write_text("\n".join(rows) + "\n", encoding="utf-8")
    return data


def stage_records(store: Store, run: str, task: str) -> list[dict[str, Any]]:
    return [row for row in read_lines(store.run(run) / "records.jsonl") if row["task"] == task]


def test_a_finished_study_is_scored_on_a_benchmark_once_and_its_records_say_how(
    tiny_store: Callable[[str], Store], sib: Path
) -> None:
    store = tiny_store("evaluate")
    _, (run,) = submit_here(store, study_text("scored", steps=6))
    finish(store, "scored")
    told = answer("evaluate", "scored", "--task", "sib200", "--data", sib, *SHORT, root=store.root)
    assert told["scored"] == 1 and told["stage"].startswith("sib200@")
    records = stage_records(store, run.id, "sib200")
    assert [row["language"] for row in records] == ["de", "en", "ru"], "of the benchmark, what the run was trained on"
    details = records[0]["details"]
    assert details["stage"] == told["stage"] and details["code"] == "deu_Latn" and details["chance"] == 1 / 7
    again = answer("evaluate", "scored", "--task", "sib200", "--data", sib, *SHORT, root=store.root)
    assert again["scored"] == 0
    other = answer("evaluate", "scored", "--task", "sib200", "--data", sib, *SHORT[:-1], "1", root=store.root)
    assert other["scored"] == 1 and other["stage"] != told["stage"], "another recipe is another stage"
    assert stage_records(store, run.id, "heldout"), "and nothing that was there is lost"
    kept = list((store.run(run.id) / "tasks" / told["stage"]).glob("eng_Latn-*.json"))
    assert len(kept) == 1 and len(read_json(kept[0])["languages"]["eng_Latn"]["said"]) == 16, "each item's prediction"


def hub_of(sib: Path, folder: Path) -> str:
    """The same files as a data set of the hub's form."""
    names = {"train": "train", "dev": "validation", "test": "test"}
    configs = {
        code: {
            names[split]: [
                dict(zip(("index_id", "category", "text"), line.split("\t"), strict=True))
                for line in (sib / code / f"{split}.tsv").read_text(encoding="utf-8").splitlines()[1:]
            ]
            for split in names
        }
        for code in CODES.values()
    }
    return write_hub(folder, configs, dict.fromkeys(("index_id", "category", "text"), Value("string")))


def test_a_study_has_the_same_scores_on_a_hub_set_as_on_the_files_it_holds(
    tiny_store: Callable[[str], Store], sib: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_DATASETS_CACHE", str(tmp_path / "cache"))
    store = tiny_store("hub")
    _, (run,) = submit_here(store, study_text("hub", steps=4))
    finish(store, "hub")
    for data in (str(sib), hub_of(sib, tmp_path / "set")):
        told = answer("evaluate", "hub", "--task", "sib200", "--data", data, *SHORT, root=store.root)
        assert told["scored"] == 1
    records = stage_records(store, run.id, "sib200")
    assert len({row["details"].pop("stage") for row in records}) == 2
    half = len(records) // 2
    told_apart = ("time", "attempt", "seconds")
    plain = [{key: value for key, value in row.items() if key not in told_apart} for row in records]
    assert half == 3 and plain[:half] == plain[half:]


def test_a_benchmark_is_a_stage_of_a_study_like_any_other(tiny_store: Callable[[str], Store], sib: Path) -> None:
    store = tiny_store("stage")
    block = f"{{data: {sib}, rates: [0.01], seeds: [0], epochs: 1, languages: [eng_Latn, ell_Grek]}}"
    text = study_text("staged", steps=4).replace("evaluate: [heldout]", "evaluate: [heldout, sib200]")
    _, (run,) = submit_here(store, f"{text}tasks: {{sib200: {block}}}\n")
    finish(store, "staged")
    assert {row["language"] for row in stage_records(store, run.id, "sib200")} == {"en", "el"}


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--task", "sib20"], "no task is called 'sib20'"),
        (["--task", "sib200"], "name the folder of its official files with --data"),
        (["--task", "sib200", "--data", "/nonexistent"], "there is no such folder"),
        (["--task", "sib200", "--data", "hf::en"], "hf::en names no data set: write hf:NAME"),
        (["--task", "ud-pos", "--data", "hf:a/b"], "the task ud-pos reads no Hugging Face data set"),
        (["--task", "sib200", "--data", ".", "--rates", "fast"], "numbers with commas between were expected"),
        (["--task", "sib200", "--data", ".", "--rates", "-1"], "--rates: Input should be greater than 0"),
        (["--task", "heldout", "--data", "."], "heldout takes nothing"),
    ],
)
def test_what_cannot_be_asked_is_told_in_a_sentence(
    tiny_store: Callable[[str], Store], arguments: list[str], words: str
) -> None:
    store = tiny_store("asked")
    submit_here(store, study_text("asked", steps=4))
    before = (store.studies / "asked.json").read_bytes()
    ended = babelscale("evaluate", "asked", *arguments, root=store.root)
    assert ended.returncode == 2 and words in ended.stderr and ended.stderr.count("\n") == 1
    assert (store.studies / "asked.json").read_bytes() == before


def test_a_study_that_names_a_task_it_does_not_have_says_which_there_are() -> None:
    text = study_text("wrong").replace("evaluate: [heldout]", "evaluate: [heldout, xnli]")
    with pytest.raises(
        BadInput, match="line 14, evaluate: 'xnli' is none of heldout, intents: give it a block under tasks"
    ):
        parse_study(text, "wrong.yaml")


def test_a_model_folder_is_scored_by_the_same_code(
    tiny_store: Callable[[str], Store], sib: Path, tmp_path: Path
) -> None:
    store = tiny_store("folder")
    tokenizer = Tokenizer(next(path.parent for path in store.tokenizers.glob("*/manifest.json")))
    config = EncoderConfig(
        kind="xlm-r", vocabulary=tokenizer.table_rows, width=16, layers=1, heads=2, feedforward=32, positions=64
    )
    export_folder(build_masked_lm(config, 0), tokenizer.folder / "sentencepiece.model", tmp_path / "model")
    ended = babelscale(
        *("evaluate", "--model", tmp_path / "model", "--task", "sib200", "--data", sib, *SHORT, "--json"),
        root=store.root,
    )
    assert ended.returncode == 0, ended.stderr
    rows = json.loads(ended.stdout)["records"]
    assert {row["language"] for row in rows} == set(CODES)
    assert list(store.root.glob("evaluations/model-*/sib200@*/records.json"))
    empty = babelscale("evaluate", "--model", tmp_path, "--task", "sib200", "--data", sib, root=store.root)
    assert empty.returncode == 2 and "has no config.json" in empty.stderr


@pytest.mark.parametrize(
    ("code", "wanted"),
    [
        ("eng_Latn", "en"),
        ("arb_Arab", "ar"),
        ("zho_Hant", "zh-Hant"),
        ("zho_Hans", "zh"),
        ("swa", "sw"),
        ("ace", "ace"),
    ],
)
def test_benchmarks_codes_are_those_of_studies(code: str, wanted: str) -> None:
    assert study_code(code) == wanted


def test_an_optional_benchmark_that_is_not_there_is_left_out_and_taken_up_when_it_comes(
    tiny_store: Callable[[str], Store], sib: Path, tmp_path: Path
) -> None:
    store = tiny_store("optional")
    block = "{data: sib, rates: [0.01], seeds: [0], epochs: 1, languages: [eng_Latn], optional: true}"
    text = study_text("maybe", steps=4).replace("evaluate: [heldout]", "evaluate: [heldout, sib200]")
    path = tmp_path / "maybe.yaml"
    path.write_text(f"{text}tasks: {{sib200: {block}}}\n", encoding="utf-8")
    first = babelscale("submit", path, root=store.root)
    assert first.returncode == 0 and "sib200 is left out: sib is neither here nor under" in first.stderr
    assert babelscale("watch", "maybe", root=store.root).returncode == 0
    assert read_json(store.studies / "maybe.json")["evaluate"] == ["heldout"]
    shutil.copytree(sib, store.benchmarks / "sib")
    assert babelscale("submit", path, root=store.root).returncode == 0
    assert babelscale("watch", "maybe", root=store.root).returncode == 0
    (run,) = read_json(store.studies / "maybe.json")["runs"]
    assert {row["language"] for row in stage_records(store, run, "sib200")} == {"en"}

    path.write_text(f"{text}tasks: {{sib200: {block.replace('data: sib', 'data: bis').replace('true', 'false')}}}\n")
    refused = babelscale("submit", path, root=store.root)
    assert refused.returncode == 2 and "put the benchmark's official files there" in refused.stderr


def test_a_control_without_pretraining_has_records_of_its_own(tiny_store: Callable[[str], Store], sib: Path) -> None:
    store = tiny_store("control")
    _, (run,) = submit_here(store, study_text("control", steps=4))
    finish(store, "control")
    for extra in ([], ["--weights", "random", "--pool", "mean"]):
        answer("evaluate", "control", "--task", "sib200", "--data", sib, *SHORT, *extra, root=store.root)
    assert {row["details"]["weights"] for row in stage_records(store, run.id, "sib200")} == {"trained"}
    control = stage_records(store, run.id, "sib200-random")
    assert {row["details"]["weights"] for row in control} == {"random"} and len(control) == 3
    low, high = control[0]["details"]["interval"]
    assert low <= control[0]["value"] <= high
    wrong = ["--setting", "translate-test", *SHORT]
    ended = babelscale("evaluate", "control", "--task", "sib200", "--data", sib, *wrong, root=store.root)
    assert ended.returncode == 2 and "test and setting: translate-test go together" in ended.stderr
