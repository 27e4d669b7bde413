"""What a Darkroom episode is worth: to one who knows the goal, and to uniform actions. Exact, nothing is sampled."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from jaxtyping import Float64

from attnscope_env.actions import numbering


def optimal_return(goal: tuple[int, int], start: tuple[int, int], horizon: int) -> int:
    """Return the return of walking to the goal and staying: ``horizon + 1 - distance``, within 0 and `horizon`."""
    distance = abs(goal[0] - start[0]) + abs(goal[1] - start[1])
    return max(0, min(horizon, horizon + 1 - distance))


@lru_cache(maxsize=64)
def random_returns(size: int, start: tuple[int, int], horizon: int, actions: str) -> Float64[np.ndarray, "row column"]:
    """Return the expected return of uniform actions, for a goal in each cell.

    The walk is a Markov chain over cells; its occupation of a cell, summed over the episode, is what a goal there is
    worth. The array is shared between callers and read-only.
    """
    moves = numbering(actions).table()
    row, column = np.divmod(np.arange(size * size), size)
    after = np.clip(row + moves[:, :1], 0, size - 1) * size + np.clip(column + moves[:, 1:], 0, size - 1)
    here: np.ndarray = np.zeros(size * size)
    here[start[0] * size + start[1]] = 1.0
    total: np.ndarray = np.zeros(size * size)
    for _ in range(horizon):
        here = np.bincount(after.ravel(), np.tile(here / len(moves), len(moves)), size * size)
        total += here
    worth = total.reshape(size, size)
    worth.flags.writeable = False
    return worth
