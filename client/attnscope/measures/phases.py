"""Early against late: whether attention is another once the policy has learned in context.

A growing context changes every measure by itself, so the phases are compared only at context lengths that both have.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Float, Int64

from attnscope.measures.refusals import NotMeasurableError

EARLY, LATE, NEITHER = 0, 1, -1
"""Values of a phase array."""

MINIMUM_EPISODES = 3
"""Episodes that can be cut into thirds."""


def phases_by_episode(episodes: int) -> Int64[np.ndarray, " episode"]:
    """Return the phase of each of a rollout's finished episodes: first third early, last third late.

    Parameters
    ----------
    episodes
        Number of episodes.

    Raises
    ------
    NotMeasurableError
        Fewer than three episodes.
    """
    third = _third(episodes)
    phase = np.full(episodes, NEITHER, np.int64)
    phase[:third], phase[episodes - third :] = EARLY, LATE
    return phase


def phases_by_return(returns: Float[np.ndarray, "env episode"]) -> Int64[np.ndarray, "env episode"]:
    """Return the phase of each episode by its own return: the lowest third early, the highest third late.

    Episodes whose return equals the other third's bound are in neither, and an environment whose returns are all the
    same has no phases.

    Parameters
    ----------
    returns
        Return of each episode, float [env, episode].

    Raises
    ------
    NotMeasurableError
        Fewer than three episodes.
    """
    third = _third(returns.shape[1])
    ordered = np.sort(returns, axis=1)
    low, high = ordered[:, third - 1, None], ordered[:, -third, None]
    apart = low < high
    return np.where((returns <= low) & apart, EARLY, np.where((returns >= high) & apart, LATE, NEITHER))


def _third(episodes: int) -> int:
    if episodes < MINIMUM_EPISODES:
        raise NotMeasurableError(f"phases need {MINIMUM_EPISODES} finished episodes at least, there are {episodes}")
    return episodes // 3
