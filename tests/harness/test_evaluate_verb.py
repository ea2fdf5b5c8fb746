"""evaluate: a benchmark as a stage of a study, as a verb on its finished runs, and on a model folder."""

from __future__ import annotations

import json
import os
import re
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
from harness.launch import queue
from harness.launch.stages import with_its_files
from harness.store import Store, read_json, read_lines, write_json
from harness.verbs.show import watch_study
from models.heads import build_masked_lm
from models.huggingface import export_folder
from models.sizes import EncoderConfig
from sweeps.codes import study_code
from sweeps.errors import BadInput
from sweeps.study import parse_study
from sweeps.tasks import TaskBlock, stage_of

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


def test_a_folder_without_the_benchmark_is_refused_before_anything_is_asked_of_a_run(
    tiny_store: Callable[[str], Store], sib: Path, tmp_path: Path
) -> None:
    store = tiny_store("wrong")
    submit_here(store, study_text("wrong", steps=4))
    early = babelscale("evaluate", "wrong", "--task", "sib200", "--data", sib, *SHORT, root=store.root)
    assert early.returncode == 2 and "no run of wrong is trained yet" in early.stderr
    finish(store, "wrong")
    before = read_json(store.studies / "wrong.json")
    (tmp_path / "file").write_text("", encoding="utf-8")
    for task, data, words in (
        ("sib200", tmp_path, "unpack SIB-200's data/annotated there"), ("xnli", sib, "unpack XNLI-1.0 there"),
        ("sib200", tmp_path / "file", "is a file"),
    ):  # fmt: skip
        refused = babelscale("evaluate", "wrong", "--task", task, "--data", data, root=store.root)
        assert refused.returncode == 2 and words in refused.stderr and refused.stderr.count("\n") == 1
        assert read_json(store.studies / "wrong.json") == before
    study = tmp_path / "study.yaml"
    asks = study_text("other", steps=4).replace("evaluate: [heldout]", "evaluate: [heldout, sib200]")
    study.write_text(f"{asks}tasks: {{sib200: {{data: {tmp_path}}}}}\n", encoding="utf-8")
    refused = babelscale("submit", study, root=store.root)
    assert (
        refused.returncode == 2 and "unpack SIB-200" in refused.stderr and not (store.studies / "other.json").exists()
    )
    # A stage that failed in every run is asked for no more once another of its name is.
    in_vain = before | {"evaluate": ["heldout", "sib200@00000000"]}
    write_json(store.studies / "wrong.json", in_vain)
    told = answer("evaluate", "wrong", "--task", "sib200", "--data", sib, *SHORT, root=store.root)
    assert (told["scored"], told["failed"], told["not_trained"]) == (1, 0, 0)
    assert read_json(store.studies / "wrong.json")["evaluate"] == ["heldout", told["stage"]]
    shown = babelscale("evaluate", "wrong", "--task", "sib200", "--data", sib, *SHORT, root=store.root).stdout
    assert "highest" in shown and "0 runs scored on sib200, 1 had it" in shown


def test_only_runs_that_are_trained_are_scored(tiny_store: Callable[[str], Store], sib: Path) -> None:
    store = tiny_store("some")
    _, (first, second) = submit_here(store, study_text("some", "{languages: [[en, de, ru]], seed: [0, 1]}", steps=4))
    queue.start(store, "some", 1, [first.id])
    assert not watch_study(store, "some") and (store.run(first.id) / "done.json").exists()
    told = answer("evaluate", "some", "--task", "sib200", "--data", sib, *SHORT, root=store.root)
    assert (told["scored"], told["not_trained"]) == (1, 1)
    assert not (store.run(second.id) / "attempts").exists() and not (store.run(second.id) / "final").exists()


def test_files_that_changed_at_their_place_are_scored_anew(
    tiny_store: Callable[[str], Store], sib: Path, tmp_path: Path
) -> None:
    store, data, study = tiny_store("changed"), tmp_path / "sib", tmp_path / "changed.yaml"
    shutil.copytree(sib, data)
    block = f"{{data: {data}, rates: [0.01], seeds: [0], epochs: 1}}"
    text = study_text("changed", steps=4).replace("evaluate: [heldout]", "evaluate: [heldout, sib200]")
    study.write_text(f"{text}tasks: {{sib200: {block}}}\n", encoding="utf-8")
    german = data / "deu_Latn" / "test.tsv"
    lines = german.read_text(encoding="utf-8").splitlines(keepends=True)

    def submit() -> int:
        to_do = answer("submit", study, root=store.root)["to_do"]
        assert babelscale("watch", "changed", root=store.root).returncode == 0
        return int(to_do)

    def scored() -> list[tuple[str, int]]:
        (run,) = read_json(store.studies / "changed.json")["runs"]
        return [(row["language"], row["n"]) for row in stage_records(store, run, "sib200")]

    assert (submit(), submit()) == (1, 0) and scored() == [("de", 16), ("en", 16), ("ru", 16)]
    german.write_text("".join(lines[:-4]), encoding="utf-8")
    assert (submit(), submit()) == (1, 0) and scored()[3:] == [("de", 12), ("en", 16), ("ru", 16)]
    german.write_text("".join(lines[:-8]), encoding="utf-8")
    asked = ("evaluate", "changed", "--task", "sib200", "--data", data, "--rates", "0.01", "--seeds", "0")
    told = answer(*asked, "--epochs", "1", root=store.root)
    assert told["scored"] == 1 and scored()[6:] == [("de", 8), ("en", 16), ("ru", 16)]
    assert read_json(store.studies / "changed.json")["evaluate"] == ["heldout", told["stage"]], "in place of the former"
    (data / ".listing").write_text("a hidden file is no data", encoding="utf-8")
    assert answer(*asked, "--epochs", "1", root=store.root)["scored"] == 0


def test_files_that_change_between_submit_and_scoring_are_not_scored_under_the_old_ones_name(
    tiny_store: Callable[[str], Store], sib: Path, tmp_path: Path
) -> None:
    store, data, study = tiny_store("between"), tmp_path / "sib", tmp_path / "between.yaml"
    shutil.copytree(sib, data)
    block = f"{{data: {data}, rates: [0.01], seeds: [0], epochs: 1}}"
    text = study_text("between", steps=4).replace("evaluate: [heldout]", "evaluate: [heldout, sib200]")
    study.write_text(f"{text}tasks: {{sib200: {block}}}\n", encoding="utf-8")
    german = data / "deu_Latn" / "test.tsv"
    former = german.read_text(encoding="utf-8")
    answer("submit", study, root=store.root)
    german.write_text("".join(former.splitlines(keepends=True)[:-4]), encoding="utf-8")
    assert babelscale("watch", "between", root=store.root).returncode == 1
    (run,) = read_json(store.studies / "between.json")["runs"]
    assert not stage_records(store, run, "sib200") and stage_records(store, run, "heldout")
    (failure,) = answer("why", "between", root=store.root)["groups"]
    assert failure["cause"] == "data" and f"what lies under {data} is not what was there" in json.dumps(failure)
    german.write_text(former, encoding="utf-8")
    answer("retry", "between", "--cause", "data", "--anyway", root=store.root)
    assert babelscale("watch", "between", root=store.root).returncode == 0
    first = stage_records(store, run, "sib200")[0]
    assert (first["language"], first["n"]) == ("de", 16)


def test_what_a_benchmark_holds_is_seen_through_links_and_nothing_else_counts(tmp_path: Path) -> None:
    store, data, elsewhere = Store(tmp_path / "data" / "root"), tmp_path / "data", tmp_path / "elsewhere"
    elsewhere.mkdir()
    (data / "en.tsv").write_text("a", "utf-8")
    (data / "de").symlink_to(elsewhere)
    (elsewhere / "loop").symlink_to(data)
    (data / os.fsdecode(b"caf\xe9.tsv")).write_text("not UTF-8", "utf-8")

    def stage(text: str = str(data), **more: str) -> str:
        block = TaskBlock.model_validate({"data": text} | more)
        return stage_of("sib200", with_its_files(store, "sib200", block))

    first = stage()
    (store.root / "records").write_text("what the store writes is no data", "utf-8")
    assert stage() == first
    (elsewhere / "test.tsv").write_text("b", "utf-8")
    assert stage() != first, "a file behind a link is new"
    here, hub = stage(), stage(f"hf:{data}@test")
    assert hub not in (here, stage("hf:org/set"))
    (data / "en.tsv").write_text("changed", "utf-8")
    assert stage() != here and stage(f"hf:{data}@test") != hub, "a local folder in the hub's form too"
    own = tmp_path / "own.py"
    own.write_text("one", "utf-8")
    with_task = stage(task=str(own))
    own.write_text("two", "utf-8")
    assert stage(task=str(own)) != with_task


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
    assert len({row["details"].pop("train") for row in records}) == 2, "records say which set was trained on"
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


@pytest.fixture(scope="module")
def model(tiny_store: Callable[[str], Store], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model folder that no training has touched."""
    store = tiny_store("model")
    tokenizer = Tokenizer(next(path.parent for path in store.tokenizers.glob("*/manifest.json")))
    config = EncoderConfig(
        kind="xlm-r", vocabulary=tokenizer.table_rows, width=16, layers=1, heads=2, feedforward=32, positions=64
    )
    made = tmp_path_factory.mktemp("model") / "model"
    export_folder(build_masked_lm(config, 0), tokenizer.folder / "sentencepiece.model", made)
    return made


def test_a_model_folder_is_scored_by_the_same_code(sib: Path, model: Path, tmp_path: Path) -> None:
    asked = ("evaluate", "--model", model, "--task", "sib200", "--data", sib, *SHORT, "--json")
    ended = babelscale(*asked, root=tmp_path / "root")
    assert ended.returncode == 0, ended.stderr
    rows = json.loads(ended.stdout)["records"]
    assert {row["language"] for row in rows} == set(CODES)
    assert rows[0]["details"]["train"] == str(sib) and rows[0]["details"]["trained_on"] == {"eng_Latn": 40}
    assert list((tmp_path / "root").glob("evaluations/model-*/sib200@*/records.json"))
    empty = babelscale("evaluate", "--model", tmp_path, "--task", "sib200", "--data", sib, root=tmp_path / "root")
    assert empty.returncode == 2 and "has no config.json" in empty.stderr


def test_a_broken_file_costs_its_language_alone_a_sentence_each_and_the_exit_code_of_bad_input(
    sib: Path, model: Path, tmp_path: Path
) -> None:
    data = tmp_path / "sib"
    shutil.copytree(sib, data)
    column, label, gone = (data / CODES[language] / "test.tsv" for language in ("de", "ru", "el"))
    column.write_text(column.read_text("utf-8").replace("category", "topic"), "utf-8")
    lines = label.read_text("utf-8").split("\n")
    lines[3] = lines[3].replace("\t", "\tother ", 1)
    label.write_text("\n".join(lines), "utf-8")
    gone.unlink()
    languages = ",".join(CODES.values())
    asked = ("evaluate", "--model", model, "--task", "sib200", "--data", data, "--languages", languages, *SHORT)
    ended = babelscale(*asked, "--json", root=tmp_path / "root")
    assert ended.returncode == 2 and "Traceback" not in ended.stderr
    told = json.loads(ended.stdout)
    assert {row["language"] for row in told["records"]} == {"en"}, "what can be scored is"
    wanted = {
        "deu_Latn": f"{column}:1: the column 'category' is missing",
        "rus_Cyrl": f"{label}:4: the label 'other ",
        "ell_Grek": "has no ell_Grek/test.tsv: leave the language out",
    }
    assert len(told["problems"]) == 3
    for problem, (language, words) in zip(told["problems"], wanted.items(), strict=True):
        assert problem.startswith(f"{language} is not scored: ") and words in problem
    (kept,) = (tmp_path / "root").glob("evaluations/model-*/sib200@*/records.json")
    assert read_json(kept)["records"] == told["records"]


def test_a_study_is_told_of_what_its_runs_could_not_score(
    tiny_store: Callable[[str], Store], sib: Path, tmp_path: Path
) -> None:
    data = tmp_path / "sib"
    shutil.copytree(sib, data)
    (data / CODES["de"] / "test.tsv").write_text("index_id\ttopic\ttext\n", "utf-8")
    store = tiny_store("partly")
    _, (run,) = submit_here(store, study_text("partly", steps=4))
    finish(store, "partly")
    ended = babelscale("evaluate", "partly", "--task", "sib200", "--data", data, *SHORT, root=store.root)
    assert ended.returncode == 2 and "deu_Latn is not scored: " in ended.stderr
    assert {row["language"] for row in stage_records(store, run.id, "sib200")} == {"en", "ru"}


def test_answers_that_are_not_in_their_contexts_are_counted_and_named(model: Path, tmp_path: Path) -> None:
    def write(name: str, answers: list[str]) -> Path:
        qas = [
            {"id": f"q{n}", "question": "who", "answers": [{"text": text, "answer_start": 0}]}
            for n, text in enumerate(answers)
        ]
        article = {"title": "t", "paragraphs": [{"context": "garden in the evening", "qas": qas}]}
        path = tmp_path / name
        path.write_text(json.dumps({"data": [article]}), "utf-8")
        return path

    write("xquad.en.json", ["garden", "window", "light"])
    train = write("train.json", ["garden", "elsewhere"])
    asked = ("evaluate", "--model", model, "--task", "xquad", "--data", tmp_path, "--train", train, "--dev", train)
    ended = babelscale(*asked, "--rates", "1e-3", "--seeds", "0", "--epochs", "1", root=tmp_path / "root")
    assert ended.returncode == 0, ended.stderr
    told = " ".join(ended.stdout.split())
    assert "en: 2 questions have an answer that is not where the file says, such as q1" in told
    assert "the training side: 1 questions have an answer that is not where the file says, such as q1" in told


def test_the_task_that_the_readme_shows_runs(model: Path, tmp_path: Path) -> None:
    readme = (Path(__file__).resolve().parents[2] / "README.md").read_text("utf-8")
    (shown,) = (block for block in re.findall(r"```python\n(.*?)```", readme, re.DOTALL) if "TASK = " in block)
    assert len(shown.splitlines()) < 100
    (tmp_path / "parity.py").write_text(shown, "utf-8")
    asked = ("evaluate", "--model", model, "--task", tmp_path / "parity.py", "--data", tmp_path, *SHORT, "--json")
    ended = babelscale(*asked, root=tmp_path / "root")
    assert ended.returncode == 0, ended.stderr
    (row,) = json.loads(ended.stdout)["records"]
    assert (row["task"], row["n"], row["details"]["majority"]) == ("parity", 100, 0.5)


def test_a_folder_of_another_kind_is_scored_in_its_own_class(
    tiny_store: Callable[[str], Store], sib: Path, tmp_path: Path
) -> None:
    transformers = pytest.importorskip("transformers")
    folder = tmp_path / "bert"
    letters = [*"abcdefghijklmnopqrstuvwxyz", *(f"##{x}" for x in "abcdefghijklmnopqrstuvwxyz")]
    folder.mkdir()
    (folder / "vocab.txt").write_text("\n".join(["[UNK]", "[PAD]", "[SEP]", "[CLS]", "[MASK]", *letters]), "utf-8")
    transformers.BertTokenizerFast(str(folder / "vocab.txt"), model_max_length=40).save_pretrained(folder)
    fields = transformers.BertConfig(
        vocab_size=5 + len(letters), hidden_size=16, num_hidden_layers=2, num_attention_heads=2, intermediate_size=32,
        pad_token_id=1, max_position_embeddings=48,
    )  # fmt: skip
    transformers.BertForMaskedLM(fields).save_pretrained(folder)
    store = tiny_store("folder")
    asked = ("evaluate", "--model", folder, "--task", "sib200", "--data", sib, *SHORT, "--json")
    ended = babelscale(*asked, root=store.root)
    assert ended.returncode == 0, ended.stderr
    assert {row["language"] for row in json.loads(ended.stdout)["records"]} == set(CODES)
    transformers.T5Config(d_model=16, num_layers=1, num_heads=2).save_pretrained(folder)
    refused = babelscale(*asked, root=store.root)
    assert refused.returncode == 2 and "t5, which has a decoder; an encoder alone is scored" in refused.stderr


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
