"""What every block of a study file stands on: strict models, and kinds of numbers that many blocks use."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

Positive = Annotated[int, Field(ge=1, le=10**15)]
Share = Annotated[float, Field(ge=0.0, le=1.0)]

NUMBER, LIST, RULE = "a number", "a list", "a rule"
"""Tags of the forms of a key that may hold a number or something longer. pydantic puts the tag of the form that was
written into the path of a problem, and only that form's problems count; `study.path_of` leaves it out again."""


class Strict(BaseModel):
    """Base of every block: unknown keys are errors, values never change."""

    model_config = ConfigDict(extra="forbid", frozen=True, protected_namespaces=(), allow_inf_nan=False)
