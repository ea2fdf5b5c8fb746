"""status, watch, logs: how a study goes, read from its folders and, where jobs may be there, from Slurm."""

from __future__ import annotations

import json
import sys
import time
from argparse import Namespace
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from rich.table import Table

from harness.launch.attempts import EXIT, attempt_folders
from harness.launch.freeze import frozen_study
from harness.launch.looking import Lookout
from harness.launch.observe import Observed, State
from harness.store import Store
from harness.train.heartbeat import clock
from harness.verbs.show import console, human, phase_of, share_of, watch_study
from sweeps.errors import BadInput
from sweeps.study import load_study
from sweeps.where import matches

_FOLLOW_SECONDS = 0.5
_MOST_NAMED = 12
_STATES: tuple[State, ...] = ("done", "running", "queued", "waiting", "stopped", "killed", "failed", "unknown")


def study_name(store: Store, options: Namespace) -> str:
    """Name under which a study was submitted: the name itself, or the one in its file."""
    if options.profile is None and (store.studies / f"{options.study}.json").is_file():
        return str(options.study)
    return load_study(options.study, options.profile).name


def those_where(rows: Sequence[Observed], where: str | None) -> list[Observed]:
    return [row for row in rows if not where or matches(where, row.axes | {"id": row.run})]


def pick(ids: list[str], start: str) -> str:
    """The one id that begins with `start`."""
    found = [one for one in ids if one == start] or [one for one in ids if one.startswith(start)]
    if len(found) != 1:
        what = f"{len(found)} runs begin with" if found else "no run begins with"
        shown = found or ids
        more = f" and {len(shown) - _MOST_NAMED} more" if len(shown) > _MOST_NAMED else ""
        raise BadInput(f"{what} {start!r}: name one of {', '.join(shown[:_MOST_NAMED])}{more}")
    return found[0]


def status(options: Namespace) -> int:
    store = Store(options.root, create=False)
    name = study_name(store, options)
    seen = Lookout(store, name).look()
    rows = those_where(seen.rows, options.where)
    failed = sum(row.state == "failed" for row in rows)
    if options.by:
        groups = _grouped(rows, options.by)
    if options.json:
        answer: dict[str, Any] = {"study": name, "queue": seen.state, "notes": seen.notes}
        if options.by:
            answer["groups"] = [{options.by: value} | _summary(group) for value, group in groups.items()]
        print(json.dumps(answer | {"runs": [row.as_json() for row in rows]}, indent=1))
        return int(failed > 0)
    console.print(_by_group(groups, options.by) if options.by else _by_run(rows))
    counts = Counter(row.state for row in rows)
    said = ", ".join(f"{counts[state]} {state}" for state in _STATES if counts[state])
    console.print(f"{said}; {share_of(rows):.0%} of the training; queue: {phase_of(seen.state)}", highlight=False)
    for note in seen.notes:
        console.print(note, highlight=False, soft_wrap=True)
    if failed or counts["killed"]:
        console.print(f"babelscale why {name} tells the causes", highlight=False)
    return int(failed > 0)


def _by_run(rows: Sequence[Observed]) -> Table:
    table = Table()
    for column in ("run", "state", "step", "tokens/s", "left", "attempts", "last words"):
        table.add_column(column)
    for row in rows:
        table.add_row(
            row.run,
            row.state,
            f"{row.step}/{row.steps}" if row.step else "",
            human(row.tokens_per_second) if row.tokens_per_second else "",
            clock(row.seconds_left) if row.seconds_left else "",
            str(row.attempts or ""),
            row.error,
        )
    return table


def _grouped(rows: Sequence[Observed], axis: str) -> dict[Any, list[Observed]]:
    """Rows by the value of an axis, in the order of the values."""
    known = sorted({name for row in rows for name, value in row.axes.items() if not isinstance(value, list | dict)})
    if axis not in known:
        raise BadInput(f"--by {axis}: the runs have no axis of that name; they have {', '.join(known)}")
    groups: defaultdict[Any, list[Observed]] = defaultdict(list)
    for row in rows:
        groups[row.axes.get(axis)].append(row)
    return dict(sorted(groups.items(), key=lambda pair: (isinstance(pair[0], str), pair[0] is None, pair[0] or 0)))


def _summary(group: Sequence[Observed]) -> dict[str, Any]:
    counts = Counter(row.state for row in group)
    speeds = [row.tokens_per_second for row in group if row.tokens_per_second]
    left = [row.seconds_left for row in group if row.seconds_left]
    return {
        "runs": len(group),
        "states": {state: counts[state] for state in _STATES if counts[state]},
        "share": round(share_of(group), 4),
        "tokens_per_second": sum(speeds) if speeds else None,
        "seconds_left": max(left, default=None),
        "attempts": sum(row.attempts for row in group),
    }


def _by_group(groups: dict[Any, list[Observed]], axis: str) -> Table:
    table = Table()
    for column in (axis, "runs", *_STATES, "training", "tokens/s", "longest left", "attempts"):
        table.add_column(column, justify="left" if column == axis else "right")
    for value, group in groups.items():
        told = _summary(group)
        table.add_row(
            str(value),
            str(told["runs"]),
            *(str(told["states"].get(state, "")) for state in _STATES),
            f"{told['share']:.0%}",
            human(told["tokens_per_second"]) if told["tokens_per_second"] else "",
            clock(told["seconds_left"]) if told["seconds_left"] else "",
            str(told["attempts"]),
        )
    return table


def watch(options: Namespace) -> int:
    store = Store(options.root, create=False)
    name = study_name(store, options)
    try:
        finished = watch_study(store, name)
    except KeyboardInterrupt:
        console.print("stopped looking; the runs go on")
        return 0
    return 0 if finished else 1


def logs(options: Namespace) -> int:
    store = Store(options.root, create=False)
    study = frozen_study(store, study_name(store, options))
    folder = store.run(pick(study["runs"], options.cell))
    attempts = attempt_folders(folder)
    if not attempts:
        raise BadInput(f"{folder.name} was never started")
    attempt = attempts[-1] if options.attempt is None else folder / "attempts" / f"{options.attempt:03d}"
    if not options.follow:
        sys.stdout.write(log_of(attempt, options.rank).read_text(encoding="utf-8", errors="replace"))
        return 0
    try:
        for text in _followed(attempt, options.rank, newest=options.attempt is None):
            sys.stdout.write(text)
            sys.stdout.flush()
    except KeyboardInterrupt:
        pass  # the usual way to end it
    return 0


def log_of(attempt: Path, rank: int) -> Path:
    """What a rank printed. Raises BadInput when there is no such log, with the ranks that have one."""
    files = sorted(attempt.glob(f"*_{rank}_log.out"))
    if not files:
        ranks = sorted({path.name.rsplit("_", 2)[-2] for path in attempt.glob("*_log.out")})
        hint = f"there are logs of ranks {', '.join(ranks)}" if ranks else "nothing was printed yet"
        raise BadInput(f"no log of rank {rank} in attempt {attempt.name} of {attempt.parent.parent.name}: {hint}")
    return files[-1]


def _followed(attempt: Path, rank: int, newest: bool) -> Iterator[str]:
    """What a rank prints as it comes, until its attempt ends; with `newest`, on into the attempts after it."""
    while True:
        ended = (attempt / EXIT).exists()
        if files := sorted(attempt.glob(f"*_{rank}_log.out")):
            with files[-1].open(encoding="utf-8", errors="replace") as stream:
                while True:
                    if text := stream.read():
                        yield text
                    elif ended:
                        break
                    else:
                        time.sleep(_FOLLOW_SECONDS)
                    ended = (attempt / EXIT).exists()
        later = [path for path in attempt_folders(attempt.parent.parent) if path.name > attempt.name]
        if ended and newest and later:
            attempt = later[0]
            yield f"--- attempt {attempt.name}\n"
        elif ended:
            return
        else:
            time.sleep(_FOLLOW_SECONDS)
