"""Whatever a cluster does to a run of two ranks, it ends with the weights of the run that nobody disturbed."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from driving import TWO_RANKS, Site
from safetensors.torch import load_file
from tiny import finish, study_text, submit_here

from harness.branches import WEIGHTS
from harness.launch.attempts import attempt_folders, newest_step
from harness.launch.slurm.submit import warning_seconds
from harness.store import Store, read_json, read_lines

STEPS, EARLY = 700, 60


@pytest.fixture(scope="session")
def undisturbed(prepared_root: Path, tmp_path_factory: pytest.TempPathFactory) -> Callable[[int], Store]:
    """The run by the local queue, with the same two ranks."""
    known: dict[int, Store] = {}

    def run(steps: int) -> Store:
        if steps not in known:
            root = tmp_path_factory.mktemp("undisturbed") / "root"
            shutil.copytree(prepared_root, root)
            known[steps] = Store(root)
            submit_here(known[steps], study_text("calm", steps=steps, execution=TWO_RANKS))
            finish(known[steps], "calm")
        return known[steps]

    return run


def begin(site: Site, steps: int = STEPS, execution: str = TWO_RANKS) -> str:
    """Submit one run and wait until it has a checkpoint and is under way."""
    site.submit(site.study("rough", steps=steps, execution=execution))
    (run,) = site.runs("rough")
    site.until(lambda: newest_step(site.store.run(run)) >= 1 and site.step(run) >= EARLY)
    return run


def assert_same(site: Site, calm: Store, run: str) -> None:
    site.finish("rough")
    mine, other = (load_file(store.run(run) / WEIGHTS) for store in (site.store, calm))
    assert mine.keys() == other.keys()
    for name, value in mine.items():
        assert torch.equal(value, other[name]), name
    lines = [read_lines(each.run(run) / "metrics.jsonl") for each in (site.store, calm)]
    curves = [{row["step"]: row["loss"] for row in each} for each in lines]  # the last line of a step counts
    assert curves[0] == curves[1], "and its curve"


def pids_of(site: Site, run: str) -> dict[int, int]:
    """The processes of a run's ranks, by rank."""
    found = {}
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            words = (entry / "cmdline").read_bytes().split(b"\0")
        except OSError:
            continue
        if {b"harness.launch.job", str(site.store.root).encode(), run.encode()} <= set(words):
            found[int(words[words.index(run.encode()) + 2])] = int(entry.name)
    return found


def ends(site: Site, run: str) -> list[tuple[str, str]]:
    return [(end.get("state", ""), end.get("cause", "")) for end in site.attempts(run)]


def test_a_job_is_told_by_usr2_saves_is_queued_again_and_goes_on(
    site: Site, undisturbed: Callable[[int], Store]
) -> None:
    run = begin(site)
    job = site.job_of(run)
    site.slurm.call("scancel", "--signal=USR2", job)
    site.until(lambda: len(attempt_folders(site.store.run(run))) == 2)
    second = read_json(attempt_folders(site.store.run(run))[1] / "execution.json")
    assert second["job"] == job and second["restart"] == 1 and second["from_step"] > EARLY
    assert_same(site, undisturbed(STEPS), run)
    assert ends(site, run) == [("stopped", "time"), ("done", "")]


def test_scontrol_requeue_costs_no_more_than_the_steps_since_the_last_checkpoint(
    site: Site, undisturbed: Callable[[int], Store]
) -> None:
    run = begin(site)
    site.slurm.call("scontrol", "requeue", site.job_of(run))
    assert_same(site, undisturbed(STEPS), run)
    assert len(site.attempts(run)) == 2


def test_a_time_limit_is_met_with_a_checkpoint_and_the_job_comes_back_for_the_rest(
    site: Site, undisturbed: Callable[[int], Store]
) -> None:
    hours = 0.016  # the shortest limit that Slurm takes is a minute
    execution = f"{{devices: 2, zero: 1, hours: {hours}, checkpoint_seconds: 1000}}"
    site.submit(site.study("rough", steps=STEPS, execution=execution))
    (run,) = site.runs("rough")
    site.until(lambda: site.step(run) >= EARLY)
    ranks = pids_of(site, run).values()
    assert len(ranks) == 2 and len(attempt_folders(site.store.run(run))) == 1, "under way in its first minute"
    for rank in ranks:  # held until its time is up, or a fast machine would end before
        os.kill(rank, signal.SIGSTOP)
    ends_at = time.mktime(time.strptime(site.slurm.call("squeue", "-h", "--format=%e").strip(), "%Y-%m-%dT%H:%M:%S"))
    time.sleep(max(0.0, ends_at - warning_seconds(hours * 3600) - time.time()))
    for rank in ranks:
        with contextlib.suppress(ProcessLookupError):  # Slurm may have woken them with its warning
            os.kill(rank, signal.SIGCONT)
    site.until(lambda: len(attempt_folders(site.store.run(run))) == 2)
    assert newest_step(site.store.run(run)) > 0, "saved because it was told, not by the clock"
    assert_same(site, undisturbed(STEPS), run)
    first, *_, last = ends(site, run)
    assert (first, last) == (("stopped", "time"), ("done", ""))


def test_a_node_that_dies_with_all_its_processes_leaves_the_run_to_another_node(
    site: Site, undisturbed: Callable[[int], Store]
) -> None:
    run = begin(site)
    node = site.slurm.call("squeue", "-h", "--format=%N").strip()
    site.slurm.kill_node(node, with_jobs=True)
    assert_same(site, undisturbed(STEPS), run)
    assert ends(site, run) == [("killed", "node"), ("done", "")]


def test_a_node_daemon_that_dies_alone_makes_no_second_writer_of_one_run(
    site: Site, undisturbed: Callable[[int], Store]
) -> None:
    run = begin(site, execution="{devices: 2, zero: 1, hours: 0.5, checkpoint_seconds: 1}")
    site.slurm.kill_node(site.slurm.call("squeue", "-h", "--format=%N").strip(), with_jobs=False)
    assert_same(site, undisturbed(STEPS), run)
    assert len(site.attempts(run)) == 1, "the ranks outlived their daemon, and the job elsewhere waited for them"


def test_a_run_that_must_give_way_saves_in_its_grace_time_and_goes_on_when_there_is_room(
    site: Site, undisturbed: Callable[[int], Store]
) -> None:
    run = begin(site, execution=TWO_RANKS.replace("}", ", partition: low}"))
    job = site.job_of(run)
    site.slurm.call("sbatch", "-p", "high", "--nodes=4", "--exclusive", "--output=/dev/null", "--wrap", "sleep 1")
    site.until(lambda: len(attempt_folders(site.store.run(run))) == 2)
    second = read_json(attempt_folders(site.store.run(run))[1] / "execution.json")
    assert second["job"] == job and second["from_step"] > EARLY, "saved when it was told, and the same job came back"
    assert_same(site, undisturbed(STEPS), run)


def test_a_controller_that_dies_and_comes_back_changes_nothing(site: Site, undisturbed: Callable[[int], Store]) -> None:
    run = begin(site)
    site.slurm.kill_controller()
    told = site.answer("status", site.folder / "rough.yaml", code=None)
    assert "Slurm could not be asked" in told["notes"][0]
    assert {row["state"] for row in told["runs"]} <= {"running", "done"}, "what the files say stands"
    time.sleep(2)
    site.slurm.start_controller()
    assert_same(site, undisturbed(STEPS), run)
    assert ends(site, run) == [("done", "")]


@pytest.mark.parametrize("rank", [0, 1])
def test_a_killed_rank_is_named_and_the_job_itself_goes_on_from_the_checkpoint(
    site: Site, undisturbed: Callable[[int], Store], rank: int
) -> None:
    run = begin(site)
    os.kill(pids_of(site, run)[rank], signal.SIGKILL)
    assert_same(site, undisturbed(STEPS), run)
    assert ends(site, run) == [("killed", "killed"), ("done", "")]
    first = site.attempts(run)[0]
    assert f"rank {rank} on" in first["error"] and "SIGKILL" in first["error"]
    jobs = {read_json(path / "execution.json")["job"] for path in attempt_folders(site.store.run(run))}
    assert len(jobs) == 1, "no trip to the queue for it"


def test_cancel_shows_what_is_lost_ends_the_run_saved_and_submit_goes_on(
    site: Site, undisturbed: Callable[[int], Store]
) -> None:
    run = begin(site)
    study = site.folder / "rough.yaml"
    asked = site.babelscale("cancel", study, code=2)
    assert f"of {STEPS}" in asked.stdout and "add --yes" in asked.stderr
    site.babelscale("cancel", study, "--yes")
    site.until(lambda: not site.slurm.jobs())
    assert ends(site, run) == [("stopped", "cancelled")]
    assert newest_step(site.store.run(run)) > EARLY
    assert site.submit(study)["to_do"] == 1
    assert_same(site, undisturbed(STEPS), run)
