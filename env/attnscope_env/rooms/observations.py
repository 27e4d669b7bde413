"""The kinds of observation and action that a rollout can carry, and the storage of each."""

from __future__ import annotations

import math
from typing import Any, Final, NamedTuple

import numpy as np
from gymnasium import spaces

MAX_GRID: Final = 4096
"""Integers of an observation that is a grid, at most: a 5×5×2 view of XLand-MiniGrid has 50."""


class EnvironmentUnusableError(ValueError):
    """The environment cannot be rolled out here: not installed, or a kind of observation or action that is not read."""


def observation_layout(space: spaces.Space[Any]) -> tuple[tuple[int, ...], str]:
    """Return (shape, dtype) in which one observation is stored.

    A discrete observation is one integer, shape (). A vector of integers or floats keeps its dtype; unsigned integers
    become signed ones that hold them, because absent data is stored as -1. A small grid of integers, such as the kinds
    and colours of tiles, keeps its axes; its unsigned bytes become int8 where no number is above 127.

    Parameters
    ----------
    space
        Observation space of one environment.

    Raises
    ------
    EnvironmentUnusableError
        For pictures, texts, dictionaries and other spaces.
    """
    if isinstance(space, spaces.Discrete):
        return (), np.dtype(np.int64).name
    numbers = isinstance(space, spaces.Box | spaces.MultiDiscrete | spaces.MultiBinary)
    axes, dtype = len(space.shape or ()), np.dtype(space.dtype or object)
    if not numbers or axes not in (1, 2, 3) or dtype.kind not in "iuf" or (axes > 1 and dtype.kind == "f"):
        raise EnvironmentUnusableError(
            "expected a discrete observation, a vector of numbers or a small grid of integers, got "
            f"{space}; flatten it in a wrapper"
        )
    if axes > 1 and (size := math.prod(space.shape or ())) > MAX_GRID:
        raise EnvironmentUnusableError(
            f"expected a grid of at most {MAX_GRID} integers, got {size} of {space}: a capture stores each twice a "
            "step; encode pictures in a wrapper"
        )
    if axes > 1 and isinstance(space, spaces.Box) and dtype == np.uint8 and space.high.max() <= np.iinfo(np.int8).max:
        dtype = np.dtype(np.int8)
    if dtype.kind == "u":
        dtype = np.promote_types(dtype, np.int8)
        if dtype.kind != "i":
            raise EnvironmentUnusableError(f"no signed integer holds {space.dtype}: cast it in a wrapper")
    return tuple(space.shape or ()), dtype.name


class ActionLayout(NamedTuple):
    """The kind and the sizes of an action."""

    actions: int
    """Actions to choose from, those of all branches together; or the numbers of an action vector."""
    branches: tuple[int, ...] = ()
    """Sizes of independent choices; empty where there is one."""
    continuous: bool = False
    """True where an action is a vector."""

    @property
    def words(self) -> str:
        """The sizes in words."""
        if self.continuous:
            return f"vectors of {self.actions} numbers as actions"
        return f"{self.actions} actions" + (f" in branches of {list(self.branches)}" if self.branches else "")


def action_layout(space: spaces.Space[Any]) -> ActionLayout:
    """Return the kind and the sizes of a space's actions.

    Raises
    ------
    EnvironmentUnusableError
        They do not count from 0, or are no vector of real numbers.
    """
    if isinstance(space, spaces.Discrete) and int(space.start) == 0:
        return ActionLayout(int(space.n))
    if isinstance(space, spaces.MultiDiscrete) and space.nvec.ndim == 1 and not space.start.any():
        branches = tuple(int(size) for size in space.nvec)
        return ActionLayout(sum(branches), branches)
    if isinstance(space, spaces.Box) and len(space.shape) == 1 and np.dtype(space.dtype).kind == "f":
        return ActionLayout(space.shape[0], continuous=True)
    raise EnvironmentUnusableError(
        f"expected discrete actions from 0, several of them (MultiDiscrete), or vectors of real numbers, got {space}"
    )
