"""A Slurm of its own on this machine: several nodes, fake GPUs, accounting; started for the tests, gone after them.

Needs root and Debian's slurmctld, slurmd, slurm-client, munge, slurmdbd and mariadb-server. Every node is a slurmd with
a port of its own that believes what slurm.conf says of its CPUs, memory and GPUs. By hand:

    python tests/slurm/cluster.py up FOLDER      and then, in the shell:  export SLURM_CONF=FOLDER/etc/slurm.conf
    python tests/slurm/cluster.py down FOLDER
"""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
import signal
import socket
import stat
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

PROGRAMS = ("slurmctld", "slurmd", "sbatch", "munged", "slurmdbd", "mariadbd")
NODES = ("bs1", "bs2", "bs3", "bs4")
CPUS, MEMORY_MB, GPUS, ARRAY = 8, 32_000, 4, 16
_SBIN = "/usr/sbin"
_MARK = "# babelscale test cluster"


def missing() -> list[str]:
    """Programs that a cluster needs and this machine lacks."""
    path = f"{os.environ.get('PATH', '')}:{_SBIN}"
    return [name for name in PROGRAMS if not shutil.which(name, path=path)]


@dataclass
class Cluster:
    folder: Path

    def __post_init__(self) -> None:
        self.folder = self.folder.absolute()
        self.port = 21_000 + os.getpid() % 20 * 50
        self.running: dict[str, int] = {}

    @property
    def conf(self) -> Path:
        return self.folder / "etc" / "slurm.conf"

    @property
    def environment(self) -> dict[str, str]:
        inherited = {name: value for name, value in os.environ.items() if not name.startswith("SLURM")}
        return inherited | {"SLURM_CONF": str(self.conf), "PATH": f"{os.environ['PATH']}:{_SBIN}"}

    # Up and down.

    def up(self) -> None:
        self._write()
        self._names(True)
        self._start(
            "munged",
            "munged --foreground --force --num-threads=2 "
            "--key-file=etc/munge.key --socket=run/munge --pid-file=run/munged.pid --log-file=log/munged.log "
            "--seed-file=run/munge.seed",
        )
        self._until(lambda: self._answers("munge", "-n", "-S", self.folder / "run/munge"), "munged")
        self._start_accounting()
        self.start_controller()
        for name in NODES:
            self.start_node(name)
        self._until(self._idle, "the nodes")

    def down(self) -> None:
        with contextlib.suppress(subprocess.CalledProcessError, FileNotFoundError):
            self.call("scancel", "--user=root")
            time.sleep(1)
        last = ("slurmctld", "slurmdbd", "mariadbd", "munged")
        for name in [*(name for name in self.running if name not in last), *last]:
            self._end(self.running.pop(name, 0))
        for process in self.processes():  # steps and what they started outlive their node's daemon
            with contextlib.suppress(ProcessLookupError):
                os.kill(process, signal.SIGKILL)
        self._names(False)

    # What tests do to it.

    def start_controller(self) -> None:
        self._start("slurmctld", f"slurmctld -D -f {self.conf}")
        self._until(lambda: " UP" in self.call("scontrol", "ping", check=False), "slurmctld")

    def kill_controller(self) -> None:
        self._kill("slurmctld")

    def start_node(self, name: str) -> None:
        (self.folder / "spool" / name).mkdir(parents=True, exist_ok=True)
        self._start(name, f"slurmd -D -N {name} -f {self.conf}")

    def kill_node(self, name: str, *, with_jobs: bool) -> None:
        """SIGKILL of a node's daemon; `with_jobs`: and of all that runs there, as when the machine itself goes."""
        self._kill(name)
        found = self.processes(name) if with_jobs else []
        for what in (signal.SIGSTOP, signal.SIGKILL):  # stopped first: none shall report the death of another
            for process in found:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(process, what)

    def mend(self) -> None:
        """Bring back what a test took away, and wait until every node is idle."""
        if "slurmctld" not in self.running:
            self.start_controller()
        for name in NODES:
            if name not in self.running:
                self.start_node(name)
        self._until(lambda: not self.jobs(), "an empty queue")
        self._until(self._idle, "the nodes")

    def _idle(self) -> bool:
        return set(self.call("sinfo", "-h", "-N", "-o", "%t").split()) == {"idle"}

    def call(self, *command: str, check: bool = True) -> str:
        return subprocess.run(
            command, capture_output=True, text=True, check=check, env=self.environment, timeout=60
        ).stdout

    def jobs(self, form: str = "%i|%T|%r") -> list[list[str]]:
        """Jobs that wait or run, tasks of arrays one by one."""
        return [line.split("|") for line in self.call("squeue", "-h", "--array", f"--format={form}").splitlines()]

    def start_now(self) -> None:
        """End the two minutes that a job waits after it was queued again."""
        for job, state, reason in self.jobs():
            if state == "PENDING" and reason in ("BeginTime", "None", "Priority", "Resources"):
                self.call("scontrol", "update", f"jobid={job}", "starttime=now", check=False)

    def processes(self, node: str = "") -> list[int]:
        """Processes of this cluster's jobs and the step daemons above them; `node`: only there."""
        marks = [f"SLURM_CONF={self.conf}".encode(), *([f"SLURMD_NODENAME={node}".encode()] if node else [])]
        found: set[int] = set()
        for entry in Path("/proc").iterdir():
            if not entry.name.isdigit() or int(entry.name) == os.getpid():
                continue
            with contextlib.suppress(OSError):
                variables = (entry / "environ").read_bytes().split(b"\0")
                if all(mark in variables for mark in marks) and any(v.startswith(b"SLURM_JOB_ID=") for v in variables):
                    found |= {int(entry.name), *_step_daemons_above(entry)}
        return sorted(found)

    # Its parts.

    def _write(self) -> None:
        for name in ("etc", "run", "log", "state", "dev", "spool"):
            (self.folder / name).mkdir(parents=True, exist_ok=True)
        for path in (self.folder, *self.folder.parents):  # munged refuses a socket that others cannot reach
            if path.stat().st_uid == os.getuid() and path != Path("/tmp"):
                path.chmod(path.stat().st_mode | 0o055)
        for name in ("etc", "run", "log"):
            (self.folder / name).chmod(0o755)
        key = self.folder / "etc" / "munge.key"
        key.touch(mode=0o600)
        key.write_bytes(secrets.token_bytes(128))
        for number in range(GPUS):  # copies of the null device: slurmd takes nothing but character devices
            device = self.folder / "dev" / f"nvidia{number}"
            if not device.exists():
                os.mknod(device, 0o666 | stat.S_IFCHR, os.makedev(1, 3))
        nodes = f"bs[1-{len(NODES)}]"
        (self.folder / "etc" / "gres.conf").write_text(
            f"NodeName={nodes} Name=gpu File={self.folder}/dev/nvidia[0-{GPUS - 1}]\n", encoding="utf-8"
        )
        (self.folder / "etc" / "cgroup.conf").write_text("", encoding="utf-8")
        host = socket.gethostname().split(".")[0]
        last = self.port + 10 + len(NODES)
        self.conf.write_text(
            f"""
ClusterName=babelscale
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={self.port}
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
CredType=cred/munge
AuthInfo=socket={self.folder}/run/munge
StateSaveLocation={self.folder}/state
SlurmdSpoolDir={self.folder}/spool/%n
SlurmctldPidFile={self.folder}/run/slurmctld.pid
SlurmdPidFile={self.folder}/run/%n.pid
SlurmctldLogFile={self.folder}/log/slurmctld.log
SlurmdLogFile={self.folder}/log/%n.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
SwitchType=switch/none
MpiDefault=none
PropagateResourceLimits=NONE
SlurmdParameters=config_overrides
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU_Memory
DefMemPerCPU=100
GresTypes=gpu
SchedulerType=sched/backfill
SchedulerParameters=batch_sched_delay=1,sched_interval=2,bf_interval=2,sched_min_interval=0
MaxArraySize={ARRAY}
FirstJobId={int(time.time()) % 10_000_000 + 1000}
EnforcePartLimits=ALL
SlurmctldTimeout=10
SlurmdTimeout=10
InactiveLimit=0
KillWait=5
MinJobAge=600
JobRequeue=1
ReturnToService=2
AccountingStorageType=accounting_storage/slurmdbd
AccountingStorageHost=127.0.0.1
AccountingStoragePort={self.port + 1}
AccountingStoragePass={self.folder}/run/munge
NodeName={nodes} NodeHostname={host} NodeAddr=127.0.0.1 Port=[{self.port + 11}-{last}] CPUs={CPUS} \\
 RealMemory={MEMORY_MB} Gres=gpu:{GPUS} Feature=fast State=UNKNOWN
PreemptType=preempt/partition_prio
PreemptMode=REQUEUE
PartitionName=main Nodes=ALL Default=YES MaxTime=2-00:00:00 State=UP PriorityTier=10 PreemptMode=OFF
PartitionName=short Nodes=bs1 MaxTime=00:30:00 State=UP PriorityTier=10 PreemptMode=OFF
PartitionName=low Nodes=ALL MaxTime=2-00:00:00 State=UP PriorityTier=1 PreemptMode=REQUEUE GraceTime=30
PartitionName=high Nodes=ALL MaxTime=2-00:00:00 State=UP PriorityTier=100 PreemptMode=OFF
""".lstrip(),
            encoding="utf-8",
        )
        daemon = self.folder / "etc" / "slurmdbd.conf"
        daemon.touch(mode=0o600)
        daemon.write_text(
            f"""
AuthType=auth/munge
AuthInfo=socket={self.folder}/run/munge
DbdHost=localhost
DbdAddr=127.0.0.1
DbdPort={self.port + 1}
SlurmUser=root
LogFile={self.folder}/log/slurmdbd.log
PidFile={self.folder}/run/slurmdbd.pid
StorageType=accounting_storage/mysql
StorageHost=127.0.0.1
StoragePort={self.port + 2}
StorageUser=slurm
StoragePass=slurm
StorageLoc=slurm_acct_db
CommitDelay=1
""".lstrip(),
            encoding="utf-8",
        )

    def _start_accounting(self) -> None:
        data, server = self.folder / "database", self.folder / "run" / "database.sock"
        if not (data / "mysql").exists():
            install = ["mariadb-install-db", f"--datadir={data}", "--user=root", "--skip-test-db"]
            subprocess.run(
                [*install, "--auth-root-authentication-method=normal", "--skip-name-resolve"],
                check=True,
                capture_output=True,
            )
        self._start(
            "mariadbd",
            f"mariadbd --no-defaults --user=root --datadir={data} --socket={server} --port={self.port + 2} "
            f"--bind-address=127.0.0.1 --pid-file={self.folder}/run/database.pid --log-error={self.folder}/log/db.log "
            "--innodb-buffer-pool-size=64M --innodb-lock-wait-timeout=900 --innodb-flush-log-at-trx-commit=0 "
            "--innodb-log-file-size=32M",
        )
        client = ["--no-defaults", f"--socket={server}", "-uroot"]
        self._until(lambda: self._answers("mariadb-admin", *client, "ping"), "mariadbd")
        text = "CREATE USER IF NOT EXISTS slurm@127.0.0.1 IDENTIFIED BY 'slurm'; GRANT ALL ON *.* TO slurm@127.0.0.1"
        subprocess.run(["mariadb", *client, "-e", text], check=True, capture_output=True)
        self._start("slurmdbd", "slurmdbd -D")
        self._until(lambda: self._answers("sacctmgr", "-n", "list", "cluster"), "slurmdbd")
        self.call("sacctmgr", "-i", "add", "cluster", "babelscale", check=False)

    def _start(self, name: str, command: str) -> None:
        with (self.folder / "log" / f"{name}.out").open("ab") as log:
            process = subprocess.Popen(
                command.split(),
                cwd=self.folder,
                env=self.environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        self.running[name] = process.pid

    def _kill(self, name: str) -> None:
        process = self.running.pop(name)
        os.kill(process, signal.SIGKILL)
        with contextlib.suppress(ChildProcessError):
            os.waitpid(process, 0)

    def _end(self, process: int) -> None:
        if not process:
            return
        with contextlib.suppress(ProcessLookupError):
            os.kill(process, signal.SIGTERM)
            for _ in range(100):
                with contextlib.suppress(ChildProcessError):  # the command line's `down` is not their parent
                    os.waitpid(process, os.WNOHANG)
                os.kill(process, 0)
                time.sleep(0.1)
            os.kill(process, signal.SIGKILL)

    def _answers(self, *command: object) -> bool:
        return not subprocess.run(list(map(str, command)), capture_output=True, env=self.environment).returncode

    def _until(self, what: Callable[[], bool], name: str, seconds: float = 60.0) -> None:
        deadline = time.monotonic() + seconds
        while True:
            with contextlib.suppress(subprocess.CalledProcessError):
                if what():
                    return
            if time.monotonic() > deadline:
                logs = sorted((self.folder / "log").iterdir())
                said = "\n".join(f"{log.name}: {log.read_text(errors='replace')[-400:]}" for log in logs)
                raise TimeoutError(f"{name} not ready after {seconds:.0f} s\n{said}")
            time.sleep(0.2)

    def _names(self, there: bool) -> None:
        """The nodes' names resolve while the cluster is up: rank 0's is where the other ranks look for it."""
        hosts = Path("/etc/hosts")
        mark = f"{_MARK} {self.folder}"
        lines = [line for line in hosts.read_text(encoding="utf-8").splitlines() if not line.endswith(mark)]
        if there:
            lines.append(f"127.0.0.1 {' '.join(NODES)} {mark}")
        hosts.write_text("\n".join(lines) + "\n", encoding="utf-8")  # in place: it may be mounted


def _step_daemons_above(entry: Path) -> Iterator[int]:
    """Their title is written over their environment, so they are known by their children."""
    while True:
        parent = (
            Path("/proc") / (entry / "stat").read_text(encoding="ascii", errors="replace").rsplit(")")[-1].split()[1]
        )
        if parent.name == "0" or b"slurmstepd" not in (parent / "cmdline").read_bytes():
            return
        yield int(parent.name)
        entry = parent


@contextlib.contextmanager
def cluster(folder: Path) -> Iterator[Cluster]:
    one = Cluster(folder)
    try:
        one.up()
        yield one
    finally:
        one.down()


if __name__ == "__main__":
    what, where = sys.argv[1:]
    one = Cluster(Path(where))
    pids = one.folder / "pids"
    if what == "up":
        try:
            one.up()
        except BaseException:
            one.down()
            raise
        pids.write_text("\n".join(f"{name} {pid} {one.port}" for name, pid in one.running.items()), encoding="utf-8")
        print(f"export SLURM_CONF={one.conf}")
    else:
        for line in pids.read_text(encoding="utf-8").splitlines():
            name, pid, port = line.split()
            one.port, one.running[name] = int(port), int(pid)
        one.down()
