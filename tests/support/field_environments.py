"""Small environments with the habits of those that researchers bring; importing this module registers them.

Each counts its steps: the observation is the count, three times over, and an episode ends after five steps.
"""

from __future__ import annotations

from typing import Any

import gymnasium
import numpy as np
from gymnasium import spaces

LENGTH = 5
"""Steps of an episode."""


class Fresh(gymnasium.Env[Any, Any]):
    """Hands out new arrays."""

    action_space = spaces.Discrete(3)
    observation_space = spaces.Box(-np.inf, np.inf, (3,), np.float32)
    at = 0

    def reset(self, *, seed=None, options=None):  # noqa: ARG002 - Gymnasium's signature
        """Begin at 0."""
        super().reset(seed=seed)
        self.at = 0
        return self.observed(), self.told()

    def step(self, action):
        """Count on."""
        self.at += 1
        return self.observed(), self.rewarded(action), self.at >= LENGTH, False, self.told()

    def observed(self) -> Any:
        """Return an observation."""
        return np.full(3, self.at, np.float32)

    def rewarded(self, action: Any) -> Any:
        """Return a reward that tells actions and steps apart."""
        return 10.0 * self.at + float(action)

    def told(self) -> dict[str, Any]:
        """Return an info."""
        return {}


class Reused(Fresh):
    """Writes observation, reward and info into buffers of its own, and says things under the keys of Gymnasium."""

    def __init__(self) -> None:
        self.buffer, self.reward = np.zeros(3, np.float32), np.zeros(1, np.float32)
        self.info: dict[str, Any] = {}

    def observed(self) -> Any:
        """Return the buffer."""
        self.buffer[:] = self.at
        return self.buffer

    def rewarded(self, action: Any) -> Any:
        """Return the buffer of the reward, of one number."""
        self.reward[:] = super().rewarded(action)
        return self.reward

    def told(self) -> dict[str, Any]:
        """Return the same dictionary, with ragged contents and a false terminal observation."""
        self.info |= {"final_obs": np.full(3, -1, np.float32), "path": np.arange(self.at), "buffer": self.buffer}
        return self.info


class Uneven(Fresh):
    """Ends after a drawn number of steps, which it observes beside its count, and pays at the end."""

    action_space = spaces.Discrete(5)
    observation_space = spaces.Box(-np.inf, np.inf, (2,), np.float32)
    last = LENGTH

    def reset(self, *, seed=None, options=None):
        """Begin at 0, with another number of steps."""
        begun = super().reset(seed=seed, options=options)
        self.last = int(self.np_random.integers(1, LENGTH + 1))
        return self.observed(), begun[1]

    def step(self, action):
        """Count on."""
        self.at += 1
        ended = self.at >= self.last
        return self.observed(), float(ended and action == self.last % 5), ended, False, {}

    def observed(self) -> Any:
        """Return the count and the number."""
        return np.array([self.at, self.last], np.float32)


class Drawn(Fresh):
    """Draws a number at the beginning of an episode, and pays it at every step; observes the count alone."""

    observation_space = spaces.Discrete(LENGTH + 1)
    number = 0.0

    def reset(self, *, seed=None, options=None):
        """Begin at 0, with another number."""
        begun = super().reset(seed=seed, options=options)
        self.number = self.np_random.random()
        return begun

    def observed(self) -> Any:
        """Return the count."""
        return self.at

    def rewarded(self, action: Any) -> Any:  # noqa: ARG002 - as `Fresh` has it
        """Return the number."""
        return self.number


class NanReward(Fresh):
    """Gives a reward that is no number at its third step."""

    def rewarded(self, action: Any) -> Any:
        """Return a reward."""
        return float("nan") if self.at == 3 else super().rewarded(action)


class NanObservation(Fresh):
    """Gives an observation that is no number at its last step."""

    def observed(self) -> Any:
        """Return an observation."""
        return np.array([self.at, np.nan if self.at == LENGTH else 0, 0], np.float32)


class NanStart(Fresh):
    """Begins with an infinite observation."""

    def observed(self) -> Any:
        """Return an observation."""
        return np.array([np.inf, 0, 0], np.float32)


class TwoRewards(Fresh):
    """Gives a reward for each of two objectives."""

    def rewarded(self, action: Any) -> Any:
        """Return a reward."""
        return np.array([1.0, float(action)])


for kind in (Fresh, Reused, Uneven, Drawn, NanReward, NanObservation, NanStart, TwoRewards):
    if f"field/{kind.__name__}-v0" not in gymnasium.registry:
        gymnasium.register(f"field/{kind.__name__}-v0", entry_point=kind)
