"""Dark key-to-door for many tasks at once, stepped as arrays; equal to the single environment step by step."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from gymnasium import spaces
from gymnasium.utils import seeding
from gymnasium.vector import AutoresetMode
from jaxtyping import Bool, Float64, Int, Int32

from attnscope_env.rooms.actions import successors
from attnscope_env.rooms.array_vector import ArrayVectorEnv, Rooms, count
from attnscope_env.rooms.key_to_door import DEFAULT_KEY_HORIZON
from attnscope_env.rooms.room import DEFAULT_SIZE, Cell, cell_coordinates, cell_number, cells, draw_cell, start_cell

Cells = Int[np.ndarray, "env 2"] | Sequence[Cell]


class DarkKeyToDoorVectorEnv(ArrayVectorEnv):
    """Many rooms, one key and one door each.

    Parameters
    ----------
    keys, doors
        int [env, 2]; None draws a cell for each room, as the single environment would. Also
        ``reset(options={"key": ..., "door": ...})``, [2] or [env, 2].
    num_envs
        Number of rooms where neither gives it.
    size, actions, start
        As in `DarkroomEnv`.
    horizon, autoreset_mode
        As in `ArrayVectorEnv`.
    """

    def __init__(
        self,
        keys: Cells | None = None,
        doors: Cells | None = None,
        *,
        num_envs: int | None = None,
        size: int = DEFAULT_SIZE,
        horizon: int = DEFAULT_KEY_HORIZON,
        actions: str = "reference",
        start: Cell | None = None,
        autoreset_mode: AutoresetMode | str = AutoresetMode.SAME_STEP,
    ) -> None:
        given = {"key": keys, "door": doors}
        named = {
            what: cells(value, size, f"{what}s").reshape(-1, 2) for what, value in given.items() if value is not None
        }
        self.size = size
        self._after, self._coordinates = successors(size, actions), cell_coordinates(size)
        self._start = cell_number(start_cell(size, start), size)
        envs = num_envs if not named else count(next(iter(named.values())), num_envs, "keys and doors")
        super().__init__(
            count(named.get("door"), envs, "keys and doors"),
            spaces.Box(0, size - 1, (2,), np.int32),
            len(self._after),
            horizon=horizon,
            autoreset_mode=autoreset_mode,
        )
        blank = np.full((self.num_envs, 2), -1, np.int32)
        self._targets = {what: named.get(what, blank).copy() for what in given}
        self._named = {what: np.full(self.num_envs, what in named) for what in given}
        self._cell = np.full(self.num_envs, self._start)
        self._numbers = {what: cell_number(held, size) for what, held in self._targets.items()}
        self._has_key = np.zeros(self.num_envs, np.bool_)
        self._opened = np.zeros(self.num_envs, np.bool_)

    @property
    def keys(self) -> Int32[np.ndarray, "env 2"]:
        """The key's cell of every room; -1 where none is drawn yet."""
        return self._targets["key"].copy()

    @property
    def doors(self) -> Int32[np.ndarray, "env 2"]:
        """The door's cell of every room; -1 where none is drawn yet."""
        return self._targets["door"].copy()

    def _name(self, options: dict[str, Any], chosen: Rooms) -> None:
        for what, held in self._targets.items():
            if what in options:
                value = np.broadcast_to(cells(options[what], self.size, what), (self.num_envs, 2))
                held[chosen] = value[chosen]
                self._named[what][chosen] = True

    def _seed(self, seeds: list[int | None], chosen: Rooms) -> None:
        unnamed = ~self._named["key"] | ~self._named["door"]
        for i in np.flatnonzero(chosen & unnamed):
            random = seeding.np_random(seeds[i])[0]
            for what, held in self._targets.items():
                if not self._named[what][i] and (seeds[i] is not None or held[i, 0] < 0):
                    held[i] = draw_cell(random, self.size)
        self._numbers = {what: cell_number(held, self.size) for what, held in self._targets.items()}

    def _begin(self, chosen: Rooms) -> None:
        self._cell[chosen] = self._start
        self._has_key[chosen] = False
        self._opened[chosen] = False

    def _advance(
        self, actions: Int[np.ndarray, " env"], moving: Rooms
    ) -> tuple[Float64[np.ndarray, " env"], Bool[np.ndarray, " env"]]:
        self._cell = self._after[actions, self._cell]
        finds = (self._cell == self._numbers["key"]) & ~self._has_key
        opens = (self._cell == self._numbers["door"]) & self._has_key & ~self._opened
        self._has_key |= finds
        self._opened |= opens
        return (finds | opens).astype(np.float64), np.zeros_like(moving)

    def _observe(self) -> Int32[np.ndarray, "env 2"]:
        observations: Int32[np.ndarray, "env 2"] = self._coordinates[self._cell]
        return observations

    def _info(self) -> dict[str, np.ndarray]:
        return {
            "key": self.keys,
            "door": self.doors,
            "has_key": self._has_key.copy(),
            "success": self._opened.copy(),
        }

    def _is_drawn(self) -> bool:
        return all(bool((held >= 0).all()) for held in self._targets.values())


def key_to_door_vector(
    num_envs: int = 1,
    *,
    max_episode_steps: int = DEFAULT_KEY_HORIZON,
    key: Cell | None = None,
    door: Cell | None = None,
    keys: Cells | None = None,
    doors: Cells | None = None,
    **kwargs: Any,  # noqa: ANN401 - passed on to DarkKeyToDoorVectorEnv, which checks them
) -> DarkKeyToDoorVectorEnv:
    """Build the vector environment under the names that `gymnasium.make_vec` uses."""
    if (key is not None and keys is not None) or (door is not None and doors is not None):
        raise ValueError("name one key or door, or one for each room, not both")
    return DarkKeyToDoorVectorEnv(
        np.tile(np.asarray(key), (num_envs, 1)) if key is not None else keys,
        np.tile(np.asarray(door), (num_envs, 1)) if door is not None else doors,
        num_envs=num_envs,
        horizon=max_episode_steps,
        **kwargs,
    )
