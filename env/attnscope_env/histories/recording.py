"""Running a source on many tasks at once, and what is kept of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from gymnasium.vector import VectorEnv
from jaxtyping import Bool, Float, Int, Shaped

from attnscope_env.array_vector import terminal_observations


class Source(Protocol):
    """An algorithm that learns many tasks side by side, one history each."""

    def act(self, observations: Int[np.ndarray, "history feature"]) -> Int[np.ndarray, " history"]:
        """Return each history's next action."""
        ...

    def learn(
        self,
        observations: Int[np.ndarray, "history feature"],
        actions: Int[np.ndarray, " history"],
        rewards: Float[np.ndarray, " history"],
        next_observations: Int[np.ndarray, "history feature"],
        ended: Bool[np.ndarray, " history"],
    ) -> None:
        """Take in what the actions brought; `next_observations` are the terminal ones where an episode ended."""


@dataclass(frozen=True)
class Histories:
    """Learning histories of equal length, whole episodes from the first on."""

    tasks: Int[np.ndarray, " history"]
    """The task index of each history."""
    observations: Int[np.ndarray, "history step feature"]
    actions: Int[np.ndarray, "history step"]
    rewards: Shaped[np.ndarray, "history step"]
    next_observations: Int[np.ndarray, "history step feature"]
    """s' of each step: the terminal observation at an episode's end, never the reset one."""
    horizon: int
    """Steps of an episode."""
    intended: Int[np.ndarray, "history step"] | None = None
    """What the source meant to do where noise took another action; None where only what it did was kept."""

    def __len__(self) -> int:
        """Return the number of histories."""
        return len(self.tasks)

    def episode_returns(self) -> Float[np.ndarray, "history episode"]:
        """Return the return of every episode."""
        by_episode = self.rewards.reshape(len(self), -1, self.horizon).astype(np.float64)
        return np.asarray(by_episode.sum(axis=2))

    def save(self, path: Path) -> None:
        """Write the histories to a compressed npz file."""
        extra: dict[str, Any] = {} if self.intended is None else {"intended": self.intended}
        np.savez_compressed(
            path,
            tasks=self.tasks,
            observations=self.observations,
            actions=self.actions,
            rewards=self.rewards,
            next_observations=self.next_observations,
            horizon=self.horizon,
            **extra,
        )

    @classmethod
    def load(cls, path: Path) -> Histories:
        """Return the histories of a file that `save` wrote."""
        with np.load(path, allow_pickle=False) as stored:
            arrays = {name: stored[name] for name in stored.files}
        horizon = int(arrays.pop("horizon"))
        return cls(**arrays, horizon=horizon)


def record(
    env: VectorEnv[Any, Any, Any],
    source: Source,
    tasks: Int[np.ndarray, " history"],
    *,
    episodes: int,
    horizon: int,
    intends: Callable[[], Int[np.ndarray, " history"]] | None = None,
) -> Histories:
    """Return what `source` does in `env`, one history a room.

    Parameters
    ----------
    env
        In ``SAME_STEP`` mode, room i being an instance of ``tasks[i]``.
    intends
        Says after each ``act`` what the source meant to do; None keeps only what it did.
    """
    steps = episodes * horizon
    observation, _ = env.reset()
    features = observation.shape[1]
    observations = np.zeros((len(tasks), steps, features), np.uint8)
    next_observations = np.zeros_like(observations)
    actions = np.zeros((len(tasks), steps), np.uint8)
    intended = None if intends is None else np.zeros_like(actions)
    rewards = np.zeros((len(tasks), steps), np.float16)
    for step in range(steps):
        action = source.act(observation)
        if intends is not None and intended is not None:
            intended[:, step] = intends()
        following, reward, _, truncated, infos = env.step(action)
        after = terminal_observations(following, infos)
        source.learn(observation, action, reward, after, truncated)
        observations[:, step], actions[:, step] = observation, action
        rewards[:, step], next_observations[:, step] = reward, after
        observation = following
    kept = (observations, actions, rewards, next_observations)
    return Histories(np.asarray(tasks, np.int32), *kept, horizon, intended)
