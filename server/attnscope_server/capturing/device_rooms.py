"""Darkrooms that step on a device, so that a rollout of thousands of them never waits for the host.

The same trajectories as `attnscope_env.DarkroomVectorEnv`, whose state they begin from.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from gymnasium.vector import AutoresetMode, VectorEnv
from jaxtyping import Int, Int64
from torch import Tensor

from attnscope_env.rooms.darkroom_vector import DarkroomState, DarkroomVectorEnv
from attnscope_server.acting.loop import Transition


class DeviceRooms:
    """Darkrooms as tensors.

    Parameters
    ----------
    state
        Where they begin.
    device
        Where they step.
    episode
        Number of the episode that every room is in.
    """

    def __init__(self, state: DarkroomState, device: torch.device, episode: Int[np.ndarray, " env"]) -> None:
        self._last, self._horizon = state.size - 1, state.horizon
        self._moves, self._start, self._goals, self._cells, self._elapsed = (
            torch.as_tensor(part).to(device, torch.int64)
            for part in (state.moves, state.start, state.goals, state.cells, state.elapsed)
        )
        self._episode = torch.as_tensor(episode).to(device, torch.int32)
        self._never = torch.zeros(len(self._cells), dtype=torch.bool, device=device)

    @property
    def observation(self) -> Int64[Tensor, "env 2"]:
        """The cell that the next decision is taken at."""
        return self._cells

    def step(self, actions: Int64[Tensor, " env"]) -> Transition[Tensor]:
        """Move every room; one whose episode ends goes back to its start at once. A Darkroom never terminates."""
        before, episode = self._cells, self._episode
        reached = (before + self._moves[actions]).clamp_(0, self._last)
        reward = (reached == self._goals).all(dim=1).float()
        self._elapsed = self._elapsed + 1
        ended = self._elapsed >= self._horizon
        self._cells = torch.where(ended[:, None], self._start, reached)
        self._elapsed = torch.where(ended, 0, self._elapsed)
        self._episode = episode + ended.to(torch.int32)
        return Transition(
            observation=before,
            action=actions,
            reward=reward,
            next_observation=reached,
            terminated=self._never,
            truncated=ended,
            ended=ended,
            episode=episode,
        )


def device_rooms(
    environment: VectorEnv[Any, Any, Any], device: torch.device, episode: Int[np.ndarray, " env"] | None = None
) -> DeviceRooms | None:
    """Return the twin of an environment on a device; None where there is none and the host has to step it.

    Parameters
    ----------
    environment
        The environments, wherever they stand.
    device
        Where the twin steps.
    episode
        Number of the episode that every room is in; None is the first.
    """
    rooms = environment.unwrapped
    if type(rooms) is not DarkroomVectorEnv or rooms.autoreset_mode is not AutoresetMode.SAME_STEP:
        return None
    return DeviceRooms(rooms.rooms(), device, np.zeros(rooms.num_envs, np.int32) if episode is None else episode)
