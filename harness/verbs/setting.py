"""--site FILE and --set KEY=VALUE: values of a study's `execution` that are a site's or this command's."""

from __future__ import annotations

import os
from argparse import Namespace
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from sweeps.errors import BadInput
from sweeps.execution import ExecutionBlock
from sweeps.study import Study
from sweeps.yaml_text import read_yaml

SITE_VARIABLE = "BABELSCALE_SITE"


def settings_of(options: Namespace) -> dict[str, Any]:
    """What the site's file says, and over it what --set does. Raises BadInput."""
    return _laid_over(_site(options), values_of(getattr(options, "set", None) or []))


def on_site(study: Study, options: Namespace) -> Study:
    """The study executed as the site and the command line say; its rules stay, and win for the cells they name."""
    values = settings_of(options)
    if not values:
        return study
    held = with_values(study.execution.model_dump(exclude={"rules"}), values)
    block = ExecutionBlock.model_validate({**held, "rules": study.execution.rules})
    return study.model_copy(update={"execution": block})


def _site(options: Namespace) -> dict[str, Any]:
    """The file that was named, or for a cluster the one in the environment."""
    named = getattr(options, "site", None)
    on_cluster = getattr(options, "cluster", "local") == "slurm"
    source = named or (os.environ.get(SITE_VARIABLE, "") if on_cluster else "")
    if not source:
        return {}
    path = Path(source).expanduser()
    if not path.is_file():
        by = "--site" if named else SITE_VARIABLE
        raise BadInput(
            f"{by} {source}: there is no such file; it holds keys of `execution`, such as partition and sbatch"
        )
    values, _ = read_yaml(path.read_text(encoding="utf-8", errors="replace"), str(source))
    if not isinstance(values, dict):
        raise BadInput(f"{source}: keys of `execution` and their values were expected, such as partition: gpu")
    try:
        with_values(ExecutionBlock().model_dump(exclude={"rules"}), values)
    except BadInput as error:
        raise BadInput(str(error).replace("--set ", f"{source}: ")) from error
    return values


def _laid_over(below: Mapping[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    both = {
        key: {**below[key], **value} if isinstance(value, dict) and isinstance(below.get(key), dict) else value
        for key, value in above.items()
    }
    return {**below, **both}


def values_of(given: Iterable[str]) -> dict[str, Any]:
    """`zero=3` and `sbatch.exclude=node7` as YAML reads them."""
    found: dict[str, Any] = {}
    for text in given:
        key, equals, value = text.partition("=")
        if not equals or not key:
            raise BadInput(f"--set {text}: write KEY=VALUE, such as micro_rows=8 or sbatch.exclude=node7")
        try:
            read = yaml.safe_load(value)
        except yaml.YAMLError as error:
            raise BadInput(f"--set {text}: the value cannot be read: {str(error).splitlines()[0]}") from error
        block, dot, inner = key.partition(".")
        if dot:
            inside = found.setdefault(block, {})
            if not isinstance(inside, dict):
                raise BadInput(f"--set {text}: {block} was set to {inside!r} before, and has no parts")
            # What sbatch reads stays as it was written: 0123 is an account, 1:00:00 a time.
            inside[inner] = value if block == "sbatch" and not isinstance(read, bool) else read
        else:
            found[key] = read
    return found


def with_values(own: Mapping[str, Any], values: Mapping[str, Any]) -> dict[str, Any]:
    """An execution with other values, checked; one with a dot goes into its block. Raises BadInput."""
    keys = [name for name in ExecutionBlock.model_fields if name != "rules"]
    if unknown := sorted(set(values) - set(keys)):
        raise BadInput(f"--set {unknown[0]}: execution has no such key; its keys are {', '.join(keys)}")
    try:
        return ExecutionBlock.model_validate(_laid_over(own, values)).model_dump(exclude={"rules"})
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"])) or ", ".join(values)
        raise BadInput(f"--set {where}: {first['msg'].removeprefix('Value error, ')}") from error
