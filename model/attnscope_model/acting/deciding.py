"""The actor: contexts, and the cheapest exact way to the next decision of each.

A causal policy's window is cached while it grows; when it slides, and for every other policy, the whole context is
computed anew. Which of the two a step takes depends on its number alone, so a resumed rollout takes the same one.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Final, Literal

import numpy as np
import torch
from jaxtyping import Bool, Float, Float16, Int, Shaped
from torch import Tensor

from attnscope_model.acting.context import Actions, ContextWindow, Observations
from attnscope_model.acting.tape import AttentionTape, RowRoom, furthest_off, map_room, refuse_off
from attnscope_model.forward.cache import GrowingCache, cacheable
from attnscope_model.forward.policy import Policy
from attnscope_model.forward.stack import StackedPolicy

TILE_ENVS: Final = 8
"""Contexts that a CPU thread computes at once: what it works on then stays in the second cache."""


@dataclass(frozen=True)
class Decision:
    """One step's logits, and what was recorded on the way to them."""

    logits: Float[Tensor, "env action"]
    """The numbers of the policy's head, whatever they mean: `PolicyDescription.output` says it."""
    rows: Float[Tensor, "env layer head slot"] | None = None
    """A view that the next decision of the same `Decider` overwrites."""
    maps: Float16[Tensor, "map_env layer head any_query any_slot"] | None = None
    """Whole maps over all slots of a full context, as a capture stores them: NaN past the present one. New memory."""
    lengths: Int[np.ndarray, " env"] | None = None
    """Tokens of each context, where they differ: a row's weights beyond are 0; None where the rows' slots are all."""
    summaries: int = 0
    """Latents at the front of the contexts, which stand for packed transitions."""


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
    sums
        When the recorded rows' sums are looked at: at every decision; by the caller, who finds the furthest in `off`
        and need not wait for the device at every one; or not here, but by whoever takes the rows.
    map_envs
        Contexts whose maps are recorded where maps are asked for; all of them where None.
    """

    def __init__(
        self,
        policy: Policy,
        envs: int,
        device: torch.device,
        *,
        sums: Literal["at once", "by caller", "elsewhere"] = "at once",
        map_envs: Sequence[int] | None = None,
    ) -> None:
        some = None if map_envs is None or tuple(map_envs) == tuple(range(envs)) else list(map_envs)
        self._map_envs = some
        self.window = ContextWindow(policy, envs, device)
        """The contexts."""
        self._policy = policy
        self._sums = sums
        self.off = torch.zeros((), device=device)
        """The largest distance of a recorded row's sum from 1 since the beginning, where the caller looks at it."""
        self._tile = envs if device.type != "cpu" else TILE_ENVS * torch.get_num_threads()
        self._room: RowRoom | None = None
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
            together = maps and self._map_envs is None
            decision = self._looked_at(self._recomputed(tokens, rows=rows, maps=together))
        else:
            together = False  # the cache keeps no queries of the past
            cache, added = self._cache, tokens[:, self._cache.held :]
            decision = self._looked_at(self._recorded([partial(cache.decide, added)], tokens, len(tokens), rows=rows))
        if not maps or together:
            return decision
        some = tokens if self._map_envs is None else tokens[self._map_envs]
        return Decision(decision.logits, decision.rows, self._recomputed(some, rows=False, maps=True).maps)

    def append(
        self,
        observation: Observations,
        action: Actions,
        reward: Shaped[np.ndarray, " env"] | Shaped[Tensor, " env"],
        next_observation: Observations,
        ended: Bool[np.ndarray, " env"] | Bool[Tensor, " env"] | None = None,  # noqa: ARG002 - contexts here outlive episodes
    ) -> None:
        """Add a finished transition to the contexts."""
        self.window.append(observation, action, reward, next_observation)

    def _looked_at(self, decision: Decision) -> Decision:
        """Return a decision whose rows sum to 1, or will be looked at by the caller or elsewhere."""
        if decision.rows is not None and self._sums != "elsewhere":
            off = furthest_off(decision.rows)
            if self._sums == "by caller":
                self.off = torch.maximum(self.off, off)  # a NaN stays one
            else:
                refuse_off(off.item())
        return decision

    def _recomputed(self, tokens: Tensor, *, rows: bool, maps: bool) -> Decision:
        """Return the decision of whole contexts, some at a time on a CPU."""
        forwards = [partial(self._policy, part) for part in torch.split(tokens, self._tile)]
        return self._recorded(forwards, tokens, self._tile, rows=rows, maps=maps)

    def _recorded(
        self, forwards: Sequence[Callable[[], Tensor]], tokens: Tensor, tile: int, *, rows: bool, maps: bool = False
    ) -> Decision:
        """Return the decision of forwards that take `tile` contexts each."""
        if not (rows or maps):
            return Decision(_joined(forwards))
        envs, length = tokens.shape[:2]
        room = self._row_room(envs) if rows else self._new_room(envs)  # rows that are not asked for overwrite none
        whole = map_room(self._policy.description, envs, length, self.off.device) if maps else None
        parts = [] if whole is None else torch.split(whole[..., :length, :length], tile)
        map_places = [part[:, layer] for part in parts for layer in range(part.shape[1])]
        places = room.places(length, tile)
        with AttentionTape(self._policy, maps=maps, places=places, map_places=map_places) as tape:
            logits = _joined(forwards)
        del tape
        return Decision(logits, room.rows(length) if rows else None, whole)

    def _row_room(self, envs: int) -> RowRoom:
        if self._room is None:
            self._room = self._new_room(envs)
        return self._room

    def _new_room(self, envs: int) -> RowRoom:
        description = self._policy.description
        return RowRoom(envs, description.layers, description.heads, self.window.longest, self.off.device)


def _joined(forwards: Sequence[Callable[[], Tensor]]) -> Tensor:
    """Return the logits of all forwards, float32 whatever precision they had."""
    parts = [forward() for forward in forwards]
    return (parts[0] if len(parts) == 1 else torch.cat(parts)).float()
