"""The episodes that a number is of: all, those of a growing or a full context, or the last third."""

from __future__ import annotations

from typing import Final, Literal, get_args

import numpy as np
from jaxtyping import Bool, Float64

from attnscope.trials.results import TrialResults

Phase = Literal["all", "growing", "full", "late"]
"""``full``: the uncompressed context was full at every step of the episode; ``late``: the last third of the episodes.

Of all episodes the mean return is the area under the learning curve.
"""

PHASES: Final[tuple[Phase, ...]] = get_args(Phase)


def episodes_of(results: TrialResults, phase: Phase) -> Bool[np.ndarray, " episode"]:
    """Return which episodes belong to a phase; a trial may have none of them."""
    episodes = results.spec.episodes
    match phase:
        case "growing":
            return ~results.full
        case "full":
            return results.full
        case "late":
            return np.arange(episodes) >= episodes - max(1, episodes // 3)
    return np.ones(episodes, np.bool_)


def binds_from(results: TrialResults, condition: int) -> int:
    """Return the first episode in which a condition drops anything in any rollout; their number where it never does."""
    drops = (results.kept[condition] < results.held[condition] - NOTHING).any(axis=(0, 1))
    return int(np.argmax(drops)) if drops.any() else len(drops)


NOTHING: Final = 1e-6
"""Tokens of a mean over decisions below which nothing was dropped."""


def mean_return(
    results: TrialResults, condition: int, phase: Phase = "all", first: int = 0
) -> Float64[np.ndarray, "seed task"]:
    """Return each rollout's mean return of an episode in a phase; NaN where the phase has no episode.

    Parameters
    ----------
    first
        Earlier episodes do not count.
    """
    chosen = episodes_of(results, phase) & (np.arange(results.spec.episodes) >= first)
    if not chosen.any():
        return np.full(results.returns.shape[1:3], np.nan)
    return np.asarray(results.returns[condition][..., chosen].mean(axis=-1))


def gain(
    results: TrialResults, condition: int, phase: Phase = "all", first: int = 0
) -> Float64[np.ndarray, "seed task"]:
    """Return the same beyond what uniform actions get; NaN where that is not known."""
    return np.asarray(mean_return(results, condition, phase, first) - results.random_return)
