"""Early against late: whether attention is another once the policy has learned in context.

A growing context changes every measure by itself, so the phases are compared only at context lengths that both have.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Float64, Int, Int64

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


@dataclass(frozen=True, eq=False)
class PhaseMeans:
    """A measure in two phases, over context lengths that both have, the same weight on each length."""

    early: Float64[np.ndarray, " env *cell"]
    late: Float64[np.ndarray, " env *cell"]
    steps: Int64[np.ndarray, " env"]
    """Steps of each phase that were compared."""

    @property
    def change(self) -> Float64[np.ndarray, " env *cell"]:
        """Late minus early, one number a rollout: what an interval is taken of."""
        return np.asarray(self.late - self.early)


def phase_means(
    values: Float[np.ndarray, "step env *cell"],
    length: Int[np.ndarray, "step env"],
    phase: Int[np.ndarray, "step env"],
) -> PhaseMeans:
    """Return the means of a measure in both phases at equal context lengths; NaN where they share no length.

    Each environment is compared with itself. A length that one phase has n times and the other m times counts min(n,
    m) times in both.

    Parameters
    ----------
    values
        A measure of every step, environment, layer and head, float [step, env, *cell]; NaN is left out.
    length
        Tokens of the context, the query among them, int [step, env].
    phase
        Phase of each decision, from 0, int [step, env]; -1 belongs to none.
    """
    envs = values.shape[1]
    means = np.full((2, envs, *values.shape[2:]), np.nan)
    steps = np.zeros(envs, np.int64)
    for env in range(envs):
        weight = _matched(length[:, env], phase[:, env])
        steps[env] = round(float(weight[phase[:, env] == EARLY].sum()))
        if steps[env]:
            for which in (EARLY, LATE):
                chosen = phase[:, env] == which
                means[which, env] = np.average(values[chosen, env], axis=0, weights=weight[chosen])
    return PhaseMeans(means[EARLY], means[LATE], steps)


def _matched(length: Int[np.ndarray, " step"], phase: Int[np.ndarray, " step"]) -> Float64[np.ndarray, " step"]:
    """Return a weight for every step, so that both phases have the same total at every context length."""
    weight = np.zeros(len(length))
    for value in np.unique(length):
        at: Bool[np.ndarray, " step"] = length == value
        counts = [(at & (phase == which)).sum() for which in (EARLY, LATE)]
        for which, count in zip((EARLY, LATE), counts, strict=True):
            if count:
                weight[at & (phase == which)] = min(counts) / count
    return weight


def _third(episodes: int) -> int:
    if episodes < MINIMUM_EPISODES:
        raise NotMeasurableError(f"phases need {MINIMUM_EPISODES} finished episodes at least, there are {episodes}")
    return episodes // 3
