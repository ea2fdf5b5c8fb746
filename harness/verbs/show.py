"""What the terminal shows: numbers for people, and the live table of a study."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Mapping
from typing import Any

from rich.console import Console, Group
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from harness.launch import queue
from harness.launch.freeze import frozen_study
from harness.launch.observe import Observed, observe
from harness.store import Store
from harness.train.heartbeat import clock

console = Console()
stderr = Console(stderr=True)
"""Where progress goes when standard output belongs to a script."""

REFRESH_SECONDS = 1.0
PLAIN_SECONDS = 30.0
"""Between two lines where the output is no terminal."""


def human(number: float) -> str:
    """1234567 as 1.23M."""
    for unit in ("", "k", "M", "G", "T"):
        if abs(number) < 1000:
            return f"{number:.3g}{unit}"
        number /= 1000
    return f"{number:.3g}P"


def watch_study(store: Store, name: str, only: str | None = None, console: Console = console) -> bool:
    """Show a study live until its queue ends; True when every run (or the one named) is done."""
    study = frozen_study(store, name)
    wanted = [run for run in study["runs"] if only in (None, run)]

    def look() -> list[Observed]:
        return [observe(store, run, study["evaluate"]) for run in wanted]

    began, rows, told = time.monotonic(), look(), -PLAIN_SECONDS
    share_at_start = _share(rows)
    with Live(console=console, refresh_per_second=2, transient=False) as live:
        while True:
            rows, state = look(), queue.queue_state(store, name)
            left = _seconds_left(rows, share_at_start, time.monotonic() - began)
            if console.is_terminal:
                live.update(_picture(name, rows, state, left))
            elif time.monotonic() - told >= PLAIN_SECONDS:
                told = time.monotonic()
                console.print(_line(name, rows, state, left), highlight=False, soft_wrap=True)
            if not state["alive"] or all(row.state == "done" for row in rows):
                break
            time.sleep(REFRESH_SECONDS)
    rows = look()
    failed = [row for row in rows if row.state != "done"]
    if failed:
        error = queue.queue_state(store, name).get("error", "")
        console.print(f"{len(failed)} of {len(rows)} runs are not done. {error}".rstrip())
        for row in failed[:5]:
            console.print(f"  {row.run}: {row.state} {row.error}".rstrip(), highlight=False)
        console.print(f"{study['command']} goes on; babelscale logs {name} --cell ID shows what a run printed")
    return not failed


def _share(rows: list[Observed]) -> float:
    """Done share of the work, weighted by each run's FLOPs."""
    total = sum(row.axes.get("flops", 1.0) for row in rows) or 1.0
    done = sum(row.axes.get("flops", 1.0) * (row.step / row.steps if row.steps else 0.0) for row in rows)
    return done / total


def _seconds_left(rows: list[Observed], share_at_start: float, elapsed: float) -> float | None:
    gained = _share(rows) - share_at_start
    return (1 - _share(rows)) * elapsed / gained if gained > 0.02 else None


def phase_of(state: Mapping[str, Any]) -> str:
    """What the queue does, with the share of it where it says one: `shards 40%`."""
    return f"{state['phase']} {state['done'] / state['of']:.0%}" if state.get("of") else str(state["phase"])


def _line(name: str, rows: list[Observed], state: Mapping[str, Any], left: float | None) -> str:
    counts = Counter(row.state for row in rows)
    parts = ", ".join(f"{count} {what}" for what, count in sorted(counts.items()))
    until = f", about {clock(left)} left" if left is not None else ""
    return f"{name}: {_share(rows):.0%} of the training, {parts}, queue {phase_of(state)}{until}"


def _picture(name: str, rows: list[Observed], state: Mapping[str, Any], left: float | None) -> Group:
    table = Table(box=None, pad_edge=False)
    for column in ("run", "phase", "", "loss", "tokens/s", "left"):
        table.add_column(column)
    for row in rows:
        if row.state == "running":
            bar = ProgressBar(total=max(1, row.steps), completed=row.step, width=24)
            table.add_row(
                row.run,
                row.phase,
                bar,
                f"{row.loss:.2f}" if row.loss else "",
                human(row.tokens_per_second) if row.tokens_per_second else "",
                clock(row.seconds_left) if row.seconds_left else "",
            )
    done = sum(row.state == "done" for row in rows)
    whole = Table.grid(padding=(0, 2))
    whole.add_row(ProgressBar(total=1.0, completed=_share(rows), width=40), Text(f"{done} of {len(rows)} runs done"))
    return Group(Text(_line(name, rows, state, left)), whole, table)
