"""What the terminal shows: numbers for people, and the live table of a study."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Console, Group
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from harness.launch.freeze import frozen_study
from harness.launch.looking import Look, Lookout
from harness.launch.observe import Observed
from harness.store import Store
from harness.train.heartbeat import clock

console = Console()
stderr = Console(stderr=True)
"""Where progress goes when standard output belongs to a script."""

REFRESH_SECONDS = 1.0
CLUSTER_SECONDS = 5.0
"""A cluster's file system is asked less often."""
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
    """Show a study live until nothing works on it any more; True when every run (or the one named) is done."""
    lookout = Lookout(store, name)

    def look() -> tuple[Look, list[Observed]]:
        seen = lookout.look()
        return seen, [row for row in seen.rows if only in (None, row.run)]

    began, told = time.monotonic(), -PLAIN_SECONDS
    share_at_start = share_of(look()[1])
    with Live(console=console, refresh_per_second=2, transient=False) as live:
        while True:
            seen, rows = look()
            left = _seconds_left(rows, share_at_start, time.monotonic() - began)
            if console.is_terminal:
                live.update(_picture(name, rows, seen, left))
            elif time.monotonic() - told >= PLAIN_SECONDS:
                told = time.monotonic()
                console.print(_line(name, rows, seen.state, left), highlight=False, soft_wrap=True)
            if not seen.state["alive"] or all(row.state == "done" for row in rows):
                break
            time.sleep(REFRESH_SECONDS if seen.state["cluster"] == "local" else CLUSTER_SECONDS)
    seen, rows = look()
    failed = [row for row in rows if row.state != "done"]
    if failed:
        error = seen.state.get("error", "")
        console.print(f"{len(failed)} of {len(rows)} runs are not done. {error}".rstrip())
        for row in failed[:5]:
            console.print(f"  {row.run}: {row.state} {row.error}".rstrip(), highlight=False)
        command = frozen_study(store, name)["command"]
        console.print(f"{command} goes on; babelscale why {name} tells the causes", highlight=False)
    return not failed


def share_of(rows: Sequence[Observed]) -> float:
    """Done share of the work, weighted by each run's FLOPs."""
    total = sum(row.axes.get("flops", 1.0) for row in rows) or 1.0
    done = sum(row.axes.get("flops", 1.0) * (row.step / row.steps if row.steps else 0.0) for row in rows)
    return done / total


def _seconds_left(rows: list[Observed], share_at_start: float, elapsed: float) -> float | None:
    gained = share_of(rows) - share_at_start
    return (1 - share_of(rows)) * elapsed / gained if gained > 0.02 else None


def phase_of(state: Mapping[str, Any]) -> str:
    """What the queue does, with the share of it where it says one: `shards 40%`."""
    return f"{state['phase']} {state['done'] / state['of']:.0%}" if state.get("of") else str(state["phase"])


def _line(name: str, rows: list[Observed], state: Mapping[str, Any], left: float | None) -> str:
    counts = Counter(row.state for row in rows)
    parts = ", ".join(f"{count} {what}" for what, count in sorted(counts.items()))
    until = f", about {clock(left)} left" if left is not None else ""
    return f"{name}: {share_of(rows):.0%} of the training, {parts}, queue {phase_of(state)}{until}"


def _picture(name: str, rows: list[Observed], seen: Look, left: float | None) -> Group:
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
    whole.add_row(ProgressBar(total=1.0, completed=share_of(rows), width=40), Text(f"{done} of {len(rows)} runs done"))
    return Group(Text(_line(name, rows, seen.state, left)), whole, table, *map(Text, seen.notes))
