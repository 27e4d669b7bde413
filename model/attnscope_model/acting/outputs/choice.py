"""A head that chooses one action: its numbers are logits."""

from __future__ import annotations

import numpy as np
import torch
from jaxtyping import Bool, Float, Float64, Int, Int64
from torch import Tensor
from torch.nn import functional

from attnscope_model.acting import departing
from attnscope_model.acting.outputs.base import Numbers, Output
from attnscope_model.acting.sampling import choose_actions


class Choice(Output):
    """One choice among all actions.

    Parameters
    ----------
    actions
        Actions to choose from.
    """

    draws = 1

    def __init__(self, actions: int) -> None:
        self._actions = actions

    def choose(
        self, given: Float[Tensor, "env number"], numbers: Numbers | None, temperature: float
    ) -> Int64[np.ndarray, " env"]:
        """Return the number of an action, int64 [env]."""
        return choose_actions(given, None if numbers is None else numbers[:, 0], temperature)

    def departure(
        self, full: Float[Tensor, "*#env number"], other: Float[Tensor, "*#env number"], temperature: float | None = 1.0
    ) -> Float64[Tensor, "*env"]:
        """Return the total variation ½ Σ|π_full − π_other|, from 0 to 1."""
        return departing.departure(full, other, temperature)

    def divergence(
        self, full: Float[Tensor, "*#env number"], other: Float[Tensor, "*#env number"], temperature: float | None = 1.0
    ) -> Float64[Tensor, "*env"]:
        """Return KL(π_full ‖ π_other) in nats."""
        scale = 1.0 if temperature is None else temperature
        return departing.divergence(full / scale, other / scale)

    def signed_loss(
        self, full: Float[Tensor, "*#env number"], other: Float[Tensor, "*#env number"], temperature: float | None = 1.0
    ) -> Float64[Tensor, "*env"]:
        """Return Σ(π_full − π_other) log π_full in nats."""
        return departing.signed_loss(full, other, temperature)

    def flips(self, full: Float[Tensor, "*#env number"], other: Float[Tensor, "*#env number"]) -> Bool[Tensor, "*env"]:
        """Return whether the most likely action is another."""
        return full.argmax(dim=-1) != other.argmax(dim=-1)

    def chances(self, given: Float[Tensor, "*env number"], temperature: float | None) -> Float64[Tensor, "*env action"]:
        """Return the probability of every action."""
        if temperature is None:
            return functional.one_hot(given.argmax(dim=-1), self._actions).double()
        return torch.softmax(given.double() / temperature, dim=-1)

    def encoded(self, action: Int[Tensor, " env"]) -> Float[Tensor, "env action"]:
        """Return one-hot actions."""
        return functional.one_hot(action, self._actions).float()

    def number(self, action: Int[Tensor, " env"]) -> Int[Tensor, " env"]:
        """Return the actions themselves."""
        return action.to(torch.int64)
