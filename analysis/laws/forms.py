"""Laws as data: log L = log(sum of exp(terms)), each term linear in the law's parameters.

With e, a, b the logarithms of E, A, B, Chinchilla's L = E + A / N^alpha + B / D^beta has the terms e, a - alpha log N
and b - beta log D (Hoffmann et al. 2022, appendix D.3). In this form a prediction is never negative, and the gradient
is a softmax over the terms. All forms here take their data as logarithms.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]
ONE = ""
"""The constant's name among a term's inputs."""


_NEAR = 0.02
"""Values closer than this share are one: what was drawn of a language differs so much between seeds."""


def levels(values: Array) -> npt.NDArray[np.int64]:
    """Number of the level of each of `values` (points,), positive; from 0, smallest first. A level is a chain of
    values of which each lies within `_NEAR` of the level's smallest."""
    logs = np.log(np.asarray(values, dtype=float))
    found, level, first = np.zeros(len(logs), dtype=np.int64), -1, -np.inf
    for i in np.argsort(logs, kind="stable"):
        if logs[i] > first + _NEAR:
            level, first = level + 1, logs[i]
        found[i] = level
    return found


def cells(data: Mapping[str, Array]) -> npt.NDArray[np.int64]:
    """Number of the cell of each point (points,): points of one cell have the same level of every input."""
    table = np.column_stack([levels(values) for values in data.values()])
    return np.asarray(np.unique(table, axis=0, return_inverse=True)[1]).ravel()


@dataclass(frozen=True)
class Form:
    """A law. `terms`: for each term, parameter name -> (input name, sign): what is multiplied with the parameter is
    sign times the logarithm of the input, or 1 for `ONE`. `starts`: parameter name -> the grid its search begins from.
    """

    name: str
    formula: str
    terms: tuple[Mapping[str, tuple[str, int]], ...]
    starts: Mapping[str, tuple[float, ...]]

    @property
    def parameters(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(name for term in self.terms for name in term))

    @property
    def inputs(self) -> tuple[str, ...]:
        found = (given for term in self.terms for given, _ in term.values() if given != ONE)
        return tuple(dict.fromkeys(found))

    def design(self, data: Mapping[str, Array]) -> Array:
        """(terms, points, parameters) from the inputs, (points,) each, positive."""
        names = self.parameters
        points = len(np.atleast_1d(np.asarray(data[self.inputs[0]])))
        out = np.zeros((len(self.terms), points, len(names)))
        for number, term in enumerate(self.terms):
            for name, (given, sign) in term.items():
                value = 1.0 if given == ONE else np.log(np.asarray(data[given], dtype=float))
                out[number, :, names.index(name)] = sign * value
        return out


_ALPHAS = (0.1, 0.3, 0.5, 1.0)
_SCALES = (0.0, 5.0, 10.0, 15.0)
_FLOORS = (-1.0, 0.0, 1.0)
_STARTS = {"e": _FLOORS, "a": _SCALES, "b": _SCALES, "alpha": _ALPHAS, "beta": _ALPHAS}

CHINCHILLA = Form(
    "Chinchilla",
    "L = E + A / N^alpha + B / D^beta",
    ({"e": (ONE, 1)}, {"a": (ONE, 1), "alpha": ("N", -1)}, {"b": (ONE, 1), "beta": ("D", -1)}),
    _STARTS,
)
"""Hoffmann et al. 2022, equation 2; also the law without K, where D is what one language has."""

LANGUAGE_COUNT = Form(
    "language count",
    "L = E + A K^phi / N^alpha + B K^psi / D^beta",
    (
        {"e": (ONE, 1)},
        {"a": (ONE, 1), "phi": ("K", 1), "alpha": ("N", -1)},
        {"b": (ONE, 1), "psi": ("K", 1), "beta": ("D", -1)},
    ),
    _STARTS | {"phi": (0.0, 0.2), "psi": (0.0,)},
)
"""ATLAS (Longpre et al. 2025): D is the tokens of one language, K languages share N parameters."""

SAMPLING_RATIO = Form(
    "sampling ratio",
    "L_i = (E + A / N^alpha + B / D^beta) p_i^-gamma",
    (
        {"e": (ONE, 1), "gamma": ("p", -1)},
        {"a": (ONE, 1), "alpha": ("N", -1), "gamma": ("p", -1)},
        {"b": (ONE, 1), "beta": ("D", -1), "gamma": ("p", -1)},
    ),
    _STARTS | {"gamma": (0.0, 0.1)},
)
"""He et al. 2024: D is the tokens of the run, p the share of a language (or family) i in what is sampled."""


def without(form: Form, given: str) -> Form:
    """The form with one of its inputs held still: N where all runs have one size, say. Its parameters go along."""
    terms = tuple({name: pair for name, pair in term.items() if pair[0] != given} for term in form.terms)
    # A term that moves with nothing but what the floor moves with cannot be told from it.
    moving = [{name: pair for name, pair in term.items() if pair[0] != ONE} for term in terms]
    kept = terms[:1] + tuple(term for term, own in zip(terms[1:], moving[1:], strict=True) if own != moving[0])
    names = {name for term in kept for name in term}
    return Form(form.name, f"{form.formula}, one {given}", kept, {n: s for n, s in form.starts.items() if n in names})


VOCABULARY = Form(
    "vocabulary",
    "L = E + A / N^alpha + G / (V d)^gamma + B / D^beta",
    (
        {"e": (ONE, 1)},
        {"a": (ONE, 1), "alpha": ("N", -1)},
        {"g": (ONE, 1), "gamma": ("Nv", -1)},
        {"b": (ONE, 1), "beta": ("D", -1)},
    ),
    _STARTS | {"a": (0.0, 7.0), "b": (0.0, 7.0), "g": (0.0, 7.0), "gamma": (0.3, 0.8)},
)
"""Tao et al. 2024 with parameters of the body N and of the embeddings Nv = V d apart; D in the tokenizer's tokens.
Their loss is normalised by the unigram's; on bits per byte the floor is positive."""
