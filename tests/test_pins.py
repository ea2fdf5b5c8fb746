"""What is declared, what is locked and what is installed agree."""

from __future__ import annotations

import re
import tomllib
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parent.parent
LINES = (ROOT / "requirements.lock").read_text(encoding="utf-8").splitlines()
LOCKED = {
    canonicalize_name(line.split("==")[0]): line.split("==")[1] for line in LINES if line and not line.startswith("#")
}
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
DECLARED = [
    requirement
    for lines in (PROJECT["dependencies"], *PROJECT["optional-dependencies"].values())
    for requirement in map(Requirement, lines)
    if canonicalize_name(requirement.name) != PROJECT["name"]
]


def test_every_line_of_the_lock_is_one_exact_version_and_none_stands_twice() -> None:
    lines = [line for line in LINES if line and not line.startswith("#")]
    assert all(re.fullmatch(r"[A-Za-z0-9._-]+==[0-9][A-Za-z0-9.!]*", line) for line in lines)
    assert len(LOCKED) == len(lines) > len(DECLARED)


@pytest.mark.parametrize("requirement", DECLARED, ids=str)
def test_every_dependency_is_locked_at_a_version_that_it_allows(requirement: Requirement) -> None:
    name = canonicalize_name(requirement.name)
    assert name in LOCKED, f"{requirement} is not in requirements.lock: make lock"
    assert requirement.specifier.contains(LOCKED[name], prereleases=True)


@pytest.mark.parametrize("requirement", DECLARED, ids=str)
def test_every_dependency_is_bounded(requirement: Requirement) -> None:
    if requirement.name.startswith("types-"):
        return
    assert requirement.specifier, f"{requirement.name} may be any version"


@pytest.mark.parametrize("requirement", DECLARED, ids=str)
def test_what_is_installed_is_what_is_declared(requirement: Requirement) -> None:
    try:
        installed = version(requirement.name)
    except PackageNotFoundError:
        pytest.fail(f"{requirement.name} is declared and not installed")
    assert requirement.specifier.contains(installed, prereleases=True)


def test_extras_refer_to_extras_that_exist() -> None:
    for lines in PROJECT["optional-dependencies"].values():
        for requirement in map(Requirement, lines):
            if canonicalize_name(requirement.name) == PROJECT["name"]:
                assert requirement.extras <= set(PROJECT["optional-dependencies"])
