"""The interface of a head, whatever its kind."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any

import numpy as np
from jaxtyping import Bool, Float, Float64, Int, Num
from torch import Tensor

from attnscope_model.errors import NotReplayableError

Numbers = Float64[np.ndarray, "env draw"]
"""Random numbers in [0, 1) of a decision."""


class DepartureUndefinedError(NotReplayableError):
    """Two heads of this kind have no such distance."""


class Output(ABC):
    """The meaning of a head's numbers.

    In every method `full` and `other` are the numbers of two heads, [..., number], before temperature. A temperature
    divides the logarithm of the density; None is greedy.
    """

    draws: int
    """Random numbers that one decision takes."""

    @abstractmethod
    def choose(
        self, given: Float[Tensor, "env number"], numbers: Numbers | None, temperature: float
    ) -> np.ndarray[Any, Any]:
        """Return an action for each environment: int64 [env] or [env, branch], or float32 [env, component].

        Parameters
        ----------
        given
            The head's numbers.
        numbers
            Random numbers of the decision. None is greedy: the likeliest action.
        temperature
            Of the distribution.
        """

    @abstractmethod
    def departure(
        self, full: Float[Tensor, "*#env number"], other: Float[Tensor, "*#env number"], temperature: float | None = 1.0
    ) -> Float64[Tensor, "*env"]:
        """Return the distance of the acted distributions, as `OutputDescription.departure` says it in words."""

    @abstractmethod
    def divergence(
        self, full: Float[Tensor, "*#env number"], other: Float[Tensor, "*#env number"], temperature: float | None = 1.0
    ) -> Float64[Tensor, "*env"]:
        """Return KL(π_full ‖ π_other) in nats.

        Raises
        ------
        DepartureUndefinedError
            The head has no distribution.
        """

    @abstractmethod
    def signed_loss(
        self, full: Float[Tensor, "*#env number"], other: Float[Tensor, "*#env number"], temperature: float | None = 1.0
    ) -> Float64[Tensor, "*env"]:
        """Return Σ(π_full − π_other) log π_full in nats: positive where the other leaves what the full one prefers.

        Raises
        ------
        DepartureUndefinedError
            The head has no distribution.
        """

    def influence(
        self, full: Float[Tensor, "*#env number"], other: Float[Tensor, "*#env number"]
    ) -> Float64[Tensor, "*env"]:
        """Return how far a decision moves, before temperature: KL in nats, or a distance without a distribution.

        `OutputDescription.influence` says which of them in words.
        """
        return self.divergence(full, other)

    @abstractmethod
    def flips(self, full: Float[Tensor, "*#env number"], other: Float[Tensor, "*#env number"]) -> Bool[Tensor, "*env"]:
        """Return whether the most likely action is another.

        Raises
        ------
        DepartureUndefinedError
            Actions are vectors, of which hardly any two are equal.
        """

    def chances(self, given: Float[Tensor, "*env number"], temperature: float | None) -> Float64[Tensor, "*env action"]:
        """Return the probability of every action, by its number; a greedy policy puts all on the likeliest.

        Raises
        ------
        DepartureUndefinedError
            Actions are vectors, which cannot be listed.
        """
        del given, temperature
        raise DepartureUndefinedError("actions are vectors, which cannot be listed with a probability each")

    @abstractmethod
    def encoded(self, action: Num[Tensor, "env ..."]) -> Float[Tensor, "env size"]:
        """Return actions as vectors that can be compared: one-hot, branch after branch, or the action vector."""

    @abstractmethod
    def number(self, action: Num[Tensor, "env ..."]) -> Int[Tensor, " env"]:
        """Return a whole number for each different action."""
