"""What a cluster says of itself is read rightly, whatever its shape; and what it can never run is refused."""

from __future__ import annotations

from typing import Any

import pytest

from harness.launch.slurm import site as sites
from harness.launch.slurm.client import Job
from harness.launch.slurm.site import NodeKind, check, probe
from harness.launch.slurm.submissions import Submission, runs_in_flight
from sweeps.errors import BadInput
from sweeps.execution import ExecutionBlock

CONFIG = """Configuration data as of 2026-01-01T00:00:00
AccountingStorageType   = accounting_storage/slurmdbd
JobRequeue              = 0
MaxArraySize            = 1001
SchedulerParameters     = bf_interval=30,max_array_tasks=400
SLURM_VERSION           = 24.11.3
"""
SINFO = """gpu*|2-00:00:00|16|64|515000|gpu:a100:4(S:0-1)|up
gpu*|2-00:00:00|4|96+|1031000+|gpu:h100:8,shard:h100:16|up
cpu|infinite|100|128|257000|(null)|up
old|30:00|2|16|64000|gpu:2|inact
"""


@pytest.fixture
def cluster(monkeypatch: pytest.MonkeyPatch) -> sites.Site:
    """A cluster larger than any that a test can start: only what its commands print is made up."""
    monkeypatch.setattr(sites, "call", lambda *command: CONFIG if command[0] == "scontrol" else SINFO)
    return probe()


def execution(**values: Any) -> dict[str, Any]:
    return ExecutionBlock(**values).model_dump(exclude={"rules"})


def test_partitions_limits_and_gpus_of_every_kind_of_node_are_read(cluster: sites.Site) -> None:
    gpu = cluster.partitions["gpu"]
    assert gpu.default and gpu.minutes == 2 * 24 * 60 and gpu.nodes == 20
    assert gpu.kinds[1] == NodeKind(4, 96, 1031000 / 1024, 8)
    assert cluster.partitions["cpu"].minutes == float("inf") and not cluster.partitions["old"].up
    assert (cluster.array_tasks, cluster.version, cluster.accounting) == (400, "24.11.3", True)
    assert not cluster.requeues


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"device": "h100", "devices": 16}, "16 GPUs on one node are more than the 8"),
        ({"device": "h100", "devices": 8, "pack": 2, "nodes": 1}, "16 GPUs on one node"),
        ({"partition": "cpu", "device": "a100"}, "1 GPUs on one node are more than the 0"),
        ({"partition": "old", "hours": 0.1}, "is not up"),
        ({"hours": 49}, "set at most 48"),
        ({"partition": "cpus"}, "did you mean cpu?"),
        ({"memory_gb": 2000}, "2000 GB on one node"),
        ({"threads": 97}, "97 CPUs on one node"),
        ({"devices": 30, "nodes": 30}, "30 are more than the 20 nodes"),
    ],
)
def test_what_no_node_can_take_is_refused_in_a_sentence_that_names_the_key(
    cluster: sites.Site, values: dict[str, Any], words: str
) -> None:
    with pytest.raises(BadInput) as raised:
        check(cluster, execution(**values), "study s: execution")
    assert words in str(raised.value) and str(raised.value).startswith("study s: execution.")


@pytest.mark.parametrize(
    "values",
    [
        {"device": "h100", "devices": 16, "nodes": 2},
        {"partition": "old,gpu", "hours": 1},  # of several partitions, one is enough
        {"partition": "cpu", "hours": 1000},
        {"partition": "cpu", "device": "a100", "sbatch": {"gres": "gpu:1"}},  # the site's own words for GPUs
    ],
)
def test_what_one_partition_can_take_passes(cluster: sites.Site, values: dict[str, Any]) -> None:
    check(cluster, execution(**values), "execution")


def test_of_a_runs_jobs_the_one_that_runs_says_more_than_the_one_that_waits(tmp_path: Any) -> None:
    tasks = [["a", "b"], ["c"]]
    old, new = (Submission(tmp_path / name, "s", "runs", {}, tasks, [], {}) for name in ("bs-1", "bs-2"))
    jobs = [
        Job("7_0", "bs-2", "PENDING", "Priority", "N/A"),
        Job("5_0", "bs-1", "RUNNING", "None", "soon"),
        Job("7_1", "bs-2", "PENDING", "Priority", "N/A"),
        Job("9_0", "another's", "RUNNING", "None", "soon"),
    ]
    carried = runs_in_flight([old, new], jobs)
    assert {run: job.id for run, job in carried.items()} == {"a": "5_0", "b": "5_0", "c": "7_1"}
