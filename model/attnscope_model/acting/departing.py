"""The departure of one policy's action from another's at a decision: of the distribution that acts, not the logits.

Trials and screens both measure by these functions.
"""

from __future__ import annotations

from typing import Final

import torch
from jaxtyping import Float, Float64
from torch import Tensor

LEAST: Final = 1e-12
"""Probability below which an action's logarithm is no longer counted: an impossible action would make it infinite."""


def acted(logits: Float[Tensor, "*env action"], temperature: float | None) -> Float64[Tensor, "*env action"]:
    """Return the distribution that actions are drawn from.

    Parameters
    ----------
    logits
        Before temperature.
    temperature
        Divides the logits. None is greedy: its distribution has one action, so the plain softmax stands for it.
    """
    return torch.softmax(logits.double() / (1.0 if temperature is None else temperature), dim=-1)


def departure(
    full: Float[Tensor, "*#env action"], other: Float[Tensor, "*#env action"], temperature: float | None = 1.0
) -> Float64[Tensor, "*env"]:
    """Return the total variation ½ Σ|π_full − π_other| of the acted distributions, from 0 to 1.

    It is the probability that the two actions differ, where both are drawn so as to agree as often as they can.
    """
    return (acted(full, temperature) - acted(other, temperature)).abs().sum(dim=-1) / 2


def divergence(full: Float[Tensor, "*#env action"], other: Float[Tensor, "*#env action"]) -> Float[Tensor, "*env"]:
    """Return ``KL(π_full ‖ π_other)`` in nats of logits before temperature; one decision may stand for all."""
    one, two = (torch.log_softmax(logits.double(), dim=-1) for logits in (full, other))
    # An impossible action adds nothing; rounding may leave a sum a hair below zero.
    return torch.where(one.exp() > 0, one.exp() * (one - two), 0.0).sum(dim=-1).clamp(min=0.0)


def signed_loss(
    full: Float[Tensor, "*#env action"], other: Float[Tensor, "*#env action"], temperature: float | None = 1.0
) -> Float64[Tensor, "*env"]:
    """Return Σ(π_full − π_other) log π_full in nats: positive where the other leaves what the full policy prefers."""
    one, two = acted(full, temperature), acted(other, temperature)
    return ((one - two) * one.clamp(min=LEAST).log()).sum(dim=-1)
