"""A failure of each kind, planted on a real Slurm: why names its cause, retry mends what can be mended."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import Any

import pytest
from driving import Site
from test_survival import pids_of

from harness.launch.attempts import newest_step
from harness.store import Store, read_json, write_json

STEPS, LONG = 700, 4000
MEMORY, LOSS, DATA, CODE, KILLED, CANCELLED, TIME, NODE = range(8)
EXECUTION = f"""{{devices: 2, zero: 1, hours: 0.5, checkpoint_seconds: 1, attempts: 1, sbatch: {{hold: true}}, rules: [
  {{when: "seed == {MEMORY}", memory_gb: 0.4}}, {{when: "seed == {TIME}", hours: 0.016}}]}}"""


def plant(store: Store, run: str, **science: Any) -> dict[str, Any]:
    """Change a run's frozen science behind the harness's back; returns what was there."""
    path = store.run(run) / "run.json"
    before: dict[str, Any] = read_json(path)
    changed = {name: value for name, value in (before["science"] | science).items() if value is not None}
    write_json(path, before | {"science": changed})
    return before


def release(site: Site, run: str) -> None:
    """Let a run's job, which was sent on hold, begin."""
    sent = {run: job for one in (site.store.root / "slurm").glob("bs-*/plan.json") for run, job in tasks_of(one)}
    site.slurm.call("scontrol", "release", sent[run])


def release_all(site: Site) -> None:
    for job, *_ in site.slurm.jobs():
        site.slurm.call("scontrol", "release", job)


def tasks_of(plan: Path) -> list[tuple[str, str]]:
    job = read_json(plan.with_name("sent.json"))["job"]
    tasks = read_json(plan)["tasks"]
    return [(run, f"{job}_{index}" if len(tasks) > 1 else job) for index, task in enumerate(tasks) for run in task]


def groups(site: Site, study: Path) -> dict[str, dict[str, Any]]:
    told = site.answer("why", study)["groups"]
    assert len({group["cause"] for group in told}) == len(told)
    return {group["cause"]: group for group in told}


def wait_for_the_end(site: Site, run: str) -> None:
    site.until(lambda: all(job[0] != site.job_of(run) for job in site.slurm.jobs()), hurry=False)


@pytest.fixture
def planted(site: Site) -> tuple[Site, Path, dict[int, str], dict[str, Any]]:
    study = site.study(
        "planted", axes="{languages: [[en, de, ru]], seed: [0, 1, 2, 3, 4, 5, 6, 7]}", steps=STEPS, execution=EXECUTION
    )
    site.submit(study)
    seeds = {read_json(site.store.run(run) / "run.json")["axes"]["seed"]: run for run in site.runs("planted")}
    plant(site.store, seeds[LOSS], learning_rate=1e30)
    data = plant(site.store, seeds[DATA], corpus="0123456789ab")
    plant(site.store, seeds[CODE], optimizer=None)
    plant(site.store, seeds[TIME], steps=LONG)
    plant(site.store, seeds[NODE], steps=LONG)
    for seed in (MEMORY, LOSS, DATA, CODE):
        release(site, seeds[seed])
    for seed in (MEMORY, LOSS, DATA, CODE):
        site.until(lambda run=seeds[seed]: site.attempts(run) and site.attempts(run)[-1], hurry=False)

    release(site, seeds[KILLED])
    site.until(lambda: 1 in pids_of(site, seeds[KILLED]), hurry=False)
    os.kill(pids_of(site, seeds[KILLED])[1], signal.SIGKILL)
    release(site, seeds[CANCELLED])
    site.until(lambda: newest_step(site.store.run(seeds[CANCELLED])) > 0, hurry=False)
    site.slurm.call("scancel", site.job_of(seeds[CANCELLED]))

    for seed in (TIME, NODE):  # sites may forbid to queue jobs again
        release(site, seeds[seed])
        site.until(lambda run=seeds[seed]: newest_step(site.store.run(run)) > 0 or site.step(run), hurry=False)
        site.slurm.call("scontrol", "update", f"jobid={site.job_of(seeds[seed])}", "requeue=0")
        if seed == NODE:
            node = site.slurm.call("squeue", "-h", f"--jobs={site.job_of(seeds[NODE])}", "--format=%N").strip()
            site.slurm.kill_node(node, with_jobs=True)
        wait_for_the_end(site, seeds[seed])
    ask = ("sacct", "-n", "-X", "--format=State%20", "-j", site.job_of(seeds[NODE]))
    site.until(lambda: "NODE_FAIL" in site.slurm.call(*ask), hurry=False)  # accounting learns of it a little later
    site.slurm.mend()
    return site, study, seeds, data


def test_why_names_each_cause_and_retry_mends_what_it_can(
    planted: tuple[Site, Path, dict[int, str], dict[str, Any]],
) -> None:
    site, study, seeds, data = planted
    found = groups(site, study)
    expected = {
        "memory": MEMORY,
        "loss": LOSS,
        "data": DATA,
        "code": CODE,
        "killed": KILLED,
        "cancelled": CANCELLED,
        "time": TIME,
        "node": NODE,
    }
    assert {cause: group["runs"] for cause, group in found.items()} == {
        cause: [seeds[seed]] for cause, seed in expected.items()
    }
    assert found["killed"]["first"]["rank"] == 1 and "SIGKILL" in found["killed"]["error"]
    assert "KeyError" in found["code"]["error"] and any("optimizer" in line for line in found["code"]["lines"])
    assert "0123456789ab" in found["data"]["error"] and "does not fit the memory" in found["memory"]["error"]
    assert {cause for cause, group in found.items() if not group["again"]} >= {"memory", "loss", "data", "code"}
    shown = site.babelscale("why", study).stdout
    assert all(f"{cause}:" in shown for cause in expected) and "--set micro_rows=N" in shown

    # What is not of its own making goes again; the rest would only fail again, and is refused, each in a sentence.
    again = site.answer("retry", study, "--set", "hours=0.5", code=1)
    assert set(again["retried"]) == {seeds[seed] for seed in (KILLED, CANCELLED, TIME, NODE)}
    assert set(again["refused"]) == {seeds[seed] for seed in (MEMORY, LOSS, DATA, CODE)}
    release_all(site)
    site.until(lambda: all((site.store.run(run) / "done.json").exists() for run in again["retried"]), hurry=False)

    unknown = site.babelscale("retry", study, "--cause", "memory", "--set", "colour=red", code=2)
    assert "execution has no such key" in unknown.stderr
    write_json(site.store.run(seeds[DATA]) / "run.json", data)
    mended = [
        site.answer("retry", study, "--cause", "memory", "--set", "memory_gb=4"),
        site.answer("retry", study, "--cause", "data", "--anyway"),
    ]
    release_all(site)
    assert [told["retried"] for told in mended] == [[seeds[MEMORY]], [seeds[DATA]]]
    done = [seeds[MEMORY], seeds[DATA]]
    site.until(lambda: all((site.store.run(run) / "done.json").exists() for run in done), hurry=False)
    assert groups(site, study).keys() == {"loss", "code"}
    execution = read_json(sorted((site.store.run(seeds[MEMORY]) / "attempts").glob("*/execution.json"))[-1])
    assert execution["execution"]["memory_gb"] == 4


def test_a_job_that_ends_before_its_run_begins_is_told_with_what_it_printed(site: Site) -> None:
    broken = "{devices: 1, hours: 0.2, python: /nonexistent/python3}"
    study = site.study("unbegun", steps=4, execution=broken)
    site.submit(study)
    site.until(lambda: not site.slurm.jobs(), hurry=False)
    (group,) = site.answer("why", study)["groups"]
    assert group["cause"] == "start" and group["runs"] == site.runs("unbegun")
    assert any("/nonexistent/python3" in line for line in group["lines"])
    assert group["todo"].endswith(f"then babelscale submit {study} --cluster slurm")
    refused = site.babelscale("retry", study, "--set", "partition=nowhere", code=2)
    assert "no partition 'nowhere'" in refused.stderr
    site.babelscale("submit", study, "--cluster", "slurm", "--set", "python=null")
    site.finish("unbegun")


def test_a_preparation_that_fails_is_told_with_its_reason_and_the_runs_go_when_it_is_mended(bare_site: Site) -> None:
    site = bare_site
    small = "{devices: 1, hours: 0.2, prepare: {cpus: 1, memory_gb: 2, hours: 0.2}}"
    study = site.study("unprepared", steps=4, execution=small)
    text = study.read_text(encoding="utf-8")
    study.write_text(text.replace("vocabulary: 340", "vocabulary: 3000"), encoding="utf-8")
    site.submit(study)
    site.until(lambda: not site.slurm.jobs(), hurry=False)  # the runs' job went with what it waited for
    (group,) = site.answer("why", study)["groups"]
    assert group["cause"] == "prepare" and "a vocabulary of 3,000" in group["error"]
    assert "preparation failed" in site.babelscale("status", study).stdout
    study.write_text(text, encoding="utf-8")
    site.submit(study)
    site.finish("unprepared")
    assert site.answer("why", study)["groups"] == []
