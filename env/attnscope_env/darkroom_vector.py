"""Darkroom for many goals at once, stepped as arrays; equal to the scalar environment step by step."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import gymnasium
import numpy as np
from gymnasium import spaces
from gymnasium.utils import seeding
from gymnasium.vector import AutoresetMode, VectorEnv
from gymnasium.vector.utils import batch_space
from jaxtyping import Bool, Float64, Int, Int32, Shaped

from attnscope_env.actions import numbering
from attnscope_env.darkroom import draw_goal
from attnscope_env.room import DEFAULT_HORIZON, DEFAULT_SIZE, Cell, cells, start_cell

Seeds = int | Sequence[int | None] | None
StepResult = tuple[
    Int32[np.ndarray, "env 2"],
    Float64[np.ndarray, " env"],
    Bool[np.ndarray, " env"],
    Bool[np.ndarray, " env"],
    dict[str, Any],
]


class DarkroomVectorEnv(VectorEnv[np.ndarray, np.ndarray, np.ndarray]):
    """Many rooms, one goal each.

    Parameters
    ----------
    goals
        int [env, 2]; None draws a goal for each room, as the scalar environment would.
    num_envs
        Number of rooms where `goals` does not give it.
    size, actions, start
        As in `DarkroomEnv`.
    horizon
        Steps of an episode; then the room truncates.
    autoreset_mode
        ``SAME_STEP`` (default) puts the terminal observation into ``infos["final_obs"]``, so that an episode is
        exactly `horizon` transitions. ``NEXT_STEP`` adds Gymnasium's idle step after each episode. ``DISABLED`` wants
        ``reset(options={"reset_mask": ...})``.
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
        if horizon < 1:
            raise ValueError(f"expected a horizon of at least 1 step, got {horizon}")
        named = None if goals is None else cells(goals, size, "goals").reshape(-1, 2)
        self.num_envs = _count(named, num_envs)
        self.size = size
        self.horizon = horizon
        self.autoreset_mode = AutoresetMode(autoreset_mode)
        self.metadata = {"render_modes": [], "autoreset_mode": self.autoreset_mode}
        self._moves = numbering(actions).table()
        self._start = start_cell(size, start)
        self._goals = np.full((self.num_envs, 2), -1, np.int32) if named is None else named.copy()
        self._named = np.full(self.num_envs, named is not None)
        self._cells = np.tile(self._start, (self.num_envs, 1))
        self._elapsed = np.zeros(self.num_envs, np.int64)
        self._ended = np.zeros(self.num_envs, np.bool_)
        self.single_observation_space = spaces.Box(0, size - 1, (2,), np.int32)
        self.single_action_space = spaces.Discrete(len(self._moves))
        self.observation_space = batch_space(self.single_observation_space, self.num_envs)
        self.action_space = batch_space(self.single_action_space, self.num_envs)

    @property
    def goals(self) -> Int32[np.ndarray, "env 2"]:
        """The goal of every room; -1 where none is drawn yet."""
        return self._goals.copy()

    def reset(
        self, *, seed: Seeds = None, options: dict[str, Any] | None = None
    ) -> tuple[Int32[np.ndarray, "env 2"], dict[str, Any]]:
        """Go back to the start.

        `options` may hold ``goal`` ([2] or [env, 2]) and ``reset_mask`` (bool [env]: only these rooms are reset).
        """
        options = options or {}
        chosen = self._reset_mask(options.get("reset_mask"))
        if "goal" in options:
            goals = np.broadcast_to(cells(options["goal"], self.size, "goal"), (self.num_envs, 2))
            self._goals[chosen] = goals[chosen]
            self._named[chosen] = True
        self._draw_goals(seed, chosen)
        self._cells[chosen] = self._start
        self._elapsed[chosen] = 0
        self._ended[chosen] = False
        return self._cells.copy(), self._goal_info(chosen)

    def step(self, actions: Shaped[np.ndarray, " env"]) -> StepResult:
        """Move every room; a room that ends is treated as `autoreset_mode` says."""
        actions = self._checked(actions)
        idle = self._ended.copy()
        if idle.any() and self.autoreset_mode is AutoresetMode.DISABLED:
            raise gymnasium.error.ResetNeeded(f"rooms {np.flatnonzero(idle).tolist()} have ended: reset them first")
        cells_after = np.clip(self._cells + self._moves[actions], 0, self.size - 1)
        rewards = (cells_after == self._goals).all(axis=1).astype(np.float64)
        cells_after[idle] = self._start
        rewards[idle] = 0.0
        self._elapsed += 1
        self._elapsed[idle] = 0
        self._cells = cells_after
        truncated = self._elapsed >= self.horizon
        infos = self._goal_info(np.ones(self.num_envs, np.bool_))
        if self.autoreset_mode is AutoresetMode.SAME_STEP:
            if truncated.any():
                infos |= self._final_info(truncated)
                self._cells[truncated] = self._start
                self._elapsed[truncated] = 0
        else:
            self._ended = truncated.copy()
        return self._cells.copy(), rewards, np.zeros(self.num_envs, np.bool_), truncated, infos

    def _reset_mask(self, mask: Any) -> Bool[np.ndarray, " env"]:  # noqa: ANN401 - options are the caller's
        if mask is None:
            return np.ones(self.num_envs, np.bool_)
        mask = np.asarray(mask)
        if mask.shape != (self.num_envs,) or mask.dtype != np.bool_ or not mask.any():
            raise ValueError(f"expected reset_mask as bool [{self.num_envs}] with a True in it, got {mask!r}")
        return np.asarray(mask, np.bool_)

    def _draw_goals(self, seed: Seeds, chosen: Bool[np.ndarray, " env"]) -> None:
        if seed is None or isinstance(seed, int):
            seeds = [None if seed is None else seed + i for i in range(self.num_envs)]
        else:
            seeds = list(seed)
        if len(seeds) != self.num_envs:
            raise ValueError(f"expected {self.num_envs} seeds, got {len(seeds)}")
        for i in np.flatnonzero(chosen & ~self._named):
            if seeds[i] is not None or self._goals[i, 0] < 0:
                self._goals[i] = draw_goal(seeding.np_random(seeds[i])[0], self.size)

    def _checked(self, actions: Shaped[np.ndarray, " env"]) -> Int[np.ndarray, " env"]:
        actions = np.asarray(actions)
        if actions.shape != (self.num_envs,) or actions.dtype.kind not in "iu":
            raise ValueError(f"expected integer actions [{self.num_envs}], got {actions.dtype} {actions.shape}")
        if actions.min() < 0 or actions.max() >= len(self._moves):
            raise ValueError(f"expected actions below {len(self._moves)}, got {actions.tolist()}")
        if (self._goals < 0).any():
            raise gymnasium.error.ResetNeeded("goals are not drawn yet: call reset() first")
        return actions

    def _goal_info(self, chosen: Bool[np.ndarray, " env"]) -> dict[str, Any]:
        return {"goal": np.where(chosen[:, None], self._goals, 0), "_goal": chosen.copy()}

    def _final_info(self, ended: Bool[np.ndarray, " env"]) -> dict[str, Any]:
        final = np.full(self.num_envs, None, dtype=object)
        for i in np.flatnonzero(ended):
            final[i] = self._cells[i].copy()
        return {
            "final_obs": final,
            "_final_obs": ended.copy(),
            "final_info": self._goal_info(ended),
            "_final_info": ended.copy(),
        }


def terminal_observations(
    observations: Int32[np.ndarray, "env feature"], infos: dict[str, Any]
) -> Int32[np.ndarray, "env feature"]:
    """Return s' of the step that gave `observations`: the terminal one where an episode ended in ``SAME_STEP`` mode."""
    ended = infos.get("_final_obs")
    if ended is None:
        return observations
    after = observations.copy()
    after[ended] = np.stack(list(infos["final_obs"][ended]))
    return after


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


def _count(goals: np.ndarray | None, num_envs: int | None) -> int:
    if goals is None:
        if num_envs is None:
            raise ValueError("expected goals or num_envs, got neither")
        count = num_envs
    else:
        count = len(goals)
        if num_envs not in (None, count):
            raise ValueError(f"expected goals for {num_envs} rooms, got {count}")
    if count < 1:
        raise ValueError(f"expected at least one room, got {count}")
    return count
