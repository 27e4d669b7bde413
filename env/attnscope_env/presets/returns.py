"""The return of an episode for one who knows the task, and for uniform actions. Exact, nothing is sampled."""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache

import numpy as np
from jaxtyping import Float64, Int

from attnscope_env.rooms.actions import successors


def distance(one: tuple[int, int], other: tuple[int, int]) -> int:
    """Return the steps of a shortest way between two cells."""
    return abs(one[0] - other[0]) + abs(one[1] - other[1])


def optimal_return(goal: tuple[int, int], start: tuple[int, int], horizon: int) -> int:
    """Return the return of walking to the goal and staying: ``horizon + 1 - distance``, within 0 and `horizon`."""
    return max(0, min(horizon, horizon + 1 - distance(goal, start)))


def optimal_key_to_door(key: tuple[int, int], door: tuple[int, int], start: tuple[int, int], horizon: int) -> int:
    """Return what the shortest way to the key and on to the door earns in an episode: 0, 1 or 2.

    Each of the two takes a step of its own, also where the cell is the one that one stands on.
    """
    to_key = max(1, distance(start, key))
    to_door = to_key + max(1, distance(key, door))
    return int(to_key <= horizon) + int(to_door <= horizon)


@lru_cache(maxsize=64)
def random_returns(size: int, start: tuple[int, int], horizon: int, actions: str) -> Float64[np.ndarray, "row column"]:
    """Return the expected return of uniform actions in a Darkroom, for a goal in each cell.

    The walk is a Markov chain over cells; its occupation of a cell, summed over the episode, is what a goal there is
    worth. The array is shared between callers and read-only.
    """
    after = successors(size, actions)
    here: np.ndarray = np.zeros(size * size)
    here[start[0] * size + start[1]] = 1.0
    total: np.ndarray = np.zeros(size * size)
    for _ in range(horizon):
        here = np.bincount(after.ravel(), np.tile(here / len(after), len(after)), size * size)
        total += here
    worth = total.reshape(size, size)
    worth.flags.writeable = False
    return worth


@lru_cache(maxsize=8)
def random_key_to_door(size: int, start: tuple[int, int], horizon: int, actions: str) -> Float64[np.ndarray, "k d"]:
    """Return the expected return of uniform actions in a dark key-to-door room, by the numbers of its two cells.

    The key is worth the probability of hitting it within the episode; the door, summed over the step that finds the
    key, that of hitting it from there in what is left. The array is shared between callers and read-only.
    """
    after = successors(size, actions)
    first = start[0] * size + start[1]
    from_start = np.stack([hit[first] for hit in _hits(after, horizon)])
    finds = np.diff(from_start, axis=0)  # [step, key]: found at exactly this step
    worth = np.tile(from_start[-1][:, None], (1, size * size))
    for left, hit in zip(range(horizon), _hits(after, horizon), strict=False):
        worth += finds[horizon - 1 - left][:, None] * hit
    worth.flags.writeable = False
    return worth


def _hits(after: Int[np.ndarray, "action cell"], horizon: int) -> Iterator[Float64[np.ndarray, "cell target"]]:
    """Yield the probability that uniform actions from a cell hit a target within 0, 1, … `horizon` steps."""
    cells = np.arange(after.shape[1])
    hit = np.zeros((len(cells), len(cells)))
    yield hit
    for _ in range(horizon):
        following = np.zeros_like(hit)
        for reached in after:
            arrived = hit[reached]
            arrived[cells, reached] = 1.0
            following += arrived / len(after)
        hit = following
        yield hit
