"""The error that a mean has because only some steps were read, apart from the spread between rollouts.

Steps are read in bursts of adjacent ones, drawn at random inside the phases of a rollout (strata), the same steps of
every rollout. So one part of the error is common to all rollouts, and resampling rollouts cannot show it. It is
estimated from the spread between bursts: the variance of a stratified mean of clusters with a correction for the share
of the steps that was read (Cochran, *Sampling Techniques*, 1977, sections 5.6 and 9A.2).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Float64, Int


@dataclass(frozen=True, eq=False)
class StepError:
    """Standard error of means over sampled steps."""

    spread: Float64[np.ndarray, "*cell"]
    """One standard error a cell; 0 where every step was read, NaN where it cannot be told."""
    freedom: int
    """Degrees of freedom behind it: bursts minus strata."""
    within: tuple[float, float] = (-np.inf, np.inf)
    """Least and greatest value that the mean can have."""


def step_error(
    residual: Float[np.ndarray, " burst *cell"],
    stratum: Int[np.ndarray, " burst"],
    read: float,
    within: tuple[float, float] = (-np.inf, np.inf),
) -> StepError:
    """Return the standard error of a mean, from what each burst adds to it.

    Parameters
    ----------
    residual
        How far each burst moves the mean (`RolloutMean.residuals`); the residuals of all bursts sum to 0.
    stratum
        The phase that each burst lies in. A phase with a single burst shows no spread: all then count as one.
    read
        Share of the steps that was read, 0 to 1; at 1 there is no error.
    within
        Least and greatest value that the mean can have, (0, 1) of a share.
    """
    cell = residual.shape[1:]
    if read >= 1:
        return StepError(np.zeros(cell), 1, within)
    count = len(residual)
    if count < 2:  # noqa: PLR2004 - one burst has no spread
        return StepError(np.full(cell, np.nan), 1, within)
    names, place, sizes = np.unique(stratum, return_inverse=True, return_counts=True)
    if (sizes < 2).any():  # noqa: PLR2004 - as above
        names, place, sizes = names[:1], np.zeros(count, np.int64), np.array([count])
    variance = np.zeros(cell)
    for one, size in enumerate(sizes):
        of = residual[place == one]
        variance += size / (size - 1) * np.square(of - of.mean(axis=0)).sum(axis=0)
    return StepError(np.asarray(np.sqrt((1 - read) * variance)), count - len(names), within)
