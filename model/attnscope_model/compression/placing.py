"""The positions of kept tokens: the position policies."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from attnscope_model.compression.forward import FIRST, Piece
from attnscope_model.compression.kept import Kept, groups, tokens_of
from attnscope_storage.wire import PolicyDescription
from attnscope_storage.wire.specifications.arms import PositionPolicy


@dataclass(frozen=True, eq=False)
class Frame:
    """The surroundings of the kept entries at a decision."""

    query: Float[Tensor, "env 1 width"]
    start: int
    """Transition index of the oldest transition that the uncompressed window would hold."""
    held: int
    """Transitions that it would hold."""
    window: Float[Tensor, "env entry size"] | None = None
    """The stored window's tokens, a transition's side by side; None where nothing is stored."""


class Placing:
    """Puts kept entries into contexts.

    Parameters
    ----------
    positions
        The position policy. ``right_align`` packs the history against the end of a full context; a query that stands
        first keeps its slot.
    """

    def __init__(self, description: PolicyDescription, positions: PositionPolicy) -> None:
        self._per = description.tokens_per_transition
        self._query_first = description.query_slot == "first"
        self._capacity = description.transitions
        self.positions = positions

    def tokens(self, entries: int) -> int:
        """Return the tokens of a context of so many entries, the query among them."""
        return entries * self._per + 1

    def computed(self, entries: int, held: int) -> int:
        """Return the tokens that are computed for a decision of so many entries, out of `held`."""
        return self.tokens(held if self.positions == "mask" else entries)

    def pieces(self, kept: Kept, frame: Frame) -> list[Piece]:
        """Return the contexts, those of equal length together."""
        parts = groups(kept.counts, frame.query.device)
        return [self._piece(lanes, count, kept, frame) for count, lanes in parts]

    def _piece(self, lanes: Tensor | None, count: int, kept: Kept, frame: Frame) -> Piece:
        """Return the contexts of rollouts that keep `count` entries."""
        embedded, last = (kept.facts[name][:, :count] for name in ("embedded", "last"))
        query = frame.query
        if lanes is not None:
            embedded, last, query = embedded[lanes], last[lanes], query[lanes]
        if self.positions == "mask" and count < frame.held:
            return self._masked(lanes, embedded, last - frame.start, query, frame)
        tokens = tokens_of(embedded, query, query_first=self._query_first)
        if self.positions == "keep" and count < frame.held:
            return Piece(lanes, tokens, self._slots(last - frame.start, frame.held))
        if self.positions == "right_align" and count < self._capacity:
            return Piece(lanes, tokens, self._aligned(count, len(tokens), tokens.device))
        return Piece(lanes, tokens)

    def _slots(self, place: Int[Tensor, "env entry"], held: int) -> Int[Tensor, "env token"]:
        """Return the slots of entries at these places of the window, and the query's."""
        within = torch.arange(self._per, device=place.device)
        slots = (place[:, :, None] * self._per + within).flatten(1) + int(self._query_first)
        query = slots.new_full((len(slots), 1), 0 if self._query_first else held * self._per)
        return torch.cat([query, slots] if self._query_first else [slots, query], dim=1)

    def _aligned(self, count: int, envs: int, device: torch.device) -> int | Int[Tensor, "env token"]:
        gap = (self._capacity - count) * self._per
        if not self._query_first:
            return FIRST + gap
        slots = torch.arange(1, count * self._per + 1, device=device) + gap
        return torch.cat([slots.new_zeros(1), slots]).expand(envs, -1)

    def _masked(self, lanes: Tensor | None, embedded: Tensor, place: Tensor, query: Tensor, frame: Frame) -> Piece:
        """Return whole windows in which only the kept entries are seen."""
        if frame.window is None:
            raise ValueError("expected a stored window: mask hides what is not kept, and needs it there")
        window = frame.window if lanes is None else frame.window[lanes]
        window = window.clone()
        window[torch.arange(len(window), device=window.device)[:, None], place] = embedded
        hidden = torch.ones(window.shape[:2], dtype=torch.bool, device=window.device).scatter_(1, place, value=False)
        spread = hidden.repeat_interleave(self._per, dim=1)
        seen = hidden.new_zeros(len(hidden), 1)
        parts = [seen, spread] if self._query_first else [spread, seen]
        return Piece(lanes, tokens_of(window, query, query_first=self._query_first), FIRST, torch.cat(parts, dim=1))
