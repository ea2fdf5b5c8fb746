"""Many robust fits at once: Levenberg-Marquardt on reweighted squares, one small system a fit, all in one sweep.

A bootstrap is hundreds of fits of one law to the same points under other weights. Done one after the other by L-BFGS
they take minutes, for near-absolute residuals have kinks that its line search stumbles over. Here Huber's loss is
majorised by squares with the weight min(1, delta / |residual|) (iteratively reweighted least squares), so that no step
ever raises it, and all fits step together.
"""

from __future__ import annotations

import numpy as np

from analysis.laws.forms import Array

_ITERATIONS = 120
_ENOUGH = 1e-5
"""Share of the loss below which a step's gain ends a fit, twice in a row."""


def together(design: Array, target: Array, weight: Array, theta: Array, delta: float) -> tuple[Array, Array]:
    """Parameters and summed Huber loss of each fit: (fits, parameters) and (fits,).

    design: (terms, points, parameters), target (points,) log loss, weight (fits, points) how often a point counts,
    theta (fits, parameters) where each fit begins.
    """
    theta = np.array(theta, dtype=float)
    fits, parameters = theta.shape
    damping = np.full(fits, 1e-2)
    loss, jacobian, residual = _at(theta, design, target, weight, delta)
    live, idle = np.arange(fits), np.zeros(fits, dtype=int)
    unit = np.eye(parameters)
    for _ in range(_ITERATIONS):
        scale = weight[live] * np.minimum(1.0, delta / np.maximum(np.abs(residual), 1e-300))
        weighted = jacobian * scale[:, :, None]
        normal = weighted.transpose(0, 2, 1) @ jacobian
        slope = (weighted * residual[:, :, None]).sum(axis=1)
        diagonal = np.maximum(np.einsum("rkk->rk", normal), 1e-12)
        system = normal + (damping[live, None] * diagonal)[:, :, None] * unit
        step = np.clip(np.linalg.solve(system, slope[:, :, None])[:, :, 0], -5.0, 5.0)
        tried = theta[live] - step
        new_loss, new_jacobian, new_residual = _at(tried, design, target, weight[live], delta)
        better = new_loss < loss[live]
        gained = np.where(better, loss[live] - new_loss, 0.0)
        theta[live[better]] = tried[better]
        damping[live] = np.clip(np.where(better, damping[live] / 5, damping[live] * 6), 1e-10, 1e10)
        idle[live] = np.where(gained > _ENOUGH * loss[live], 0, idle[live] + 1)
        # A step that failed says the damping is too small, not that the end is reached.
        idle[live] = np.where(~better & (damping[live] < 1e6), 0, idle[live])
        loss[live] = np.where(better, new_loss, loss[live])
        jacobian = np.where(better[:, None, None], new_jacobian, jacobian)
        residual = np.where(better[:, None], new_residual, residual)
        on = idle[live] < 2
        if not on.any():
            break
        live, jacobian, residual = live[on], jacobian[on], residual[on]
    return theta, loss


def _at(theta: Array, design: Array, target: Array, weight: Array, delta: float) -> tuple[Array, Array, Array]:
    """Loss (fits,), the gradient of each prediction (fits, points, parameters) and the residuals (fits, points)."""
    terms, points, parameters = design.shape
    z = (theta @ design.reshape(-1, parameters).T).reshape(-1, terms, points)
    top = z.max(axis=1)
    share = np.exp(z - top[:, None])
    whole = share.sum(axis=1)
    share /= whole[:, None]
    residual = top + np.log(whole) - target
    jacobian = share[:, 0, :, None] * design[0]
    for term in range(1, terms):
        jacobian += share[:, term, :, None] * design[term]
    size = np.abs(residual)
    loss = np.where(size <= delta, 0.5 * residual**2 / delta, size - 0.5 * delta)
    return (loss * weight).sum(axis=1), jacobian, residual
