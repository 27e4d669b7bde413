"""Darkroom: a dark square room, a hidden goal cell, one reward for every step that ends on it.

The environment never terminates; the time limit that Gymnasium adds truncates it. It does not know splits,
presets or policies.
"""

from __future__ import annotations

from typing import Any

import gymnasium
import numpy as np
from gymnasium import spaces
from jaxtyping import Int32

from attnscope_env.rooms.actions import numbering
from attnscope_env.rooms.room import DEFAULT_SIZE, Cell, draw_cell, one_cell, start_cell, walk

Observation = Int32[np.ndarray, "coordinate=2"]


class DarkroomEnv(gymnasium.Env[np.ndarray, np.int64]):
    """One room with one hidden goal.

    The goal belongs to the environment, not to the episode: it stays until a reset names another one. Where nobody
    names one, the first reset and every seeded reset draw it.

    Parameters
    ----------
    goal
        (row, column) of the goal; also ``reset(options={"goal": ...})``.
    size
        Rows and columns of the room.
    actions
        Name of the action numbering.
    start
        Cell where episodes start; the centre if None.
    """

    metadata: dict[str, Any] = {"render_modes": []}  # noqa: RUF012 - Gymnasium's base class declares it so

    def __init__(
        self,
        goal: Cell | None = None,
        size: int = DEFAULT_SIZE,
        actions: str = "reference",
        start: Cell | None = None,
    ) -> None:
        self.size = size
        self._moves = numbering(actions).table()
        self._start = start_cell(size, start)
        self._named_goal = None if goal is None else one_cell(goal, size, "goal")
        self._goal = self._named_goal
        self._cell = self._start.copy()
        self.observation_space = spaces.Box(0, size - 1, (2,), np.int32)
        self.action_space = spaces.Discrete(len(self._moves))

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Observation, dict[str, Any]]:
        """Go back to the start; `options` may name another ``goal``."""
        super().reset(seed=seed)
        if options and "goal" in options:
            self._named_goal = one_cell(options["goal"], self.size, "goal")
        if self._named_goal is not None:
            self._goal = self._named_goal
        elif self._goal is None or seed is not None:
            self._goal = draw_cell(self.np_random, self.size)
        self._cell = self._start.copy()
        return self._cell.copy(), {"goal": self._goal.copy()}

    def step(self, action: np.int64 | int) -> tuple[Observation, float, bool, bool, dict[str, Any]]:
        """Move, clipped at the walls; the reward is 1 where the new cell is the goal."""
        if self._goal is None:
            raise gymnasium.error.ResetNeeded("the goal is not drawn yet: call reset() first")
        if not self.action_space.contains(action):
            raise ValueError(f"expected an action below {len(self._moves)}, got {action!r}")
        self._cell = walk(self._cell, self._moves[action], self.size)
        reward = float(np.array_equal(self._cell, self._goal))
        return self._cell.copy(), reward, False, False, {"goal": self._goal.copy()}
