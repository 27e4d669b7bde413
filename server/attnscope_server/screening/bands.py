"""The parts of a history that a screen leaves out one at a time: bands of ages and episodes. Imports no torch."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import Final

import numpy as np
from jaxtyping import Bool

from attnscope_model.compression import default_positions
from attnscope_storage.wire import PolicyDescription
from attnscope_storage.wire.specifications.arms import PositionPolicy

Band = tuple[int, int]
"""The youngest and the oldest age of a band."""

GROWTH: Final = 1.5
"""Ratio of the ages at which two bands begin, about: ages are spread evenly on a logarithmic axis."""

MOST_EPISODES: Final = 12
"""Episodes back that are left out one by one, at most."""


def bands_of(transitions: int) -> tuple[Band, ...]:
    """Return bands that cover the ages of a full context, each about half as wide again as the last.

    Parameters
    ----------
    transitions
        Transitions of a full context.
    """
    starts = [1]
    while starts[-1] <= transitions:
        starts.append(max(starts[-1] + 1, round(starts[-1] * GROWTH)))
    return tuple((first, min(after - 1, transitions)) for first, after in pairwise(starts))


def episodes_back(transitions: int, horizon: int) -> int:
    """Return how many episodes a full context can touch, at most `MOST_EPISODES`."""
    return min(MOST_EPISODES, -(-transitions // max(1, horizon)) + 1)


def episodes_touched(ended: Bool[np.ndarray, "rollout step"], transitions: int) -> int:
    """Return the most episodes that a window of these rollouts touches, at most `MOST_EPISODES`."""
    number = np.cumsum(ended, axis=1) - ended
    oldest = np.maximum(np.arange(number.shape[1]) - transitions, 0)
    return min(MOST_EPISODES, int((number - number[:, oldest]).max()) + 1)


@dataclass(frozen=True)
class Ages:
    """The parts that are left out, one at a time."""

    bands: tuple[Band, ...]
    episodes: int
    """Episodes back, the decision's own counted."""
    positions: PositionPolicy
    """The positions of the other transitions."""


def ages_of(policy: PolicyDescription, episodes: int) -> Ages:
    """Return the parts of a policy's history that are left out one at a time.

    Parameters
    ----------
    episodes
        Episodes back that are left out one by one.
    """
    return Ages(bands_of(policy.transitions), episodes, default_positions(policy))
