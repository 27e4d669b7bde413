"""Environments that the host steps: seeded by the env axis, their arrays copied and refused where not finite.

Any Gymnasium vector environment in ``SAME_STEP`` mode is stepped. It may overwrite its arrays in the next step,
so each array is copied before it is kept.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from gymnasium import spaces
from gymnasium.vector import VectorEnv
from jaxtyping import Int

from attnscope_env import EnvironmentUnusableError, environment_seeds, terminal_observations
from attnscope_model.errors import CaptureInvalidError
from attnscope_server.acting.axis import EnvAxis
from attnscope_server.acting.loop import Transition

HostArray = np.ndarray[Any, Any]
Environment = VectorEnv[Any, Any, Any]


class HostRooms:
    """The environments of an env axis, at the beginning of their rollouts.

    Parameters
    ----------
    environment
        The environments, in the order of the axis.
    axis
        Determines the seed of each environment.
    name
        Name of the environment in errors, e.g. its Gymnasium id.

    Raises
    ------
    EnvironmentUnusableError
        The first observation is not finite.
    """

    def __init__(self, environment: Environment, axis: EnvAxis, name: str = "the environment") -> None:
        self._environment, self._axis, self._name = environment, axis, name
        self._steps = 0
        space = environment.single_action_space
        self._bounds = (space.low, space.high) if isinstance(space, spaces.Box) else None
        seeds = environment_seeds(axis.seed, axis.task, axis.replica)
        observation, _ = environment.reset(seed=seeds)  # type: ignore[arg-type]  # gymnasium takes a list too
        self._observation = np.array(observation)
        self._episode = np.zeros(len(seeds), np.int32)
        self._refuse_not_finite("first observation", self._observation)

    @property
    def observation(self) -> HostArray:
        """The observation at the next decision, [env, ...]."""
        return self._observation

    @property
    def episode(self) -> Int[np.ndarray, " env"]:
        """Number of the present episode of every environment."""
        return self._episode

    def step(self, actions: HostArray) -> Transition[HostArray]:
        """Step every environment by its action; an action vector is first brought within the environment's bounds.

        The transition holds the action that was taken, so a policy sees the one that had an effect.

        Raises
        ------
        EnvironmentUnusableError
            A reward or an observation is not finite; no policy can take it.
        CaptureInvalidError
            The policy gives an action vector that is not finite; what an environment makes of it means nothing.
        """
        before, episode = self._observation, self._episode
        if self._bounds is not None:
            actions = np.clip(actions, *self._bounds).astype(np.float32)
            self._refuse_no_action(actions)
        after, reward, terminated, truncated, infos = self._environment.step(actions)
        after, reward = np.array(after), np.array(reward)
        reached = terminal_observations(after, infos)
        ended = np.logical_or(terminated, truncated)
        self._refuse_not_finite("reward", reward)
        self._refuse_not_finite("observation", reached)
        if reached is not after:
            self._refuse_not_finite("first observation of an episode", after)
        self._observation = after
        self._episode = episode + ended
        self._steps += 1
        return Transition(
            observation=before,
            action=actions,
            reward=reward,
            next_observation=reached,
            terminated=np.array(terminated),
            truncated=np.array(truncated),
            ended=ended,
            episode=episode,
        )

    def _refuse_no_action(self, actions: HostArray) -> None:
        finite = np.isfinite(actions).all(axis=1)
        if finite.all():
            return
        env = int(np.argmin(finite))
        raise CaptureInvalidError(
            f"the policy gives {self._name} the action {actions[env].tolist()} at step {self._steps}, in "
            f"{self._axis.named(env)}; an action is of finite numbers"
        )

    def _refuse_not_finite(self, noun: str, values: HostArray) -> None:
        if values.dtype.kind != "f" or np.isfinite(values).all():
            return
        finite = np.isfinite(values).reshape(len(values), -1).all(axis=1)
        env = int(np.argmin(finite))
        raise EnvironmentUnusableError(
            f"{self._name} gives the {noun} {values[env].tolist()} at step {self._steps}, in {self._axis.named(env)}; "
            "a policy takes finite numbers only"
        )
