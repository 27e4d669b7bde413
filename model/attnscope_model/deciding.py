"""What acts: contexts, and the cheapest exact way to the next decision of each.

A causal policy's window is cached while it grows; when it slides, and for every other policy, the whole context is
computed anew. Which of the two a step takes depends on its number alone, so a resumed rollout takes the same one.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Final

import numpy as np
import torch
from jaxtyping import Float, Int, Shaped
from torch import Tensor

from attnscope_model.cache import GrowingCache, cacheable
from attnscope_model.context import ContextWindow, Observations
from attnscope_model.policy import Policy
from attnscope_model.stack import StackedPolicy
from attnscope_model.tape import AttentionTape, furthest_off, refuse_off

TILE_ENVS: Final = 8
"""Contexts that a CPU thread computes at once: what it works on then stays in the second cache."""


@dataclass(frozen=True)
class Decision:
    """One step's logits, and what was recorded on the way to them."""

    logits: Float[Tensor, "env action"]
    rows: Float[Tensor, "env layer head slot"] | None = None
    maps: Float[Tensor, "env layer head query slot"] | None = None


class Decider:
    """A batch of contexts of equal length that act.

    Parameters
    ----------
    policy
        What decides.
    envs
        Contexts in the batch.
    device
        Where they live.
    deferred
        Leave the recorded rows' sums to `check`, instead of waiting for the device at every decision.
    """

    def __init__(self, policy: Policy, envs: int, device: torch.device, *, deferred: bool = False) -> None:
        self.window = ContextWindow(policy, envs, device)
        """The contexts."""
        self._policy = policy
        self._deferred = deferred
        self._off = torch.zeros((), device=device)
        self._tile = envs if device.type != "cpu" else TILE_ENVS * torch.get_num_threads()
        self._cache: GrowingCache | None = None
        if isinstance(policy, StackedPolicy) and cacheable(policy):
            self._cache = GrowingCache(policy, self.window.longest)

    def caches(self, transitions: int) -> bool:
        """Return whether the decision after so many transitions is taken from the cache."""
        return self._cache is not None and transitions <= self.window.capacity

    def decide(
        self,
        observation: Observations,
        *,
        rows: bool = False,
        maps: bool = False,
    ) -> Decision:
        """Return the decision at an observation; recording changes no bit of the logits.

        Parameters
        ----------
        observation
            The query of each environment; a tensor where it lives on the device already.
        rows, maps
            What to record.
        """
        tokens = self.window.tokens(observation)
        if self._cache is not None and not self.caches(self.window.seen):
            self._cache = None  # frees the buffers: a window that slides never grows again
        if self._cache is None:
            return self._looked_at(self._recomputed(tokens, rows=rows, maps=maps))
        cache, added = self._cache, tokens[:, self._cache.held :]
        decision = self._looked_at(self._recorded(lambda: cache.decide(added), rows=rows))
        if not maps:
            return decision
        whole = self._recomputed(tokens, rows=True, maps=True)  # the cache keeps no queries of the past
        return Decision(decision.logits, decision.rows, whole.maps)

    def append(
        self,
        observation: Observations,
        action: Int[np.ndarray, " env"] | Int[Tensor, " env"],
        reward: Shaped[np.ndarray, " env"] | Shaped[Tensor, " env"],
        next_observation: Observations,
    ) -> None:
        """Add a finished transition to the contexts."""
        self.window.append(observation, action, reward, next_observation)

    def check(self) -> None:
        """Refuse what was recorded since the beginning where its rows do not sum to 1; waits for the device.

        Raises
        ------
        CaptureInvalidError
            A row does not.
        """
        refuse_off(self._off)

    def _looked_at(self, decision: Decision) -> Decision:
        """Return a decision whose rows sum to 1, or will be looked at by `check`."""
        if decision.rows is not None:
            off = furthest_off(decision.rows)
            if self._deferred:
                self._off = torch.maximum(self._off, off)  # a NaN stays one
            else:
                refuse_off(off)
        return decision

    def _recomputed(self, tokens: Tensor, *, rows: bool, maps: bool) -> Decision:
        """Return the decision of whole contexts, some at a time on a CPU."""
        forwards = (partial(self._policy, part) for part in torch.split(tokens, self._tile))
        parts = [self._recorded(forward, rows=rows, maps=maps) for forward in forwards]
        return (
            parts[0]
            if len(parts) == 1
            else Decision(
                torch.cat([part.logits for part in parts]),
                torch.cat([part.rows for part in parts if part.rows is not None]) if rows else None,
                torch.cat([part.maps for part in parts if part.maps is not None]) if maps else None,
            )
        )

    def _recorded(self, forward: Callable[[], Tensor], *, rows: bool = False, maps: bool = False) -> Decision:
        if not (rows or maps):
            return Decision(forward().float())
        with AttentionTape(self._policy, maps=maps, deferred=True) as tape:
            logits = forward()
        return Decision(logits.float(), tape.rows, tape.maps)  # float32 whatever precision the forward had
