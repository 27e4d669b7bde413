"""The boundary to environments that are not ours: what they hand out is copied, plain, and nothing else passes.

Gymnasium's vectorisation keeps the observation of a step while it resets the environment, so an environment that
writes into one buffer would change its own terminal observation. It also merges the infos of environments, under keys
that it uses itself. No rollout reads infos, so none passes.
"""

from __future__ import annotations

import copy
from typing import Any

import gymnasium
import numpy as np

from attnscope_env.rooms.observations import EnvironmentUnusableError


class OwnTransitions(gymnasium.Wrapper[Any, Any, Any, Any]):
    """Hand out copies of observations, plain numbers and flags, and empty infos.

    Parameters
    ----------
    env
        The environment that is not ours.
    name
        Its name in errors.
    """

    def __init__(self, env: gymnasium.Env[Any, Any], name: str) -> None:
        super().__init__(env)
        self._name = name

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        """Begin an episode."""
        observation, _ = super().reset(seed=seed, options=options)
        return copy.deepcopy(observation), {}

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:  # noqa: ANN401 - the wrapped one's
        """Step the environment.

        Raises
        ------
        EnvironmentUnusableError
            The reward is not one number.
        """
        observation, reward, terminated, truncated, _ = super().step(action)
        return copy.deepcopy(observation), self._number(reward), bool(terminated), bool(truncated), {}

    def _number(self, reward: Any) -> float:  # noqa: ANN401 - whatever it gives
        values = np.asarray(reward)
        if values.size != 1 or values.dtype.kind not in "biuf":
            raise EnvironmentUnusableError(f"{self._name} gives the reward {reward!r}, expected one number")
        return float(values.item())
