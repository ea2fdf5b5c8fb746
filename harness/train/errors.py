"""How a training may end before its last step. Loads nothing heavy, so that whoever reads the end may name it."""

from __future__ import annotations


class Stopped(Exception):
    """The run was asked to stop; its state is saved and the next attempt goes on from it."""


class TrainingFailed(Exception):
    """The run cannot go on, and would fail again in the same way."""


class TooLittleMemory(TrainingFailed):
    """Not even one row at a time fits."""


class LossFailed(TrainingFailed):
    """The loss or its gradient stayed off course, however often the run went back."""
