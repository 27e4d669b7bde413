"""A head that gives the action vector itself: it has no distribution, so its distances only put arms in order."""

from __future__ import annotations

from typing import Final, NoReturn

import numpy as np
import torch
from jaxtyping import Bool, Float, Float32, Float64, Int, Num
from torch import Tensor

from attnscope_model.acting.outputs.base import DepartureUndefinedError, Numbers, Output

NUMBERS: Final = 2**31 - 1
"""Numbers that different action vectors get."""

_PRIME: Final = 1_000_003


class ActionVector(Output):
    """An action without a distribution.

    Parameters
    ----------
    components
        Numbers of an action vector.
    scale
        Numbers by which differences are divided; empty: by 1.
    """

    draws = 0

    def __init__(self, components: int, scale: tuple[float, ...] = ()) -> None:
        self._scale = torch.tensor(scale or (1.0,) * components, dtype=torch.float64)

    def choose(
        self, given: Float[Tensor, "env number"], numbers: Numbers | None, temperature: float
    ) -> Float32[np.ndarray, "env component"]:
        """Return the action vectors as the head gave them, float32 [env, component]."""
        del numbers, temperature
        found: Float32[np.ndarray, "env component"] = given.to("cpu", torch.float32, copy=True).numpy()
        return found

    def departure(
        self, full: Float[Tensor, "*#env number"], other: Float[Tensor, "*#env number"], temperature: float | None = 1.0
    ) -> Float64[Tensor, "*env"]:
        """Return the scaled distance ‖a − b‖: 0 or above, and no probability."""
        del temperature
        apart: Tensor = ((full.double() - other.double()) / self._scale.to(full.device)).norm(dim=-1)
        return apart

    def divergence(
        self, full: Float[Tensor, "*#env number"], other: Float[Tensor, "*#env number"], temperature: float | None = 1.0
    ) -> Float64[Tensor, "*env"]:
        """Refuse: there is no distribution."""
        del full, other, temperature
        self._refuse("divergence")

    def signed_loss(
        self, full: Float[Tensor, "*#env number"], other: Float[Tensor, "*#env number"], temperature: float | None = 1.0
    ) -> Float64[Tensor, "*env"]:
        """Refuse: there is no distribution."""
        del full, other, temperature
        self._refuse("signed loss")

    def influence(
        self, full: Float[Tensor, "*#env number"], other: Float[Tensor, "*#env number"]
    ) -> Float64[Tensor, "*env"]:
        """Return the scaled distance of the two action vectors."""
        return self.departure(full, other)

    def flips(self, full: Float[Tensor, "*#env number"], other: Float[Tensor, "*#env number"]) -> Bool[Tensor, "*env"]:
        """Refuse: two action vectors are hardly ever equal."""
        del full, other
        self._refuse("flip")

    def encoded(self, action: Float[Tensor, "env component"]) -> Float[Tensor, "env component"]:
        """Return the action vectors themselves."""
        return action.float()

    def number(self, action: Float[Tensor, "env component"]) -> Int[Tensor, " env"]:
        """Return a number for each different action vector."""
        return vector_number(action)

    def _refuse(self, what: str) -> NoReturn:
        raise DepartureUndefinedError(f"the policy's head gives one action vector without a distribution: no {what}")


def vector_number(action: Num[Tensor, "env component"]) -> Int[Tensor, " env"]:
    """Return a number from 0 for every different action vector, small enough to be joined with that of a state."""
    return number_of(action).remainder(NUMBERS)


def number_of(vectors: Num[Tensor, "env feature"]) -> Int[Tensor, " env"]:
    """Return a number for every different vector, by a hash of 64 bits."""
    whole = vectors.float().contiguous().view(torch.int32).long() if vectors.is_floating_point() else vectors
    number = torch.zeros(len(vectors), dtype=torch.int64, device=vectors.device)
    for feature in whole.long().unbind(dim=1):
        number = number * _PRIME + feature
    return number
