"""Darkrooms that step on a device, so that a rollout of thousands of them never waits for the host.

The same trajectories as `attnscope_env.DarkroomVectorEnv`, whose state they begin from.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from gymnasium.vector import AutoresetMode, VectorEnv
from jaxtyping import Bool, Float, Int64
from torch import Tensor

from attnscope_env.rooms.darkroom_vector import DarkroomState, DarkroomVectorEnv


@dataclass(frozen=True)
class DeviceStep:
    """What one step of every room gave."""

    reached: Int64[Tensor, "env 2"]
    """s', the terminal cell where an episode ended."""
    following: Int64[Tensor, "env 2"]
    """The cell that the next step begins from."""
    reward: Float[Tensor, " env"]
    ended: Bool[Tensor, " env"]
    """Whether the room truncated; a Darkroom never terminates."""


class DeviceRooms:
    """Darkrooms as tensors.

    Parameters
    ----------
    state
        Where they begin.
    device
        Where they step.
    """

    def __init__(self, state: DarkroomState, device: torch.device) -> None:
        self._last, self._horizon = state.size - 1, state.horizon
        self._moves, self._start, self._goals, self.cells, self._elapsed = (
            torch.as_tensor(part).to(device, torch.int64)
            for part in (state.moves, state.start, state.goals, state.cells, state.elapsed)
        )

    def step(self, actions: Int64[Tensor, " env"]) -> DeviceStep:
        """Move every room; one whose episode ends goes back to its start at once."""
        reached = (self.cells + self._moves[actions]).clamp_(0, self._last)
        reward = (reached == self._goals).all(dim=1).float()
        self._elapsed = self._elapsed + 1
        ended = self._elapsed >= self._horizon
        self.cells = torch.where(ended[:, None], self._start, reached)
        self._elapsed = torch.where(ended, 0, self._elapsed)
        return DeviceStep(reached, self.cells, reward, ended)


def device_rooms(environment: VectorEnv[Any, Any, Any], device: torch.device) -> DeviceRooms | None:
    """Return the twin of an environment on a device; None where there is none and the host has to step it."""
    rooms = environment.unwrapped
    if type(rooms) is not DarkroomVectorEnv or rooms.autoreset_mode is not AutoresetMode.SAME_STEP:
        return None
    return DeviceRooms(rooms.rooms(), device)
