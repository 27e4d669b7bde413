"""Rollouts of a decision: one policy uncompressed, compressed or at random, on tasks × seeds that all arms share.

A rollout depends on its task, its seed and its arm alone, so that arms are paired by common random numbers and a
request that is run again gives the same bits.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass
from typing import Final

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from attnscope_model.acting.context import Observations
from attnscope_model.acting.outputs import output_of
from attnscope_model.acting.tape import AttentionTape
from attnscope_model.compression import Compression
from attnscope_model.compression.deciding import CompressedDecider, PlainDecider
from attnscope_model.forward.policy import Policy
from attnscope_server.acting.axis import EnvAxis
from attnscope_server.acting.errors import RolloutStoppedError
from attnscope_server.acting.rooms import Environment, HostRooms
from attnscope_server.screening import Histories
from attnscope_server.trials.acting import Deciding, Recorded, roll_out
from attnscope_server.trials.axes import lanes_of, repeated
from attnscope_server.trials.waves import LARGEST

UNIFORM_SEEDS: Final = 500_000
"""Distance of the seeds of uniform actions from the seed base."""


class _Watched(PlainDecider):
    """Uncompressed contexts whose decisions' attention is kept, as the mean over layers and heads."""

    def __init__(self, policy: Policy, envs: int, device: torch.device) -> None:
        super().__init__(policy, envs, device)
        self.rows: list[Float[np.ndarray, "env slot"]] = []

    def decide(self, observation: Observations) -> Float[Tensor, "env action"]:
        """Return the logits of the decision at an observation."""
        tokens = self.window.tokens(observation)
        with AttentionTape(self._policy) as tape:
            logits: Tensor = self._policy(tokens).float()
        row = tape.rows.float().mean(dim=(1, 2)).cpu().numpy()
        whole = np.full((len(row), self._policy.description.context_length), np.nan, np.float32)
        whole[:, : row.shape[1]] = row
        self.rows.append(whole)
        return logits


class _Uniform(Deciding):
    """Equal logits for every action; it has no context."""

    def __init__(self, actions: int) -> None:
        self._actions = actions

    def decide(self, observation: Observations) -> Float[Tensor, "env action"]:
        """Return logits of zero."""
        return torch.zeros(len(observation), self._actions)

    def pass_by(self, observation: object) -> None:
        """Do nothing."""

    def append(
        self, observation: object, action: object, reward: object, next_observation: object, ended: object
    ) -> None:
        """Do nothing."""


@dataclass(frozen=True, eq=False)
class Rollouts:
    """The results of some rollouts."""

    returns: Float[np.ndarray, "rollout episode"]
    action: Int[np.ndarray, "rollout step ..."]
    episode: Int[np.ndarray, "rollout step"]
    """Number of the episode that every step belongs to."""

    @property
    def earned(self) -> Bool[np.ndarray, " rollout"]:
        """True where a rollout had any return other than zero."""
        return np.asarray((np.nan_to_num(self.returns) != 0).any(axis=1))


@dataclass(frozen=True)
class Stage:
    """The environments in which a policy acts, and the length of its rollouts."""

    policy: Policy
    environments: Callable[[EnvAxis], Environment]
    name: str
    """Name of the environment in errors."""
    device: torch.device
    steps: int
    episodes: int
    temperature: float | None
    most_rewards: int | None
    """Rewards other than 0 that an episode can give, as the environment declares it."""
    stopped: Callable[[], bool]
    advanced: Callable[[float], None]
    """Hears which share of the rollouts that were asked for is done."""

    def uncompressed(self, axis: EnvAxis) -> Rollouts:
        """Roll the policy out with its whole context."""
        waves, parts = _waves(axis), []
        for index, part in enumerate(waves):
            decider = PlainDecider(self.policy, len(part.task), self.device)
            parts.append(_summed(self._rolled(decider, part, (index, len(waves))), self.episodes))
        return _joined(parts)

    def captured(self, axis: EnvAxis) -> tuple[Rollouts, Histories]:
        """Roll the policy out with its whole context, and keep its histories with the attention of every decision."""
        decider = _Watched(self.policy, len(axis.task), self.device)
        recorded = self._rolled(decider, axis, (0, 1))
        histories = Histories(
            observation=np.stack(recorded.observation, axis=1),
            action=np.stack(recorded.action, axis=1),
            reward=np.stack(recorded.reward, axis=1),
            next_observation=np.stack(recorded.reached, axis=1),
            ended=np.stack(recorded.ended, axis=1).astype(bool),
            task=axis.task.astype(np.int64),
            seed=axis.seed,
            rows=np.stack(decider.rows, axis=1),
        )
        return _summed(recorded, self.episodes), histories

    def compressed(self, setups: Sequence[Compression], axis: EnvAxis) -> list[Rollouts]:
        """Roll the policy out under every compression, all on the same tasks and seeds."""
        at_once = max(1, LARGEST // len(axis.task))
        waves = [(first, part) for first in range(0, len(setups), at_once) for part in _waves(axis)]
        found: dict[int, list[Rollouts]] = {number: [] for number in range(len(setups))}
        for index, (first, part) in enumerate(waves):
            some = setups[first : first + at_once]
            lanes = torch.from_numpy(lanes_of(part))
            decider = CompressedDecider(self.policy, some, lanes, self.device)
            recorded = self._rolled(decider, repeated(part, len(some)), (index, len(waves)))
            rolled = _summed(recorded, self.episodes)
            for number in range(len(some)):
                found[first + number].append(_part(rolled, slice(number * len(lanes), (number + 1) * len(lanes))))
        return [_joined(parts) for parts in found.values()]

    def uniform(self, axis: EnvAxis) -> Rollouts:
        """Roll uniform actions out."""
        decider = _Uniform(self.policy.description.actions)
        return _summed(self._rolled(decider, axis, (0, 1), temperature=1.0), self.episodes)

    def _rolled(
        self, decider: Deciding, axis: EnvAxis, place: tuple[int, int], *, temperature: float | None = None
    ) -> Recorded:
        """Roll out one wave, the `place`-th of so many."""

        def at_step(step: int, _logits: Tensor) -> None:
            if self.stopped():
                raise RolloutStoppedError("stopped within a request")
            self.advanced((place[0] + step / self.steps) / place[1])

        with torch.inference_mode(), closing(self.environments(axis)) as environment:
            rooms = HostRooms(environment, axis, self.name)
            output = output_of(self.policy.description)
            return roll_out(decider, rooms, axis, self.steps, temperature or self.temperature, output, at_step)


def axis_of(tasks: Sequence[int], first: int, last: int) -> EnvAxis:
    """Return the env axis of task × seed, in that nesting, with the seeds from `first` to before `last`."""
    task, seed = (values.ravel() for values in np.meshgrid(tasks, np.arange(first, last), indexing="ij"))
    position = np.repeat(np.arange(len(tasks)), last - first)
    return EnvAxis(
        task=task.astype(np.int32),
        seed=seed.astype(np.int64),
        replica=np.zeros(len(task), np.int32),
        split=np.full(len(task), -1, np.int8),
        position=position,
    )


def _waves(axis: EnvAxis) -> list[EnvAxis]:
    """Cut an axis into waves that are not too large."""
    bounds = range(0, len(axis.task), LARGEST)
    return [EnvAxis(**{name: values[at : at + LARGEST] for name, values in vars(axis).items()}) for at in bounds]


def _summed(recorded: Recorded, episodes: int) -> Rollouts:
    """Return the returns of a rollout's first episodes; one that did not end is NaN."""
    reward, ended = np.stack(recorded.reward, axis=1), np.stack(recorded.ended, axis=1).astype(bool)
    done = np.cumsum(ended, axis=1)
    episode = done - ended
    sums = np.zeros((len(reward), max(int(episode.max()) + 1, episodes)))
    np.add.at(sums, (np.arange(len(reward))[:, None], episode), reward)
    returns = np.where(np.arange(sums.shape[1]) < done[:, -1:], sums, np.nan)[:, :episodes]
    return Rollouts(returns.astype(np.float32), np.stack(recorded.action, axis=1).astype(np.int16), episode)


def _part(rolled: Rollouts, some: slice) -> Rollouts:
    return Rollouts(rolled.returns[some], rolled.action[some], rolled.episode[some])


def _joined(parts: Sequence[Rollouts]) -> Rollouts:
    return Rollouts(
        np.concatenate([part.returns for part in parts]),
        np.concatenate([part.action for part in parts]),
        np.concatenate([part.episode for part in parts]),
    )
