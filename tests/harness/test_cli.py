"""The command line as a user meets it: the installed command, in a process of its own."""

from __future__ import annotations

import json
import os
import re
import resource
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tiny import COUNTS, documents, study_text

from harness.store import Store

COMMAND = Path(sys.executable).with_name("babelscale")
VERBS = [
    "demo",
    "doctor",
    "corpus",
    "plan",
    "submit",
    "run",
    "status",
    "watch",
    "logs",
    "why",
    "retry",
    "cancel",
    "evaluate",
    "collect",
    "figures",
    "report",
    "export",
    "track",
    "bench",
]
CORPUS_VERBS = ("add", "list", "stats")


def babelscale(
    *arguments: str | Path, root: Path | None = None, seconds: float = 120.0
) -> subprocess.CompletedProcess[str]:
    """Run the installed command, with a root of the test's own and never the user's."""
    environment = {name: value for name, value in os.environ.items() if name != "BABELSCALE_ROOT"}
    environment |= {"OMP_NUM_THREADS": "1", "COLUMNS": "200"}
    if root is not None:
        environment["BABELSCALE_ROOT"] = str(root)
    command = [str(COMMAND), *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=seconds, env=environment, check=False)


def answer(*arguments: str | Path, root: Path) -> Any:
    """The JSON that a verb prints."""
    ended = babelscale(*arguments, "--json", root=root)
    assert ended.returncode == 0, ended.stderr
    return json.loads(ended.stdout)


def refused(*arguments: str | Path, root: Path) -> str:
    """The one line that a verb refuses with."""
    ended = babelscale(*arguments, root=root)
    assert ended.returncode == 2, (ended.returncode, ended.stdout, ended.stderr)
    assert "Traceback" not in ended.stderr + ended.stdout
    lines = ended.stderr.strip().splitlines()
    assert len(lines) == 1 and lines[0].startswith("babelscale: ")
    return lines[0]


def test_help_answers_at_once_and_loads_no_torch() -> None:
    times = []
    for _ in range(3):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        ended = babelscale("--help")
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        times.append(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
        assert ended.returncode == 0 and "babelscale demo" in ended.stdout
    assert min(times) < 1.5, "seconds of work, whatever else the machine does"
    code = "import sys\nfrom harness.cli import main\ntry: main(['--help'])\nexcept SystemExit: pass\n"
    code += "sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, check=False).returncode == 0


@pytest.mark.parametrize(
    "verb", [*((verb,) for verb in VERBS), *(("corpus", verb) for verb in CORPUS_VERBS)], ids=" ".join
)
def test_every_verb_has_help(verb: tuple[str, ...]) -> None:
    ended = babelscale(*verb, "--help")
    assert ended.returncode == 0 and ended.stdout.startswith(f"usage: babelscale {' '.join(verb)}")


def test_the_demo_can_be_planned_before_anything_is_fetched(tmp_path: Path) -> None:
    planned = answer("plan", "demo", root=tmp_path / "none")
    assert len(planned["runs"]) == len({run["id"] for run in planned["runs"]}) == 24
    assert {run["state"] for run in planned["runs"]} == {"waiting"}
    assert all(run["axes"]["body_parameters"] > 0 and run["axes"]["flops"] > 0 for run in planned["runs"])
    assert not (tmp_path / "none").exists(), "a plan writes nothing"


def test_a_plan_can_be_narrowed(tmp_path: Path) -> None:
    narrowed = answer("plan", "demo", "--where", "K == 16 and alpha == 0.3", root=tmp_path)
    assert len(narrowed["runs"]) == 6
    smoke = answer("plan", "demo", "--profile", "smoke", root=tmp_path)
    assert (smoke["study"], len(smoke["runs"])) == ("demo-smoke", 2)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["plan", "demmo"], "did you mean demo?"),
        (["plan", "nowhere.yaml"], "there is no study file nowhere.yaml"),
        (["plan", "demo", "--profile", "laptob"], "there is no profile 'laptob'; it has: laptop, smoke"),
        (["plan", "demo", "--where", "Kay > 3"], "names 'Kay'"),
        (["plan", "demo", "--where", "K >"], "cannot be read; write for example"),
        (["plan", "demo", "--where", "K > 99"], "no cell meets --where 'K > 99'"),
        (["status", "demo"], "was never submitted"),
        (["watch", "demo"], "babelscale submit demo"),
        (["logs", "demo", "--cell", "k3"], "was never submitted"),
        (["collect", "demo"], "was never submitted"),
        (["figures", "demo"], "was never submitted"),
        (["report", "demo"], "was never submitted"),
        (["evaluate", "demo", "--task", "intents"], "was never submitted"),
        (["export", "k3", "out"], "no run begins with 'k3'"),
        (["corpus", "stats", "mine"], "there is no corpus 'mine'"),
        (["corpus", "add", "mine", "/nowhere/en.txt"], "/nowhere/en.txt does not exist"),
        (["corpus", "add", "mine"], "say where the text of mine is"),
        (["corpus", "add", "demo", "x.txt"], "belongs to the demo's corpus"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_bad_input_is_one_line_and_exit_2(arguments: list[str], words: str, tmp_path: Path) -> None:
    assert words in refused(*arguments, root=tmp_path / "root")


def test_the_demo_refuses_a_wrong_profile_before_it_fetches_anything(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BABELSCALE_CACHE", str(tmp_path / "empty"))
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    assert "there is no profile 'laptob'" in refused("demo", "--profile", "laptob", root=tmp_path / "root")


@pytest.mark.parametrize("arguments", [["submit", "demo"], ["corpus", "add", "mine", "x"], ["demo"]], ids=" ".join)
def test_a_root_that_cannot_be_written_is_one_line_and_exit_2(arguments: list[str], tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_text("in the way", encoding="utf-8")
    assert "cannot be written" in refused(*arguments, root=file)
    ended = babelscale(*arguments, "--root", file / "below")
    assert ended.returncode == 2 and "choose another with --root" in ended.stderr


def test_a_study_without_its_corpus_says_how_to_bring_it(tmp_path: Path) -> None:
    study = tmp_path / "tiny.yaml"
    study.write_text(study_text(), encoding="utf-8")
    root = tmp_path / "root"
    assert "babelscale corpus add tiny FOLDER" in refused("submit", study, root=root)
    planned = babelscale("plan", study, root=root)
    assert planned.returncode == 0 and "babelscale corpus add tiny" in " ".join(planned.stdout.split())


def test_reading_verbs_make_no_folders(tmp_path: Path) -> None:
    babelscale("status", "demo", root=tmp_path / "root")
    assert babelscale("corpus", "list", root=tmp_path / "root").returncode == 0
    assert not (tmp_path / "root").exists()


def test_text_comes_in_and_is_listed(tmp_path: Path) -> None:
    text, root = tmp_path / "text", tmp_path / "root"
    text.mkdir()
    for language in ("en", "ka"):
        (text / f"{language}.txt").write_text("\n\n".join(documents(language, 300)), encoding="utf-8")
    added = answer("corpus", "add", "mine", text, root=root)
    assert set(added["languages"]) == {"en", "ka"}
    assert answer("corpus", "add", "mine", text, root=root) == added, "the same text again is the same corpus"
    assert [row["name"] for row in answer("corpus", "list", root=root)] == ["mine"]
    assert answer("corpus", "stats", "mine", root=root) == added


def test_bench_train_compares_equal_work_in_both_sides(tmp_path: Path) -> None:
    size = "--vocabulary 300 --width 16 --layers 1 --rows 2 --tokens 16 --steps 2 --precision fp32"
    result = answer("bench", "train", *size.split(), root=tmp_path)
    assert result["largest_loss_difference"] < 1e-4 and result["ratio"] > 0
    for measured in ("tokens_per_second", "peak_bytes"):
        assert set(result[measured]) == {"babelscale", "transformers"}
        assert all(value > 0 for value in result[measured].values())
    assert 0 < result["mfu"] < 1


def test_doctor_answers(tmp_path: Path) -> None:
    assert babelscale("doctor", root=tmp_path).returncode == 0
    assert answer("doctor", root=tmp_path)


class Finished:
    """A study of two runs, one of each kind, that went through the command line."""

    def __init__(self, root: Path, study: Path, submits: list[Any], watched: subprocess.CompletedProcess[str]) -> None:
        self.root, self.study, self.submits, self.watched = root, study, submits, watched

    def run(self, kind: str) -> str:
        rows = answer("status", self.study, root=self.root)["runs"]
        return str(next(row["run"] for row in rows if row["axes"]["kind"] == kind))


@pytest.fixture(scope="module")
def finished(tiny_store: Callable[[str], Store], tmp_path_factory: pytest.TempPathFactory) -> Finished:
    root = tiny_store("cli").root
    study = tmp_path_factory.mktemp("study") / "mine.yaml"
    axes = "{languages: [[en, de, ru]], kind: [modern, xlm-r], seed: [0]}"
    study.write_text(study_text("tiny-cli", axes, 12, "{slots: 2}"), encoding="utf-8")
    submits = [answer("submit", study, root=root), answer("submit", study, root=root)]
    return Finished(root, study, submits, babelscale("watch", study, root=root, seconds=240))


def test_submitting_twice_starts_every_run_once(finished: Finished) -> None:
    assert finished.submits == [{"study": "tiny-cli", "runs": 2, "to_do": 2}] * 2
    assert finished.watched.returncode == 0, finished.watched.stdout + finished.watched.stderr
    again = answer("submit", finished.study, root=finished.root)
    assert again == {"study": "tiny-cli", "runs": 2, "to_do": 0}
    attempts = [len(list(run.glob("attempts/*"))) for run in (finished.root / "runs").iterdir() if run.is_dir()]
    assert attempts == [1, 1]


def test_status_tells_that_all_is_done(finished: Finished) -> None:
    state = answer("status", finished.study, root=finished.root)
    assert [row["state"] for row in state["runs"]] == ["done", "done"]
    assert state["queue"]["alive"] is False
    shown = babelscale("status", finished.study, root=finished.root)
    assert shown.returncode == 0 and "2 done" in shown.stdout
    planned = answer("plan", finished.study, root=finished.root)
    assert {run["state"] for run in planned["runs"]} == {"done"}
    one = answer("status", finished.study, "--where", "kind == 'xlm-r'", root=finished.root)
    assert [row["run"] for row in one["runs"]] == [finished.run("xlm-r")]


def test_run_on_a_run_that_is_done_says_so(finished: Finished) -> None:
    shown = answer("run", finished.study, "--cell", finished.run("modern"), root=finished.root)
    assert shown["state"] == "done"


def test_logs_show_what_a_run_printed(finished: Finished) -> None:
    run = finished.run("modern")
    ended = babelscale("logs", finished.study, "--cell", run, root=finished.root)
    assert ended.returncode == 0 and "heldout: " in ended.stdout
    assert "no log of rank 7" in refused("logs", finished.study, "--cell", run, "--rank", "7", root=finished.root)
    assert "2 runs begin with 'k3'" in refused("logs", finished.study, "--cell", "k3", root=finished.root)


def test_a_value_where_a_study_wants_a_positive_number_is_a_usage_error(finished: Finished) -> None:
    ended = babelscale("submit", finished.study, "--slots", "0", root=finished.root)
    assert ended.returncode == 2 and "Traceback" not in ended.stderr


def test_collect_writes_the_table(finished: Finished) -> None:
    import pandas as pd

    told = answer("collect", finished.study, root=finished.root)
    table = pd.read_parquet(told["table"])
    assert len(table) == told["rows"] and told["missing"] == []
    assert set(table["language"]) == set(COUNTS) and set(table["kind"]) == {"modern", "xlm-r"}
    bits = table[table["metric"] == "bits_per_byte"]
    assert len(bits) == 6 and bits["value"].between(0.5, 8).all() and (bits["standard_error"] > 0).all()
    assert (table[table["metric"] == "tokens"].groupby("run")["value"].sum() == 12 * 128).all()


def test_figures_and_report_are_made_and_say_what_they_cannot(finished: Finished) -> None:
    drawn = answer("figures", finished.study, root=finished.root)
    assert drawn["figures"]
    for figure in drawn["figures"]:
        assert figure["skipped"] or all(Path(path).stat().st_size > 0 for path in figure["files"].values())
    made = answer("report", finished.study, root=finished.root)
    page = Path(made["report"]).read_text(encoding="utf-8")
    assert "<html" in page and "tiny-cli" in page
    assert not re.search(r"(src|href)=[\"']https?://", page), "the page needs no network"
    assert all(verdict["verdict"] != "supported" for verdict in made["verdicts"])


@pytest.mark.parametrize("kind", ["xlm-r", "modern"])
def test_a_run_is_exported_for_transformers(kind: str, finished: Finished, tmp_path: Path) -> None:
    transformers = pytest.importorskip("transformers")
    target = tmp_path / "exported"
    ended = babelscale("export", finished.run(kind), target, root=finished.root)
    assert ended.returncode == 0, ended.stderr
    model = transformers.AutoModelForMaskedLM.from_pretrained(target)
    tokenizer = transformers.AutoTokenizer.from_pretrained(target)
    assert model.config.vocab_size == len(tokenizer) == 342
    assert model(**tokenizer("the window opens", return_tensors="pt")).logits.shape[-1] == 342
    assert "exists already" in refused("export", finished.run(kind), target, root=finished.root)


def test_a_killed_queue_is_taken_up_by_the_next_submit(finished: Finished, tmp_path: Path) -> None:
    """`done` is read from the runs, not from the queue's own file."""
    root = tmp_path / "root"
    shutil.copytree(finished.root, root)
    for path in (root / "studies").glob("*.queue.json"):
        path.write_text("{", encoding="utf-8")
    assert answer("submit", finished.study, root=root)["to_do"] == 0
    assert answer("status", finished.study, root=root)["queue"]["phase"] == "none"
