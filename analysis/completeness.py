"""Which cells of a study are there, and what the others want: one row a cell, for a page, a terminal or a notebook.

Every planned run is in one of three states. It is done (it has a done.json that names every evaluation the study asks
for), partial (begun: it has weights, checkpoints, records, or a done.json of fewer evaluations), or missing. A done run
may be stale: its numbers are there, and not those that the study would give if it were done anew.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from analysis.axes import telling
from analysis.records import AXES, Study
from analysis.statistics import BITS, final

COUNTS = ("planned", "done", "partial", "missing", "stale")
_WEIGHTS = "final/model.safetensors"
_BEGUN = (_WEIGHTS, "checkpoints/step-*", "records.jsonl")
"""What a run leaves behind once it has begun to be anything."""


def cell_states(root: Path, study: Study, df: pd.DataFrame) -> pd.DataFrame:
    """One row a cell, in the order of the axes; `df`: the table of `records.collect`.

    Columns: those of `AXES` that the study varies (less what K tells), then `COUNTS`, integers in
    runs, and `why`, the reasons of all that is not done or stale ("" where the cell is whole). planned = done + partial
    + missing; stale are some of the done: scored at an earlier step than they were trained to, not scored at all, of
    another version of the recipe's meaning or trained by other code than most of the study. Runs that have no run.json
    stand in a last row, whose axes are empty.
    """
    known = pd.DataFrame.from_dict({run: {a: axes[a] for a in AXES} for run, axes in study.planned.items()}, "index")
    known = known.reindex(columns=AXES)
    varied = telling(known)
    states = _states(root, study, df)
    table = states.join(known[varied])
    table["nowhere"] = ~table.index.isin(known.index)
    if table.empty:
        return pd.DataFrame(columns=[*varied, *COUNTS, "why"])
    keys = ["nowhere", *varied]
    cells = table.groupby(keys, dropna=False, sort=True)
    made = cells[list(COUNTS)].sum().astype(int)
    made["why"] = cells["why"].agg(_reasons)
    return made.reset_index().drop(columns="nowhere")


def _states(root: Path, study: Study, df: pd.DataFrame) -> pd.DataFrame:
    """Run -> `COUNTS` as 0 or 1, and why."""
    wanted = set(study.evaluate)
    done = {run: _read(root / "runs" / run / "done.json") for run in study.runs}
    finished = [run for run in study.runs if done[run] is not None]
    versions = {run: str(study.planned[run].get("version", "")) for run in finished if run in study.planned}
    code = {run: _code(root / "runs" / run) for run in finished}
    usual_version, usual_code = _commonest(versions), _commonest({run: text for run, text in code.items() if text})
    rows = final(df, BITS).groupby("run").agg(step=("step", "max"), steps=("steps", "max"))
    table: dict[str, dict[str, Any]] = {}
    for run in study.runs:
        state, why = _progress(root / "runs" / run, done[run], wanted)
        stale = []
        if state == "done":
            if run not in rows.index:
                stale.append("no held-out loss: evaluate it")
            elif rows.loc[run, "step"] < rows.loc[run, "steps"]:
                stale.append(f"scored at step {rows.loc[run, 'step']} of {rows.loc[run, 'steps']}: evaluate it again")
            if versions.get(run, usual_version) != usual_version:
                stale.append(f"version {versions[run]} of the recipe's meaning, most have {usual_version}")
            if code[run] and code[run] != usual_code:
                stale.append("trained by other code than most of the study")
        counts = dict.fromkeys(COUNTS, 0) | {"planned": 1, state: 1, "stale": int(bool(stale))}
        table[run] = counts | {"why": [*why, *stale]}
    return pd.DataFrame.from_dict(table, "index", columns=[*COUNTS, "why"])


def _progress(folder: Path, done: Mapping[str, Any] | None, wanted: set[str]) -> tuple[str, list[str]]:
    """State of a run (done, partial, missing) and why it is not done."""
    if done is not None:
        tasks = done.get("tasks")
        lacking = wanted - set(map(str, tasks)) if tasks and isinstance(tasks, list) else set()
        return ("partial", [f"not evaluated on {', '.join(sorted(lacking))}"]) if lacking else ("done", [])
    begun = [path for pattern in _BEGUN for path in folder.glob(pattern)]
    if not begun:
        return "missing", ["not begun" if (folder / "run.json").is_file() else "no run.json: submit the study again"]
    steps = [int(p.name.removeprefix("step-")) for p in begun if p.name.removeprefix("step-").isdigit()]
    if folder / _WEIGHTS in begun:
        return "partial", ["trained, not fully evaluated"]
    return "partial", [f"begun, checkpoint at step {max(steps)}" if steps else "begun, no checkpoint"]


def _reasons(lists: pd.Series) -> str:
    """Each reason once with its number of runs, most frequent first."""
    counted = Counter(reason for reasons in lists for reason in reasons)
    ordered = sorted(counted.items(), key=lambda pair: (-pair[1], pair[0]))
    return "; ".join(f"{number} {reason}" if number > 1 else reason for reason, number in ordered)


def _commonest(values: Mapping[str, str]) -> str:
    """What most runs have; of equals the last by name, so that the choice never varies."""
    counted = Counter(values.values())
    return max(counted, key=lambda text: (counted[text], text), default="")


def _code(folder: Path) -> str:
    """Digest of the code of the run's newest attempt; "" where none was recorded."""
    attempts = sorted((folder / "attempts").glob("[0-9]*"))
    return str((_read(attempts[-1] / "execution.json") or {}).get("code", "")) if attempts else ""


def _read(path: Path) -> dict[str, Any] | None:
    """A JSON object; {} for a file that is none, which says nothing; None where there is no file."""
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    except ValueError:
        return {}
    return value if isinstance(value, dict) else {}
