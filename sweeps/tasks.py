"""Benchmarks as a study asks for them: where the data is, on what is trained, how the model of an epoch is chosen."""

from __future__ import annotations

import hashlib
import json
from typing import Annotated, Any, Literal

from pydantic import Field, PrivateAttr, model_validator

from sweeps.strict import Positive, Strict

Rate = Annotated[float, Field(gt=0, le=1)]
BUILT_IN = ("heldout", "intents")
"""What needs no block."""


class TaskBlock(Strict):
    """One benchmark. The defaults are the paper's (section 3.1 and its appendix): zero-shot from English, the epoch
    chosen on all dev sets together, several seeds."""

    task: str | None = None
    """A benchmark's name, or the path of a Python file of one's own. Default: the key of this block."""
    data: str
    """Folder of the benchmark's official files, or a Hugging Face data set: hf:NAME[:CONFIG][@SPLIT]."""
    train: str | None = None
    """Another folder, file or hf: set to train on, of the same format. Default: `data`."""
    dev: str | None = None
    """Another for the source language's dev side."""
    test: str | None = None
    """Another folder for the sides that are scored: with `translate-test`, their translations into the source."""
    split: Literal["dev", "test"] | None = None
    """The side that is scored. Default: test, or dev where a benchmark keeps the labels of its test side to itself."""
    setting: Literal["zero-shot", "translate-test", "translate-train", "translate-train-all"] = "zero-shot"
    select: Literal["source", "joint", "each"] = "joint"
    """Whose dev sets choose learning rate and epoch: the source language's, all together (#M = 1), each its own."""
    languages: Literal["run", "all"] | tuple[str, ...] = "run"
    """Those of the run, all of the benchmark, or a list of its codes."""
    rates: Annotated[tuple[Rate, ...], Field(min_length=1)] | None = None
    """Learning rates; dev chooses. Default here and below: the task's own, those of its authors."""
    seeds: Annotated[tuple[int, ...], Field(min_length=1)] = (0, 1, 2)
    epochs: Positive | None = None
    batch_rows: Positive | None = None
    patience: Positive | None = None
    """Epochs without a better dev score after which it ends."""
    dropout: Annotated[float, Field(ge=0, lt=1)] | None = None
    pool: Literal["first", "mean"] = "first"
    """What a classifier reads: the state of `<s>`, as XLM-R's, or the mean of all; small models need the mean."""
    weights: Literal["trained", "random"] = "trained"
    """`random`: a control, the same model before any pretraining."""
    optional: bool = False
    """Where the data is not at hand at submit, leave the benchmark out and say so, instead of refusing the study."""
    _files: str | None = PrivateAttr(default=None)

    def with_files(self, digest: str | None) -> TaskBlock:
        """The block of these files: changed ones, at the same place, are another stage and scored anew."""
        block = self.model_copy()
        block._files = digest
        return block

    @model_validator(mode="after")
    def _has_translations(self) -> TaskBlock:
        if (self.setting == "translate-test") != (self.test is not None):
            raise ValueError("test and setting: translate-test go together: one names the translations it scores")
        return self

    def frozen(self) -> dict[str, Any]:
        """What makes a stage: everything but whether it may be left out."""
        left = {"optional"} | ({"split"} if self.split is None else set())  # stages from before it was a key stay
        files = {} if self._files is None else {"files": self._files}
        return self.model_dump(mode="json", exclude=left) | files


def stage_of(name: str, block: TaskBlock) -> str:
    """Name of the stage of a run that this block is: another block of the same name is another stage."""
    return stage_of_values(name, block.frozen())


def stage_of_values(name: str, values: dict[str, Any]) -> str:
    text = json.dumps(values, sort_keys=True, ensure_ascii=False)
    return f"{name}@{hashlib.sha256(text.encode()).hexdigest()[:8]}"
