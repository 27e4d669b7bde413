"""The kinds of observation and action that a rollout can carry, and the storage of each."""

from __future__ import annotations

from typing import Any

import numpy as np
from gymnasium import spaces


class EnvironmentUnusableError(ValueError):
    """The environment cannot be rolled out here: not installed, or a kind of observation or action that is not read."""


def observation_layout(space: spaces.Space[Any]) -> tuple[tuple[int, ...], str]:
    """Return (shape, dtype) in which one observation is stored.

    A discrete observation is one integer, shape (). A vector of integers or floats keeps its dtype; unsigned integers
    become signed ones that hold them, because absent data is stored as -1.

    Parameters
    ----------
    space
        Observation space of one environment.

    Raises
    ------
    EnvironmentUnusableError
        For images, texts, dictionaries and other spaces.
    """
    if isinstance(space, spaces.Discrete):
        return (), np.dtype(np.int64).name
    vector = isinstance(space, spaces.Box | spaces.MultiDiscrete | spaces.MultiBinary)
    if not vector or len(space.shape or ()) != 1 or space.dtype is None or space.dtype.kind not in "iuf":
        raise EnvironmentUnusableError(
            f"expected a discrete observation or a vector of numbers, got {space}; flatten it in a wrapper"
        )
    dtype = np.dtype(space.dtype)
    if dtype.kind == "u":
        dtype = np.promote_types(dtype, np.int8)
        if dtype.kind != "i":
            raise EnvironmentUnusableError(f"no signed integer holds {space.dtype}: cast it in a wrapper")
    return tuple(space.shape or ()), dtype.name


def action_count(space: spaces.Space[Any]) -> int:
    """Return the number of actions; EnvironmentUnusableError where they do not count from 0."""
    if not isinstance(space, spaces.Discrete) or int(space.start) != 0:
        raise EnvironmentUnusableError(f"expected discrete actions from 0, got {space}")
    return int(space.n)
