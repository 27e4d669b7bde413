"""Darkroom with permuted actions for many permutations at once; equal to the single environment step by step."""

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
from attnscope_env.rooms.permuted import (
    ACTIONS,
    DEFAULT_PERMUTED_HORIZON,
    UNDRAWN,
    checked_permutations,
    draw_permutation,
)
from attnscope_env.rooms.room import DEFAULT_SIZE, cell_coordinates

Permutations = Int[np.ndarray, "env action"] | Sequence[Sequence[int]]


class DarkroomPermutedVectorEnv(ArrayVectorEnv):
    """Many rooms, one permutation each.

    Parameters
    ----------
    permutations
        int [env, 5]; None draws one for each room, as the single environment would. Also
        ``reset(options={"permutation": ...})``, [5] or [env, 5].
    num_envs
        Number of rooms where `permutations` does not give it.
    size, actions
        As in `DarkroomPermutedEnv`.
    horizon, autoreset_mode
        As in `ArrayVectorEnv`.
    """

    def __init__(
        self,
        permutations: Permutations | None = None,
        *,
        num_envs: int | None = None,
        size: int = DEFAULT_SIZE,
        horizon: int = DEFAULT_PERMUTED_HORIZON,
        actions: str = "reference",
        autoreset_mode: AutoresetMode | str = AutoresetMode.SAME_STEP,
    ) -> None:
        named = None if permutations is None else checked_permutations(permutations).reshape(-1, ACTIONS)
        super().__init__(
            count(named, num_envs, "permutations"),
            spaces.Box(0, size - 1, (2,), np.int32),
            ACTIONS,
            horizon=horizon,
            autoreset_mode=autoreset_mode,
        )
        self.size = size
        self._after, self._coordinates = successors(size, actions), cell_coordinates(size)
        self._permutations = np.full((self.num_envs, ACTIONS), UNDRAWN) if named is None else named.copy()
        self._named = np.full(self.num_envs, named is not None)
        self._cell = np.zeros(self.num_envs, np.int64)
        self._room = np.arange(self.num_envs)

    @property
    def permutations(self) -> Int[np.ndarray, "env action"]:
        """The permutation of every room; -1 where none is drawn yet."""
        return self._permutations.copy()

    def _name(self, options: dict[str, Any], chosen: Rooms) -> None:
        if "permutation" in options:
            named = checked_permutations(options["permutation"])
            self._permutations[chosen] = np.broadcast_to(named, self._permutations.shape)[chosen]
            self._named[chosen] = True

    def _seed(self, seeds: list[int | None], chosen: Rooms) -> None:
        for i in np.flatnonzero(chosen & ~self._named):
            if seeds[i] is not None or self._permutations[i, 0] == UNDRAWN:
                self._permutations[i] = draw_permutation(seeding.np_random(seeds[i])[0])

    def _begin(self, chosen: Rooms) -> None:
        self._cell[chosen] = 0

    def _advance(
        self, actions: Int[np.ndarray, " env"], moving: Rooms
    ) -> tuple[Float64[np.ndarray, " env"], Bool[np.ndarray, " env"]]:
        executed = self._permutations[self._room, actions]
        self._cell = self._after[executed, self._cell]
        return (self._cell == self.size**2 - 1).astype(np.float64), np.zeros_like(moving)

    def _observe(self) -> Int32[np.ndarray, "env 2"]:
        observations: Int32[np.ndarray, "env 2"] = self._coordinates[self._cell]
        return observations

    def _info(self) -> dict[str, np.ndarray]:
        return {"permutation": self.permutations}

    def _is_drawn(self) -> bool:
        return bool((self._permutations[:, 0] != UNDRAWN).all())


def permuted_vector(
    num_envs: int = 1,
    *,
    max_episode_steps: int = DEFAULT_PERMUTED_HORIZON,
    permutation: Sequence[int] | None = None,
    permutations: Permutations | None = None,
    **kwargs: Any,  # noqa: ANN401 - passed on to DarkroomPermutedVectorEnv, which checks them
) -> DarkroomPermutedVectorEnv:
    """Build the vector environment under the names that `gymnasium.make_vec` uses."""
    if permutation is not None:
        if permutations is not None:
            raise ValueError("name one permutation or one for each room, not both")
        permutations = np.tile(np.asarray(permutation), (num_envs, 1))
    return DarkroomPermutedVectorEnv(permutations, num_envs=num_envs, horizon=max_episode_steps, **kwargs)
