"""The newest transitions of a batch of rollouts, stored whole: what a stateless compression selects from.

As many as the policy's uncompressed context holds, in views that slide without being copied.
"""

from __future__ import annotations

import torch
from jaxtyping import Float, Int
from torch import Tensor

from attnscope_model.compression.facts import Facts, rooms_for


class History:
    """The stored window of a batch of rollouts.

    Parameters
    ----------
    lanes
        Rollouts in the batch.
    capacity
        Transitions that a full context holds.
    """

    def __init__(self, lanes: int, capacity: int) -> None:
        self.capacity = capacity
        self.seen = 0
        """Transitions so far, those that are gone again among them."""
        self._lanes = lanes
        self._rooms: Facts = {}
        self._end = 0

    @property
    def held(self) -> int:
        """Transitions in the window."""
        return min(self.seen, self.capacity)

    @property
    def start(self) -> int:
        """Transition index of the oldest transition in the window."""
        return self.seen - self.held

    def append(self, facts: Facts) -> None:
        """Add a finished transition of every rollout; the oldest goes when the window is full."""
        if not self._rooms:
            self._rooms = rooms_for(facts, self._lanes, 2 * self.capacity)
        if self._end == 2 * self.capacity:
            for room in self._rooms.values():
                room[:, : self.capacity] = room[:, self.capacity :].clone()
            self._end = self.capacity
        for name, value in facts.items():
            self._rooms[name][:, self._end] = value
        self._end += 1
        self.seen += 1

    def window(self, lanes: slice = slice(None)) -> Facts:
        """Return views of the window of some rollouts, oldest first."""
        return self.newest(self.held, lanes)

    def newest(self, count: int, lanes: slice = slice(None)) -> Facts:
        """Return views of the newest `count` transitions of the window."""
        return {name: room[lanes, self._end - count : self._end] for name, room in self._rooms.items()}

    def embedded(self, lanes: slice = slice(None)) -> Float[Tensor, "env entry size"]:
        """Return the tokens of the window, a transition's side by side."""
        return self._rooms["embedded"][lanes, self._end - self.held : self._end]

    def transitions(self, device: torch.device) -> Int[Tensor, " entry"]:
        """Return the transition index of every entry of the window."""
        return torch.arange(self.start, self.seen, device=device)
