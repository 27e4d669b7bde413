"""Probabilities that a sequential test crosses its bounds, by numerical integration of the joint normal distribution.

The score of a test with independent increments is a Brownian motion with drift, seen at information fractions.
Its density between the bounds goes from look to look on Gauss–Legendre nodes (Armitage, McPherson and Rowe, 1969).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np
from jaxtyping import Float
from scipy.special import ndtr

NODES = 128
"""Quadrature nodes a look; doubling them moves no probability by 1e-9."""

REACH = 9.0
"""Standard deviations beyond which an open side is cut off."""


@dataclass(frozen=True)
class Crossing:
    """Probabilities of first crossing a bound, look by look."""

    safe: Float[np.ndarray, " look"]
    """First crossing above the safe bound."""

    harm: Float[np.ndarray, " look"]
    """First crossing below the harm bound."""


@cache
def _nodes() -> tuple[Float[np.ndarray, " node"], Float[np.ndarray, " node"]]:
    nodes, weights = np.polynomial.legendre.leggauss(NODES)
    return nodes, weights


def crossing(
    fractions: Sequence[float],
    safe: Sequence[float] | None = None,
    harm: Sequence[float] | None = None,
    drift: float = 0.0,
    start: tuple[float, float] = (0.0, 0.0),
) -> Crossing:
    """First-crossing probabilities of a test that is looked at several times.

    Parameters
    ----------
    fractions
        Information at every look, increasing, as a share of the planned information.
    safe, harm
        Bounds as z values, crossed above ``safe`` or below ``-harm``; infinite or absent where a side is never crossed.
    drift
        Expectation of the z value at full information.
    start
        Information fraction and z value already observed; (0, 0) before the first look.

    Raises
    ------
    ValueError
        If the fractions do not increase from the start.
    """
    times = np.asarray(fractions, dtype=np.float64)
    before = np.concatenate([[start[0]], times[:-1]])
    if np.any(times <= before):
        raise ValueError(f"information must grow from look to look, got {[start[0], *times.tolist()]}")
    centre, spread = drift * times, REACH * np.sqrt(times)
    ceiling, floor = centre + spread, centre - spread
    above = ceiling if safe is None else np.minimum(np.asarray(safe) * np.sqrt(times), ceiling)
    below = floor if harm is None else np.maximum(-np.asarray(harm) * np.sqrt(times), floor)
    points, mass = np.array([start[1] * np.sqrt(start[0])]), np.array([1.0])
    crossed_safe, crossed_harm = np.zeros(len(times)), np.zeros(len(times))
    for look, step in enumerate(times - before):
        scale, moved = np.sqrt(step), points + drift * step
        upper, lower = above[look], min(below[look], above[look])
        if safe is not None:
            crossed_safe[look] = mass @ ndtr((moved - upper) / scale)
        if harm is not None:
            crossed_harm[look] = mass @ ndtr((lower - moved) / scale)
        nodes, weights = _nodes()
        points = (lower + upper) / 2 + (upper - lower) / 2 * nodes
        density = np.exp(-0.5 * ((points[None, :] - moved[:, None]) / scale) ** 2) / (scale * np.sqrt(2 * np.pi))
        mass = (mass @ density) * weights * (upper - lower) / 2
    return Crossing(crossed_safe, crossed_harm)
