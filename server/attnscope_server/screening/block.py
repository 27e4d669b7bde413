"""Some stored rollouts with every transition and every query embedded once, and the windows of any decision of them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from attnscope_model.acting.context import actions_taken, features
from attnscope_model.compression.facts import Facts, transition_facts
from attnscope_model.forward.policy import Policy
from attnscope_server.screening.histories import Histories


@dataclass(frozen=True, eq=False)
class Moments:
    """Decisions: of which rollout of a block, and at which step."""

    rollout: Int[Tensor, " decision"]
    step: Int[Tensor, " decision"]

    def __len__(self) -> int:
        return len(self.step)

    def only(self, some: Tensor) -> Moments:
        """Return some of them."""
        return Moments(self.rollout[some], self.step[some])


def moments_of(steps: Int[np.ndarray, "rollout decision"], device: torch.device) -> Moments:
    """Return the decisions at some steps of every rollout."""
    rollout = torch.arange(len(steps), device=device).repeat_interleave(steps.shape[1])
    return Moments(rollout, torch.from_numpy(steps.ravel()).to(device))


@dataclass(frozen=True, eq=False)
class Window:
    """The windows of some moments, oldest transition first, padded behind to the longest."""

    start: Int[Tensor, " decision"]
    """Transition index of each window's oldest transition."""
    held: Bool[Tensor, "decision entry"]
    index: Int[Tensor, "decision entry"]
    """Transition index of every entry; past a window's end, one that exists."""


class Block:
    """Rollouts whose decisions are judged together.

    Parameters
    ----------
    policy
        What decides.
    histories
        The rollouts, whole.
    device
        Where forwards run.
    """

    def __init__(self, policy: Policy, histories: Histories, device: torch.device) -> None:
        description = policy.description
        self.policy = policy
        self.histories = histories
        self.device = device
        self.per = description.tokens_per_transition
        self.capacity = (description.context_length - 1) // self.per
        """Transitions of a full context."""
        self.rollouts, self.steps = histories.action.shape[:2]
        ended = np.asarray(histories.ended).astype(np.int64)
        episode = torch.from_numpy(np.cumsum(ended, axis=1) - ended).to(device)
        observed = _flat(histories.observation, device)
        number = torch.arange(self.steps, device=device).repeat(self.rollouts)
        facts = transition_facts(
            policy,
            observed,
            actions_taken(np.ascontiguousarray(histories.action), device).flatten(0, 1),
            torch.from_numpy(np.asarray(histories.reward, np.float32)).to(device).flatten(),
            _flat(histories.next_observation, device),
            episode.flatten(),
            number,
        )
        shape = (self.rollouts, self.steps)
        self.facts: Facts = {
            name: value.view(*shape, *value.shape[1:]) for name, value in facts.items() if name not in {"first", "last"}
        }
        self.queries: Float[Tensor, "rollout step width"] = policy.stamp(policy.embed_query(observed), number).view(
            *shape, -1
        )
        self.observed = observed.float().view(*shape, -1)
        self.episode = episode
        self.lanes = torch.from_numpy(histories.lanes).to(device)

    @property
    def embedded(self) -> Float[Tensor, "rollout step size"]:
        """The tokens of every transition, side by side."""
        return self.facts["embedded"]

    def held(self, step: Int[Tensor, "*decision"]) -> Int[Tensor, "*decision"]:
        """Return the transitions that the window holds at each step."""
        return step.clamp(max=self.capacity)

    def window(self, moments: Moments) -> Window:
        """Return the windows of some moments."""
        held = self.held(moments.step)
        start = moments.step - held
        entries = torch.arange(max(1, int(held.max())), device=self.device)
        index = (start[:, None] + entries).clamp(max=self.steps - 1)
        return Window(start, entries < held[:, None], index)

    def taken(self, name: str, moments: Moments, index: Int[Tensor, "decision entry"]) -> Tensor:
        """Return a fact of transitions of each moment's rollout."""
        return self.facts[name][moments.rollout[:, None], index]


def _flat(observation: np.ndarray, device: torch.device) -> Tensor:
    """Return the observations of all rollouts and steps on one axis."""
    return features(np.ascontiguousarray(observation.reshape(-1, *observation.shape[2:])), device)
