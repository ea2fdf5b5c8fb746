"""`python -m analysis.laws`: published coefficients come back from data made with them, with what intervals."""

from __future__ import annotations

import numpy as np

from analysis.laws.fit import Fit, fit
from analysis.laws.forms import CHINCHILLA, LANGUAGE_COUNT, Array

_PHI, _PSI = 0.11, -0.04
_ALPHA, _BETA = _PHI / 0.243, -_PSI / (1 - 0.728)
"""So that the exponents of iso-loss are those that ATLAS reports (paper section 5.8): r^0.243 and r^0.728."""


def chinchilla(noise: float, seed: int = 0) -> tuple[dict[str, Array], Array]:
    """240 runs as spread as Hoffmann's: the refit of Besiroglu et al. 2024 with log-normal noise. N, D; loss."""
    draw = np.random.default_rng([seed, 1])
    parameters = 10 ** draw.uniform(7.7, 10.2, 240)
    tokens = np.clip(10 ** draw.uniform(18.5, 21.5, 240) / 6 / parameters, 1e8, 1e12)
    loss = 1.8172 + 482.01 / parameters**0.3478 + 2085.43 / tokens**0.3658
    return {"N": parameters, "D": tokens}, loss * np.exp(draw.normal(0.0, noise, 240))


def language_count(noise: float, seed: int = 0, phi: float = _PHI, psi: float = _PSI) -> tuple[dict[str, Array], Array]:
    """A grid of 6 language counts, 4 sizes and 3 budgets with ATLAS's exponents. K, N, D of a language; loss."""
    grid = np.meshgrid([1.0, 2, 4, 8, 16, 32], [1e6, 4e6, 16e6, 64e6], [1e7, 1e8, 1e9])
    k, parameters, tokens = (axis.ravel() for axis in grid)
    loss = 0.7 + 400 * k**phi / parameters**_ALPHA + 20 * k**psi / tokens**_BETA
    draw = np.random.default_rng([seed, 2])
    return {"K": k, "N": parameters, "D": tokens}, loss * np.exp(draw.normal(0.0, noise, len(k)))


TRUTH = {
    "Chinchilla": {"e": np.log(1.8172), "a": np.log(482.01), "alpha": 0.3478, "b": np.log(2085.43), "beta": 0.3658},
    "language count": {
        "e": np.log(0.7), "a": np.log(400.0), "phi": _PHI, "alpha": _ALPHA, "b": np.log(20.0), "psi": _PSI,
        "beta": _BETA,
    },
}  # fmt: skip


def main() -> None:
    for made, form in ((chinchilla(0.01), CHINCHILLA), (language_count(0.01), LANGUAGE_COUNT)):
        law: Fit = fit(form, *made)
        print(f"{form.name}: {form.formula}, {law.runs} runs with 1 % noise, R2 {law.r2:.4f}")
        for name, truth in TRUTH[form.name].items():
            interval = law.interval(name)
            held = "holds the truth" if interval.low <= truth <= interval.high else "does NOT hold the truth"
            ends = f"95 % {interval.low:8.4f} to {interval.high:8.4f}"
            print(f"  {name:6} {interval.mean:8.4f}  {ends}  {held}, {truth:.4f}")


if __name__ == "__main__":
    main()
