"""What a cluster offers, asked in two calls; and whether a study asks for more than that."""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from harness.launch.slurm.client import call
from sweeps.errors import BadInput

_GPUS = re.compile(r"gpu(?::[^:,(]+)?:(\d+)")
_DEFAULT_ARRAY = 1001


@dataclass(frozen=True)
class NodeKind:
    """Nodes of a partition that are alike."""

    nodes: int
    cpus: int
    memory_gb: float
    gpus: int


@dataclass
class Partition:
    name: str
    minutes: float
    """Longest job, infinity where there is no limit."""
    default: bool
    up: bool
    kinds: list[NodeKind] = field(default_factory=list)

    @property
    def nodes(self) -> int:
        return sum(kind.nodes for kind in self.kinds)


@dataclass(frozen=True)
class Site:
    partitions: dict[str, Partition]
    array_tasks: int
    """Tasks that one array may have."""
    version: str
    accounting: bool
    requeues: bool

    @property
    def default(self) -> Partition | None:
        return next((one for one in self.partitions.values() if one.default), None)


def probe() -> Site:
    """Ask scontrol for the limits and sinfo for the partitions. Raises Refused."""
    settings: dict[str, str] = {}
    for line in call("scontrol", "show", "config").splitlines():
        name, equals, value = line.partition("=")
        if equals:
            settings[name.strip()] = value.strip()
    size = settings.get("MaxArraySize", "")
    tasks = max(1, int(size) if size.isdigit() else _DEFAULT_ARRAY)
    if further := re.search(r"max_array_tasks=(\d+)", settings.get("SchedulerParameters", "")):
        tasks = min(tasks, int(further[1]))
    return Site(
        partitions=_partitions(call("sinfo", "--noheader", "--all", "--format=%P|%l|%D|%c|%m|%G|%a")),
        array_tasks=tasks,
        version=settings.get("SLURM_VERSION", "?"),
        accounting=not settings.get("AccountingStorageType", "none").endswith("none"),
        requeues=settings.get("JobRequeue", "1") == "1",
    )


def _partitions(told: str) -> dict[str, Partition]:
    found: dict[str, Partition] = {}
    for line in told.splitlines():
        if line.count("|") != 6:
            continue
        name, limit, nodes, cpus, memory, gres, up = (part.strip() for part in line.split("|"))
        bare = name.rstrip("*")
        one = found.setdefault(bare, Partition(bare, _minutes(limit), name.endswith("*"), up == "up"))
        gpus = sum(int(count) for count in _GPUS.findall(gres))
        one.kinds.append(NodeKind(_number(nodes), _number(cpus), _number(memory) / 1024, gpus))
    return found


def _number(text: str) -> int:
    """`16+` is the least of nodes that are not alike."""
    digits = re.match(r"\d+", text)
    return int(digits[0]) if digits else 0


def _minutes(limit: str) -> float:
    """days-hours:minutes:seconds, or infinite."""
    if not limit[:1].isdigit():
        return float("inf")
    days, _, rest = limit.rpartition("-")
    parts = [int(part) for part in rest.split(":")]
    while len(parts) < 3:
        parts.insert(0, 0)
    hours, minutes, seconds = parts
    return int(days or 0) * 1440 + hours * 60 + minutes + seconds / 60


def check(site: Site, execution: Mapping[str, Any], where: str) -> None:
    """Raises BadInput with one sentence when no node of the partition can ever take such a job. `where` begins it."""
    flags = {name.lstrip("-"): value for name, value in execution.get("sbatch", {}).items()}
    names = [name for name in str(execution.get("partition") or "").split(",") if name]
    for name in names:
        if name not in site.partitions:
            near = difflib.get_close_matches(name, site.partitions, 1)
            hint = f"did you mean {near[0]}? " if near else ""
            raise BadInput(
                f"{where}.partition: the cluster has no partition {name!r}; {hint}it has "
                f"{', '.join(sorted(site.partitions)) or 'none'}"
            )
    chosen = [site.partitions[name] for name in names] or ([site.default] if site.default else [])
    problems = [_problem(one, execution, where, bool(flags.get("gres") or flags.get("gpus"))) for one in chosen]
    if problems and all(problems):  # of several partitions, one is enough
        raise BadInput(problems[0])


def check_preparation(site: Site, execution: Mapping[str, Any], where: str) -> None:
    """The same for the job that makes tokenizers and shards."""
    wanted = execution["prepare"]
    asks = {"hours": wanted["hours"], "memory_gb": wanted["memory_gb"], "threads": wanted["cpus"]}
    one = {"nodes": 1, "devices": 1, "pack": 1, "partition": wanted["partition"] or execution["partition"]}
    try:
        check(site, one | asks, f"{where}.prepare")
    except BadInput as error:
        raise BadInput(str(error).replace(".prepare.threads", ".prepare.cpus")) from error


def _problem(partition: Partition, execution: Mapping[str, Any], where: str, own_gpus: bool) -> str:
    name, hours, nodes = partition.name, float(execution["hours"]), int(execution["nodes"])
    if not partition.up:
        return f"{where}.partition: the partition {name} is not up; choose another"
    if hours * 60 > partition.minutes:
        most = partition.minutes / 60
        return (
            f"{where}.hours: {hours:g} is more than the {most:g} hours that the partition {name} gives a job; set at "
            f"most {most:g}: a run that needs longer is queued again and goes on"
        )
    if nodes > partition.nodes:
        return f"{where}.nodes: {nodes} are more than the {partition.nodes} nodes of the partition {name}"
    a_node = int(execution["devices"]) // nodes * int(execution["pack"])
    wants_gpus = wants_gpu(execution) and not own_gpus
    most_gpus = max((kind.gpus for kind in partition.kinds), default=0)
    if wants_gpus and a_node > most_gpus:
        return (
            f"{where}.devices: {a_node} GPUs on one node are more than the {most_gpus} that a node of the partition "
            f"{name} has; spread them with execution.nodes, pack fewer runs, or choose another partition"
        )
    cpus = a_node * int(execution["threads"])
    most_cpus = max((kind.cpus for kind in partition.kinds), default=0)
    if cpus > most_cpus:
        return (
            f"{where}.threads: {cpus} CPUs on one node ({a_node} times {execution['threads']}) are more than the "
            f"{most_cpus} that a node of the partition {name} has; set fewer"
        )
    memory = float(execution.get("memory_gb") or 0) * int(execution["pack"])
    most_memory = max((kind.memory_gb for kind in partition.kinds), default=0.0)
    if memory > most_memory:
        return (
            f"{where}.memory_gb: {memory:g} GB on one node are more than the {most_memory:.3g} that a node of the "
            f"partition {name} has; set less"
        )
    return ""


def wants_gpu(execution: Mapping[str, Any]) -> bool:
    """Whether runs ask Slurm for GPUs: where the study says which device they are for, and it is no CPU."""
    return execution.get("device") not in (None, "cpu")
