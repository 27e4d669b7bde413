"""A rising curve through points, by pooling adjacent violators; the least squares among all that never fall."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float, Float64


def fitted(x: Float[np.ndarray, " point"], y: Float[np.ndarray, " point"]) -> Float64[np.ndarray, "knot 2"]:
    """Return the knots (x, y) of the rising curve: the mean of every pool of points.

    Between knots the curve is a line; outside it stays at the first and the last knot.

    Parameters
    ----------
    x, y
        The points, in any order; those of equal x are one.
    """
    places, which, many = np.unique(x, return_inverse=True, return_counts=True)
    means = np.bincount(which, y) / many
    pools: list[tuple[float, float, float]] = []  # weight, mean x, mean y
    for one in zip(many.astype(float), places, means, strict=True):
        pool = one
        while pools and pools[-1][2] >= pool[2]:
            last = pools.pop()
            weight = last[0] + pool[0]
            pool = weight, *((last[0] * a + pool[0] * b) / weight for a, b in zip(last[1:], pool[1:], strict=True))
        pools.append(pool)
    return np.array([pool[1:] for pool in pools], np.float64).reshape(-1, 2)


def at(knots: Float[np.ndarray, "knot 2"], x: Float[np.ndarray, " point"]) -> Float64[np.ndarray, " point"]:
    """Return the curve's height."""
    return np.asarray(np.interp(x, knots[:, 0], knots[:, 1]), np.float64)
