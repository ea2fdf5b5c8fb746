"""Write down what a study wants, before anything runs: `run.json` for each run, one file for the study.

From here on a run trains from its frozen `run.json`; editing the study file changes which runs are wanted, never what a
run is. Two studies that want the same run share it.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from harness.launch.stages import keep_stages
from harness.store import SCHEMA, Store, lease, read_json, write_json
from sweeps.errors import BadInput
from sweeps.execution import execution_of
from sweeps.grid import Run
from sweeps.study import Study
from sweeps.tasks import stage_of


def freeze(
    store: Store, study: Study, runs: list[Run], *, corpus_note: str, command: str, cluster: str = "local"
) -> None:
    """Write the runs that are new, then the study's file. What `retry --set` changed stays."""
    for run in runs:
        folder = store.run(run.id)
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / "run.json"
        if path.exists():
            old = read_json(path)["science"]
            if old != run.science:
                raise BadInput(f"{path} describes another run under the same id; move {folder} away and submit again")
            continue
        origin = {"study": study.name, "profile": study.profile, "corpus": study.corpus}
        write_json(path, {"schema": SCHEMA, "id": run.id, "axes": run.axes, "science": run.science, "origin": origin})
    record = {
        "schema": SCHEMA,
        "name": study.name,
        "question": study.question,
        "findings": list(study.findings),
        "profile": study.profile,
        "corpus": study.corpus,
        "corpus_note": corpus_note,
        "groups": {group: list(members) for group, members in study.groups.items()},
        "evaluate": list(study.stages),
        "tasks": {stage_of(name, block): block.frozen() for name, block in study.tasks.items()},
        "execution": study.execution.model_dump(exclude={"rules"}),
        "executions": _by_rules(study, runs),
        "runs": [run.id for run in runs],
        "branches": {run.id: {"trunk": run.trunk.run, "step": run.trunk.step} for run in runs if run.trunk},
        "command": command,
        "cluster": cluster,
    }
    keep_stages(store, {stage_of(name, block): block.frozen() for name, block in study.tasks.items()})
    path = store.studies / f"{study.name}.json"
    with lease(_lock(store, study.name)):
        before = read_json(path) if path.is_file() else {}
        overrides = before.get("overrides", {})
        record["overrides"] = {run.id: overrides[run.id] for run in runs if run.id in overrides}
        write_json(path, record)


def _by_rules(study: Study, runs: list[Run]) -> dict[str, dict[str, Any]]:
    """The execution of each run that a rule of the study has a word on."""
    if not study.execution.rules:
        return {}
    own = study.execution.model_dump(exclude={"rules"})
    each = {run.id: execution_of(study.execution, run.axes).model_dump(exclude={"rules"}) for run in runs}
    return {run: execution for run, execution in each.items() if execution != own}


def execution_of_run(study: Mapping[str, Any], run: str) -> dict[str, Any]:
    """How a run of a frozen study is executed: the study's way, its rules, and what `retry --set` changed."""
    own: dict[str, Any] = study.get("executions", {}).get(run, study["execution"])
    changed: dict[str, Any] = study.get("overrides", {}).get(run, {})
    return own | changed


def change_execution(store: Store, name: str, changed: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """Execute runs with other values, by run, from now on; returns the frozen study as it is then."""
    with lease(_lock(store, name)):
        study = frozen_study(store, name)
        overrides: dict[str, dict[str, Any]] = dict(study.get("overrides", {}))
        for run, values in changed.items():
            overrides[run] = overrides.get(run, {}) | dict(values)
        study["overrides"] = overrides
        write_json(store.studies / f"{name}.json", study)
    return study


def _lock(store: Store, name: str) -> Path:
    return store.studies / f"{name}.frozen"


def frozen_study(store: Store, name: str) -> dict[str, Any]:
    """The study as it was last submitted. Raises BadInput when it never was, and for a file that is not whole."""
    path = store.studies / f"{name}.json"
    if not path.is_file():
        known = sorted(p.stem for p in store.studies.glob("*.json") if not p.name.endswith(".queue.json"))
        hint = f"submitted so far: {', '.join(known)}" if known else "nothing was submitted yet"
        raise BadInput(f"the study {name!r} was never submitted under {store.root} ({hint}); babelscale submit {name}")
    return read_frozen(path)


def read_frozen(path: Path) -> dict[str, Any]:
    """A frozen study's file. Raises BadInput where it is not whole."""
    again = "restore it or submit the study again"
    try:
        record = read_json(path)
    except ValueError as error:
        raise BadInput(f"{path} is not valid JSON ({error}); {again}") from error
    except OSError as error:
        raise BadInput(f"{path} cannot be read ({error.strerror}); {again}") from error
    told: dict[str, Any] = record if isinstance(record, dict) else {}
    groups = told.get("groups", {})
    whole = told.get("name", path.stem) == path.stem and isinstance(told.get("execution", {}), dict)
    lists = [told.get("runs"), told.get("evaluate", []), *(groups.values() if isinstance(groups, dict) else [None])]
    if not whole or not all(isinstance(value, list) for value in lists):
        raise BadInput(
            f"{path} is no whole study: its name as the file's, runs, groups of languages, what to evaluate and how to "
            f"execute were expected; {again}"
        )
    return {"name": path.stem, "groups": {}, "execution": {}} | told
