"""Rollouts of a policy whose window moves by whole episodes: the rule `episodes`, computed from a cache.

The rule's arm computes every context anew, which takes about forty times as long. A test holds these decisions to it.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence

import numpy as np
import torch
from jaxtyping import Float64

from attnscope_env.presets.tasks import EnvPreset, Task
from attnscope_model.acting.deciding import Decider, Decision
from attnscope_model.acting.outputs import output_of
from attnscope_model.forward.policy import Policy
from attnscope_server.acting.choices import Choices, HostArray, host_choices
from attnscope_server.acting.loop import Transition, act
from attnscope_server.acting.rooms import HostRooms
from attnscope_server.training.evaluation import evaluation_axis


class MovedWindows:
    """An actor over windows that always begin with an episode, in slot 0.

    Parameters
    ----------
    policy
        Decides, on the CPU.
    envs
        Contexts in the batch.
    horizon
        Steps of an episode.
    episodes
        Episodes of a window, the present one among them; the oldest is dropped whole.
    choices
        Actions of a decision.
    """

    def __init__(self, policy: Policy, envs: int, *, horizon: int, episodes: int, choices: Choices[HostArray]) -> None:
        self._policy, self._envs, self._horizon = policy, envs, horizon
        self._choices = choices
        self._before: deque[Transition[HostArray]] = deque(maxlen=(episodes - 1) * horizon)
        self._decider = self._filled()

    def decide(self, step: int, observation: HostArray) -> Decision:
        """Return the decision at an observation; each episode's first one is taken over a window that begins anew."""
        if step % self._horizon == 0:
            self._decider = self._filled()
        return self._decider.decide(observation)

    def choose(self, step: int, decision: Decision) -> HostArray:
        """Return the actions of a decision."""
        return self._choices(step, decision.logits)

    def append(self, transition: Transition[HostArray]) -> None:
        """Add a finished transition."""
        self._before.append(transition)
        self._added(self._decider, transition)

    def _filled(self) -> Decider:
        """Return the contexts of the episodes before."""
        decider = Decider(self._policy, self._envs, torch.device("cpu"))
        for transition in self._before:
            self._added(decider, transition)
        return decider

    def _added(self, decider: Decider, transition: Transition[HostArray]) -> None:
        decider.append(transition.observation, transition.action, transition.reward, transition.next_observation)


class Returns:
    """Adds rewards up, episode by episode."""

    def __init__(self, envs: int, episodes: int, horizon: int) -> None:
        self.returns = np.zeros((envs, episodes))
        self._horizon = horizon

    def begin(self, step: int) -> None:
        """Do nothing: these rollouts are not stopped."""

    def decided(self, step: int, decision: Decision) -> None:
        """Do nothing: decisions are not kept."""

    def stepped(self, step: int, transition: Transition[HostArray]) -> None:
        """Add the rewards of a step."""
        self.returns[:, step // self._horizon] += transition.reward


def moved_returns(
    policy: Policy, room: EnvPreset, tasks: Sequence[Task], *, window: int, rollouts: int, episodes: int, seed: int
) -> Float64[np.ndarray, "task rollout episode"]:
    """Return what `episode_returns` does under the rule `episodes`, whose window is so many episodes."""
    axis = evaluation_axis(tasks, rollouts, seed)
    envs = len(axis.task)
    choices = host_choices(axis, 1.0, output_of(policy.description))
    recorder = Returns(envs, episodes, room.horizon)
    with torch.inference_mode():
        rooms = HostRooms(
            room.make_vector([task for task in tasks for _ in range(rollouts)]), axis, room.environment_id
        )
        actor = MovedWindows(policy, envs, horizon=room.horizon, episodes=window, choices=choices)
        act(range(episodes * room.horizon), rooms, actor, recorder)
    return recorder.returns.reshape(len(tasks), rollouts, episodes)
