"""Biases of scores by distance, the only positions of some policies: ALiBi's penalties, and numbers that were learnt.

A bias is added to every score before the softmax, a head apart. Its distance counts from a key's slot to the query's.
Keys and values hold no position then, so that they serve from whatever slots they are seen.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn


class DistanceBias(nn.Module, ABC):
    """An addition to the scores of each head, by distance."""

    @abstractmethod
    def at(self, distance: Int[Tensor, "*batch query slot"]) -> Float[Tensor, "*batch head query slot"]:
        """Return the additions at these distances.

        Parameters
        ----------
        distance
            Slot of the query less slot of the key, in tokens; below 0 for later keys, which a causal policy hides.
        """


class Alibi(DistanceBias):
    """Attention with linear biases (Press et al., 2022): a head's slope times the distance is taken off each score.

    Parameters
    ----------
    heads
        Heads of a layer; each has a slope of its own, the same in every layer.
    """

    slopes: Tensor

    def __init__(self, heads: int) -> None:
        super().__init__()
        with torch.device("cpu"):  # also where a checkpoint's policy is first built without memory
            slopes = torch.tensor(alibi_slopes(heads))
        self.register_buffer("slopes", slopes, persistent=False)

    def at(self, distance: Int[Tensor, "*batch query slot"]) -> Float[Tensor, "*batch head query slot"]:
        """Return the penalties."""
        return distance.unsqueeze(-3) * -self.slopes[:, None, None]


class LearntBias(DistanceBias):
    """A learnt number for each head and distance; farther keys than were learnt share the last number.

    Parameters
    ----------
    heads
        Heads of a layer; the numbers are the same in every layer.
    reach
        Distances that have a number of their own: 0 to `reach` − 1 tokens.
    """

    def __init__(self, heads: int, reach: int) -> None:
        super().__init__()
        self.table = nn.Parameter(torch.zeros(heads, reach))

    def at(self, distance: Int[Tensor, "*batch query slot"]) -> Float[Tensor, "*batch head query slot"]:
        """Return the numbers; a later key's is that of distance 0."""
        return self.table[:, distance.clamp(0, self.table.shape[1] - 1)].movedim(0, -3)


def alibi_slopes(heads: int) -> list[float]:
    """Return the slope of each head: 2^(−8i/n) for i = 1 … n where n is a power of two.

    For other numbers of heads the slopes of the power of two below come first, then every other slope of the power of
    two above, as the authors' code has it.
    """
    below = 2 ** math.floor(math.log2(heads))
    first = [2.0 ** (-8 * (i + 1) / below) for i in range(below)]
    return first + [2.0 ** (-4 * (2 * i + 1) / below) for i in range(heads - below)]
