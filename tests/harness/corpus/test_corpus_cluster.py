"""The per-file work on a Slurm cluster: Submitit's own client, against commands that stand in for Slurm's."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from harness.corpus import spread
from harness.corpus.build import add
from harness.corpus.spread import Place
from harness.store import Store
from sweeps.errors import BadInput

SBATCH = r"""#!/usr/bin/env bash
# Keeps the script, then runs its array here, one task after another.
cp "$1" "$STANDIN/$(date +%s%N).sh"
last=$(sed -n 's/^#SBATCH --array=0-\([0-9]*\).*/\1/p' "$1")
echo "Submitted batch job $$"
(
for task in $(seq 0 "${last:-0}"); do
  SLURM_JOB_ID=$$ SLURM_ARRAY_JOB_ID=$$ SLURM_ARRAY_TASK_ID=$task SLURM_JOB_NUM_NODES=1 SLURM_NTASKS=1 \
  SLURM_PROCID=0 SLURM_LOCALID=0 SLURM_NODEID=0 SLURM_JOB_NODELIST=here bash "$1"
done
) > /dev/null 2>&1 &
"""
SRUN = r"""#!/usr/bin/env bash
while [[ $1 == --* ]]; do case $1 in --output|--error) shift 2;; *) shift;; esac; done
exec "$@"
"""
QUIET = "#!/bin/sh\nexit 0\n"


@pytest.fixture
def texts(tmp_path: Path) -> Path:
    folder = tmp_path / "in"
    folder.mkdir()
    for code in ("sw", "de", "ur"):
        text = "\n\n".join(f"{code} text {n:04d}" for n in range(1000))
        (folder / f"{code}.txt").write_text(text, encoding="utf-8")
    return folder


@pytest.fixture
def cluster(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Slurm's commands are on the path; the folder that the submitted scripts are kept in."""
    commands, kept = tmp_path / "commands", tmp_path / "kept"
    commands.mkdir()
    kept.mkdir()
    for name, script in (("sbatch", SBATCH), ("srun", SRUN), ("sacct", QUIET), ("scancel", QUIET)):
        (commands / name).write_text(script, encoding="utf-8")
        (commands / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{commands}:{os.environ['PATH']}")
    monkeypatch.setenv("STANDIN", str(kept))
    monkeypatch.setitem(spread._ASK_SECONDS, "slurm", 0.2)
    return kept


def test_slurm_arrays_make_the_corpus_that_this_machine_makes(texts: Path, cluster: Path, tmp_path: Path) -> None:
    here = add(Store(tmp_path / "here"), "mine", [texts])
    place = Place(cluster="slurm", workers=2, partition="cpu", account="lab", hours=3, memory_gb=6)
    there = add(Store(tmp_path / "there"), "mine", [texts], place=place)
    assert (here.folder / "manifest.json").read_bytes() == (there.folder / "manifest.json").read_bytes()
    scripts = [path.read_text(encoding="utf-8") for path in sorted(cluster.iterdir())]
    assert len(scripts) == 2, "an array to read the files, one to split the languages"
    for script in scripts:
        for line in ("--array=0-2%2", "--partition=cpu", "--account=lab", "--time=180", "--mem=6GB"):
            assert f"#SBATCH {line}\n" in script


def test_a_bad_file_is_told_as_it_is_here(texts: Path, cluster: Path, tmp_path: Path) -> None:
    (texts / "sw.txt").write_bytes(b"\xff" * 20_000)
    with pytest.raises(BadInput, match=r"sw.txt is not UTF-8 at byte 0 of its text \(20000 invalid sequences"):
        add(Store(tmp_path / "root"), "mine", [texts], place=Place(cluster="slurm", workers=2))


def test_a_cluster_that_is_not_there_is_one_sentence(
    texts: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(BadInput, match=r"no slurm cluster answers here .*: use --cluster local"):
        add(Store(tmp_path / "root"), "mine", [texts], place=Place(cluster="slurm"))
