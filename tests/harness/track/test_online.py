"""W&B's real client against a server on the loopback: online, taken up again, an outage, a refused key, a deleted run.

And `babelscale track sync`, which makes all of it whole, and the second time changes nothing.
"""

from __future__ import annotations

import json
import os
import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from feeding import HELDOUT, STEPS, Attempt, feeders, score, submitted, trained_pair
from running import wait_for
from test_cli import COMMAND, subprocess
from wandb_server import WandbServer, serving

from harness.store import Store
from harness.track.feeder import AGAIN_SECONDS

KEY = "aB3dE6gH" * 5


@pytest.fixture
def wandb() -> Iterator[WandbServer]:
    with serving() as server:
        yield server
    assert not server.unknown


def environment(server: WandbServer) -> dict[str, str]:
    return {
        "WANDB_MODE": "",
        "WANDB_API_KEY": KEY,
        "WANDB_BASE_URL": server.url,
        "WANDB_X_FILE_STREAM_TRANSMIT_INTERVAL": "0.2",  # seconds; 15 by default
        "NO_PROXY": "127.0.0.1",
    }


def sync(store: Store, server: WandbServer, *arguments: str) -> subprocess.CompletedProcess[str]:
    return track(store, environment(server), "sync", *arguments)


def track(store: Store, variables: dict[str, str], *arguments: str) -> subprocess.CompletedProcess[str]:
    """The verb as a user has it."""
    command = [str(COMMAND), "track", *arguments, "--root", str(store.root)]
    told = os.environ | variables | {"COLUMNS": "200"}
    return subprocess.run(command, capture_output=True, text=True, timeout=120, env=told, check=False)


def steps(server: WandbServer, name: str) -> list[int]:
    return [row["step"] for row in server.runs[name].rows]


WHOLE = [*range(1, STEPS + 1), STEPS]
"""Every step once, and the row of scores."""


def test_one_run_for_all_attempts_and_the_next_sync_has_nothing_to_do(
    tiny_store: Callable[[str], Store], wandb: WandbServer
) -> None:
    store = tiny_store("online")
    run = submitted(store)
    name = f"shown-{run}-g1"
    first = Attempt(store, run, 1, 1, 4, environment(wandb))
    wandb.wait(lambda: name in wandb.runs)
    first.end("stopped")
    assert steps(wandb, name) == [1, 2, 3, 4]
    assert f"/runs/{name}" in first.said() and wandb.runs[name].state == "failed"
    second = Attempt(store, run, 2, 3, STEPS, environment(wandb))
    score(store, run)
    second.end("done")
    there = wandb.runs[name]
    assert list(wandb.runs) == [name] and steps(wandb, name) == WHOLE and there.state == "finished"
    assert [row["events/attempt"] for row in there.rows[:-1]] == [1] * 4 + [2] * 8
    assert there.told["groupName"] == "shown" and "study:shown" in there.told["tags"] and there.settings["K"] == 3
    assert there.summary["heldout/bits_per_byte/en"] == HELDOUT["en"] and there.summary["record/progress"] == 1.0
    with_study = sync(store, wandb, "shown")
    assert with_study.returncode == 0 and "1 unchanged" in with_study.stdout, with_study.stderr
    committed = {one["artifactTypeName"] for one in wandb.artifacts if one.get("committed")}
    assert committed == {"records", "report", "figures", "latex"}
    assert wandb.runs["shown-study-g1"].told["jobType"] == "study"
    made = [path for path in (store.root / "reports" / "shown").rglob("*") if path.is_file()]
    assert made and {path.name: path.read_bytes() for path in made}.items() <= wandb.uploads.items()
    assert wandb.uploads["records.parquet"][:4] == b"PAR1" and wandb.runs["shown-study-g1"].state == "finished"
    before = wandb.changes
    again = sync(store, wandb, "shown")
    assert again.returncode == 0 and "1 unchanged" in again.stdout and "nothing was sent" in again.stdout
    assert wandb.changes == before
    wait_for(lambda: not feeders(store))
    files = [path for path in store.root.rglob("*") if path.is_file()]
    assert not [path for path in files if KEY.encode() in path.read_bytes()]


@pytest.mark.slow
def test_a_study_that_is_done_has_its_figures_and_records_in_a_run_of_its_own(
    tiny_store: Callable[[str], Store], wandb: WandbServer
) -> None:
    store = tiny_store("whole")
    axes = "{languages: [[en, ru], [en, de, ru]], seed: [0, 1]}"
    runs = trained_pair(store, axes)
    for run in runs[1:]:
        score(store, run)
    assert "4 sent" in sync(store, wandb, "pair").stdout and not wandb.artifacts, "one run is not done yet"
    score(store, runs[0])
    told = sync(store, wandb, "pair")
    assert told.returncode == 0 and "figures and records of pair: sent" in told.stdout, told.stderr
    committed = {one["artifactTypeName"] for one in wandb.artifacts if one.get("committed")}
    assert committed == {"figures", "latex", "records", "report"}
    assert wandb.runs["pair-study-g1"].told["jobType"] == "study"
    folder = store.root / "reports" / "pair"
    made = {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    assert any(name.startswith("figures/") for name in made)
    for name, data in made.items():
        assert data in wandb.uploads.values(), name
    before = wandb.changes
    assert "nothing was sent" in sync(store, wandb, "pair").stdout and wandb.changes == before


@pytest.mark.slow
def test_an_outage_is_waited_out_or_made_good_by_a_sync(tiny_store: Callable[[str], Store], wandb: WandbServer) -> None:
    store = tiny_store("outage")
    run = submitted(store)
    name = f"shown-{run}-g1"
    attempt = Attempt(store, run, 1, 1, 3, environment(wandb))
    wandb.wait(lambda: name in wandb.runs and len(wandb.runs[name].history) == 3)
    wandb.down = True
    attempt.write(4)
    attempt.write(5)
    wandb.down = False
    wandb.wait(lambda: len(wandb.runs[name].history) == 5)
    wandb.down = True
    for step in range(6, STEPS + 1):
        attempt.write(step)
    score(store, run)
    attempt.end("done")
    assert attempt.said().count("babelscale track sync") == 1 and attempt.said().count("W&B:") == 2, attempt.said()
    told = sync(store, wandb)
    assert told.returncode == 2 and told.stderr.count("\n") == 1 and "cannot be reached" in told.stderr
    wandb.down = False
    told = sync(store, wandb)
    assert told.returncode == 0 and "1 sent" in told.stdout, told.stderr
    assert steps(wandb, name) == WHOLE and wandb.runs[name].state == "finished"
    before, had = wandb.changes, json.dumps(wandb.runs[name].rows)
    assert "1 unchanged" in sync(store, wandb).stdout and wandb.changes == before
    assert json.dumps(wandb.runs[name].rows) == had and set(wandb.runs) == {name, "shown-study-g1"}


@pytest.mark.slow
def test_a_refused_key_is_told_once_and_training_ends_as_ever(
    tiny_store: Callable[[str], Store], wandb: WandbServer
) -> None:
    store = tiny_store("refused")
    wandb.refuses = True
    attempt = Attempt(store, submitted(store), 1, 1, STEPS, environment(wandb))
    wait_for(lambda: "babelscale track sync" in attempt.said())
    attempt.end("done")
    assert attempt.said().count("W&B:") == 1 and not wandb.runs
    told = sync(store, wandb)
    assert told.returncode == 2 and told.stderr.count("\n") == 1, told.stderr
    assert KEY not in attempt.said() + told.stdout + told.stderr


@pytest.mark.slow
def test_a_deleted_run_goes_on_as_the_next_generation(tiny_store: Callable[[str], Store], wandb: WandbServer) -> None:
    store = tiny_store("deleted")
    run = submitted(store)
    Attempt(store, run, 1, 1, 4, environment(wandb)).end("stopped")
    wandb.runs[f"shown-{run}-g1"].deleted = True
    second = Attempt(store, run, 2, 5, STEPS, environment(wandb))
    score(store, run)
    second.end("done")
    assert second.said().count("was deleted on the server") == 1 and "generation 2" in second.said()
    assert steps(wandb, f"shown-{run}-g2") == WHOLE and steps(wandb, f"shown-{run}-g1") == [1, 2, 3, 4]
    # The folder is wiped and the run begun again: what is there under its ids, deleted or not, is left alone.
    shutil.rmtree(store.run(run))
    submitted(store)
    third = Attempt(store, run, 1, 1, 2, environment(wandb))
    third.end("stopped")
    told = sync(store, wandb, "shown")
    assert told.returncode == 0 and "1 sent" in told.stdout, told.stderr
    assert "generation 2" in told.stderr and "generation 3" in told.stderr
    assert steps(wandb, f"shown-{run}-g3") == [1, 2] and steps(wandb, f"shown-{run}-g2") == WHOLE
    before = wandb.changes
    again = sync(store, wandb, "shown")
    assert "1 unchanged" in again.stdout and "nothing was sent" in again.stdout and not again.stderr, (
        "unfinished as it is"
    )
    assert wandb.changes == before


@pytest.mark.slow
def test_a_server_that_never_answers_is_told_of_once_and_holds_up_nothing(
    tiny_store: Callable[[str], Store], wandb: WandbServer
) -> None:
    store = tiny_store("silent")
    wandb.silent = True
    attempt = Attempt(store, submitted(store), 1, 1, STEPS, environment(wandb))
    wait_for(lambda: "babelscale track sync" in attempt.said())
    began = time.monotonic()
    attempt.end("done")
    assert time.monotonic() - began < 10, "it has given up, and is not waited for"
    assert attempt.said().count("W&B:") == 1 and not wandb.runs
    told = sync(store, wandb)
    assert told.returncode == 2 and told.stderr.count("\n") == 1 and "cannot be reached" in told.stderr


@pytest.mark.slow
def test_a_project_that_is_not_ours_is_told_once_and_nothing_is_lost(
    tiny_store: Callable[[str], Store], wandb: WandbServer
) -> None:
    store = tiny_store("theirs")
    run = submitted(store)
    wandb.forbidden = "tested"
    attempt = Attempt(store, run, 1, 1, STEPS, environment(wandb))
    wait_for(lambda: "babelscale track sync" in attempt.said())
    score(store, run)
    attempt.end("done")
    assert attempt.said().count("W&B:") == 1 and "lab/tested" in attempt.said(), attempt.said()
    refused = sync(store, wandb)
    assert refused.returncode != 0 and "lab/tested" in refused.stdout + refused.stderr, (refused.stdout, refused.stderr)
    ours = environment(wandb) | {"WANDB_PROJECT": "ours"}
    assert "1 sent" in track(store, ours, "sync").stdout
    assert steps(wandb, f"shown-{run}-g1") == WHOLE and wandb.runs[f"shown-{run}-g1"].project == "ours"


def test_online_without_a_key_is_told_once(
    tiny_store: Callable[[str], Store], wandb: WandbServer, tmp_path: Path
) -> None:
    store = tiny_store("keyless")
    keyless = environment(wandb) | {"WANDB_MODE": "online", "WANDB_API_KEY": "", "HOME": str(tmp_path)}
    attempt = Attempt(store, submitted(store), 1, 1, STEPS, keyless)
    wait_for(lambda: "babelscale track sync" in attempt.said())
    attempt.end("done")
    assert attempt.said().count("W&B:") == 1 and "key" in attempt.said() and not wandb.asked, attempt.said()
    told = track(store, keyless, "sync")
    assert told.returncode == 2 and told.stderr.count("\n") == 1 and "wandb login" in told.stderr
    shown = track(store, keyless | {"WANDB_MODE": ""}, "dashboard", "shown")
    assert shown.returncode == 0 and "W&B has no key on this machine: what would be sent is in" in shown.stdout


@pytest.mark.slow
def test_a_login_at_a_server_of_ones_own_is_enough(
    tiny_store: Callable[[str], Store], wandb: WandbServer, tmp_path: Path
) -> None:
    store = tiny_store("login")
    run = submitted(store)
    mine = {
        name: value for name, value in environment(wandb).items() if name not in ("WANDB_BASE_URL", "WANDB_API_KEY")
    }
    mine |= {"HOME": str(tmp_path)}
    login = [str(COMMAND.with_name("wandb")), "login", "--host", wandb.url, KEY]
    subprocess.run(login, env=os.environ | mine | {"WANDB_MODE": "online"}, cwd=tmp_path, check=True, timeout=60)
    attempt = Attempt(store, run, 1, 1, STEPS, mine)
    score(store, run)
    attempt.end("done")
    assert steps(wandb, f"shown-{run}-g1") == WHOLE, attempt.said()
    assert "1 unchanged" in track(store, mine, "sync").stdout
    files = [path for path in store.root.rglob("*") if path.is_file()]
    assert not [path for path in files if KEY.encode() in path.read_bytes()]


@pytest.mark.slow
def test_what_lies_in_the_folder_of_a_run_is_taken_by_their_own_sync_as_the_same_run(
    tiny_store: Callable[[str], Store], wandb: WandbServer, tmp_path: Path
) -> None:
    store = tiny_store("theirs-too")
    run = submitted(store)
    attempt = Attempt(store, run, 1, 1, STEPS, {"WANDB_MODE": "offline"})
    score(store, run)
    attempt.end("done")
    (folder,) = (store.run(run) / "wandb").iterdir()
    theirs = subprocess.run(
        [str(COMMAND.with_name("wandb")), "sync", str(folder)],
        capture_output=True,
        text=True,
        timeout=120,
        env=os.environ | environment(wandb) | {"WANDB_MODE": "online", "HOME": str(tmp_path)},
        cwd=tmp_path,
        check=False,
    )
    assert theirs.returncode == 0, theirs.stdout + theirs.stderr
    assert steps(wandb, f"shown-{run}-g1") == WHOLE
    assert "1 unchanged" in sync(store, wandb).stdout and set(wandb.runs) == {f"shown-{run}-g1", "shown-study-g1"}


@pytest.mark.slow
def test_a_dead_server_costs_training_less_than_two_hundredths_of_a_core(
    tiny_store: Callable[[str], Store], wandb: WandbServer
) -> None:
    store = tiny_store("dead")
    wandb.down = True
    attempt = Attempt(store, submitted(store), 1, 1, 3, environment(wandb))
    wait_for(lambda: "babelscale track sync" in attempt.said())
    (feeder,) = wait_for(lambda: len(feeders(store)) == 1 and feeders(store))
    fields = Path(f"/proc/{feeder}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
    seconds = sum(map(int, fields[11:15])) / os.sysconf("SC_CLK_TCK")  # its own and its ended children's
    assert int(fields[16]) >= 10, "it gives way to training"
    # A try costs this much, and then it waits: what comes after the first minutes is this share of one core.
    assert seconds / AGAIN_SECONDS[-1] < 0.02, seconds
    print(f"a try costs {seconds:.2f} s of CPU")
    attempt.end("done")
    assert attempt.said().count("W&B:") == 1
    wait_for(lambda: not feeders(store))
