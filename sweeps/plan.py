"""A study priced before anything is spent: what each cell is, needs and takes, and what is left to do.

Pure: runs, what is known of text and time, and what state each run is in go in; a priced plan comes out. A *cell* is
all runs that differ in their seed alone.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

from models.room import Need, rows_that_fit
from models.sizes import EncoderConfig
from sweeps.execution import ExecutionBlock, execution_of
from sweeps.grid import Run
from sweeps.pace import Pace, Paces, shape_of
from sweeps.sampling import epochs_per_language, language_distribution, unimax_distribution

MANY_EPOCHS = 4.0
"""Passes over a text up to which another one is nearly as good as new text (paper.md 5.15)."""
BYTES_PER_TOKEN = 4.0
"""Assumed where no tokenizer of the run has been measured."""
DONE, RUNNING, FAILED = "done", "running", "failed"


@dataclass(frozen=True)
class Epochs:
    """Expected passes over a language's training text."""

    language: str
    count: float


@dataclass(frozen=True)
class Cell:
    """Runs that differ in their seed alone, priced."""

    runs: tuple[Run, ...]
    execution: ExecutionBlock
    run_states: tuple[str, ...]
    fewest: Epochs | None
    """Epochs of the language that is passed least; None where text sizes are unknown."""
    most: Epochs | None
    micro_rows: int
    """Rows a device holds at once; 0 where not one fits."""
    accumulation: int
    pace: Pace
    run_hours: float
    """Of one run, on all its devices; what it takes over from its trunk left out."""

    @property
    def states(self) -> Counter[str]:
        return Counter(self.run_states)

    @property
    def axes(self) -> Mapping[str, Any]:
        return self.runs[0].axes

    @property
    def missing(self) -> int:
        """Runs neither done nor under way."""
        return len(self.runs) - self.states[DONE] - self.states[RUNNING]

    @property
    def device_hours(self) -> float:
        """Of all its runs."""
        return self.run_hours * self.execution.devices * len(self.runs)

    @property
    def missing_hours(self) -> float:
        """Device-hours of the runs that are missing."""
        return self.run_hours * self.execution.devices * self.missing


@dataclass(frozen=True)
class Plan:
    cells: tuple[Cell, ...]
    tokenizers: int
    """Distinct ones that the runs stand on."""
    shards: int
    """Languages encoded, each once a tokenizer."""
    warnings: tuple[str, ...] = field(default=())

    @property
    def states(self) -> Counter[str]:
        return sum((cell.states for cell in self.cells), Counter[str]())

    @property
    def missing_hours(self) -> float:
        return sum(cell.missing_hours for cell in self.cells)

    @property
    def low_high(self) -> tuple[float, float]:
        """Device-hours of what is missing, if every estimate is off the same way."""
        low = sum(cell.missing_hours * max(0.0, 1 - cell.pace.error) for cell in self.cells)
        return low, sum(cell.missing_hours * (1 + cell.pace.error) for cell in self.cells)

    @property
    def longest(self) -> Cell | None:
        """The cell whose runs take longest, of those that are missing some."""
        left = [cell for cell in self.cells if cell.missing]
        return max(left, key=lambda cell: cell.run_hours) if left else None


def price(
    runs: Sequence[Run],
    states: Mapping[str, str],
    execution: ExecutionBlock,
    *,
    bytes_of: Mapping[str, float],
    bytes_per_token: Mapping[str, Mapping[str, float]],
    paces: Paces,
    memory_bytes: float,
    on_cpu: bool,
    beside: int,
    overhead_seconds: float,
) -> Plan:
    """`states`: of each run by id. `bytes_of`: training text by language. `bytes_per_token`: by tokenizer, as
    `tokenizer_name` names it, and language; BYTES_PER_TOKEN where nothing was measured. `beside`: runs at the same time
    on a machine. `overhead_seconds`: of a run outside its steps.
    """
    cells: dict[tuple[Any, ...], list[Run]] = {}
    for run in runs:
        cells.setdefault(_without_seed(run), []).append(run)
    tokenizers: dict[str, set[str]] = {}
    passed: dict[Any, list[Epochs]] = {}
    own = {run.id for run in runs}
    room: dict[Any, int] = {}
    priced = []
    for group in cells.values():
        run = group[0]
        how = execution_of(execution, run.axes) if execution.rules else execution
        science, axes = run.science, run.axes
        name = tokenizer_name(science["tokenizer"])
        codes = tuple(science["languages"])
        tokenizers.setdefault(name, set()).update(codes)
        drawn = (name, codes, axes["alpha"], str(science.get("sampling")), axes["tokens"], axes.get("text_bytes"))
        if drawn not in passed:
            passed[drawn] = expected_epochs(science, bytes_of, bytes_per_token.get(name, {}))
        epochs = passed[drawn]
        rows = science["batch_rows"]
        share, rest = divmod(rows, how.devices)
        model = tuple(science["model"].items())
        key = (model, science["row_tokens"], science["mask_rate"], science["precision"], how, rows)
        if key not in room:
            room[key] = 0 if rest or not share else _micro_rows(science, how, share, memory_bytes, on_cpu)
        micro = how.micro_rows or room[key]
        flops = axes["flops"] / axes["steps"]
        parameters = axes["body_parameters"] + axes["embedding_parameters"]
        fields = {"devices": how.devices, "threads": how.threads, "zero": how.zero}
        pace = paces.of(shape_of(science, fields, beside), flops=flops, parameters=parameters)
        steps = axes["steps"] - (run.trunk.step if run.trunk and run.trunk.run in own else 0)
        priced.append(
            Cell(
                runs=tuple(group),
                execution=how,
                run_states=tuple(states[one.id] for one in group),
                fewest=min(epochs, key=lambda entry: entry.count, default=None),
                most=max(epochs, key=lambda entry: entry.count, default=None),
                micro_rows=micro,
                accumulation=-(-share // micro) if micro else 0,
                pace=pace,
                run_hours=(steps * pace.seconds + overhead_seconds) / 3600,
            )
        )
    shards = sum(map(len, tokenizers.values()))
    return Plan(tuple(priced), len(tokenizers), shards, tuple(_warnings(priced)))


def _without_seed(run: Run) -> tuple[Any, ...]:
    """What all seeds of a cell have in common: cells of a study differ in its axes alone."""
    return tuple(value for name, value in run.axes.items() if name not in ("seed", "languages"))


def tokenizer_name(block: Mapping[str, Any]) -> str:
    """Equal for tokenizers that are one: the same in everything but the order of their languages. `block` is what a
    science says of its tokenizer."""
    return _named(tuple(block["languages"]), str(sorted((k, v) for k, v in block.items() if k != "languages")))


@lru_cache(maxsize=4096)
def _named(languages: tuple[str, ...], rest: str) -> str:
    return " ".join(sorted(languages)) + rest


def expected_epochs(
    science: Mapping[str, Any], bytes_of: Mapping[str, float], bytes_per_token: Mapping[str, float]
) -> list[Epochs]:
    """Of each language of a run; none where a size is unknown, or where UniMax cannot spend its budget."""
    codes = science["languages"]
    if not all(code in bytes_of for code in codes):
        return []
    most = science.get("text_bytes")
    held = {code: float(min(bytes_of[code], most) if most else bytes_of[code]) for code in codes}
    body = science["row_tokens"] - 1
    rows = {code: max(1.0, size / bytes_per_token.get(code, BYTES_PER_TOKEN) / body) for code, size in held.items()}
    drawn = science["steps"] * science["batch_rows"]
    try:
        if science.get("sampling", {}).get("kind") == "unimax":
            q = unimax_distribution(rows, drawn=drawn, max_epochs=science["sampling"]["max_epochs"])
        else:
            q = language_distribution(held, science["alpha"])
    except ValueError:
        return []
    counts = epochs_per_language(q, tokens_drawn=drawn, tokens_held=rows)
    return [Epochs(code, count) for code, count in counts.items()]


def _micro_rows(science: Mapping[str, Any], how: ExecutionBlock, share: int, memory_bytes: float, on_cpu: bool) -> int:
    config = EncoderConfig(**science["model"])
    need = Need(
        config=config,
        tokens_per_row=science["row_tokens"],
        masks_per_row=max(1, round(science["mask_rate"] * science["row_tokens"])),
        bf16=science["precision"] == "bf16",
        zero=how.zero,
        world=how.devices,
        checkpointed=how.activation_checkpointing,
        on_cpu=on_cpu,
    )
    return rows_that_fit(need, share, int(memory_bytes)) if need.holds_a_row(int(memory_bytes)) else 0


def _warnings(cells: Sequence[Cell]) -> list[str]:
    """What a user should know before submitting, a sentence each."""
    found = []
    often = [cell for cell in cells if cell.most is not None and cell.most.count > MANY_EPOCHS]
    if often:
        worst = max((cell.most for cell in often if cell.most is not None), key=lambda entry: entry.count)
        found.append(
            f"{len(often)} of {len(cells)} cells pass a text more than {MANY_EPOCHS:g} times "
            f"({worst.language} up to {worst.count:,.3g}): what a language gains there is not what more text would give"
        )
    narrow = [cell for cell in cells if not cell.micro_rows]
    if narrow:
        found.append(
            f"{len(narrow)} cells do not fit the device: not one row beside the model's state, or a batch that "
            f"{narrow[0].execution.devices} devices cannot share; change execution.zero, devices or "
            "activation_checkpointing, by a rule for these cells"
        )
    over = [cell for cell in cells if cell.missing and cell.run_hours > cell.execution.hours]
    if over:
        longest = max(over, key=lambda cell: cell.run_hours)
        times = longest.run_hours / longest.execution.hours
        found.append(
            f"{len(over)} cells take longer than one job may ({longest.execution.hours:g} h): the longest is taken up "
            f"again {int(times)} times"
        )
    return found


@dataclass(frozen=True)
class Trim:
    """An axis value whose cells, left out, bring a plan nearest to a budget."""

    axis: str
    value: Any
    cells: int
    hours: float
    """Device-hours that are missing without it."""
    enough: bool


def cheapest_trim(plan: Plan, budget: float) -> Trim | None:
    """The value of an axis to leave out: the one that gives up the fewest cells and meets the budget; where none does,
    the one that saves most. None where no axis has two values."""
    names = ("set", "alpha", "vocabulary", "width", "layers", "kind", "batch_tokens", "steps", "text_bytes")
    trims = []
    for name in names:
        values = {json.dumps(cell.axes.get(name)) for cell in plan.cells}
        if len(values) < 2:
            continue
        for value in sorted(values):
            gone = [cell for cell in plan.cells if json.dumps(cell.axes.get(name)) == value]
            hours = plan.missing_hours - sum(cell.missing_hours for cell in gone)
            trims.append(Trim(name, json.loads(value), len(gone), hours, hours <= budget))
    meets = [trim for trim in trims if trim.enough]
    if meets:
        return min(meets, key=lambda trim: (trim.cells, -trim.hours))
    return min(trims, key=lambda trim: trim.hours, default=None)
