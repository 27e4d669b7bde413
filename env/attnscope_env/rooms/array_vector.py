"""The common part of array-stepped environments: episodes, autoreset, seeds and the shape of infos. It knows no game.

A subclass holds its state as arrays with one entry a room and says how a chosen part of them begins, moves and looks;
everything that Gymnasium's vectorisation prescribes is here, once.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any

import gymnasium
import numpy as np
from gymnasium import spaces
from gymnasium.vector import AutoresetMode, VectorEnv
from gymnasium.vector.utils import batch_space
from jaxtyping import Bool, Float64, Int, Shaped

Seeds = int | Sequence[int | None] | None
Rooms = Bool[np.ndarray, " env"]
"""Rooms of the batch."""

StepResult = tuple[
    Shaped[np.ndarray, "env ..."],
    Float64[np.ndarray, " env"],
    Bool[np.ndarray, " env"],
    Bool[np.ndarray, " env"],
    dict[str, Any],
]


class ArrayVectorEnv(VectorEnv[np.ndarray, np.ndarray, np.ndarray], ABC):
    """Many rooms of one kind, stepped as arrays and equal to Gymnasium's vectorisation of the single room.

    Parameters
    ----------
    num_envs
        Number of rooms.
    observation_space, actions
        Of one room: its observation space and its number of actions.
    horizon
        Steps of an episode; then the room truncates.
    autoreset_mode
        ``SAME_STEP`` puts the terminal observation into ``infos["final_obs"]``, so that an episode is exactly its own
        transitions. ``NEXT_STEP`` adds Gymnasium's idle step after each episode. ``DISABLED`` wants
        ``reset(options={"reset_mask": ...})``.
    """

    def __init__(
        self,
        num_envs: int,
        observation_space: spaces.Space[Any],
        actions: int,
        *,
        horizon: int,
        autoreset_mode: AutoresetMode | str,
    ) -> None:
        if horizon < 1:
            raise ValueError(f"expected a horizon of at least 1 step, got {horizon}")
        if num_envs < 1:
            raise ValueError(f"expected at least one room, got {num_envs}")
        self.num_envs = num_envs
        self.horizon = horizon
        self.autoreset_mode = AutoresetMode(autoreset_mode)
        self.metadata = {"render_modes": [], "autoreset_mode": self.autoreset_mode}
        self.single_observation_space = observation_space
        self.single_action_space = spaces.Discrete(actions)
        self.observation_space = batch_space(observation_space, num_envs)
        self.action_space = batch_space(self.single_action_space, num_envs)
        self._actions = actions
        self._elapsed = np.zeros(num_envs, np.int64)
        self._ended = np.zeros(num_envs, np.bool_)
        self._everyone = np.ones(num_envs, np.bool_)
        self._everyone.flags.writeable = False
        self._drawn = False

    def reset(
        self, *, seed: Seeds = None, options: dict[str, Any] | None = None
    ) -> tuple[Shaped[np.ndarray, "env ..."], dict[str, Any]]:
        """Go back to the start; `options` may hold a ``reset_mask`` (bool [env]: only these rooms) and a new task."""
        options = options or {}
        chosen = self._reset_mask(options.get("reset_mask"))
        self._name(options, chosen)
        self._seed(self._seeds(seed), chosen)
        self._restart(chosen)
        self._drawn = self._is_drawn()
        return self._observe(), self._masked(self._info(), chosen)

    def step(self, actions: Shaped[np.ndarray, " env"]) -> StepResult:
        """Move every room; a room that ends is treated as `autoreset_mode` says."""
        actions = self._checked(actions)
        idle = self._ended
        waiting = self.autoreset_mode is not AutoresetMode.SAME_STEP and bool(idle.any())
        if waiting and self.autoreset_mode is AutoresetMode.DISABLED:
            raise gymnasium.error.ResetNeeded(f"rooms {np.flatnonzero(idle).tolist()} have ended: reset them first")
        rewards, terminated = self._advance(actions, ~idle if waiting else self._everyone)
        self._elapsed += 1
        if waiting:
            self._restart(idle)
            rewards[idle] = 0.0
            terminated[idle] = False
        truncated = self._elapsed >= self.horizon
        ended = terminated | truncated
        final: dict[str, Any] = {}
        if self.autoreset_mode is not AutoresetMode.SAME_STEP:
            self._ended = ended
        elif ended.any():
            final = self._final_info(ended)
            self._restart(ended)
        return self._observe(), rewards, terminated, truncated, self._masked(self._info(), self._everyone) | final

    @abstractmethod
    def _name(self, options: dict[str, Any], chosen: Rooms) -> None:
        """Take the task that a reset's options name, for these rooms."""

    @abstractmethod
    def _seed(self, seeds: list[int | None], chosen: Rooms) -> None:
        """Seed these rooms, and draw the task of those that have none."""

    @abstractmethod
    def _begin(self, chosen: Rooms) -> None:
        """Put these rooms at an episode's beginning."""

    @abstractmethod
    def _advance(
        self, actions: Int[np.ndarray, " env"], moving: Rooms
    ) -> tuple[Float64[np.ndarray, " env"], Bool[np.ndarray, " env"]]:
        """Move the rooms and return (rewards, terminated); those that do not move begin anew right after."""

    @abstractmethod
    def _observe(self) -> Shaped[np.ndarray, "env ..."]:
        """Return the observations, as a new array."""

    @abstractmethod
    def _info(self) -> dict[str, Shaped[np.ndarray, "env ..."]]:
        """Return the infos of a step or a reset, as new arrays."""

    @abstractmethod
    def _is_drawn(self) -> bool:
        """Return whether every room has its task."""

    def _restart(self, chosen: Rooms) -> None:
        self._begin(chosen)
        self._elapsed[chosen] = 0
        self._ended = self._ended & ~chosen

    def _reset_mask(self, mask: Any) -> Rooms:  # noqa: ANN401 - options are the caller's
        if mask is None:
            return self._everyone
        mask = np.asarray(mask)
        if mask.shape != (self.num_envs,) or mask.dtype != np.bool_ or not mask.any():
            raise ValueError(f"expected reset_mask as bool [{self.num_envs}] with a True in it, got {mask!r}")
        return np.asarray(mask, np.bool_)

    def _seeds(self, seed: Seeds) -> list[int | None]:
        """Return a seed a room; one number seeds the rooms with itself and its successors, as Gymnasium does."""
        if seed is None or isinstance(seed, int):
            return [None if seed is None else seed + i for i in range(self.num_envs)]
        if len(seed) != self.num_envs:
            raise ValueError(f"expected {self.num_envs} seeds, got {len(seed)}")
        return list(seed)

    def _checked(self, actions: Shaped[np.ndarray, " env"]) -> Int[np.ndarray, " env"]:
        actions = np.asarray(actions)
        if actions.shape != (self.num_envs,) or actions.dtype.kind not in "iu":
            raise ValueError(f"expected integer actions [{self.num_envs}], got {actions.dtype} {actions.shape}")
        if actions.view(f"u{actions.itemsize}").max() >= self._actions:  # a negative one is large without its sign
            raise ValueError(f"expected actions below {self._actions}, got {actions.tolist()}")
        if not self._drawn:
            raise gymnasium.error.ResetNeeded("tasks are not drawn yet: call reset() first")
        return actions

    def _masked(self, infos: dict[str, np.ndarray], chosen: Rooms) -> dict[str, Any]:
        """Return infos as Gymnasium lays them out: zero and masked where a room has none."""
        result: dict[str, Any] = {}
        partial = chosen is not self._everyone
        for name, values in infos.items():
            if partial:
                values[~chosen] = 0
            result[name], result[f"_{name}"] = values, chosen.copy()
        return result

    def _final_info(self, ended: Rooms) -> dict[str, Any]:
        final = np.full(self.num_envs, None, dtype=object)
        reached = self._observe()
        for room in np.flatnonzero(ended):
            final[room] = reached[room]
        return {
            "final_obs": final,
            "_final_obs": ended.copy(),
            "final_info": self._masked(self._info(), ended),
            "_final_info": ended.copy(),
        }


def terminal_observations(
    observations: Shaped[np.ndarray, "env ..."], infos: dict[str, Any]
) -> Shaped[np.ndarray, "env ..."]:
    """Return s' of the step that gave `observations`: the terminal one where an episode ended in ``SAME_STEP`` mode.

    Parameters
    ----------
    observations
        Observations that a step returned, [env, feature], array [env, ...].
    infos
        Infos of the same step; they hold the last observation of an episode that ended.
    """
    ended = infos.get("_final_obs")
    if ended is None:
        return observations
    after = observations.copy()
    after[ended] = np.stack(list(infos["final_obs"][ended]))
    return after


def count(named: Shaped[np.ndarray, "env ..."] | None, num_envs: int | None, what: str) -> int:
    """Return the number of rooms: as many as tasks are named, else `num_envs`.

    Raises
    ------
    ValueError
        Neither is given, or they differ.
    """
    if named is None:
        if num_envs is None:
            raise ValueError(f"expected {what} or num_envs, got neither")
        return num_envs
    if num_envs not in (None, len(named)):
        raise ValueError(f"expected {what} for {num_envs} rooms, got {len(named)}")
    return len(named)
