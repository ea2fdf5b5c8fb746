"""Folders of the form that data sets have on the Hugging Face hub: Parquet by configuration and split, and a card."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import datasets
import yaml

Table = Sequence[Mapping[str, Any]]


def write_hub(
    folder: Path, configs: Mapping[str, Mapping[str, Table]], features: Mapping[str, Any], *, card: bool = True
) -> str:
    """The source `hf:FOLDER` of rows by configuration and split. Without a card: as the hub converts scripts."""
    kinds = datasets.Features(features)
    files, infos = [], []
    for config, splits in configs.items():
        for split, rows in splits.items():
            path = folder / config / split / "0000.parquet"
            path.parent.mkdir(parents=True)
            datasets.Dataset.from_list([dict(row) for row in rows], features=kinds).to_parquet(path)
        each = [{"split": split, "path": f"{config}/{split}/*.parquet"} for split in splits]
        files.append({"config_name": config, "data_files": each})
        infos.append({"config_name": config, "features": kinds._to_yaml_list()})
    if card:
        text = yaml.safe_dump({"configs": files, "dataset_info": infos}, allow_unicode=True)
        (folder / "README.md").write_text(f"---\n{text}---\n", encoding="utf-8")
    return f"hf:{folder}"
