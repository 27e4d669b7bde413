"""A head that gives a Gaussian with independent components: means, then logarithms of standard deviations.

Distances are those of the Gaussians before any hyperbolic tangent. The tangent is one to one, so it changes neither a
total variation nor a divergence.
"""

from __future__ import annotations

import math
from functools import cache
from typing import Final

import numpy as np
import torch
from jaxtyping import Bool, Float, Float32, Float64, Int
from torch import Tensor

from attnscope_model.acting.outputs.base import DepartureUndefinedError, Numbers, Output
from attnscope_model.acting.outputs.vector import vector_number

DRAWS: Final = 64
"""Draws from which a total variation is estimated where the deviations differ: the same at every decision and arm."""

SAME: Final = 1e-6
"""Difference of two logarithms of deviations up to which they count as equal."""

HALF_STEP: Final = 2.0**-54
"""Half the distance of two random numbers: it keeps a number of 0 from becoming an infinite action."""

LAST: Final = 1 - 2.0**-53
"""The largest number below 1, which half a step more would round to 1."""

SEED: Final = 26
"""Seed of the common draws."""

LARGEST: Final = 350.0
"""Largest exponent that is taken: a deviation or a ratio of two beyond e^350 changes no distance any more.

The square of e^350 is still finite, so that no infinity is divided by another or multiplied by 0.
"""


class Gaussian(Output):
    """A Gaussian over action vectors.

    Parameters
    ----------
    components
        Numbers of an action vector.
    squashed
        The hyperbolic tangent of what is drawn is the action.
    """

    def __init__(self, components: int, *, squashed: bool = False) -> None:
        self.draws = components
        self._squashed = squashed

    def choose(
        self, given: Float[Tensor, "env number"], numbers: Numbers | None, temperature: float
    ) -> Float32[np.ndarray, "env component"]:
        """Return an action vector, float32 [env, component]; greedy is the mean."""
        mean, log_std = self._parts(given.cpu())
        action = mean
        if numbers is not None:
            noise = torch.special.ndtri((torch.from_numpy(numbers) + HALF_STEP).clamp(max=LAST))
            action = mean + noise * _exp(log_std) * math.sqrt(temperature)
        acted = torch.tanh(action) if self._squashed else action
        found: Float32[np.ndarray, "env component"] = acted.to(torch.float32).numpy()
        return found

    def departure(
        self, full: Float[Tensor, "*#env number"], other: Float[Tensor, "*#env number"], temperature: float | None = 1.0
    ) -> Float64[Tensor, "*env"]:
        """Return the total variation, from 0 to 1.

        With equal deviations it is 2Φ(Δ/2) − 1, with Δ the distance of the means in deviations. Else it is estimated as
        the mean of max(0, 1 − π_other/π_full) over 64 draws from π_full that are common to all decisions and arms.
        """
        mean, log_std, other_mean, other_log_std = self._both(full, other, temperature)
        apart: Tensor = ((other_mean - mean) * _exp(-log_std)).norm(dim=-1)
        exact: Tensor = torch.special.erf(apart / (2 * math.sqrt(2.0)))  # 2Φ(Δ/2) − 1
        equal = ((other_log_std - log_std).abs() <= SAME).all(dim=-1)
        if bool(equal.all()):
            return exact
        total = torch.zeros_like(exact)
        wider, shift = _exp(log_std - other_log_std), (mean - other_mean) * _exp(-other_log_std)
        for noise in _common(self.draws).to(exact.device):
            drawn = noise * wider + shift
            ratio = ((noise**2 - drawn**2) / 2 + log_std - other_log_std).sum(dim=-1)
            total += (1 - ratio.exp()).clamp(min=0.0)
        return torch.where(equal, exact, total / DRAWS)

    def divergence(
        self, full: Float[Tensor, "*#env number"], other: Float[Tensor, "*#env number"], temperature: float | None = 1.0
    ) -> Float64[Tensor, "*env"]:
        """Return KL(π_full ‖ π_other) in nats, which has a closed form."""
        mean, log_std, other_mean, other_log_std = self._both(full, other, temperature)
        spread = _exp(log_std - other_log_std) ** 2 + ((mean - other_mean) * _exp(-other_log_std)) ** 2
        return (other_log_std - log_std + (spread - 1) / 2).sum(dim=-1).clamp(min=0.0)

    def signed_loss(
        self, full: Float[Tensor, "*#env number"], other: Float[Tensor, "*#env number"], temperature: float | None = 1.0
    ) -> Float64[Tensor, "*env"]:
        """Return ∫(π_full − π_other) log π_full in nats, which has a closed form."""
        mean, log_std, other_mean, other_log_std = self._both(full, other, temperature)
        spread = _exp(other_log_std - log_std) ** 2 + ((other_mean - mean) * _exp(-log_std)) ** 2
        return ((spread - 1) / 2).sum(dim=-1)

    def flips(self, full: Float[Tensor, "*#env number"], other: Float[Tensor, "*#env number"]) -> Bool[Tensor, "*env"]:
        """Refuse: two means are hardly ever equal."""
        del full, other
        raise DepartureUndefinedError("actions are vectors, of which hardly any two are equal: no flip is counted")

    def encoded(self, action: Float[Tensor, "env component"]) -> Float[Tensor, "env component"]:
        """Return the action vectors themselves."""
        return action.float()

    def number(self, action: Float[Tensor, "env component"]) -> Int[Tensor, " env"]:
        """Return a number for each different action vector."""
        return vector_number(action)

    def _parts(self, given: Float[Tensor, "*env number"]) -> tuple[Float64[Tensor, "*env part"], ...]:
        """Return means and logarithms of deviations."""
        return torch.split(given.double(), self.draws, dim=-1)

    def _both(
        self, full: Float[Tensor, "*#env number"], other: Float[Tensor, "*#env number"], temperature: float | None
    ) -> tuple[Float64[Tensor, "*#env part"], ...]:
        """Return means and logarithms of deviations of both heads, as they act."""
        wider = 0.0 if temperature is None else math.log(temperature) / 2
        (mean, log_std), (other_mean, other_log_std) = self._parts(full), self._parts(other)
        return mean, log_std + wider, other_mean, other_log_std + wider


def _exp(exponent: Float64[Tensor, "*env part"]) -> Float64[Tensor, "*env part"]:
    """Return e to the power of numbers, where the largest of them is `LARGEST`."""
    return exponent.clamp(max=LARGEST).exp()


@cache
def _common(components: int) -> Float64[Tensor, "draw component"]:
    """Return the common draws."""
    return torch.from_numpy(np.random.default_rng(SEED).standard_normal((DRAWS, components)))
