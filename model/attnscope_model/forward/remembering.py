"""Policies that keep something of each step: memories of layers' inputs, rolling keys and values, returns to come.

Such a policy has no context of tokens that could be embedded anew at any time. It hands out a memory, which decides at
an observation, takes a finished step, and forgets at an episode's end. Each environment of a batch has a time of its
own, as their episodes may end at different steps.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import NoReturn

import torch
from jaxtyping import Bool, Float, Int, Num
from torch import Tensor

from attnscope_model.errors import NotReplayableError
from attnscope_model.forward.attention import TapedAttention
from attnscope_model.forward.policy import Policy


@dataclass(frozen=True)
class Recalled:
    """A decision out of memory."""

    logits: Float[Tensor, "env action"]
    rows: Float[Tensor, "env layer head slot"]
    """Oldest step first, the query last; 0 beyond a context's tokens."""


class Memory(ABC):
    """The memory of a batch of environments."""

    at: Int[Tensor, " env"]
    """Steps of the present episode that are done."""

    @abstractmethod
    def held(self) -> Int[Tensor, " env"]:
        """Return how many past steps each context shows."""

    @abstractmethod
    def decide(self, observation: Num[Tensor, "env feature"]) -> Recalled:
        """Return the decision at an observation; asked again, it is the same."""

    @abstractmethod
    def append(
        self, action: Num[Tensor, "env ..."], reward: Float[Tensor, " env"], ended: Bool[Tensor, " env"]
    ) -> None:
        """Take the step that was decided last, and forget everything where an episode ended."""


class RememberingPolicy(Policy):
    """A policy that decides out of a memory."""

    @abstractmethod
    def memory(self, envs: int, device: torch.device) -> Memory:
        """Return the memory of a batch at the beginning of its episodes."""

    def attentions(self) -> list[TapedAttention]:
        """Return no place for a tape: the rows come with each decision."""
        return []

    def embed_transition(
        self,
        observation: Num[Tensor, "env feature"],
        action: Num[Tensor, "env ..."],
        reward: Float[Tensor, " env"],
        next_observation: Num[Tensor, "env feature"],
    ) -> Float[Tensor, "env token width"]:
        """Refuse: a step stands for what was computed when it happened."""
        del observation, action, reward, next_observation
        self._refuse()

    def embed_query(self, observation: Num[Tensor, "env feature"]) -> Float[Tensor, "env token width"]:
        """Refuse, as `embed_transition` does."""
        del observation
        self._refuse()

    def forward(self, tokens: Float[Tensor, "env token width"]) -> Float[Tensor, "env action"]:
        """Refuse, as `embed_transition` does."""
        del tokens
        self._refuse()

    def _refuse(self) -> NoReturn:
        raise NotReplayableError(
            f"a policy of {self.description.family} decides out of what it computed before, not out of tokens: step it "
            "from an episode's beginning"
        )


class RollingPolicy(RememberingPolicy):
    """A policy whose layers attend to entries that each earlier step left behind."""

    past_steps: int
    """Steps beside the present one that a context shows."""
    entry: tuple[int, ...]
    """Shape of what a step leaves in each layer."""
    told: int
    """Numbers that a step is told of the step before it; zeros at an episode's beginning."""

    def memory(self, envs: int, device: torch.device) -> RollingMemory:
        """Return the memory of a batch at the beginning of its episodes."""
        return RollingMemory(self, envs, device)

    @abstractmethod
    def step(
        self,
        observation: Num[Tensor, "env feature"],
        told: Float[Tensor, "env number"],
        past: Float[Tensor, "env layer step *entry"],
        at: Int[Tensor, " env"],
    ) -> tuple[Float[Tensor, "env action"], Float[Tensor, "env layer head slot"], Float[Tensor, "env layer *entry"]]:
        """Return logits, decision rows, and what the step leaves behind.

        Parameters
        ----------
        observation
            Of the present step.
        told
            Of the step before, as `tell` gives it.
        past
            Entries of the newest `past_steps` steps at most, oldest first; unused places are zeros.
        at
            Steps of each episode that are done.
        """

    def tell(self, action: Num[Tensor, "env ..."], reward: Float[Tensor, " env"]) -> Float[Tensor, "env number"]:
        """Return what the next step is told of this one."""
        del reward
        return action.new_zeros((len(action), 0), dtype=torch.float32)


class RollingMemory(Memory):
    """Entries of the newest steps of each environment's episode.

    Parameters
    ----------
    policy
        Computes the entries.
    envs
        Environments in the batch.
    device
        Where the entries are.
    """

    def __init__(self, policy: RollingPolicy, envs: int, device: torch.device) -> None:
        self._policy = policy
        self._past = torch.zeros(envs, policy.description.layers, policy.past_steps, *policy.entry, device=device)
        self._told = torch.zeros(envs, policy.told, device=device)
        self._left: Tensor | None = None
        self.at = torch.zeros(envs, dtype=torch.int64, device=device)

    def held(self) -> Int[Tensor, " env"]:
        """Return how many past steps each context shows."""
        return self.at.clamp(max=self._policy.past_steps)

    def decide(self, observation: Num[Tensor, "env feature"]) -> Recalled:
        """Return the decision at an observation."""
        logits, rows, self._left = self._policy.step(observation, self._told, self._past, self.at)
        return Recalled(logits, rows)

    def append(
        self, action: Num[Tensor, "env ..."], reward: Float[Tensor, " env"], ended: Bool[Tensor, " env"]
    ) -> None:
        """Keep what the step left behind; the oldest entry goes where there is no more room."""
        if self._left is None:
            raise RuntimeError("expected a decision before its step is taken")
        held = self.held()
        full = held == self._policy.past_steps
        if self._policy.past_steps:
            self._past[full] = self._past[full].roll(-1, dims=2)
            place = torch.where(full, held - 1, held)
            self._past[torch.arange(len(place), device=place.device), :, place] = self._left
        self._told = self._policy.tell(action, reward)
        self.at = torch.where(ended, 0, self.at + 1)
        self._past[ended], self._told[ended] = 0, 0
        self._left = None


def newest_weights(scores: Float[Tensor, "env head slot"], held: Int[Tensor, " env"]) -> Float[Tensor, "env head slot"]:
    """Return the softmax over the first `held` slots of each environment; 0 beyond, and everywhere where none is held.

    Parameters
    ----------
    scores
        Scaled scores of one query.
    held
        Slots that it sees.
    """
    seen = torch.arange(scores.shape[-1], device=scores.device) < held[:, None]
    hidden = scores.masked_fill(~seen[:, None], -torch.inf)
    return torch.softmax(hidden, dim=-1).nan_to_num(0.0) if bool((held == 0).any()) else torch.softmax(hidden, dim=-1)
