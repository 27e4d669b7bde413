"""Decisions of policies that remember, and the choice between them and contexts of tokens."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from typing import Any, Literal, Protocol

import numpy as np
import torch
from jaxtyping import Bool, Int, Shaped
from torch import Tensor

from attnscope_model.acting.context import Actions, Observations, actions_taken, features
from attnscope_model.acting.deciding import Decider, Decision
from attnscope_model.acting.packing import PackingDecider
from attnscope_model.acting.tape import furthest_off, refuse_off
from attnscope_model.errors import CaptureInvalidError
from attnscope_model.forward.compressing import CompressingPolicy
from attnscope_model.forward.policy import Policy
from attnscope_model.forward.remembering import RememberingPolicy


class Window(Protocol):
    """The contexts that decisions are taken over, as a capture stores them."""

    @property
    @abstractmethod
    def length(self) -> Any:  # noqa: ANN401 - one number for all environments, or one each
        """Tokens of the context, the query among them."""

    @property
    @abstractmethod
    def start(self) -> Any:  # noqa: ANN401 - as `length`
        """Transition index of the oldest transition in the context."""


class Deciding(Protocol):
    """A batch of contexts that act."""

    @property
    @abstractmethod
    def window(self) -> Window:
        """The contexts."""

    @abstractmethod
    def caches(self, transitions: int) -> bool:
        """Return whether the decision after so many transitions needs those before it to have been taken."""

    @abstractmethod
    def decide(self, observation: Observations, *, rows: bool = False, maps: bool = False) -> Decision:
        """Return the decision at an observation."""

    @abstractmethod
    def append(
        self,
        observation: Observations,
        action: Actions,
        reward: Shaped[np.ndarray, " env"] | Shaped[Tensor, " env"],
        next_observation: Observations,
        ended: Bool[np.ndarray, " env"] | Bool[Tensor, " env"] | None = None,
    ) -> None:
        """Add a finished transition."""


def remembers(policy: Policy) -> bool:
    """Return whether a policy decides out of a memory of its own."""
    return isinstance(policy, RememberingPolicy | CompressingPolicy)


def deciding(
    policy: Policy,
    envs: int,
    device: torch.device,
    *,
    sums: Literal["at once", "by caller", "elsewhere"] = "at once",
    map_envs: Sequence[int] | None = None,
    sliding: bool = False,
) -> Deciding:
    """Return the contexts of a policy, of tokens, packed or out of its memory, which has no maps; see `Decider`.

    Parameters
    ----------
    sliding
        Take a policy that packs its history over a sliding window, without latents.
    """
    if isinstance(policy, RememberingPolicy):
        return RememberingDecider(policy, envs, device, sums=sums)
    if isinstance(policy, CompressingPolicy) and not sliding:
        return PackingDecider(policy, envs, device, sums=sums, map_envs=map_envs)
    return Decider(policy, envs, device, sums=sums, map_envs=map_envs)


class EpisodeWindow:
    """The newest steps of each environment's episode that its context shows.

    Parameters
    ----------
    per_transition
        Tokens of a transition.
    query_tokens
        Tokens of the present step.
    envs
        Environments in the batch.
    """

    def __init__(self, per_transition: int, query_tokens: int, envs: int) -> None:
        self._per, self._query = per_transition, query_tokens
        self._held = np.zeros(envs, np.int64)
        self.seen = 0
        """Transitions so far, of all episodes."""

    @property
    def length(self) -> Int[np.ndarray, " env"]:
        """Tokens of each context, those of the present step among them."""
        lengths: Int[np.ndarray, " env"] = self._held * self._per + self._query
        return lengths

    @property
    def start(self) -> Int[np.ndarray, " env"]:
        """Transition index of the oldest transition in each context."""
        starts: Int[np.ndarray, " env"] = self.seen - self._held
        return starts

    def moved(self, held: Int[np.ndarray, " env"]) -> None:
        """Take down that a step is done, and how many steps each context shows now."""
        self.seen += 1
        self._held = held


class RememberingDecider:
    """A batch of environments whose policy decides out of its memory.

    Parameters
    ----------
    policy
        What decides.
    envs
        Environments in the batch.
    device
        Where their memory is.
    sums
        When the recorded rows' sums are looked at, as `Decider` has it; ``by caller`` is at once too.
    """

    def __init__(
        self,
        policy: RememberingPolicy,
        envs: int,
        device: torch.device,
        *,
        sums: Literal["at once", "by caller", "elsewhere"] = "at once",
    ) -> None:
        self._device, self._sums = device, sums
        self._memory = policy.memory(envs, device)
        description = policy.description
        self.window = EpisodeWindow(description.tokens_per_transition, description.query_tokens, envs)

    def caches(self, transitions: int) -> bool:  # noqa: ARG002 - whatever their number
        """Return that a decision needs those before it: each step left something behind when it was computed."""
        return True

    def decide(self, observation: Observations, *, rows: bool = False, maps: bool = False) -> Decision:
        """Return the decision at an observation.

        Raises
        ------
        CaptureInvalidError
            Whole maps are asked for, and only the deciding row is ever computed; or a row does not sum to 1.
        """
        if maps:
            raise CaptureInvalidError("there are no whole maps of a policy that computes the deciding row alone")
        recalled = self._memory.decide(features(observation, self._device))
        if not rows:
            return Decision(recalled.logits.float())
        if self._sums != "elsewhere":
            refuse_off(furthest_off(recalled.rows).item())
        lengths = self.window.length
        longest = int(lengths.max())
        differ = lengths if (lengths != longest).any() else None
        return Decision(recalled.logits.float(), recalled.rows[..., :longest], lengths=differ)

    def append(
        self,
        observation: Observations,
        action: Actions,
        reward: Shaped[np.ndarray, " env"] | Shaped[Tensor, " env"],
        next_observation: Observations,
        ended: Bool[np.ndarray, " env"] | Bool[Tensor, " env"] | None = None,
    ) -> None:
        """Add a finished transition; everything is forgotten where an episode ended."""
        del observation, next_observation
        if ended is None:
            raise ValueError("expected to hear where an episode ended: the memory is emptied there")
        self._memory.append(
            actions_taken(action, self._device),
            torch.as_tensor(reward).to(self._device, torch.float32),
            torch.as_tensor(ended).to(self._device, torch.bool),
        )
        self.window.moved(self._memory.held().cpu().numpy())
