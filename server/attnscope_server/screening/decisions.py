"""The decisions that a screen judges: spread over tasks, rollouts and time, by a seed."""

from __future__ import annotations

from typing import Final

import numpy as np
from jaxtyping import Int

DECISIONS: Final = 512
"""Decisions that a screen judges, where nothing else is asked for."""

EACH: Final = 8
"""Decisions of a rollout, at least: with more rollouts than that allows, some are left out."""


def chosen_rollouts(task: Int[np.ndarray, " rollout"], decisions: int) -> Int[np.ndarray, " chosen"]:
    """Return the rollouts that are judged, in order: all, or as many of each task as `EACH` decisions a rollout allow.

    Tasks give in turns, each its first rollout first.
    """
    most = max(1, decisions // EACH)
    if len(task) <= most:
        return np.arange(len(task))
    turn = np.zeros(len(task), np.int64)
    for value in np.unique(task):
        mine = np.flatnonzero(task == value)
        turn[mine] = np.arange(len(mine))
    return np.sort(np.lexsort((task, turn))[:most])


def chosen_steps(
    steps: int, rollouts: Int[np.ndarray, " chosen"], decisions: int, seed: int
) -> Int[np.ndarray, "chosen decision"]:
    """Return the steps of every rollout that are judged, in order.

    A rollout is cut into as many equal stretches as it has decisions to give, and one step is drawn of each: so every
    phase of a rollout gives as many as its length is worth. The draw depends on the seed and on the rollout's number.
    """
    each = min(steps, max(1, -(-decisions // len(rollouts))))
    edges = np.arange(each + 1) * steps // each
    drawn = np.stack([np.random.default_rng((seed, int(rollout))).random(each) for rollout in rollouts])
    return np.asarray(edges[:-1] + np.floor(drawn * np.diff(edges)), np.int64)
