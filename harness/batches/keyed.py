"""Randomness as a pure function of a name: keyed 64-bit hashing and keyed permutations, vectorised.

A generator here is a 64-bit key made from (seed, purpose, ...). Any element of its stream can be computed alone, so
rank count, restarts and order of work cannot change a draw.
"""

from __future__ import annotations

import hashlib
from typing import Any

import numpy as np
import numpy.typing as npt

U64 = npt.NDArray[np.uint64]

_STEP = np.uint64(0x9E3779B97F4A7C15)
_ROUNDS = 6


def key(seed: int, purpose: str, *names: Any) -> int:
    """64-bit key of the generator named (seed, purpose, names...)."""
    text = "\x1f".join(str(part) for part in (seed, purpose, *names))
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "little")


def generator(seed: int, purpose: str, *names: Any) -> np.random.Generator:
    """A NumPy generator (Philox) named (seed, purpose, names...), for draws that are sequential by nature."""
    return np.random.Generator(np.random.Philox(key=key(seed, purpose, *names)))


def mix(values: U64) -> U64:
    """SplitMix64's finaliser: every output bit depends on every input bit. Same shape, uint64."""
    with np.errstate(over="ignore"):
        mixed = (values ^ (values >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    result: U64 = mixed ^ (mixed >> np.uint64(31))
    return result


def stream(keys: U64, positions: U64) -> U64:
    """Element `positions` of the streams `keys` (arrays that broadcast): independent uniform 64-bit integers."""
    with np.errstate(over="ignore"):
        return mix(mix(keys) + (positions + np.uint64(1)) * _STEP)


def permute(values: U64, sizes: U64, keys: U64) -> U64:
    """Image of each `values[i]` < `sizes[i]` under the pseudo-random permutation of [0, sizes[i]) that `keys[i]` names.

    A balanced Feistel network on the smallest even number of bits that holds the size, walking the cycle until the
    image falls inside: no table, whatever the size. All three are arrays of one shape.
    """
    # Bits that hold the size, halved and rounded up (one bit too many does no harm: the walk goes on a little longer).
    half = np.maximum(
        1, (np.ceil(np.log2(sizes.astype(np.float64) + 1.0)).astype(np.uint64) + np.uint64(1)) // np.uint64(2)
    )
    low_bits = (np.uint64(1) << half) - np.uint64(1)
    result = values.copy()
    outside = np.arange(len(result))
    while len(outside):
        shift, low, active = half[outside], low_bits[outside], keys[outside]
        left, right = result[outside] >> shift, result[outside] & low
        for round_number in range(_ROUNDS):
            with np.errstate(over="ignore"):
                scrambled = mix(right + active + np.uint64(round_number) * _STEP) & low
            left, right = right, left ^ scrambled
        result[outside] = (left << shift) | right
        outside = outside[result[outside] >= sizes[outside]]
    return result
