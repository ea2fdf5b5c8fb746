"""One cluster for all tests here, and stores that its nodes see."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from cluster import Cluster, cluster, missing
from driving import Site
from tiny import COUNTS, make_corpus, prepare_tiny_root

from harness.store import Store

REQUIRED = "BABELSCALE_SLURM_TESTS"
"""Set to `required`, a machine that cannot hold a cluster fails the tests instead of leaving them out."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    here = Path(__file__).parent
    for item in items:
        if item.path.is_relative_to(here):
            item.add_marker(pytest.mark.slurm)


@pytest.fixture(scope="session")
def slurm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    lacking = [*missing(), *(["root"] if os.getuid() else [])]
    if lacking:
        say = f"a Slurm of our own needs {', '.join(lacking)} (Debian: make test-slurm says which packages)"
        if os.environ.get(REQUIRED) == "required":
            pytest.fail(say)
        pytest.skip(say)
    with cluster(tmp_path_factory.mktemp("slurm")) as one:
        yield one


@pytest.fixture(scope="session")
def prepared_root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The template of every site's root: corpus, tokenizer, shards, no runs."""
    return prepare_tiny_root(tmp_path_factory.mktemp("prepared"))


@pytest.fixture
def site(slurm: Cluster, prepared_root: Path, tmp_path: Path) -> Iterator[Site]:
    """A root of the test's own with everything prepared, and the cluster, idle and whole again afterwards."""
    shutil.copytree(prepared_root, tmp_path / "root")
    yield Site(slurm, Store(tmp_path / "root"), tmp_path)
    slurm.call("scancel", "--user=root", check=False)
    slurm.mend()


@pytest.fixture
def bare_site(slurm: Cluster, tmp_path: Path) -> Iterator[Site]:
    """The same with a corpus and nothing else."""
    store = Store(tmp_path / "root")
    make_corpus(store, "tiny", COUNTS)
    yield Site(slurm, store, tmp_path)
    slurm.call("scancel", "--user=root", check=False)
    slurm.mend()
