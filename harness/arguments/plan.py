"""Options of `babelscale plan`."""

from __future__ import annotations

import argparse

DEVICES = ("cpu", "v100", "a100", "h100", "h200")

PLAN = """\
What a study would run, and what it costs: cells (runs that differ in their seed alone), parameters, tokens,
epochs of the text, FLOPs, what fits a device, hours, and what is done already. Writes nothing.

Hours come from finished runs under this root where the same shape was seen, else from a fit to other shapes seen
or calibrated here, else from the FLOPs and an assumed share of the device's peak; the basis stands in the table.
A corpus that is not here is reckoned with CC-100's sizes; ids are then provisional."""


def add_plan(plan: argparse.ArgumentParser) -> None:
    plan.add_argument("--device", choices=DEVICES, help="what to reckon with (default: execution.device, else cpu)")
    plan.add_argument(
        "--calibrate", action="store_true", help="time a few steps of the plan's shapes on this machine first (minutes)"
    )
    plan.add_argument("--price", type=_amount, metavar="X", help="of one device-hour, in your currency")
    plan.add_argument(
        "--budget",
        type=_amount,
        metavar="HOURS",
        help="device-hours that the missing runs may cost; more ends with exit code 4 and the cheapest axis to trim",
    )
    plan.add_argument("--diff", metavar="OTHER", help="another study: which runs, science and execution differ")
    plan.add_argument("--diff-profile", metavar="NAME", help="the other study's profile (default: its first)")
    plan.add_argument("--markdown", action="store_true", help="print the table as Markdown")


def _amount(text: str) -> float:
    """A number above 0."""
    value = float(text)
    if not 0 < value < float("inf"):
        raise argparse.ArgumentTypeError(f"{text} is not a number above 0")
    return value
