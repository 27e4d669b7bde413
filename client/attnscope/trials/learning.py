"""Learning in context under compression: curves, and the episodes until a share of the baseline is reached."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from jaxtyping import Float, Float64

from attnscope.measures.intervals import Interval
from attnscope.trials.bootstrap import ENOUGH, NORMAL, TAILS, PairedBootstrap, student
from attnscope.trials.results import TrialResults

LEVELS: Final = (0.5, 0.75, 0.9)
"""Shares of the baseline's final return."""

SMOOTHED: Final = 20
"""Episodes of the running mean, at most; a fifth of the episodes where there are fewer than a hundred."""


@dataclass(frozen=True)
class Reached:
    """The first episode, counted from 1, whose running mean has reached a level; NaN: not within the trial."""

    level: float
    episode: float
    low: float
    high: float
    """Infinite where some samples never reach it; NaN where nothing can be resampled."""
    baseline: float
    """Of the uncompressed rollout."""


def curve(results: TrialResults, condition: int, bootstrap: PairedBootstrap) -> Interval:
    """Return the mean return of each episode with its interval."""
    values = results.returns[condition]
    mean = values.mean(axis=(0, 1))
    if not bootstrap.informative:
        nothing = np.full_like(mean, np.nan)
        return Interval(mean, nothing, nothing.copy(), reliable=False)
    freedom = bootstrap.freedom(values.mean(axis=-1))
    low, high = np.quantile(bootstrap.means(values), TAILS, axis=0)
    wider = student(freedom) / NORMAL
    return Interval(mean, mean - wider * (mean - low), mean - wider * (mean - high), freedom >= ENOUGH)


def running(values: Float[np.ndarray, "*batch episode"]) -> Float64[np.ndarray, "*batch episode"]:
    """Return the mean of each episode and those before it, up to a fifth of the episodes and `SMOOTHED`."""
    episodes = values.shape[-1]
    window = max(1, min(SMOOTHED, episodes // 5))
    total = np.cumsum(np.asarray(values, np.float64), axis=-1)
    before = np.concatenate([np.zeros((*total.shape[:-1], window)), total], axis=-1)[..., :episodes]
    return np.asarray((total - before) / np.minimum(np.arange(1, episodes + 1), window))


def episodes_to(results: TrialResults, condition: int, bootstrap: PairedBootstrap) -> tuple[Reached, ...]:
    """Return the episodes until `LEVELS` of the uncompressed rollout's final return, beyond that of uniform actions.

    Levels are shares of (final − random), so that a policy which acts at random has reached none of them; where
    random is not known, shares of the final return itself.
    """
    floor = np.nan_to_num(results.random_return)
    gains = [results.returns[place] - floor[None, :, None] for place in (condition, results.against(condition))]
    mean = [running(one.mean(axis=(0, 1))) for one in gains]
    drawn = [running(bootstrap.means(one)) for one in gains]
    found = []
    for level in LEVELS:
        goal = level * mean[1][-1]
        episode, baseline = (float(_first(one[None], np.array([goal]))[0]) for one in mean)
        reached = np.nan_to_num(_first(drawn[0], level * drawn[1][:, -1]), nan=np.inf)
        low, high = (
            np.quantile(reached, TAILS, method="nearest") if bootstrap.informative else (float("nan"), float("nan"))
        )
        found.append(Reached(level, episode, float(low), float(high), baseline))
    return tuple(found)


def _first(
    values: Float[np.ndarray, "sample episode"], goal: Float[np.ndarray, " sample"]
) -> Float64[np.ndarray, " sample"]:
    """Return the first episode at which each line is at its goal; NaN where it never is, or there is no goal."""
    there = (values >= goal[:, None]) & (goal[:, None] > 0)
    return np.where(there.any(axis=1), there.argmax(axis=1) + 1.0, np.nan)
