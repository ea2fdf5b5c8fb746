"""The plan against what was: tokens, steps, FLOPs, hours, devices, attempts, a line a cell."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from typing import Any

import pandas as pd

from analysis.records import AXES, Study
from analysis.report.attempts import Made
from analysis.report.tables import Entry, Grid, cell_frame, named, number, short_number
from sweeps.pace import DEVICES, FLOP_MODEL_ERROR, Device, Paces, Shape

NOTE = (
    f"Each line is a cell, each number a mean over its finished runs; under it stands what the plan said. Device-hours "
    f"of the plan come from FLOPs and an assumed share of the device's peak, ±{FLOP_MODEL_ERROR:.0%}, and hold steps "
    "only; what was spent also holds starting, waiting and scoring, and attempts that came to nothing."
)


def reckoned(runs: Sequence[Made], study: Study, df: pd.DataFrame) -> pd.DataFrame:
    """One row a described run: its axes, and planned and actual amounts (NaN where unknown).

    Columns beside the axes: done, steps_made, tokens_made, flops_made, hours_planned and hours_made (device-hours),
    device, devices, attempts, again, skipped, untimed.
    """
    frame = cell_frame(study.planned)
    drawn = df[(df["task"] == "training") & (df["metric"] == "tokens")].groupby("run")["value"].sum()
    by_run = {one.run: one for one in runs}
    rows = []
    for run, axes in study.planned.items():
        one = by_run[run]
        trained = max(0, one.steps - one.taken) + one.again
        each = float(axes["flops"]) / max(1, int(axes["steps"]))
        devices = sorted({attempt.devices for attempt in one.attempts})
        # What was drawn is recorded by language; where it was not, steps times batch.
        tokens = float(drawn[run]) if run in drawn.index else float(one.steps * axes["batch_tokens"])
        rows.append(
            {
                "run": run, "done": one.done, "steps_made": float(one.steps), "tokens_made": tokens,
                "flops_made": trained * each, "hours_planned": _planned_hours(one, axes, each),
                "hours_made": one.device_hours,
                "device": one.device or _asked(one), "devices": ", ".join(map(str, devices)),
                "attempts": len(one.attempts), "again": one.again, "skipped": one.skipped, "untimed": one.untimed,
            }
        )  # fmt: skip
    made = pd.DataFrame(rows)
    return frame.merge(made, on="run", sort=False) if len(frame) else frame


def _planned_hours(one: Made, axes: Mapping[str, Any], flops: float) -> float:
    """Device-hours of one run as a plan without any measurement reckons them; NaN on a device that it does not know."""
    execution = one.attempts[-1].execution if one.attempts else {}
    device = device_of(one.device, str(execution.get("device") or ""))
    if device is None:
        return math.nan
    devices, threads = int(execution.get("devices", 1)), int(execution.get("threads", 1))
    shape = Shape((), 0, 0, 0.0, "", devices, threads, 0, 1)  # all that an estimate from FLOPs asks for
    pace = _paces(device).of(shape, flops=flops, parameters=0)
    return float(axes["steps"]) * pace.seconds * devices / 3600


def _asked(one: Made) -> str:
    """The device that an unfinished run was planned with."""
    return str(one.attempts[-1].execution.get("device") or "") if one.attempts else ""


@lru_cache
def _paces(device: Device) -> Paces:
    return Paces((), device)


def device_of(seen: str, planned: str) -> Device | None:
    """The device that ran, else the one that was planned with, as `sweeps.pace` knows it."""
    for text in (seen.lower(), planned.lower()):
        if text:
            return next((device for name, device in DEVICES.items() if name in text), None)
    return None


def grid(table: pd.DataFrame) -> Grid:
    """A line a cell, in the order of the axes."""
    heads = [
        ["cell"], ["runs", "done"], ["tokens", "a run"], ["steps", "a run"], ["FLOPs", "a run"],
        ["device-hours", "a run"], ["device"], ["attempts"], ["steps", "done again"], ["updates", "refused"],
    ]  # fmt: skip
    if table.empty:
        return Grid("Plan against actual", heads, [])
    unique = table[AXES].drop_duplicates().sort_values(AXES, na_position="last")
    names = dict(zip(_keys(unique), named(unique), strict=True))
    parts = dict(iter(table.groupby(pd.Series(_keys(table), index=table.index), sort=False)))
    rows = []
    for place, (key, head) in enumerate(names.items()):
        part = parts[key]
        done = part[part["done"]]
        rows.append(
            [
                Entry(", ".join(head), key=float(place)),
                number(len(done), f"{len(done)} of {len(part)}"),
                _pair(done["tokens_made"].mean(), part["tokens"].mean()),
                _pair(done["steps_made"].mean(), part["steps"].mean()),
                _pair(done["flops_made"].mean(), part["flops"].mean()),
                _pair(done["hours_made"].mean(), part["hours_planned"].mean(), hours),
                Entry(_devices(part)),
                number(float(part["attempts"].sum()), str(part["attempts"].sum())),
                number(float(part["again"].sum()), short_number(float(part["again"].sum()))),
                number(float(part["skipped"].sum()), short_number(float(part["skipped"].sum()))),
            ]
        )
    return Grid("Plan against actual", heads, rows, frozenset({0, 6}))


def summary(table: pd.DataFrame) -> str:
    """The whole study in one or two sentences; "" where no run was described."""
    if table.empty:
        return ""
    done = table[table["done"]]
    spent, planned = table["hours_made"].sum(min_count=1), done["hours_planned"].sum(min_count=1)
    parts = [
        f"{len(done)} of {len(table)} runs took {short_number(float(done['flops_made'].sum()))} FLOPs where "
        f"{short_number(float(done['flops'].sum()))} were planned"
    ]
    if not math.isnan(spent):
        of = "" if math.isnan(planned) else f" ({hours(planned)} planned for those that are done)"
        parts.append(f"{hours(spent)} device-hours were spent in {int(table['attempts'].sum())} attempts{of}")
    if again := int(table["again"].sum()):
        parts.append(f"at least {again:,} steps were done twice, after a stop")
    if untimed := int(table["untimed"].sum()):
        parts.append(f"{untimed} attempts left no word of their end, and their hours are not counted")
    return "; ".join(parts) + "."


def hours(value: float) -> str:
    """`0.021`, `3.4`, `1,210`: three digits."""
    if math.isnan(value):
        return "–"
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def _amount(value: float) -> str:
    return "–" if math.isnan(value) else short_number(value)


def _pair(actual: float, planned: float, show: Callable[[float], str] = _amount) -> Entry:
    return Entry(show(actual), "" if math.isnan(planned) else f"plan {show(planned)}", actual)


def _devices(part: pd.DataFrame) -> str:
    pairs = sorted({(str(d), str(n)) for d, n in zip(part["device"], part["devices"], strict=True) if d or n})
    shown = [f"{n} × {d or 'unknown'}" if n else d for d, n in pairs]
    return "; ".join(shown) or "–"


def _keys(table: pd.DataFrame) -> list[str]:
    """One text for each row's cell, NaN included."""
    return ["|".join(map(str, values)) for values in table[AXES].itertuples(index=False, name=None)]
