"""How long a training step takes on a device: seen, fitted to what was seen of other shapes, or by its FLOPs.

A *point* is one shape (model, row, batch, execution) whose seconds per step were measured on one device, by a finished
run or by a calibration. The same shape seen before is the best estimate; from several shapes a model of three
non-negative terms is fitted: a constant (starting operations), one in the FLOPs, one in the parameters (the optimizer).
Without points there is only the device's peak rate and an assumed share of it.
"""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any


@dataclass(frozen=True)
class Device:
    """What a plan reckons a device with."""

    name: str
    peak_flops: float
    """bf16 matrix products a second, as the maker states (no sparsity); of a CPU: one thread, as measured."""
    memory_bytes: float
    assumed_share: float
    """Of the peak that a training step is assumed to reach (MFU)."""


DEVICES = {
    "cpu": Device("cpu", 0.17e12, 4e9, 0.25),
    "v100": Device("v100", 125e12, 32e9, 0.30),
    "a100": Device("a100", 312e12, 80e9, 0.40),
    "h100": Device("h100", 989e12, 80e9, 0.35),
    "h200": Device("h200", 989e12, 141e9, 0.35),
}
"""`cpu` stands for one thread of a server core; a run on N threads has N of them."""
FLOP_MODEL_ERROR = 0.4
"""What an estimate without measurement is off by, either way."""
SCALED_ERROR = 0.3
"""The same where one or two other shapes were measured, and time is taken to go with the FLOPs."""
_LEAST_ERROR = 0.05


@dataclass(frozen=True)
class Shape:
    """What the time of a step depends on, on one device."""

    model: tuple[tuple[str, Any], ...]
    """The encoder's fields, sorted by name."""
    batch_rows: int
    row_tokens: int
    mask_rate: float
    precision: str
    devices: int
    threads: int
    zero: int
    beside: int
    """Runs at the same time on the machine."""


@dataclass(frozen=True)
class Point:
    shape: Shape
    flops: float
    """Of one step, all devices together."""
    parameters: int
    seconds: float
    """Of one step, median."""
    spread: float = 0.0
    """Relative: half the range of what was seen."""


@dataclass(frozen=True)
class Pace:
    """An estimate of the seconds of one step."""

    seconds: float
    error: float
    """Relative, either way."""
    basis: str


def shape_of(science: Mapping[str, Any], execution: Mapping[str, Any], beside: int) -> Shape:
    """The shape of a run's step. `execution`: the fields of `ExecutionBlock`."""
    return Shape(
        model=tuple(sorted(science["model"].items())),
        batch_rows=science["batch_rows"],
        row_tokens=science["row_tokens"],
        mask_rate=science["mask_rate"],
        precision=science["precision"],
        devices=execution["devices"],
        threads=execution["threads"],
        zero=execution["zero"],
        beside=beside,
    )


class Paces:
    """Estimates for one device from what was measured on it."""

    def __init__(self, points: Sequence[Point], device: Device) -> None:
        self._points, self._device = points, device
        self._seen: dict[Shape, list[Point]] = {}
        for point in points:
            self._seen.setdefault(point.shape, []).append(point)

    def of(self, shape: Shape, *, flops: float, parameters: int) -> Pace:
        """`flops` of one step, all devices together."""
        if seen := self._seen.get(shape):
            seconds = [point.seconds for point in seen]
            middle = statistics.median(seconds)
            spread = max(max(seconds) - min(seconds), 2 * max(point.spread for point in seen) * middle) / 2
            return Pace(middle, max(_LEAST_ERROR, spread / middle), f"{len(seen)} seen")
        alike = (shape.precision, shape.devices, shape.threads)
        fit = self._fits.get(alike)
        if fit is not None:
            terms, error, count = fit
            seconds_ = sum(term * value for term, value in zip(terms, (1.0, flops, parameters), strict=True))
            return Pace(seconds_, error, f"fitted to {count}")
        if near := [p for p in self._points if (p.shape.precision, p.shape.devices, p.shape.threads) == alike]:
            return Pace(flops * statistics.median(p.seconds / p.flops for p in near), SCALED_ERROR, "scaled")
        rate = self._device.peak_flops * self._device.assumed_share * shape.devices
        if self._device.name == "cpu":
            rate *= shape.threads
        return Pace(flops / rate, FLOP_MODEL_ERROR, "FLOPs")

    @cached_property
    def _fits(self) -> dict[tuple[str, int, int], tuple[list[float], float, int]]:
        """By precision, devices and threads: the terms, their relative error, and how many shapes they rest on."""
        from scipy.optimize import nnls  # takes a while to import, and most plans need none of it

        fits = {}
        groups: dict[tuple[str, int, int], list[Point]] = {}
        for shape, points in self._seen.items():
            middle = statistics.median(point.seconds for point in points)
            one = Point(shape, points[0].flops, points[0].parameters, middle)
            groups.setdefault((shape.precision, shape.devices, shape.threads), []).append(one)
        for key, ones in groups.items():
            if len(ones) < 3:
                continue
            # Relative errors: each equation is divided by its own seconds. FLOPs in units of 1e9, parameters of 1e6.
            rows = [[1 / p.seconds, p.flops / 1e9 / p.seconds, p.parameters / 1e6 / p.seconds] for p in ones]
            terms, _ = nnls(rows, [1.0] * len(rows))
            off = [abs(sum(t * x for t, x in zip(terms, row, strict=True)) - 1.0) for row in rows]
            error = max(_LEAST_ERROR, 2 * statistics.fmean(off))
            fits[key] = ([float(terms[0]), float(terms[1]) / 1e9, float(terms[2]) / 1e6], error, len(ones))
        return fits
