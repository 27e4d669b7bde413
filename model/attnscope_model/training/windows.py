"""Windows of learning histories: what a training step is fed.

A context starts empty and slides for ever, so half of the windows begin with a history and half anywhere in it. A
window's slots count from 0 wherever it was cut, as they do at inference.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import torch
from jaxtyping import Float, Int, Integer, Shaped
from torch import Tensor

FROM_THE_BEGINNING = 0.5
"""Share of the windows that begin with their history."""


@dataclass(frozen=True)
class HistoryArrays:
    """Learning histories of equal length, as arrays; s' is the terminal observation where an episode ended."""

    observations: Integer[np.ndarray, "history step feature"]
    actions: Integer[np.ndarray, "history step"]
    rewards: Shaped[np.ndarray, "history step"]
    next_observations: Integer[np.ndarray, "history step feature"]
    intended: Integer[np.ndarray, "history step"] | None = None
    """The targets at each step; None: the actions."""


@dataclass(frozen=True)
class Batch:
    """Windows of consecutive transitions, every one with a target."""

    observations: Int[Tensor, "window step feature"]
    actions: Int[Tensor, "window step"]
    rewards: Float[Tensor, "window step"]
    next_observations: Int[Tensor, "window step feature"]
    intended: Int[Tensor, "window step"] | None = None
    """The targets, where they are not the actions."""
    first: Int[Tensor, " window"] | None = None
    """Transition index of each window's first step in its history; None: each begins its history."""

    @property
    def numbers(self) -> Int[Tensor, "window step"]:
        """Transition index of every step."""
        windows, steps = self.actions.shape
        first = self.actions.new_zeros(windows) if self.first is None else self.first
        return first[:, None] + torch.arange(steps, device=first.device)


class Windows:
    """Draws windows, the same ones for the same seed and step, whatever was drawn before.

    Parameters
    ----------
    seed
        Of which windows are drawn.
    stride
        Windows begin at multiples of this many steps: the horizon, where they are to begin with episodes.
    """

    def __init__(self, histories: HistoryArrays, seed: int, stride: int = 1) -> None:
        self._histories = histories
        self._stride = stride
        self._count, self._steps = histories.actions.shape
        self._seed = seed

    def draw(self, step: int, *, length: int, batch: int) -> Batch:
        """Return the windows of a training step.

        Parameters
        ----------
        length
            Steps of a window: the context length at most, since the last decision sees all transitions before it.
        batch
            Windows to draw.
        """
        if not 1 < length <= self._steps:
            raise ValueError(f"expected windows of 2 to {self._steps} steps, the histories' length, got {length}")
        rng = np.random.default_rng((self._seed, step))
        which = rng.integers(0, self._count, batch)
        first = rng.integers(0, (self._steps - length) // self._stride + 1, batch) * self._stride
        first[rng.random(batch) < FROM_THE_BEGINNING] = 0
        rows, columns = which[:, None], first[:, None] + np.arange(length)
        stored = self._histories
        return Batch(
            torch.from_numpy(stored.observations[rows, columns].astype(np.int64)),
            torch.from_numpy(stored.actions[rows, columns].astype(np.int64)),
            torch.from_numpy(stored.rewards[rows, columns].astype(np.float32)),
            torch.from_numpy(stored.next_observations[rows, columns].astype(np.int64)),
            None if stored.intended is None else torch.from_numpy(stored.intended[rows, columns].astype(np.int64)),
            torch.from_numpy(first),
        )


def drawn_steps(seed: int, step: int, length: int, count: int) -> tuple[int, ...]:
    """Return steps of windows of this length, one drawn from each of so many equal parts, the same ones again."""
    bounds = np.linspace(0, length, min(count, length) + 1).round().astype(int)
    rng = np.random.default_rng((seed, step, 1))
    return tuple(int(rng.integers(low, high)) for low, high in pairwise(bounds))
