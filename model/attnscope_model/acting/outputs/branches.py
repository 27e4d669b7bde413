"""A head of several independent choices that together make one action: its logits stand branch after branch.

The branches are drawn independently, so the distribution of the whole action is their product. Its total variation has
no short formula: 1 − Π(1 − TV_b) bounds it from above, because branches that are drawn so as to agree as often as they
can, each by itself, all agree with probability Π(1 − TV_b). Divergences and signed losses of products are sums.
"""

from __future__ import annotations

import math

import numpy as np
import torch
from jaxtyping import Bool, Float, Float64, Int, Int64
from torch import Tensor

from attnscope_model.acting.outputs.base import Numbers, Output
from attnscope_model.acting.outputs.choice import Choice
from attnscope_model.acting.outputs.vector import NUMBERS, vector_number


class Branches(Output):
    """Several independent choices.

    Parameters
    ----------
    sizes
        Actions of each branch, in the order of their logits.
    """

    def __init__(self, sizes: tuple[int, ...]) -> None:
        self.sizes = sizes
        self.draws = len(sizes)
        self._choices = tuple(map(Choice, sizes))

    def choose(
        self, given: Float[Tensor, "env number"], numbers: Numbers | None, temperature: float
    ) -> Int64[np.ndarray, "env branch"]:
        """Return the number of an action of each branch, int64 [env, branch]."""
        found = [
            choice.choose(logits, None if numbers is None else numbers[:, branch : branch + 1], temperature)
            for branch, (choice, logits) in enumerate(zip(self._choices, self.split(given), strict=True))
        ]
        return np.stack(found, axis=-1)

    def departure(
        self, full: Float[Tensor, "*#env number"], other: Float[Tensor, "*#env number"], temperature: float | None = 1.0
    ) -> Float64[Tensor, "*env"]:
        """Return the bound 1 − Π(1 − TV_b) of the total variation, from 0 to 1."""
        agree = [
            1 - choice.departure(one, two, temperature)
            for choice, one, two in zip(self._choices, self.split(full), self.split(other), strict=True)
        ]
        return 1 - torch.stack(agree).prod(dim=0)

    def divergence(
        self, full: Float[Tensor, "*#env number"], other: Float[Tensor, "*#env number"], temperature: float | None = 1.0
    ) -> Float64[Tensor, "*env"]:
        """Return KL(π_full ‖ π_other) in nats: the sum over branches."""
        parts = [
            choice.divergence(one, two, temperature)
            for choice, one, two in zip(self._choices, self.split(full), self.split(other), strict=True)
        ]
        return torch.stack(parts).sum(dim=0)

    def signed_loss(
        self, full: Float[Tensor, "*#env number"], other: Float[Tensor, "*#env number"], temperature: float | None = 1.0
    ) -> Float64[Tensor, "*env"]:
        """Return Σ(π_full − π_other) log π_full in nats: the sum over branches."""
        parts = [
            choice.signed_loss(one, two, temperature)
            for choice, one, two in zip(self._choices, self.split(full), self.split(other), strict=True)
        ]
        return torch.stack(parts).sum(dim=0)

    def flips(self, full: Float[Tensor, "*#env number"], other: Float[Tensor, "*#env number"]) -> Bool[Tensor, "*env"]:
        """Return whether the most likely action is another in any branch."""
        parts = [
            choice.flips(one, two)
            for choice, one, two in zip(self._choices, self.split(full), self.split(other), strict=True)
        ]
        return torch.stack(parts).any(dim=0)

    def chances(self, given: Float[Tensor, "*env number"], temperature: float | None) -> Float64[Tensor, "*env action"]:
        """Return the probability of every combination, in the order in which `number` counts them."""
        first, *others = (
            choice.chances(logits, temperature) for choice, logits in zip(self._choices, self.split(given), strict=True)
        )
        for one in others:
            first = (first[..., :, None] * one[..., None, :]).flatten(-2)
        return first

    def encoded(self, action: Int[Tensor, "env branch"]) -> Float[Tensor, "env action"]:
        """Return the branches' one-hot actions, side by side."""
        parts = [choice.encoded(one) for choice, one in zip(self._choices, action.unbind(dim=-1), strict=True)]
        return torch.cat(parts, dim=-1)

    def number(self, action: Int[Tensor, "env branch"]) -> Int[Tensor, " env"]:
        """Return the place of each combination among all of them, counted with the last branch fastest.

        Where there are too many to count, the number is one of a hash, as for action vectors.
        """
        if math.prod(self.sizes) > NUMBERS:
            return vector_number(action)
        found = torch.zeros_like(action[..., 0], dtype=torch.int64)
        for size, one in zip(self.sizes, action.unbind(dim=-1), strict=True):
            found = found * size + one
        return found

    def split(self, given: Float[Tensor, "*env number"]) -> tuple[Float[Tensor, "*env action"], ...]:
        """Return each branch's logits."""
        return torch.split(given, list(self.sizes), dim=-1)
