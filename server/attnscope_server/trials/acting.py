"""Acting: one batch of rollouts, compressed or not, from its first step to its last."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final, Protocol

import numpy as np
import torch
from gymnasium.vector import VectorEnv
from jaxtyping import Float, Int, Shaped

from attnscope_env import environment_seeds, terminal_observations
from attnscope_model.acting.sampling import ACTION_STREAM, choose_actions, uniforms
from attnscope_server.capturing.plan import EnvAxis
from attnscope_server.capturing.rollout import NotReproducibleError

DRAWN: Final = 64
"""Steps whose random numbers are drawn at a time."""

Environment = VectorEnv[Any, Any, Any]


class Deciding(Protocol):
    """What takes decisions over contexts that it keeps."""

    @abstractmethod
    def decide(self, observation: Any) -> torch.Tensor:  # noqa: ANN401 - arrays of either library
        """Return the logits of the decision at an observation."""
        ...

    def pass_by(self, observation: Any) -> None:  # noqa: ANN401 - as above
        """Go on without the decision at an observation."""

    def append(self, observation: Any, action: Any, reward: Any, next_observation: Any, ended: Any) -> None:  # noqa: ANN401 - as above
        """Add a finished transition."""


@dataclass
class Recorded:
    """What happened in a batch of rollouts, step by step."""

    observation: list[Shaped[np.ndarray, "env ..."]] = field(default_factory=list)
    action: list[Int[np.ndarray, " env"]] = field(default_factory=list)
    reward: list[Float[np.ndarray, " env"]] = field(default_factory=list)
    reached: list[Shaped[np.ndarray, "env ..."]] = field(default_factory=list)
    ended: list[Shaped[np.ndarray, " env"]] = field(default_factory=list)

    def transition(self, step: int) -> tuple[np.ndarray[Any, Any], ...]:
        """Return (observation, action, reward, next observation, ended) of a step."""
        series = (self.observation, self.action, self.reward, self.reached, self.ended)
        return tuple(values[step] for values in series)


def act(
    decider: Deciding,
    environment: Environment,
    axis: EnvAxis,
    steps: int,
    temperature: float | None,
    at_step: Callable[[int, torch.Tensor], None],
) -> Recorded:
    """Roll out and return what happened.

    Parameters
    ----------
    axis
        Who acts: determines the environments' seeds and the random numbers of every step.
    temperature
        Of sampling; None is greedy.
    at_step
        Told of every decision, after it is taken and before the environments are stepped.
    """
    observation = first_observation(environment, axis)
    recorded = Recorded()
    numbers = None
    for step in range(steps):
        if temperature is not None and step % DRAWN == 0:
            numbers = uniforms(axis.seed, axis.task, axis.replica, step, min(DRAWN, steps - step), ACTION_STREAM)
        logits = decider.decide(observation)
        at_step(step, logits)
        drawn = None if numbers is None else numbers[step % DRAWN]
        actions = choose_actions(logits, drawn, 1.0 if temperature is None else temperature)
        observation = _stepped(environment, observation, actions, recorded)
        decider.append(*recorded.transition(step))
    return recorded


def act_again(
    environment: Environment,
    axis: EnvAxis,
    actions: Int[np.ndarray, "env step"],
    rewards: Float[np.ndarray, "env step"],
    at_step: Callable[[int], None],
) -> Recorded:
    """Step environments through stored actions and return what happened.

    Raises
    ------
    NotReproducibleError
        They give other rewards than those that are stored.
    """
    observation = first_observation(environment, axis)
    recorded = Recorded()
    for step in range(actions.shape[1]):
        at_step(step)
        observation = _stepped(environment, observation, actions[:, step].astype(np.int64), recorded)
        if not np.array_equal(rewards[:, step], recorded.reward[step]):
            raise NotReproducibleError(
                f"the environment does not reproduce its rewards at step {step}: stored {rewards[:, step].tolist()}, "
                f"now {recorded.reward[step].tolist()}"
            )
    return recorded


def first_observation(environment: Environment, axis: EnvAxis) -> np.ndarray[Any, Any]:
    """Reset the environments to the beginning of their rollouts."""
    seeds = environment_seeds(axis.seed, axis.task, axis.replica)
    observation, _ = environment.reset(seed=seeds)  # type: ignore[arg-type]  # gymnasium takes a list too
    return np.asarray(observation)


def _stepped(
    environment: Environment,
    before: np.ndarray[Any, Any],
    actions: Int[np.ndarray, " env"],
    recorded: Recorded,
) -> np.ndarray[Any, Any]:
    """Step the environments, take down what happened, and return what is observed next."""
    after, reward, terminated, truncated, infos = environment.step(actions)
    recorded.observation.append(before)
    recorded.action.append(actions)
    recorded.reward.append(np.asarray(reward, np.float32))
    recorded.reached.append(np.asarray(terminal_observations(after, infos)))
    recorded.ended.append(np.asarray(terminated | truncated))
    return np.asarray(after)
