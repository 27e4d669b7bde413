"""Darkroom with permuted actions: the goal is known to be the far corner, what each action does is not.

Action a makes the move that the numbering gives to ``permutation[a]``. The permutation belongs to the environment, not
to the episode. The environment never terminates; Gymnasium's time limit truncates it.
"""

from __future__ import annotations

from itertools import permutations
from typing import Any, Final

import gymnasium
import numpy as np
from gymnasium import spaces
from jaxtyping import Int, Int32

from attnscope_env.rooms.actions import numbering
from attnscope_env.rooms.room import DEFAULT_SIZE, walk

ACTIONS: Final = 5
"""Actions of a room: four moves and staying."""

PERMUTATIONS: Final[tuple[tuple[int, ...], ...]] = tuple(permutations(range(ACTIONS)))
"""By task number, in the order of `itertools.permutations`."""

DEFAULT_PERMUTED_HORIZON: Final = 50
"""Steps of an episode."""

UNDRAWN: Final = -1
"""Entry of a permutation that is not drawn yet."""

Observation = Int32[np.ndarray, "coordinate=2"]


class DarkroomPermutedEnv(gymnasium.Env[np.ndarray, np.int64]):
    """One room from corner to corner with one hidden permutation of the actions.

    Where nobody names a permutation, the first reset and every seeded reset draw it.

    Parameters
    ----------
    permutation
        Number of the action that each action is executed as; also ``reset(options={"permutation": ...})``.
    size
        Rows and columns of the room.
    actions
        Name of the action numbering that is permuted.
    """

    metadata: dict[str, Any] = {"render_modes": []}  # noqa: RUF012 - Gymnasium's base class declares it so

    def __init__(
        self, permutation: tuple[int, ...] | None = None, size: int = DEFAULT_SIZE, actions: str = "reference"
    ) -> None:
        self.size = size
        self._moves = numbering(actions).table()
        self._start = np.zeros(2, np.int32)
        self._goal = np.full(2, size - 1, np.int32)
        self._named = None if permutation is None else checked_permutations(permutation)
        self._permutation = self._named
        self._cell = self._start.copy()
        self.observation_space = spaces.Box(0, size - 1, (2,), np.int32)
        self.action_space = spaces.Discrete(ACTIONS)

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Observation, dict[str, Any]]:
        """Go back to the corner; `options` may name another ``permutation``."""
        super().reset(seed=seed)
        if options and "permutation" in options:
            self._named = checked_permutations(options["permutation"])
        if self._named is not None:
            self._permutation = self._named
        elif self._permutation is None or seed is not None:
            self._permutation = draw_permutation(self.np_random)
        self._cell = self._start.copy()
        return self._cell.copy(), self._info()

    def step(self, action: np.int64 | int) -> tuple[Observation, float, bool, bool, dict[str, Any]]:
        """Make the permuted move, clipped at the walls; the reward is 1 where the new cell is the goal."""
        if self._permutation is None:
            raise gymnasium.error.ResetNeeded("the permutation is not drawn yet: call reset() first")
        if not self.action_space.contains(action):
            raise ValueError(f"expected an action below {ACTIONS}, got {action!r}")
        self._cell = walk(self._cell, self._moves[self._permutation[action]], self.size)
        return self._cell.copy(), float(np.array_equal(self._cell, self._goal)), False, False, self._info()

    def _info(self) -> dict[str, Any]:
        return {} if self._permutation is None else {"permutation": self._permutation.copy()}


def checked_permutations(values: object) -> Int[np.ndarray, "... action"]:
    """Return permutations as an array, after checking that each is one.

    Raises
    ------
    ValueError
        A value does not hold every action once.
    """
    array = np.asarray(values)
    if array.ndim == 0 or array.shape[-1] != ACTIONS or array.dtype.kind not in "iu":
        raise ValueError(f"expected a permutation of {ACTIONS} actions, got {values!r}")
    if (np.sort(array, axis=-1) != np.arange(ACTIONS)).any():
        raise ValueError(f"expected every action below {ACTIONS} once in a permutation, got {array.tolist()}")
    return array.astype(np.int64)


def draw_permutation(random: np.random.Generator) -> Int[np.ndarray, " action"]:
    """Return a uniformly drawn permutation."""
    return np.array(PERMUTATIONS[int(random.integers(len(PERMUTATIONS)))], np.int64)
