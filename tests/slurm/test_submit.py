"""A study on a real Slurm: everything once, in arrays that the cluster takes, whoever submits it how often."""

from __future__ import annotations

import json
import subprocess

from cluster import ARRAY, CPUS
from driving import TWO_RANKS, Site

from harness.launch.slurm.ends import ends_of
from harness.launch.slurm.submissions import submissions
from harness.store import Store, read_json

MANY, THROTTLE = 24, 3


def sent_runs(store: Store) -> list[str]:
    return [run for one in submissions(store) if one.kind == "runs" for run in one.runs]


def test_a_study_of_24_runs_ends_with_each_done_once_though_two_people_submit_it_at_once(bare_site: Site) -> None:
    site = bare_site
    seeds = list(range(MANY))
    small = TWO_RANKS.replace("}", ", prepare: {cpus: 2, memory_gb: 64, hours: 0.2}}")
    study = site.study("many", axes=f"{{languages: [[en, de, ru]], seed: {seeds}}}", steps=6, execution=small)
    ended = site.babelscale("submit", study, "--cluster", "slurm", code=2)
    assert "execution.prepare.memory_gb: 64 GB" in ended.stderr, "before any job is sent"
    small = small.replace("64", "2")
    study = site.study("many", axes=f"{{languages: [[en, de, ru]], seed: {seeds}}}", steps=6, execution=small)
    command = site.command("submit", study, "--cluster", "slurm", "--throttle", str(THROTTLE), "--json")
    both = [
        subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=site.environment)
        for _ in range(2)
    ]
    said = [process.communicate(timeout=120) for process in both]
    assert [process.returncode for process in both] == [0, 0], said
    told = [json.loads(out) for out, _ in said]
    assert sorted(len(one["sent"]) for one in told) == [0, 3], "one of them sends: the preparation and two arrays"
    assert sorted(sent_runs(site.store)) == sorted(site.runs("many")), "each run in one array"
    tasks = [len(one.tasks) for one in submissions(site.store)]
    assert tasks == [1, ARRAY, MANY - ARRAY], "more runs than MaxArraySize go in several arrays"

    again = site.submit(study)
    assert (again["to_do"], again["in_flight"], again["sent"]) == (0, MANY, [])
    most = 0

    def finished() -> bool:
        nonlocal most
        most = max(most, sum(state == "RUNNING" for _, state, _ in site.slurm.jobs()))
        return all((site.store.run(run) / "done.json").exists() for run in site.runs("many"))

    site.until(finished, 600, hurry=False)
    assert most <= THROTTLE
    assert all([end["state"] for end in site.attempts(run)] == ["done"] for run in site.runs("many"))
    site.until(lambda: not site.slurm.jobs())
    once_more = site.submit(study)
    assert (once_more["done"], once_more["sent"]) == (MANY, [])


SHAPES = """{devices: 1, hours: 0.2, pack: 4, rules: [
  {when: "width == 32", devices: 2, zero: 2, pack: 1},
  {when: "width == 48", devices: 2, nodes: 2, zero: 1, pack: 1, partition: main}]}"""


def test_three_resource_shapes_go_in_three_arrays_and_four_small_runs_share_an_allocation(site: Site) -> None:
    axes = "{languages: [[en, de, ru]], width: [16, 32, 48], seed: [0, 1, 2, 3]}"
    study = site.study("shapes", axes=axes, steps=8, execution=SHAPES)
    told = site.submit(study, "--where", "width == 16 or seed == 0")
    assert sorted((one["tasks"], one["runs"]) for one in told["sent"]) == [(1, 1), (1, 1), (1, 4)]
    wanted = [row["run"] for row in site.answer("status", study, "--where", "width == 16 or seed == 0")["runs"]]
    site.until(lambda: all((site.store.run(run) / "done.json").exists() for run in wanted))
    small = [run for run in wanted if "-w16-" in run]
    attempts = {run: site.store.run(run) / "attempts" / "001" for run in wanted}
    executions = {run: read_json(path / "execution.json") for run, path in attempts.items()}
    assert len({executions[run]["job"] for run in small}) == 1
    for run, path in attempts.items():
        logs = sorted(path.glob("*_log.out"))
        assert len(logs) == executions[run]["execution"]["devices"], "a log for each rank of its own"
        assert all("records in" in logs[0].read_text() for _ in [0]), "and the run's own words in it"
    (wide,) = [run for run in wanted if "-w48-" in run]
    site.until(lambda: len(ends_of(attempts[wide])) == 2)  # a rank's end is seen a little after what it has written
    hosts = {end.host for end in ends_of(attempts[wide])}
    assert len(hosts) == 2, "one rank on each of two nodes"
    rest = site.submit(study)
    assert rest["done"] == len(wanted), "what was done under --where is not sent again"


def test_a_study_that_the_cluster_can_never_run_is_refused_in_a_sentence_and_nothing_is_written(site: Site) -> None:
    for execution, words in (
        ("{partition: gpu}", "has no partition 'gpu'"),
        ("{partition: shrt}", "did you mean short?"),
        ("{partition: short, hours: 2}", "more than the 0.5 hours"),
        ("{device: a100, devices: 8}", "spread them with execution.nodes"),
        ("{devices: 2, nodes: 2, hours: 0.2, partition: short}", "more than the 1 nodes"),
        (f"{{threads: {CPUS + 1}}}", f"more than the {CPUS} that"),
        ("{memory_gb: 64}", "64 GB on one node are more than the 31.2"),
    ):
        study = site.study("never", execution=execution)
        ended = site.babelscale("submit", study, "--cluster", "slurm", code=2)
        assert words in ended.stderr and "Traceback" not in ended.stderr
        assert ended.stderr.count("\n") == 1
    assert not list(site.store.runs.glob("*")) and not list(site.store.studies.glob("*.json"))


def test_without_slurm_on_the_path_the_sentence_says_where_to_go(site: Site) -> None:
    study = site.study("nowhere")
    nothing = site.babelscale("submit", study, "--cluster", "slurm", code=2, PATH="/nonexistent")
    assert "sbatch is not on the path" in nothing.stderr and "--cluster local" in nothing.stderr


def test_what_the_cluster_refuses_is_told_in_its_own_words_and_sent_by_the_same_command_later(site: Site) -> None:
    study = site.study("refused", execution="{sbatch: {reservation: nobodys}}")
    ended = site.babelscale("submit", study, "--cluster", "slurm", code=3)
    assert "the cluster refused" in ended.stderr and "reservation" in ended.stderr
    study = site.study("refused", steps=6)
    assert len(site.submit(study)["sent"]) == 1
    site.finish("refused")


def test_values_of_users_never_reach_a_shell(site: Site) -> None:
    trace = site.folder / "trace"
    study = site.study("quiet", execution=f'{{sbatch: {{comment2: "x; touch {trace}"}}}}')
    assert site.babelscale("submit", study, "--cluster", "slurm", code=None).returncode in (2, 3)
    study = site.study("quiet", steps=4, execution=f'{{sbatch: {{wckey: "$(touch {trace})"}}}}')
    site.submit(study)
    site.finish("quiet")
    assert not trace.exists()


def test_a_study_edited_while_its_jobs_wait_keeps_their_science_and_says_that_it_does(site: Site) -> None:
    held = "{devices: 1, hours: 0.2, sbatch: {hold: true}}"
    site.submit(site.study("edited", steps=4, execution=held))
    (before,) = site.runs("edited")
    study = site.study("edited", steps=5, execution="{hours: 0.2}")
    ended = site.babelscale("submit", study, "--cluster", "slurm")
    assert "keep the science they were sent with" in ended.stdout and before in ended.stdout
    for job, *_ in site.slurm.jobs():
        site.slurm.call("scontrol", "release", job, check=False)
    site.until(lambda: (site.store.run(before) / "done.json").exists())
    assert read_json(site.store.run(before) / "run.json")["science"]["steps"] == 4
    site.finish("edited")
