"""Running a source on many tasks at once, and what is kept of it."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from gymnasium.vector import VectorEnv
from jaxtyping import Bool, Float, Int, Integer, Shaped

from attnscope_env.rooms.array_vector import terminal_observations


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
    """Learning histories of equal length: whole episodes, in the order they were played."""

    tasks: Integer[np.ndarray, " history"]
    """The task index of each history."""
    observations: Integer[np.ndarray, "history step feature"]
    actions: Integer[np.ndarray, "history step"]
    rewards: Shaped[np.ndarray, "history step"]
    next_observations: Integer[np.ndarray, "history step feature"]
    """s' of each step: the terminal observation at an episode's end, never the reset one."""
    horizon: int
    """Steps of an episode."""
    intended: Integer[np.ndarray, "history step"] | None = None
    """The action that the source chose where noise took another; None where only the taken one was kept."""

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
    def joined(cls, parts: Sequence[Histories]) -> Histories:
        """Return the histories of all parts, one after another.

        Raises
        ------
        ValueError
            A part holds what its source meant to do, which would be lost.
        """
        if any(part.intended is not None for part in parts):
            raise ValueError("expected parts that hold only what their sources did, got one with what it meant to do")
        names = ("tasks", "observations", "actions", "rewards", "next_observations")
        arrays = {name: np.concatenate([getattr(part, name) for part in parts]) for name in names}
        (horizon,) = {part.horizon for part in parts}
        return cls(**arrays, horizon=horizon)

    @classmethod
    def load(cls, path: Path) -> Histories:
        """Return the histories of a file that `save` wrote."""
        with np.load(path, allow_pickle=False) as stored:
            arrays = {name: stored[name] for name in stored.files}
        horizon = int(arrays.pop("horizon"))
        return cls(**arrays, horizon=horizon)


class Recorder:
    """The steps of a source that are kept: all of its episodes, or the last of each `every` of them.

    Kept whole and last, so that each kept episode shows what was learned in those left out before it, and a history
    ends where its source ended.

    Parameters
    ----------
    tasks
        The task index of each history.
    episodes
        Episodes kept.
    horizon
        Steps of an episode.
    features
        Numbers of an observation.
    every
        Episodes that the source plays for each one kept.
    intends
        Whether what the source meant to do is kept too.
    """

    def __init__(
        self,
        tasks: Int[np.ndarray, " history"],
        *,
        episodes: int,
        horizon: int,
        features: int,
        every: int = 1,
        intends: bool = False,
    ) -> None:
        if min(episodes, horizon, every) < 1:
            raise ValueError(f"expected at least 1 of each, got {episodes=}, {horizon=}, {every=}")
        steps = episodes * horizon
        self._horizon, self._every = horizon, every
        self._step = 0
        self._tasks = np.asarray(tasks, np.int32)
        self._observations = np.zeros((len(tasks), steps, features), np.uint8)
        self._next_observations = np.zeros_like(self._observations)
        self._actions = np.zeros((len(tasks), steps), np.uint8)
        self._rewards = np.zeros((len(tasks), steps), np.float16)
        self._intended = np.zeros_like(self._actions) if intends else None
        self.steps = steps * every
        """Steps that the source is to take."""

    def take(
        self,
        observations: Int[np.ndarray, "history feature"],
        actions: Int[np.ndarray, " history"],
        rewards: Float[np.ndarray, " history"],
        next_observations: Int[np.ndarray, "history feature"],
        intended: Int[np.ndarray, " history"] | None = None,
    ) -> None:
        """Take in the next step, and keep it where its episode is kept.

        Raises
        ------
        ValueError
            All steps were taken.
        """
        if self._step == self.steps:
            raise ValueError(f"expected {self.steps} steps, got another")
        episode, within = divmod(self._step, self._horizon)
        self._step += 1
        if episode % self._every != self._every - 1:
            return
        place = episode // self._every * self._horizon + within
        self._observations[:, place], self._actions[:, place] = observations, actions
        self._rewards[:, place], self._next_observations[:, place] = rewards, next_observations
        if self._intended is not None and intended is not None:
            self._intended[:, place] = intended

    def histories(self) -> Histories:
        """Return what was kept.

        Raises
        ------
        ValueError
            The source did not take all of its steps.
        """
        if self._step < self.steps:
            raise ValueError(f"expected {self.steps} steps, got {self._step}")
        return Histories(
            self._tasks,
            self._observations,
            self._actions,
            self._rewards,
            self._next_observations,
            self._horizon,
            self._intended,
        )


def record(
    env: VectorEnv[Any, Any, Any],
    source: Source,
    tasks: Int[np.ndarray, " history"],
    *,
    episodes: int,
    horizon: int,
    every: int = 1,
    intends: Callable[[], Int[np.ndarray, " history"]] | None = None,
    seeds: Sequence[int] | None = None,
) -> Histories:
    """Return what `source` does in `env`, one history a room.

    Parameters
    ----------
    env
        In ``SAME_STEP`` mode, room i being an instance of ``tasks[i]``.
    source
        Algorithm that learns.
    tasks
        Tasks that are learnt, each from nothing, int [history].
    episodes, every
        Episodes kept of a history, and how many are played for each of them; the last of these is kept.
    horizon
        Steps of an episode.
    intends
        Says after each ``act`` what the source meant to do; None keeps only what it did.
    seeds
        Of the rooms, where they draw anything.
    """
    observation, _ = env.reset(seed=None if seeds is None else list(seeds))  # type: ignore[arg-type]  # it takes a list too
    kept = Recorder(
        tasks,
        episodes=episodes,
        horizon=horizon,
        features=math.prod(observation.shape[1:]),
        every=every,
        intends=intends is not None,
    )
    for _ in range(kept.steps):
        action = source.act(observation)
        intended = None if intends is None else intends()
        following, reward, terminated, truncated, infos = env.step(action)
        after = terminal_observations(following, infos)
        source.learn(observation, action, reward, after, np.logical_or(terminated, truncated))
        kept.take(_flat(observation), action, reward, _flat(after), intended)
        observation = following.copy()
    return kept.histories()


def _flat(observations: Int[np.ndarray, "history ..."]) -> Int[np.ndarray, "history feature"]:
    """Return observations as features; a discrete one is a single feature."""
    return observations.reshape(len(observations), -1)
