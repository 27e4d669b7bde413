"""Darkroom for many goals at once, stepped as arrays; equal to the single environment step by step."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from gymnasium import spaces
from gymnasium.utils import seeding
from gymnasium.vector import AutoresetMode
from jaxtyping import Bool, Float64, Int, Int32

from attnscope_env.rooms.actions import numbering, successors
from attnscope_env.rooms.array_vector import ArrayVectorEnv, Rooms, count
from attnscope_env.rooms.room import (
    DEFAULT_HORIZON,
    DEFAULT_SIZE,
    Cell,
    cell_coordinates,
    cell_number,
    cells,
    draw_cell,
    start_cell,
)


@dataclass(frozen=True)
class DarkroomState:
    """Darkrooms at one moment, as plain arrays."""

    size: int
    horizon: int
    moves: Int[np.ndarray, "action 2"]
    start: Int32[np.ndarray, 2]
    goals: Int32[np.ndarray, "env 2"]
    cells: Int32[np.ndarray, "env 2"]
    elapsed: Int[np.ndarray, " env"]
    """Steps of each room's episode so far."""


class DarkroomVectorEnv(ArrayVectorEnv):
    """Many rooms, one goal each.

    Parameters
    ----------
    goals
        int [env, 2]; None draws a goal for each room, as the single environment would. Also
        ``reset(options={"goal": ...})``, [2] or [env, 2].
    num_envs
        Number of rooms where `goals` does not give it.
    size, actions, start
        As in `DarkroomEnv`.
    horizon, autoreset_mode
        As in `ArrayVectorEnv`.
    """

    def __init__(
        self,
        goals: Int[np.ndarray, "env 2"] | Sequence[Cell] | None = None,
        *,
        num_envs: int | None = None,
        size: int = DEFAULT_SIZE,
        horizon: int = DEFAULT_HORIZON,
        actions: str = "reference",
        start: Cell | None = None,
        autoreset_mode: AutoresetMode | str = AutoresetMode.SAME_STEP,
    ) -> None:
        named = None if goals is None else cells(goals, size, "goals").reshape(-1, 2)
        self.size = size
        self._moves = numbering(actions).table()
        self._after, self._coordinates = successors(size, actions), cell_coordinates(size)
        self._start = cell_number(start_cell(size, start), size)
        super().__init__(
            count(named, num_envs, "goals"),
            spaces.Box(0, size - 1, (2,), np.int32),
            len(self._after),
            horizon=horizon,
            autoreset_mode=autoreset_mode,
        )
        self._goals = np.full((self.num_envs, 2), -1, np.int32) if named is None else named.copy()
        self._goal = cell_number(self._goals, size)
        self._named = np.full(self.num_envs, named is not None)
        self._cell = np.full(self.num_envs, self._start)

    @property
    def goals(self) -> Int32[np.ndarray, "env 2"]:
        """The goal of every room; -1 where none is drawn yet."""
        return self._goals.copy()

    def rooms(self) -> DarkroomState:
        """Return what the rooms are made of and where they stand, for a twin that steps them elsewhere."""
        return DarkroomState(
            size=self.size,
            horizon=self.horizon,
            moves=self._moves.copy(),
            start=self._coordinates[self._start].copy(),
            goals=self._goals.copy(),
            cells=self._observe(),
            elapsed=self._elapsed.copy(),
        )

    def _name(self, options: dict[str, Any], chosen: Rooms) -> None:
        if "goal" in options:
            goals = np.broadcast_to(cells(options["goal"], self.size, "goal"), (self.num_envs, 2))
            self._goals[chosen] = goals[chosen]
            self._named[chosen] = True

    def _seed(self, seeds: list[int | None], chosen: Rooms) -> None:
        for i in np.flatnonzero(chosen & ~self._named):
            if seeds[i] is not None or self._goals[i, 0] < 0:
                self._goals[i] = draw_cell(seeding.np_random(seeds[i])[0], self.size)
        self._goal = cell_number(self._goals, self.size)

    def _begin(self, chosen: Rooms) -> None:
        self._cell[chosen] = self._start

    def _advance(
        self, actions: Int[np.ndarray, " env"], moving: Rooms
    ) -> tuple[Float64[np.ndarray, " env"], Bool[np.ndarray, " env"]]:
        self._cell = self._after[actions, self._cell]
        return (self._cell == self._goal).astype(np.float64), np.zeros_like(moving)

    def _observe(self) -> Int32[np.ndarray, "env 2"]:
        observations: Int32[np.ndarray, "env 2"] = self._coordinates[self._cell]
        return observations

    def _info(self) -> dict[str, np.ndarray]:
        return {"goal": self._goals.copy()}

    def _is_drawn(self) -> bool:
        return bool((self._goals >= 0).all())


def darkroom_vector(
    num_envs: int = 1,
    *,
    max_episode_steps: int = DEFAULT_HORIZON,
    goal: Cell | None = None,
    goals: Int[np.ndarray, "env 2"] | Sequence[Cell] | None = None,
    **kwargs: Any,  # noqa: ANN401 - passed on to DarkroomVectorEnv, which checks them
) -> DarkroomVectorEnv:
    """Build the vector environment under the names that `gymnasium.make_vec` uses."""
    if goal is not None:
        if goals is not None:
            raise ValueError("name one goal or one for each room, not both")
        goals = np.tile(np.asarray(goal), (num_envs, 1))
    return DarkroomVectorEnv(goals, num_envs=num_envs, horizon=max_episode_steps, **kwargs)
