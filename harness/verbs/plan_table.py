"""How a priced plan is shown: a table whose columns are what varies, and sentences for the rest."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from rich.table import Table

from harness.verbs.show import human
from sweeps.pace import Device
from sweeps.plan import BYTES_PER_TOKEN, DONE, FAILED, RUNNING, Cell, Plan, Trim
from sweeps.study import Study

_SHOWN = ("set", "alpha", "vocabulary", "kind", "width", "layers", "batch_tokens", "steps")
_COSTS = ("languages", "K", "body_parameters", "embedding_parameters", "tokens", "flops", "seed", "learning_rate")
_MOST_SET = 18


def _varying(plan: Plan) -> list[str]:
    """Axes in which cells differ, the usual ones first."""
    names = [name for name in plan.cells[0].axes if name not in (*_SHOWN, *_COSTS)]
    every = [*_SHOWN, *names]
    found = [name for name in every if len({str(cell.axes.get(name)) for cell in plan.cells}) > 1]
    tuned = len({(str(c.axes["width"]), c.axes["learning_rate"]) for c in plan.cells}) > len(
        {str(c.axes["width"]) for c in plan.cells}
    )
    return [*found, "learning_rate"] if tuned else found


def _rows(plan: Plan) -> tuple[list[str], list[list[str]]]:
    varying = _varying(plan)
    head = [
        *(name.rpartition(".")[2].replace("_", " ") for name in varying),
        "done",
        "body",
        "embed.",
        "tokens",
        "epochs",
        "FLOPs",
        "fits",
        "a run",
        "basis",
        "device time",
    ]
    rows = []
    for cell in plan.cells:
        axes = cell.axes
        rows.append(
            [
                *(_value(name, axes.get(name)) for name in varying),
                _state(cell),
                human(axes["body_parameters"]),
                human(axes["embedding_parameters"]),
                human(axes["tokens"]),
                _epochs(cell),
                f"{axes['flops']:.1e}".replace("e+", "e"),
                _fit(cell),
                f"{_hours(cell.run_hours)} ±{cell.pace.error:.0%}",
                cell.pace.basis,
                _hours(cell.device_hours),
            ]
        )
    return head, rows


def _value(name: str, value: Any) -> str:
    if name == "alpha":
        return "unimax" if value is None else f"{value:g}"
    if name == "set":
        return value if len(value) <= _MOST_SET else value[: _MOST_SET - 1] + "…"
    if name in ("vocabulary", "batch_tokens", "steps", "text_bytes") and isinstance(value, int):
        return f"{value:,}"
    return "" if value is None else f"{value:g}" if isinstance(value, float) else str(value)


def _state(cell: Cell) -> str:
    """Done runs of all: 1/3; behind it what is under way (+) and what has failed (!)."""
    text = f"{cell.states[DONE]}/{len(cell.runs)}"
    return text + "".join(
        f" {sign}{cell.states[name]}" for name, sign in ((RUNNING, "+"), (FAILED, "!")) if cell.states[name]
    )


def _epochs(cell: Cell) -> str:
    """Of the language that is passed least, and of the one that is passed most."""
    if cell.fewest is None or cell.most is None:
        return "?"
    if cell.fewest.language == cell.most.language:
        return f"{cell.most.count:.2g} {cell.most.language}"
    return f"{cell.fewest.count:.2g}-{cell.most.count:.2g} {cell.most.language}"


def _fit(cell: Cell) -> str:
    """Devices, ZeRO stage, and rows of a micro-batch by how many make an update."""
    rows = f"{cell.micro_rows}x{cell.accumulation}" if cell.micro_rows else "none fits"
    devices = f"{cell.execution.devices}d " if cell.execution.devices > 1 else ""
    return f"{devices}z{cell.execution.zero} {rows}"


def _hours(hours: float) -> str:
    """With the unit in which it reads best."""
    if hours == 0:
        return "0"
    if hours < 2 / 60:
        return f"{hours * 3600:.0f} s" if hours * 3600 >= 1 else "< 1 s"
    if hours < 2:
        return f"{hours * 60:.0f} min"
    return f"{hours:,.0f} h" if hours >= 20 else f"{hours:.1f} h"


def table(plan: Plan, study: Study) -> Table:
    shown = Table(
        title=f"{study.name} ({study.profile}): {study.question}",
        title_justify="left",
        box=None,
        padding=(0, 1),
        pad_edge=False,
    )
    head, rows = _rows(plan)
    for name in head:
        shown.add_column(
            name, justify="left" if name in ("set", "basis", "epochs", "fits", "kind", "done") else "right"
        )
    for row in rows:
        shown.add_row(*row)
    return shown


def markdown(plan: Plan, study: Study, facts: Sequence[str]) -> str:
    head, rows = _rows(plan)
    lines = [f"**{study.name} ({study.profile})**: {study.question}", ""]
    lines += ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    lines += ["| " + " | ".join(row) + " |" for row in rows]
    return "\n".join([*lines, "", *(f"- {fact}" for fact in facts)])


def words(
    plan: Plan,
    study: Study,
    *,
    device: Device,
    beside: int,
    price: float | None,
    budget: float | None,
    trim: Trim | None,
    at_hand: bool,
    tokenizers_at_hand: int,
) -> list[str]:
    """Sentences under the table: totals, money, time, what is shared, warnings, the budget."""
    states = plan.states
    runs = sum(states.values())
    left = runs - states[DONE] - states[RUNNING]
    low, high = plan.low_high
    money = "" if price is None else f", {plan.missing_hours * price:,.2f} at {price:g} an hour"
    facts = [
        f"{len(plan.cells)} cells, {runs} runs: {states[DONE]} done, {states[RUNNING]} running, {states[FAILED]} "
        f"failed, {left} to do: {_hours(plan.missing_hours)} of device time ({_hours(low)} to {_hours(high)}){money}"
    ]
    if left and device.name == "cpu":
        hours = plan.missing_hours / study.execution.devices / beside
        facts.append(f"on this machine, {beside} runs at a time: {_hours(hours)}")
    longest = plan.longest
    if longest is not None:
        facts.append(
            f"the longest run takes {_hours(longest.run_hours)}; one job may take {_hours(longest.execution.hours)}"
        )
    facts.append(_shared(plan, tokenizers_at_hand))
    branches = sum(run.trunk is not None for cell in plan.cells for run in cell.runs)
    if branches:
        facts.append(f"{branches} runs branch from others; what they share is counted once")
    if not at_hand:
        facts.append(
            f"the corpus {study.corpus} is not here: sizes are CC-100's, ids will be others once it is; "
            f"babelscale corpus add {study.corpus} FOLDER"
        )
    if any(cell.most is not None for cell in plan.cells) and not tokenizers_at_hand:
        facts.append(f"epochs assume {BYTES_PER_TOKEN:g} bytes a token: no tokenizer of the study is trained yet")
    if any(cell.pace.basis == "FLOPs" for cell in plan.cells):
        facts.append(
            f"hours by FLOPs assume {device.assumed_share:.0%} of {device.peak_flops / 1e12:g} TFLOP/s "
            f"({device.name}{', a thread' if device.name == 'cpu' else ''}); "
            + (
                "--calibrate measures"
                if device.name == "cpu"
                else "a finished run or --calibrate on the device measures"
            )
        )
    facts += [f"warning: {warning}" for warning in plan.warnings]
    if budget is not None and plan.missing_hours > budget:
        facts.append(
            f"over budget: {_hours(plan.missing_hours)} of device time, {_hours(budget)} allowed; " + _trim(trim)
        )
    return facts


def _shared(plan: Plan, at_hand: int) -> str:
    tokenizers = "1 tokenizer" if plan.tokenizers == 1 else f"{plan.tokenizers} tokenizers"
    have = f" ({at_hand} here)" if at_hand else ""
    return f"shared, built once: {tokenizers}{have}, {plan.shards} languages encoded"


def _trim(trim: Trim | None) -> str:
    if trim is None:
        return "no axis has a value to spare: lower the steps, or the model"
    value = _value(trim.axis, trim.value)
    what = f"leaving out {trim.axis} {value} ({trim.cells} cells) leaves {_hours(trim.hours)}"
    return f"the cheapest to trim: {what}" if trim.enough else f"no single value is enough: {what}"
