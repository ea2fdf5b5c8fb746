"""The README's Slurm section and the page on a site's flags, followed to the letter on a fresh cluster."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

from driving import Site

from harness.store import Store, read_json

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "harness" / "launch" / "slurm" / "README.md"
STAND_INS = {
    "module": "true\n",
    "apptainer": 'while [ "$1" != python3 ]; do shift; done\nshift\nexec "$BS_TEST_PYTHON" "$@"\n',
}
"""Programs that a site has and a test machine has not: `module` changes the environment, a container runs a command."""


def blocks(text: str, kind: str) -> list[str]:
    return re.findall(rf"^```{kind}\n(.*?)^```", text, re.MULTILINE | re.DOTALL)


def follow(site: Site, lines: str, folder: Path, path: str, seconds: float) -> str:
    """Type a block of commands into a shell of a folder of its own; each has to succeed."""
    environment = {name: value for name, value in site.environment.items() if not name.startswith("BABELSCALE")}
    ended = subprocess.run(
        ["bash", "-e", "-c", lines],
        cwd=folder,
        env=environment | {"PATH": f"{path}:{site.environment['PATH']}"},
        capture_output=True,
        text=True,
        timeout=seconds,
        check=False,
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr
    return ended.stdout + ended.stderr


def test_the_readmes_slurm_section_leads_from_nothing_to_a_report(site: Site, tmp_path: Path) -> None:
    section = (ROOT / "README.md").read_text(encoding="utf-8").partition("## On a Slurm cluster")[2]
    (commands,) = blocks(section.partition("\n## ")[0], "sh")
    said = follow(site, commands, tmp_path, "/usr/bin", 900)
    store = Store(tmp_path / "babelscale-data")
    (study,) = [path for path in store.studies.glob("*.json") if not path.name.endswith("queue.json")]
    runs = read_json(study)["runs"]
    assert all((store.run(run) / "done.json").exists() for run in runs)
    assert "signals" in said and "nothing failed" in said
    assert list(store.root.glob("reports/*/*.html"))


def test_the_page_on_a_sites_flags_leads_there_too_with_every_flag_in_the_jobs(site: Site, tmp_path: Path) -> None:
    text = PAGE.read_text(encoding="utf-8")
    (yaml,), (commands,) = blocks(text, "yaml"), blocks(text, "sh")
    (tmp_path / "site.yaml").write_text(yaml, encoding="utf-8")
    programs = tmp_path / "bin"
    programs.mkdir()
    for name, body in STAND_INS.items():
        program = programs / name
        program.write_text(f"#!/bin/bash\necho {name} $1 >> {tmp_path}/called\n{body}", encoding="utf-8")
        program.chmod(0o755)

    follow(site, f"export BS_TEST_PYTHON={sys.executable}\n" + commands, tmp_path, str(programs), 900)
    store = Store(tmp_path / "babelscale-data")
    texts = [path.read_text(encoding="utf-8") for path in store.root.glob("slurm/bs-*/sbatch.sh")]
    assert len(texts) >= 2, "the preparation and the runs"
    for sent in texts:
        for flag in ("--account=mylab", "--qos=normal", "--constraint=fast", "--partition=main", "--nice=10"):
            assert f"#SBATCH {flag}" in sent
        assert sent.index("module load cuda/13") < sent.index("apptainer exec --nv image.sif python3")
    called = (tmp_path / "called").read_text(encoding="utf-8")
    assert "module load" in called and "apptainer exec" in called
    runs = [path.parent for path in store.runs.glob("*/done.json")]
    assert runs and all(
        read_json(run / "attempts" / "001" / "execution.json")["execution"]["sbatch"]["nice"] == "10" for run in runs
    )
