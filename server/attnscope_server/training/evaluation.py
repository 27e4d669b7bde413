"""Evaluation: returns of every episode of many rollouts, rolled out as a capture would, but without capture."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float64

from attnscope_env.presets.tasks import EnvPreset, Task
from attnscope_model.acting.deciding import Decision
from attnscope_model.acting.outputs import output_of
from attnscope_model.acting.remembering import deciding
from attnscope_model.compression.deciding import CompressedDecider
from attnscope_model.compression.setup import Compression
from attnscope_model.forward.policy import Policy
from attnscope_server.acting.axis import EnvAxis
from attnscope_server.acting.choices import Choices, HostArray, PolicyActor, host_choices
from attnscope_server.acting.loop import Actor, Transition, act
from attnscope_server.acting.rooms import HostRooms


def episode_returns(
    policy: Policy,
    preset: EnvPreset,
    tasks: Sequence[Task],
    *,
    rollouts: int,
    episodes: int,
    seed: int = 0,
    tell: Callable[[int], None] = lambda _step: None,
    setup: Compression | None = None,
) -> Float64[np.ndarray, "task rollout episode"]:
    """Return the return of each episode of each rollout; actions are sampled at temperature 1.

    Environments and random numbers depend on seed, task, rollout and step alone: a capture of the same seed takes
    the same actions in the same environments.

    Parameters
    ----------
    policy
        Decides, on the CPU.
    preset, tasks
        The environment, and the tasks that are rolled out in it.
    rollouts
        Rollouts of each task.
    episodes
        Episodes of each rollout, each of the preset's horizon.
    seed
        Of environments and actions, at least 0.
    tell
        Hears after every step how many are done.
    setup
        The compression of its contexts; None acts on whole ones, with the same random numbers.

    Raises
    ------
    CompressionUnfitError
        The compression does not fit the policy.
    EnvironmentUnusableError
        The environment gives a number that is not finite.
    """
    axis = evaluation_axis(tasks, rollouts, seed)
    environment = preset.make_vector([task for task in tasks for _ in range(rollouts)])
    returns = np.zeros((len(axis.task), episodes))
    with torch.inference_mode():
        rooms = HostRooms(environment, axis, preset.environment_id)
        actor = _actor(policy, axis, setup)
        act(range(episodes * preset.horizon), rooms, actor, _Returns(returns, preset.horizon, tell))
    return returns.reshape(len(tasks), rollouts, episodes)


@dataclass
class _CompressedActor:
    """A policy that acts on compressed contexts."""

    decider: CompressedDecider
    choices: Choices[HostArray]

    def decide(self, step: int, observation: HostArray) -> Decision:  # noqa: ARG002 - every decision is taken alike
        """Return the decision at an observation."""
        return Decision(self.decider.decide(observation))

    def choose(self, step: int, decision: Decision) -> HostArray:
        """Return the actions of a decision."""
        return self.choices(step, decision.logits)

    def append(self, transition: Transition[HostArray]) -> None:
        """Add a finished transition to the contexts."""
        self.decider.append(
            transition.observation,
            transition.action,
            transition.reward,
            transition.next_observation,
            transition.ended,
        )


def _actor(policy: Policy, axis: EnvAxis, setup: Compression | None) -> Actor[HostArray, Decision]:
    """Return an actor over whole contexts, or over compressed ones, with the same random numbers."""
    envs, device = len(axis.task), torch.device("cpu")
    choices = host_choices(axis, 1.0, output_of(policy.description))
    if setup is None:
        return PolicyActor[HostArray](deciding(policy, envs, device), choices)
    return _CompressedActor(CompressedDecider(policy, [setup], torch.arange(envs), device), choices)


def evaluation_axis(tasks: Sequence[Task], rollouts: int, seed: int) -> EnvAxis:
    """Return the env axis of an evaluation: task × rollout, in that nesting."""
    envs = len(tasks) * rollouts
    position = np.repeat(np.arange(len(tasks)), rollouts)
    return EnvAxis(
        task=np.array([task.index for task in tasks], np.int32)[position],
        seed=np.full(envs, seed),
        replica=np.tile(np.arange(rollouts, dtype=np.int32), len(tasks)),
        split=np.full(envs, -1, np.int8),
        position=position,
    )


@dataclass
class _Returns:
    """Adds rewards up, episode by episode."""

    returns: Float64[np.ndarray, "env episode"]
    horizon: int
    tell: Callable[[int], None]

    def begin(self, step: int) -> None:
        """Do nothing: an evaluation is not stopped."""

    def decided(self, step: int, decision: Decision) -> None:
        """Do nothing: decisions are not kept."""

    def stepped(self, step: int, transition: Transition[HostArray]) -> None:
        """Add the rewards of a step."""
        self.returns[:, step // self.horizon] += transition.reward
        self.tell(step + 1)
