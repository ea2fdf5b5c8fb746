"""Files appear whole or not at all, leases belong to living processes, and a cut line spoils only itself."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.store import (
    ROOT_VARIABLE,
    Store,
    append_lines,
    digest,
    lease,
    read_json,
    read_lines,
    whole_folder,
    write_json,
    write_text,
)
from sweeps.errors import BadInput

HOLDER = "import sys, time; from pathlib import Path; from harness.store import lease\n"
HOLDER += "with lease(Path(sys.argv[1])) as held: print(held, flush=True); time.sleep(600)"


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_a_write_that_fails_leaves_the_old_file_and_nothing_beside(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    write_json(path, {"old": True})
    limited = (
        "import resource, sys; from pathlib import Path; from harness.store import write_text\n"
        "import signal; signal.signal(signal.SIGXFSZ, signal.SIG_IGN); resource.setrlimit(resource.RLIMIT_FSIZE,"
        " (1000, 1000))\n"
        "write_text(Path(sys.argv[1]), 'x' * 5000)"
    )
    ended = subprocess.run([sys.executable, "-c", limited, str(path)], capture_output=True, text=True, check=False)
    assert ended.returncode and "File too large" in ended.stderr
    assert read_json(path) == {"old": True} and names(tmp_path) == ["a.json"]


def test_text_that_cannot_be_encoded_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    write_text(path, "old")
    with pytest.raises(UnicodeEncodeError):
        write_text(path, "\ud800")
    assert path.read_text(encoding="utf-8") == "old"
    assert names(tmp_path) == ["a.txt"]


def test_a_writer_killed_at_any_moment_leaves_a_whole_file(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    code = "import sys; from pathlib import Path; from harness.store import write_json\n"
    code += "for n in range(10**9): write_json(Path(sys.argv[1]), {'n': n, 'long': [n] * 5000}, durable=False)"
    for delay in (0.0, 0.013, 0.031):
        writer = subprocess.Popen([sys.executable, "-c", code, str(path)])
        while not path.exists():
            time.sleep(0.005)
        time.sleep(delay)
        writer.kill()
        writer.wait()
        value = read_json(path)
        assert value["long"] == [value["n"]] * 5000


def test_a_folder_appears_whole(tmp_path: Path) -> None:
    target = tmp_path / "deep" / "target"
    with whole_folder(target) as beside:
        (beside / "sub").mkdir()
        (beside / "sub" / "file").write_text("x", encoding="utf-8")
        assert not target.exists()
    assert names(target.parent) == ["target"] and (target / "sub" / "file").exists()


def test_a_folder_that_fails_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError), whole_folder(tmp_path / "target") as beside:
        (beside / "half").write_text("x", encoding="utf-8")
        raise ZeroDivisionError
    assert not names(tmp_path)


def test_leftovers_of_a_killed_build_are_swept_by_the_next(tmp_path: Path) -> None:
    (tmp_path / ".target.deadbeef.tmp").mkdir()
    (tmp_path / ".target.deadbeef.tmp" / "half").write_text("x", encoding="utf-8")
    (tmp_path / ".other.deadbeef.tmp").mkdir()
    with whole_folder(tmp_path / "target"):
        pass
    assert names(tmp_path) == [".other.deadbeef.tmp", "target"]


def test_a_lease_keeps_other_processes_out_until_its_holder_is_killed(tmp_path: Path) -> None:
    target = tmp_path / "artefact"
    holder = subprocess.Popen([sys.executable, "-c", HOLDER, str(target)], stdout=subprocess.PIPE, text=True)
    try:
        assert holder.stdout is not None and holder.stdout.readline() == "True\n"
        with lease(target, wait=False) as held:
            assert held is False
        waiting = subprocess.Popen([sys.executable, "-c", HOLDER, str(target)], stdout=subprocess.PIPE, text=True)
        time.sleep(0.3)
        os.kill(holder.pid, signal.SIGKILL)
        assert waiting.stdout is not None and waiting.stdout.readline() == "True\n"
        waiting.kill()
        waiting.wait()
        with lease(target, wait=False) as held:
            assert held is True
    finally:
        holder.kill()
        holder.wait()


def test_a_lease_ends_with_its_block_even_by_an_error(tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError), lease(tmp_path / "a") as held:
        assert held
        raise ZeroDivisionError
    with lease(tmp_path / "a", wait=False) as held:
        assert held


def test_a_line_cut_short_is_left_out_and_spoils_only_itself(tmp_path: Path) -> None:
    path = tmp_path / "lines.jsonl"
    assert read_lines(path) == []
    append_lines(path, [{"n": 1}, {"n": 2, "text": "окно\u2028窗户"}])
    with path.open("ab") as stream:
        stream.write('{"n": 3, "text": "ок'.encode()[:-1])  # cut in the middle of a character
    append_lines(path, [{"n": 4}])
    assert [row["n"] for row in read_lines(path)] == [1, 2, 4]
    assert path.read_bytes().count(b"\n") == 3, "the piece is taken away: every line of the file is whole"


@pytest.mark.parametrize("torn", [1, 65_535, 65_536, 65_537, 200_000])
@pytest.mark.parametrize("before", [[], [{"n": 1}]])
def test_a_cut_line_of_any_length_is_taken_away(tmp_path: Path, torn: int, before: list[dict[str, int]]) -> None:
    path = tmp_path / "lines.jsonl"
    append_lines(path, before)
    with path.open("ab") as stream:
        stream.write(b"x" * torn)
    append_lines(path, [{"n": 2}])
    assert path.read_text(encoding="utf-8").splitlines() == [*(['{"n": 1}'] if before else []), '{"n": 2}']


def test_lines_that_do_not_fit_leave_the_file_as_it_was(tmp_path: Path) -> None:
    path = tmp_path / "lines.jsonl"
    append_lines(path, [{"n": 1}])
    limited = (
        "import resource, sys; from pathlib import Path; from harness.store import append_lines\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))\n"
        "append_lines(Path(sys.argv[1]), [{'text': 'x' * 5000}])"
    )
    ended = subprocess.run([sys.executable, "-c", limited, str(path)], capture_output=True, text=True, check=False)
    assert ended.returncode and "File too large" in ended.stderr
    assert path.read_text(encoding="utf-8") == '{"n": 1}\n'


def test_a_file_that_ends_inside_a_character_can_be_read(tmp_path: Path) -> None:
    path = tmp_path / "lines.jsonl"
    append_lines(path, [{"n": 1}])
    with path.open("ab") as stream:
        stream.write('{"text": "窗'.encode()[:-1])
    assert read_lines(path) == [{"n": 1}]


@given(st.lists(st.dictionaries(st.text(), st.text() | st.integers()), max_size=4))
def test_lines_come_back_as_they_were_appended(tmp_path_factory: pytest.TempPathFactory, rows: list[dict]) -> None:  # type: ignore[type-arg]
    path = tmp_path_factory.mktemp("lines") / "lines.jsonl"
    for row in rows:
        append_lines(path, [row])
    assert read_lines(path) == rows


@pytest.mark.parametrize("inside", ["", "root"])
def test_a_root_that_cannot_be_written_is_bad_input_that_says_what_to_do(tmp_path: Path, inside: str) -> None:
    file = tmp_path / "file"
    file.write_text("a file, no folder", encoding="utf-8")
    with pytest.raises(BadInput, match=f"cannot be written .*: choose another with --root or {ROOT_VARIABLE}"):
        Store(file / inside)


def test_a_reader_creates_nothing(tmp_path: Path) -> None:
    store = Store(tmp_path / "none", create=False)
    assert store.root == tmp_path / "none" and not store.root.exists()


def test_the_root_is_the_option_then_the_variable_then_the_folder_here(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv(ROOT_VARIABLE, str(tmp_path / "variable"))
    assert Store(tmp_path / "option").root == tmp_path / "option"
    assert Store().root == tmp_path / "variable"
    monkeypatch.delenv(ROOT_VARIABLE)
    assert Store().root == tmp_path / "babelscale-data"


def test_opening_leaves_no_probe_behind(tmp_path: Path) -> None:
    assert names(Store(tmp_path / "root").root) == ["corpora", "runs", "shards", "studies", "tasks", "tokenizers"]


@given(st.dictionaries(st.text(), st.integers() | st.lists(st.floats(allow_nan=False)), min_size=1))
def test_the_digest_does_not_depend_on_the_order_of_keys(value: dict[str, object]) -> None:
    turned = dict(reversed(value.items()))
    assert digest({"outer": value}) == digest({"outer": turned})
    assert digest(value) != digest(value | {"one more": 1.5})
