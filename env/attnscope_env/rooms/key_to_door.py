"""Dark key-to-door: a dark square room with a hidden key and a hidden door that only counts once the key was found.

One reward for the first step that ends on the key, one for the first later step that ends on the door: 2 at most.
Whether the key was found is not observed. The environment never terminates; Gymnasium's time limit truncates it.
"""

from __future__ import annotations

from typing import Any, Final

import gymnasium
import numpy as np
from gymnasium import spaces
from jaxtyping import Int32

from attnscope_env.rooms.actions import numbering
from attnscope_env.rooms.room import DEFAULT_SIZE, Cell, draw_cell, one_cell, start_cell, walk

DEFAULT_KEY_HORIZON: Final = 50
"""Steps of an episode."""

Observation = Int32[np.ndarray, "coordinate=2"]


class DarkKeyToDoorEnv(gymnasium.Env[np.ndarray, np.int64]):
    """One room with one hidden key and one hidden door, which may share a cell.

    Both belong to the environment, not to the episode: they stay until a reset names others. What nobody names, the
    first reset and every seeded reset draw, the key first.

    Parameters
    ----------
    key, door
        (row, column); also ``reset(options={"key": ..., "door": ...})``.
    size, actions, start
        As in `DarkroomEnv`.
    """

    metadata: dict[str, Any] = {"render_modes": []}  # noqa: RUF012 - Gymnasium's base class declares it so

    def __init__(
        self,
        key: Cell | None = None,
        door: Cell | None = None,
        size: int = DEFAULT_SIZE,
        actions: str = "reference",
        start: Cell | None = None,
    ) -> None:
        self.size = size
        self._moves = numbering(actions).table()
        self._start = start_cell(size, start)
        given = {"key": key, "door": door}
        self._named = {what: one_cell(cell, size, what) for what, cell in given.items() if cell is not None}
        self._cells = dict(self._named)
        self._cell = self._start.copy()
        self._has_key = self._opened = False
        self.observation_space = spaces.Box(0, size - 1, (2,), np.int32)
        self.action_space = spaces.Discrete(len(self._moves))

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Observation, dict[str, Any]]:
        """Go back to the start, without the key; `options` may name another ``key`` and ``door``."""
        super().reset(seed=seed)
        for what in ("key", "door"):
            if options and what in options:
                self._named[what] = one_cell(options[what], self.size, what)
            if what in self._named:
                self._cells[what] = self._named[what]
            elif what not in self._cells or seed is not None:
                self._cells[what] = draw_cell(self.np_random, self.size)
        self._cell = self._start.copy()
        self._has_key = self._opened = False
        return self._cell.copy(), self._info()

    def step(self, action: np.int64 | int) -> tuple[Observation, float, bool, bool, dict[str, Any]]:
        """Move, clipped at the walls; 1 for finding the key, 1 for reaching the door on a later step."""
        if len(self._cells) < 2:  # noqa: PLR2004 - key and door
            raise gymnasium.error.ResetNeeded("key and door are not drawn yet: call reset() first")
        if not self.action_space.contains(action):
            raise ValueError(f"expected an action below {len(self._moves)}, got {action!r}")
        self._cell = walk(self._cell, self._moves[action], self.size)
        finds = not self._has_key and np.array_equal(self._cell, self._cells["key"])
        opens = self._has_key and not self._opened and np.array_equal(self._cell, self._cells["door"])
        self._has_key |= finds
        self._opened |= opens
        return self._cell.copy(), float(finds or opens), False, False, self._info()

    def _info(self) -> dict[str, Any]:
        return {
            "key": self._cells["key"].copy(),
            "door": self._cells["door"].copy(),
            "has_key": self._has_key,
            "success": self._opened,
        }
