"""The context that a policy acts on: embedded transitions in a sliding window, the query where the policy wants it.

Grows from the query alone, slides when full, is never cleared between episodes. Every transition is embedded once, by
the same call whether it happens or is taken again after an interruption, so that a refilled window has the same bits.
Positions are the policy's; nothing here knows them.
"""

from __future__ import annotations

import numpy as np
import torch
from jaxtyping import Float, Num, Shaped
from torch import Tensor

from attnscope_model.forward.policy import Policy

Observations = Shaped[np.ndarray, "env ..."] | Shaped[Tensor, "env ..."]
"""One observation an environment; a tensor where it lives on the device already."""

Actions = Shaped[np.ndarray, "env ..."] | Shaped[Tensor, "env ..."]
"""One action an environment: a whole number, one for each branch, or a vector."""


class ContextWindow:
    """A batch of contexts of equal length.

    Parameters
    ----------
    policy
        Embeds transitions and queries; its description says how long a context may be and where the query stands.
    envs
        Contexts in the batch.
    device
        Where the tokens live.
    """

    def __init__(self, policy: Policy, envs: int, device: torch.device) -> None:
        description = policy.description
        self._policy = policy
        self._device = device
        self._query_first = description.query_slot == "first"
        self._per_transition = description.tokens_per_transition
        self.capacity = description.transitions
        """Transitions that fit."""
        self.seen = 0
        """Transitions so far, those that are gone again among them."""
        # Room for the window twice and for a query on either side: appending moves the window's end, and only when
        # the end is reached is the window copied back.
        window = self.capacity * self._per_transition
        self._buffer = torch.zeros(envs, 2 * window + 2, description.width, device=device)
        self._first = 1
        self._end = 1

    @property
    def held(self) -> int:
        """Transitions in the window."""
        return min(self.seen, self.capacity)

    @property
    def longest(self) -> int:
        """Tokens of a full context, the query among them."""
        return self.capacity * self._per_transition + 1

    @property
    def length(self) -> int:
        """Tokens of the context, the query among them."""
        return self.held * self._per_transition + 1

    @property
    def start(self) -> int:
        """Transition index of the oldest transition in the window."""
        return self.seen - self.held

    def append(
        self,
        observation: Observations,
        action: Actions,
        reward: Shaped[np.ndarray, " env"] | Shaped[Tensor, " env"],
        next_observation: Observations,
    ) -> None:
        """Add a finished transition; the oldest goes when the window is full."""
        embedded = self._policy.embed_transition(
            features(observation, self._device),
            actions_taken(action, self._device),
            torch.as_tensor(reward).to(self._device, torch.float32),
            features(next_observation, self._device),
        )
        embedded = self._policy.stamp(embedded, self.seen)
        if self.held == self.capacity:
            self._first += self._per_transition
        if self._end + self._per_transition + 1 > self._buffer.shape[1]:
            self._move_to_front()
        self._buffer[:, self._end : self._end + self._per_transition] = embedded
        self._end += self._per_transition
        self.seen += 1

    def tokens(self, query: Observations) -> Float[Tensor, "env token width"]:
        """Return the context with this query in its slot; a view that the next call overwrites."""
        first = self._first - 1 if self._query_first else self._first
        end = first + self.length
        slot = first if self._query_first else end - 1
        embedded = self._policy.embed_query(features(query, self._device))
        self._buffer[:, slot : slot + 1] = self._policy.stamp(embedded, self.seen)
        return self._buffer[:, first:end]

    def _move_to_front(self) -> None:
        kept = self._buffer[:, self._first : self._end].clone()
        self._first, self._end = 1, 1 + kept.shape[1]
        self._buffer[:, self._first : self._end] = kept


def features(observation: Observations, device: torch.device) -> Num[Tensor, "env feature"]:
    """Return observations as a policy takes them: int64 or float32; a discrete one is a single feature, a grid is flat.

    A tensor that is on the device already costs no copy.
    """
    values = _numbers(observation, device)
    return values.flatten(1) if values.ndim > 1 else values[:, None]


def actions_taken(action: Actions, device: torch.device) -> Num[Tensor, "env ..."]:
    """Return actions as a policy takes them: int64 [env] or [env, branch], or float32 [env, component].

    A tensor that is on the device already costs no copy.
    """
    return _numbers(action, device)


def _numbers(given: Observations, device: torch.device) -> Num[Tensor, "env ..."]:
    values = torch.as_tensor(given)
    return values.to(device, torch.float32 if values.is_floating_point() else torch.int64)
