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
from attnscope_model.context import ContextWindow
from attnscope_model.policy import Policy
from attnscope_model.stack import StackedPolicy
from attnscope_model.tape import AttentionTape

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
    """

    def __init__(self, policy: Policy, envs: int, device: torch.device) -> None:
        self.window = ContextWindow(policy, envs, device)
        """The contexts."""
        self._policy = policy
        self._tile = envs if device.type != "cpu" else TILE_ENVS * torch.get_num_threads()
        self._cache: GrowingCache | None = None
        if isinstance(policy, StackedPolicy) and cacheable(policy):
            self._cache = GrowingCache(policy, self.window.longest)

    def caches(self, transitions: int) -> bool:
        """Return whether the decision after so many transitions is taken from the cache."""
        return self._cache is not None and transitions <= self.window.capacity

    def decide(self, observation: Shaped[np.ndarray, "env ..."], *, rows: bool = False, maps: bool = False) -> Decision:
        """Return the decision at an observation; recording changes no bit of the logits.

        Parameters
        ----------
        observation
            The query of each environment.
        rows, maps
            What to record.
        """
        tokens = self.window.tokens(observation)
        if self._cache is not None and not self.caches(self.window.seen):
            self._cache = None  # frees the buffers: a window that slides never grows again
        if self._cache is None:
            return self._recomputed(tokens, rows=rows, maps=maps)
        cache, added = self._cache, tokens[:, self._cache.held :]
        decision = self._recorded(lambda: cache.decide(added), rows=rows)
        if not maps:
            return decision
        whole = self._recomputed(tokens, rows=True, maps=True)  # the cache keeps no queries of the past
        return Decision(decision.logits, decision.rows, whole.maps)

    def append(
        self,
        observation: Shaped[np.ndarray, "env ..."],
        action: Int[np.ndarray, " env"],
        reward: Shaped[np.ndarray, " env"],
        next_observation: Shaped[np.ndarray, "env ..."],
    ) -> None:
        """Add a finished transition to the contexts."""
        self.window.append(observation, action, reward, next_observation)

    def _recomputed(self, tokens: Tensor, *, rows: bool, maps: bool) -> Decision:
        """Return the decision of whole contexts, some at a time on a CPU."""
        forwards = (partial(self._policy, part) for part in torch.split(tokens, self._tile))
        parts = [self._recorded(forward, rows=rows, maps=maps) for forward in forwards]
        if len(parts) == 1:
            return parts[0]
        return Decision(
            torch.cat([part.logits for part in parts]),
            torch.cat([part.rows for part in parts if part.rows is not None]) if rows else None,
            torch.cat([part.maps for part in parts if part.maps is not None]) if maps else None,
        )

    def _recorded(self, forward: Callable[[], Tensor], *, rows: bool = False, maps: bool = False) -> Decision:
        if not (rows or maps):
            return Decision(forward())
        with AttentionTape(self._policy, maps=maps) as tape:
            logits = forward()
        return Decision(logits, tape.rows, tape.maps)
