"""Roots that hold a tiny corpus, its tokenizer and its shards, so that a test pays for its own runs only."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from tiny import prepare_tiny_root

from harness.store import Store


@pytest.fixture(scope="session")
def prepared_root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The template of every tiny root: corpus, tokenizer, shards, no runs."""
    return prepare_tiny_root(tmp_path_factory.mktemp("prepared"))


@pytest.fixture(scope="session")
def tiny_store(prepared_root: Path, tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Store]:
    """A fresh store under a name, with the tiny corpus prepared."""

    def make(name: str) -> Store:
        root = tmp_path_factory.mktemp(name) / "root"
        shutil.copytree(prepared_root, root)
        return Store(root)

    return make
