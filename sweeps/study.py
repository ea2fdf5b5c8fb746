"""What users write: a study file, strict, and every message names the file, the key and the nearest legal one.

A study is a question, axes, a recipe that all cells share, groups, findings and profiles (other sizes of the same
question). `sweeps.grid` turns it into cells and runs.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from itertools import pairwise
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import BaseModel, Discriminator, Field, Tag, ValidationError, model_validator

from models.sizes import NAMED_SIZES, Attention, Kind
from sweeps.errors import BadInput
from sweeps.rates import LearningRateRule, RateOrRule
from sweeps.strict import LIST, NUMBER, RULE, Positive, Share, Strict

STUDIES = Path(__file__).parent / "studies"
"""Studies that ship; a bare name on the command line means one of these."""

Scalar = bool | int | float | str


class ModelBlock(Strict):
    """The encoder: a named size, or the dial, or width and layers; what is not given follows from the width."""

    kind: Kind = "modern"
    size: str | None = None
    """One of `models.sizes.NAMED_SIZES`."""
    dial: Annotated[int, Field(ge=1, le=1000)] | None = None
    """Capacity as one number: so many layers, each 64 wide (`models.sizes.dial`); 12 is XLM-R base."""
    width: Positive | None = None
    layers: Positive | None = None
    heads: Positive | None = None
    """Attention heads. With the learning-rate rule `mup`: those at the rule's width, and the head keeps its width."""
    head_width: Positive | None = None
    """Width of one attention head, in place of `heads`: their number is then width / head_width."""
    feedforward: Positive | None = None
    """Default: 4 x width. With the learning-rate rule `mup`: at the rule's width, and it grows with the width."""
    vocabulary: Positive
    """SentencePiece entries; the table has two rows more (<pad>, <mask>)."""
    dropout: Share = 0.0
    rotary_base: Annotated[float, Field(gt=1.0)] = 10_000.0
    """Kind `modern` only; a small one suits short rows."""
    gated: bool = False
    """Kind `modern` only: GeGLU in place of GELU."""

    @model_validator(mode="after")
    def _one_way_to_say_how_large(self) -> ModelBlock:
        if self.size is not None and self.size not in NAMED_SIZES:
            raise ValueError(f"size {self.size!r} is not one of {', '.join(NAMED_SIZES)}")
        given = [key for key in ("size", "dial", "width", "layers") if getattr(self, key) is not None]
        if given not in (["size"], ["dial"], ["width", "layers"]):
            raise ValueError(
                f"give size ({', '.join(NAMED_SIZES)}), or dial, or both width and layers; "
                f"this has {' and '.join(given) or 'none of them'}"
            )
        if self.heads is not None and self.head_width is not None:
            raise ValueError(f"heads ({self.heads}) and head_width ({self.head_width}) say the same twice; keep one")
        return self


class SamplingBlock(Strict):
    """The batch distribution over languages. Each kind takes its own keys and no others."""

    kind: Literal["alpha", "temperature", "uniform", "unimax"] = "alpha"
    alpha: Annotated[float, Field(ge=0.0, le=5.0)] | None = None
    """Kind `alpha`: exponent over the shares (paper section 3.1); 0 uniform, 1 as the data. Default: 0.3."""
    temperature: Annotated[float, Field(ge=0.2)] | None = None
    """Kind `temperature`: 1 / alpha."""
    max_epochs: Annotated[float, Field(gt=0.0)] | None = None
    """Kind `unimax`: epochs after which a language gets no more of the budget."""
    count: Literal["bytes", "tokens", "documents"] | None = None
    """Kinds `alpha` and `temperature`: what of the training text shares are counted in. Default: bytes."""

    @model_validator(mode="after")
    def _own_keys(self) -> SamplingBlock:
        uses = {"alpha": {"alpha", "count"}, "temperature": {"temperature", "count"}, "unimax": {"max_epochs"}}
        for key in ("alpha", "temperature", "max_epochs", "count"):
            if getattr(self, key) is not None and key not in uses.get(self.kind, set()):
                owners = " or ".join(kind for kind, keys in uses.items() if key in keys)
                raise ValueError(f"kind {self.kind} has no {key}; remove {key}, or set kind to {owners}")
        needed = {"temperature": "temperature", "unimax": "max_epochs"}.get(self.kind)
        if needed is not None and getattr(self, needed) is None:
            raise ValueError(f"kind {self.kind} needs the key {needed}")
        return self

    @property
    def exponent(self) -> float | None:
        """alpha, whichever way it was written; none for UniMax."""
        if self.kind == "unimax":
            return None
        if self.kind == "uniform":
            return 0.0
        if self.temperature is not None:
            return float(f"{1 / self.temperature:.12g}")
        return 0.3 if self.alpha is None else self.alpha


class MaskSplitBlock(Strict):
    """What chosen positions show: <mask>, a random piece, or (the rest) their own token."""

    mask: Share = 0.8
    random: Share = 0.1

    @model_validator(mode="after")
    def _at_most_all(self) -> MaskSplitBlock:
        if self.mask + self.random > 1.0 + 1e-9:
            raise ValueError(f"mask ({self.mask:g}) and random ({self.random:g}) together are more than 1")
        return self


class TokenizerBlock(Strict):
    policy: Literal["frozen-superset", "retrained"] = "frozen-superset"
    """`frozen-superset`: one tokenizer, of all languages of the study, for every cell. `retrained`: one per set."""
    alpha: Annotated[float, Field(ge=0.0, le=5.0)] = 0.3
    algorithm: Literal["unigram", "bpe"] = "unigram"
    byte_fallback: bool = True
    character_coverage: Annotated[float, Field(ge=0.98, le=1.0)] = 0.9995
    sample_bytes: Positive = 10_000_000


StepsOrList = Annotated[
    Annotated[Positive, Tag(NUMBER)] | Annotated[tuple[Positive, ...], Tag(LIST)],
    Discriminator(lambda value: LIST if isinstance(value, list | tuple) else NUMBER),
]


class BudgetBlock(Strict):
    batch_tokens: Positive
    """Global batch in tokens, over all devices and accumulation."""
    steps: StepsOrList
    """Updates of a run. A list, with schedule `wsd`: a run for each, the shorter ones branching from the longest where
    their own decay begins (`sweeps.budgets`)."""

    @model_validator(mode="after")
    def _rising(self) -> BudgetBlock:
        steps = self.steps
        if isinstance(steps, tuple) and (len(steps) < 2 or any(a >= b for a, b in pairwise(steps))):
            raise ValueError(
                f"steps {list(steps)} must list two or more budgets, each larger than the one before; "
                "write a single one as a plain number"
            )
        return self

    @property
    def one(self) -> int:
        """The steps of a run: a grid's recipes hold one number each."""
        assert isinstance(self.steps, int)
        return self.steps


class ScheduleBlock(Strict):
    kind: Literal["linear", "cosine", "wsd"] = "linear"
    warmup: Share | None = None
    """Share of the steps over which the rate rises linearly; of the smallest where `budget.steps` lists several.
    Default: 0.06."""
    warmup_steps: Positive | None = None
    """The same as a number of updates, in place of the share."""
    decay: Share = 0.2
    """`wsd` only: share of the steps, at the end, over which the rate falls linearly to zero."""

    @model_validator(mode="after")
    def _one_warmup(self) -> ScheduleBlock:
        if self.warmup is not None and self.warmup_steps is not None:
            raise ValueError(
                f"warmup ({self.warmup:g}) and warmup_steps ({self.warmup_steps}) say the same twice; keep one"
            )
        return self

    def science(self) -> dict[str, Any]:
        """What of it changes numbers; the warm-up in the form in which it was written."""
        if self.warmup_steps is not None:
            return {"kind": self.kind, "warmup_steps": self.warmup_steps, "decay": self.decay}
        return {"kind": self.kind, "warmup": 0.06 if self.warmup is None else self.warmup, "decay": self.decay}


class OptimizerBlock(Strict):
    """AdamW. Defaults are RoBERTa's (paper.md 2.3: the paper prints none)."""

    beta1: Share = 0.9
    beta2: Share = 0.98
    epsilon: Annotated[float, Field(gt=0)] = 1e-6
    weight_decay: Annotated[float, Field(ge=0)] = 0.01
    clip: Annotated[float, Field(ge=0)] = 1.0
    """Global gradient norm; 0 switches clipping off."""


class RecipeBlock(Strict):
    model: ModelBlock
    sampling: SamplingBlock = SamplingBlock()
    tokenizer: TokenizerBlock = TokenizerBlock()
    budget: BudgetBlock
    row_tokens: Annotated[int, Field(ge=8)] = 512
    mask_rate: Annotated[float, Field(gt=0.0, lt=0.5)] = 0.15
    mask_split: MaskSplitBlock = MaskSplitBlock()
    whole_word: bool = False
    """Mask all pieces of a word together; the number of masks in a row stays the same."""
    attention: Attention = "row"
    """What a token may look at: its row, or its document (a row holds several where documents are short)."""
    learning_rate: RateOrRule
    """Peak rate: a number, or a rule across widths (an untuned rate at each width fakes the capacity axis)."""
    schedule: ScheduleBlock = ScheduleBlock()
    optimizer: OptimizerBlock = OptimizerBlock()
    precision: Literal["fp32", "bf16"] = "bf16"
    """bf16: fp32 weights, bf16 matrix products. It changes numbers, so it belongs to the science."""

    @model_validator(mode="after")
    def _branches_share_their_start(self) -> RecipeBlock:
        if isinstance(self.budget.steps, tuple):
            if self.schedule.kind != "wsd":
                raise ValueError(
                    f"budget.steps lists several budgets, and with schedule {self.schedule.kind} they share no steps; "
                    "set schedule.kind to wsd, or make steps an axis"
                )
            if self.sampling.kind == "unimax":
                raise ValueError(
                    "budget.steps lists several budgets, and with sampling unimax, whose shares follow from the "
                    "budget, they share no steps; make steps an axis"
                )
        return self


class ExecutionBlock(Strict):
    """How runs are executed. Nothing here may change a run's numbers beyond rounding, and none of it is in the id."""

    devices: Positive = 1
    """Ranks of one run."""
    zero: Annotated[int, Field(ge=0, le=3)] = 1
    micro_rows: Positive | None = None
    """Rows a rank holds at once; the rest is accumulated. Default: as many of its share as the memory at hand takes."""
    activation_checkpointing: bool = False
    """Compute each block again in the backward pass instead of keeping what it needs there."""
    compile: bool = False
    """Compile the blocks with torch.compile; not at ZeRO stage 3. On a CPU that wants a C++ compiler."""
    threads: Positive = 1
    """CPU threads of one rank."""
    slots: Positive | None = None
    """Runs at the same time with `--cluster local`. Default: cores / (devices x threads)."""
    checkpoint_seconds: Annotated[float, Field(gt=0)] = 300.0
    attempts: Positive = 5
    """Goes at one run before it counts as failed."""
    hours: Annotated[float, Field(gt=0)] = 24.0

    @model_validator(mode="after")
    def _compiled_whole(self) -> ExecutionBlock:
        if self.compile and self.zero == 3:
            raise ValueError(
                "compile does not go with zero 3, which gathers weights between the parts of a block: take zero 2, or "
                "leave compile out"
            )
        return self


class Study(Strict):
    """A study with one profile applied."""

    name: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]{0,63}$")]
    question: str
    findings: tuple[str, ...] = ()
    corpus: str
    axes: dict[str, list[Scalar | list[str]]]
    exclude: tuple[str, ...] = ()
    """Conditions (`sweeps.where`); a cell that meets one is left out."""
    recipe: RecipeBlock
    evaluate: tuple[Literal["heldout", "intents"], ...] = ("heldout",)
    groups: dict[str, tuple[str, ...]] = Field(default_factory=dict)
    execution: ExecutionBlock = ExecutionBlock()
    profile: str = "default"


class StudyFile(Study):
    profiles: dict[str, dict[str, Any]] = Field(default_factory=dict)


def studies_that_ship() -> list[str]:
    return sorted(path.stem for path in STUDIES.glob("*.yaml"))


def load_study(name_or_path: str, profile: str | None = None) -> Study:
    """Read a study by path, or by the name of one that ships, with a profile applied (default: its first).

    Raises BadInput for everything a user can get wrong.
    """
    path = _find(name_or_path)
    return parse_study(path.read_text(encoding="utf-8", errors="replace"), str(name_or_path), profile)


def _find(name_or_path: str) -> Path:
    path = Path(name_or_path)
    if path.suffix in (".yaml", ".yml") or path.is_file():
        if not path.is_file():
            raise BadInput(f"there is no study file {name_or_path}")
        return path
    shipped = STUDIES / f"{name_or_path}.yaml"
    if name_or_path not in studies_that_ship():
        near = difflib.get_close_matches(name_or_path, studies_that_ship(), n=1)
        hint = f"did you mean {near[0]}?" if near else f"these ship: {', '.join(studies_that_ship())}"
        raise BadInput(f"there is no study {name_or_path!r} (a name that ships or the path of a .yaml file); {hint}")
    return shipped


def parse_study(text: str, source: str, profile: str | None = None) -> Study:
    """`source` names the text in messages. See `load_study`."""
    try:
        raw = yaml.safe_load(text)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f", line {mark.line + 1}" if mark else ""
        raise BadInput(
            f"{source}{where}: not valid YAML ({getattr(error, 'problem', None) or 'cannot be read'})"
        ) from error
    except (ValueError, TypeError, LookupError, AttributeError, ArithmeticError, RecursionError) as error:
        # What a tag such as !!int does with a value that is none: PyYAML lets Python's own errors through.
        raise BadInput(f"{source}: not valid YAML ({type(error).__name__}: {error})") from error
    if not isinstance(raw, dict):
        raise BadInput(f"{source}: a study is a mapping of keys (name, question, axes, recipe, ...)")
    raw = {str(key): value for key, value in raw.items()}
    profiles = raw.pop("profiles", None) or {}
    if not isinstance(profiles, dict) or not all(isinstance(value, dict) for value in profiles.values()):
        raise BadInput(f"{source}, profiles: expected a mapping of profile names to blocks")
    if profile is not None and profile not in profiles:
        raise BadInput(f"{source}: there is no profile {profile!r}; it has: {', '.join(map(str, profiles)) or 'none'}")
    chosen = profile or next(iter(profiles), None)
    if chosen is not None:
        raw = _merged(raw, profiles[chosen]) | {"profile": str(chosen)}
    try:
        return Study.model_validate(raw)
    except ValidationError as error:
        raise BadInput(_first_problem(error, source)) from error


def _merged(base: dict[str, Any], over: dict[str, Any]) -> dict[str, Any]:
    """`over` laid on `base`: mappings merge key by key, anything else replaces."""
    result = dict(base)
    for key, value in over.items():
        below = result.get(key)
        result[key] = _merged(below, value) if isinstance(below, dict) and isinstance(value, dict) else value
    return result


def _first_problem(error: ValidationError, source: str) -> str:
    """One sentence for the first problem that pydantic found."""
    # An unknown key first: a misspelt one is also a missing one, and the spelling is what to mend.
    problem = min(error.errors(), key=lambda entry: entry["type"] != "extra_forbidden")
    path = path_of(problem["loc"])
    if problem["type"] == "extra_forbidden":
        legal = _fields_at(problem["loc"][:-1])
        near = difflib.get_close_matches(str(problem["loc"][-1]), legal, n=1)
        hint = f"did you mean {near[0]}?" if near else f"legal here: {', '.join(legal)}"
        return f"{source}: unknown key {path}; {hint}"
    if problem["type"] == "missing":
        return f"{source}: the key {path} is missing"
    message = problem["msg"].removeprefix("Value error, ")
    message = message[:1].lower() + message[1:]
    given = problem.get("input")
    shown = f" (given {given!r})" if isinstance(given, (str, int, float, bool)) else ""
    return f"{source}, {path}: {message}{shown}"


def path_of(location: Iterable[int | str]) -> str:
    """Where pydantic found a problem, as a dotted path of the keys that a user wrote."""
    return ".".join(str(part) for part in location if part not in (NUMBER, LIST, RULE))


def _fields_at(path: tuple[int | str, ...]) -> list[str]:
    block: type[BaseModel] = StudyFile
    if RULE in path:
        block, path = LearningRateRule, path[path.index(RULE) + 1 :]
    for part in path:
        inner = block.model_fields[str(part)].annotation if str(part) in block.model_fields else None
        if not (isinstance(inner, type) and issubclass(inner, BaseModel)):
            return []
        block = inner
    return list(block.model_fields)
