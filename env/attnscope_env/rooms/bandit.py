"""Bandits: a constant observation, arms with hidden means, noisy rewards.

The means belong to the environment, not to the episode. It never terminates; Gymnasium's time limit truncates it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final, Literal

import gymnasium
import numpy as np
from gymnasium import spaces
from jaxtyping import Bool, Float64, Int, Int32, Int64, UInt64

from attnscope_env.rooms.noise import draw_key, normals, uniforms

DEFAULT_ARMS: Final = 5
"""Arms of a bandit, as in DPT."""

DEFAULT_BANDIT_HORIZON: Final = 500
"""Pulls of an episode, as in DPT."""

DEFAULT_VARIANCE: Final = 0.3
"""Variance of a Gaussian bandit's rewards, as in DPT."""

RewardKind = Literal["bernoulli", "gaussian"]
Means = Sequence[float] | Float64[np.ndarray, " arm"]


class BanditEnv(gymnasium.Env[np.ndarray, np.int64]):
    """One bandit with hidden means.

    Where nobody names means, the first reset and every seeded reset draw them uniformly from [0, 1].

    Parameters
    ----------
    means
        Expected reward of each arm; also ``reset(options={"means": ...})``. In [0, 1] for Bernoulli rewards.
    arms
        Number of arms.
    reward
        ``bernoulli`` pays 1 with the arm's mean as probability, else 0; ``gaussian`` adds normal noise to it.
    variance
        Of Gaussian rewards.
    """

    metadata: dict[str, Any] = {"render_modes": []}  # noqa: RUF012 - Gymnasium's base class declares it so

    def __init__(
        self,
        means: Means | None = None,
        arms: int = DEFAULT_ARMS,
        reward: RewardKind = "bernoulli",
        variance: float = DEFAULT_VARIANCE,
    ) -> None:
        self.arms, self.variance = arms, variance
        self.reward: RewardKind = reward
        check_rewards(arms, reward, variance)
        self._named = None if means is None else checked_means(means, arms, reward)
        self._means = self._named
        self._key: int | None = None
        self._pulls = 0
        self.observation_space = observation_space()
        self.action_space = spaces.Discrete(arms)

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Int32[np.ndarray, "one=1"], dict[str, Any]]:
        """Begin an episode; `options` may name other ``means``. A seed restarts the noise, otherwise it goes on."""
        super().reset(seed=seed)
        if seed is not None or self._key is None:
            self._key, self._pulls = draw_key(self.np_random), 0
        if options and "means" in options:
            self._named = checked_means(options["means"], self.arms, self.reward)
        if self._named is not None:
            self._means = self._named
        elif self._means is None or seed is not None:
            self._means = self.np_random.random(self.arms)
        return np.ones(1, np.int32), {"means": self._means.copy()}

    def step(self, action: np.int64 | int) -> tuple[Int32[np.ndarray, "one=1"], float, bool, bool, dict[str, Any]]:
        """Pull an arm."""
        if self._means is None or self._key is None:
            raise gymnasium.error.ResetNeeded("means or noise are not drawn yet: call reset() first")
        if not self.action_space.contains(action):
            raise ValueError(f"expected an action below {self.arms}, got {action!r}")
        keys, pulls = np.array([self._key], np.uint64), np.array([self._pulls], np.int64)
        reward = draw_rewards(self._means[int(action)][None], keys, pulls, self.reward, self.variance)
        self._pulls += 1
        return np.ones(1, np.int32), float(reward[0]), False, False, {"means": self._means.copy()}


def observation_space() -> spaces.Box:
    """Return the space of the constant observation, a one."""
    return spaces.Box(0, 1, (1,), np.int32)


def draw_rewards(
    means: Float64[np.ndarray, " env"],
    keys: UInt64[np.ndarray, " env"],
    pulls: Int64[np.ndarray, " env"],
    reward: RewardKind,
    variance: float,
) -> Float64[np.ndarray, " env"]:
    """Return the reward of each bandit's pull of this number, where the pulled arms have these means."""
    rewards: Float64[np.ndarray, " env"]
    if reward == "bernoulli":
        rewards = (uniforms(keys, pulls) < means).astype(np.float64)
    else:
        rewards = means + np.sqrt(variance) * normals(keys, pulls)
    return rewards


def check_rewards(arms: int, reward: str, variance: float) -> None:
    """Refuse a bandit that cannot be, with a ValueError."""
    if arms < 1:
        raise ValueError(f"expected at least one arm, got {arms}")
    if reward not in {"bernoulli", "gaussian"}:
        raise ValueError(f"expected rewards 'bernoulli' or 'gaussian', got {reward!r}")
    if not (np.isfinite(variance) and variance >= 0):
        raise ValueError(f"expected a finite variance of at least 0, got {variance}")


def checked_means(values: object, arms: int, reward: RewardKind) -> Float64[np.ndarray, "... arm"]:
    """Return means as an array, after checking that they are finite and, for Bernoulli rewards, probabilities."""
    array = np.asarray(values)
    if array.ndim == 0 or array.shape[-1] != arms or array.dtype.kind not in "iuf":
        raise ValueError(f"expected means of {arms} arms, got {values!r}")
    inside: Bool[np.ndarray, ...] = np.isfinite(array)
    if reward == "bernoulli":
        inside = inside & (array >= 0) & (array <= 1)
    if not inside.all():
        allowed = "probabilities" if reward == "bernoulli" else "finite numbers"
        raise ValueError(f"expected means to be {allowed}, got {array.tolist()}")
    return array.astype(np.float64)


def arm_means(means: Float64[np.ndarray, "env arm"], actions: Int[np.ndarray, " env"]) -> Float64[np.ndarray, " env"]:
    """Return the mean of the arm that each bandit pulls."""
    pulled: Float64[np.ndarray, " env"] = np.take_along_axis(means, actions[:, None].astype(np.int64), axis=1)[:, 0]
    return pulled
