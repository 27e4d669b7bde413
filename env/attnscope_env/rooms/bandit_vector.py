"""Bandits for many tasks at once, stepped as arrays; equal to the single environment step by step, noise and all."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from gymnasium.utils import seeding
from gymnasium.vector import AutoresetMode
from jaxtyping import Bool, Float64, Int, Int32

from attnscope_env.rooms.array_vector import ArrayVectorEnv, Rooms, count
from attnscope_env.rooms.bandit import (
    DEFAULT_ARMS,
    DEFAULT_BANDIT_HORIZON,
    DEFAULT_VARIANCE,
    Means,
    RewardKind,
    arm_means,
    check_rewards,
    checked_means,
    draw_rewards,
    observation_space,
)
from attnscope_env.rooms.noise import draw_key

AllMeans = Float64[np.ndarray, "env arm"] | Sequence[Sequence[float]]


class BanditVectorEnv(ArrayVectorEnv):
    """Many bandits.

    Parameters
    ----------
    means
        float [env, arm]; None draws them for each bandit, as the single environment would. Also
        ``reset(options={"means": ...})``, [arm] or [env, arm].
    num_envs
        Number of bandits where `means` does not give it.
    arms, reward, variance
        As in `BanditEnv`.
    horizon, autoreset_mode
        As in `ArrayVectorEnv`.
    """

    def __init__(
        self,
        means: AllMeans | None = None,
        *,
        num_envs: int | None = None,
        arms: int = DEFAULT_ARMS,
        reward: RewardKind = "bernoulli",
        variance: float = DEFAULT_VARIANCE,
        horizon: int = DEFAULT_BANDIT_HORIZON,
        autoreset_mode: AutoresetMode | str = AutoresetMode.SAME_STEP,
    ) -> None:
        check_rewards(arms, reward, variance)
        named = None if means is None else checked_means(means, arms, reward).reshape(-1, arms)
        super().__init__(
            count(named, num_envs, "means"), observation_space(), arms, horizon=horizon, autoreset_mode=autoreset_mode
        )
        self.arms, self.variance = arms, variance
        self.reward: RewardKind = reward
        self._means = np.full((self.num_envs, arms), np.nan) if named is None else named.copy()
        self._named = np.full(self.num_envs, named is not None)
        self._keys = np.zeros(self.num_envs, np.uint64)
        self._keyed = np.zeros(self.num_envs, np.bool_)
        self._pulls = np.zeros(self.num_envs, np.int64)

    @property
    def means(self) -> Float64[np.ndarray, "env arm"]:
        """The means of every bandit; NaN where none are drawn yet."""
        return self._means.copy()

    def _name(self, options: dict[str, Any], chosen: Rooms) -> None:
        if "means" in options:
            named = checked_means(options["means"], self.arms, self.reward)
            self._means[chosen] = np.broadcast_to(named, self._means.shape)[chosen]
            self._named[chosen] = True

    def _seed(self, seeds: list[int | None], chosen: Rooms) -> None:
        for i in np.flatnonzero(chosen):
            if seeds[i] is None and self._keyed[i]:
                continue
            random = seeding.np_random(seeds[i])[0]
            self._keys[i], self._keyed[i], self._pulls[i] = draw_key(random), True, 0
            if not self._named[i]:
                self._means[i] = random.random(self.arms)

    def _begin(self, chosen: Rooms) -> None:
        """Leave means and noise as they are: a bandit's episode has no state."""

    def _advance(
        self, actions: Int[np.ndarray, " env"], moving: Rooms
    ) -> tuple[Float64[np.ndarray, " env"], Bool[np.ndarray, " env"]]:
        pulled = arm_means(self._means, actions)
        rewards = draw_rewards(pulled, self._keys, self._pulls, self.reward, self.variance)
        self._pulls += moving
        return rewards, np.zeros_like(moving)

    def _observe(self) -> Int32[np.ndarray, "env 1"]:
        return np.ones((self.num_envs, 1), np.int32)

    def _info(self) -> dict[str, np.ndarray]:
        return {"means": self.means}

    def _is_drawn(self) -> bool:
        return bool(self._keyed.all())


def bandit_vector(
    num_envs: int = 1,
    *,
    max_episode_steps: int = DEFAULT_BANDIT_HORIZON,
    means: AllMeans | Means | None = None,
    **kwargs: Any,  # noqa: ANN401 - passed on to BanditVectorEnv, which checks them
) -> BanditVectorEnv:
    """Build the vector environment under the names that `gymnasium.make_vec` uses; one list of means is everybody's."""
    every = None if means is None else np.asarray(means)
    if every is not None and every.ndim == 1:
        every = np.tile(every, (num_envs, 1))
    return BanditVectorEnv(every, num_envs=num_envs, horizon=max_episode_steps, **kwargs)
