"""The loss of a batch: cross-entropy of the action at steps of a window, given all transitions before each."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from jaxtyping import Bool, Float
from torch import Tensor
from torch.nn import functional

from attnscope_model.forward.compressing import CompressingPolicy
from attnscope_model.forward.stack import StackedPolicy
from attnscope_model.training.compressed import Under, compressed_logits
from attnscope_model.training.forward import every_decision, some_decisions
from attnscope_model.training.packed import packed_logits
from attnscope_model.training.windows import Batch

FEW_REWARDS = 5
"""Rewards up to which a decision is one right after a discovery."""


def imitation_loss(
    policy: StackedPolicy, batch: Batch, lengths: Sequence[int] | None = None, discovery_weight: float = 1.0
) -> Float[Tensor, ""]:
    """Return the mean cross-entropy over windows and steps, nats.

    Parameters
    ----------
    lengths
        Context lengths, in tokens with the query, at whose decisions there is a loss; None: at every one.
    discovery_weight
        Weight in the mean of a decision before which one to `FEW_REWARDS` transitions of its window paid; of others: 1.
    """
    logits = window_logits(policy, batch, lengths)
    targets = batch.actions if batch.intended is None else batch.intended
    weights = torch.where(just_discovered(batch), discovery_weight, 1.0)
    if lengths is not None:
        at = [length - 1 for length in lengths]
        targets, weights = targets[:, at], weights[:, at]
    flat = logits.flatten(0, 1).float()
    if discovery_weight == 1:
        return functional.cross_entropy(flat, targets.flatten())
    losses = functional.cross_entropy(flat, targets.flatten(), reduction="none")
    return (losses * weights.flatten()).sum() / weights.sum()


def just_discovered(batch: Batch) -> Bool[Tensor, "window step"]:
    """Return the decisions before which some transitions of their window paid, but few."""
    paid = (batch.rewards != 0).long()
    before = paid.cumsum(dim=1) - paid
    return (before > 0) & (before <= FEW_REWARDS)


def compressed_loss(
    policy: StackedPolicy, batch: Batch, under: Under, steps: Sequence[int], first_lane: int = 0
) -> Float[Tensor, ""]:
    """Return the mean cross-entropy over windows and these steps, whose contexts are compressed, nats.

    Parameters
    ----------
    policy, batch
        As for the loss of whole contexts.
    under, steps, first_lane
        As for `compressed_logits`.
    """
    logits = compressed_logits(policy, batch, under, steps, first_lane)
    targets = batch.actions if batch.intended is None else batch.intended
    return functional.cross_entropy(logits.flatten(0, 1), targets[:, list(steps)].flatten())


def packed_loss(policy: CompressingPolicy, batch: Batch, steps: Sequence[int]) -> Float[Tensor, ""]:
    """Return the mean cross-entropy over windows and these steps of a policy that packs its history, nats."""
    logits = packed_logits(policy, batch, steps)
    targets = batch.actions if batch.intended is None else batch.intended
    return functional.cross_entropy(logits.flatten(0, 1), targets[:, list(steps)].flatten())


def window_logits(
    policy: StackedPolicy, batch: Batch, lengths: Sequence[int] | None = None
) -> Float[Tensor, "window step action"]:
    """Return the logits at every step of every window, or at the steps whose contexts have one of these lengths."""
    windows, steps = batch.actions.shape
    transitions = policy.embed_transition(
        batch.observations[:, :-1].flatten(0, 1),
        batch.actions[:, :-1].flatten(),
        batch.rewards[:, :-1].flatten(),
        batch.next_observations[:, :-1].flatten(0, 1),
    )
    numbers = batch.numbers
    placed = policy.stamp(transitions, numbers[:, :-1].flatten()).view(windows, steps - 1, -1)
    if lengths is None:
        queries = policy.stamp(policy.embed_query(batch.observations.flatten(0, 1)), numbers.flatten())
        return every_decision(policy, placed, queries.view(windows, steps, -1))
    slots = torch.tensor(lengths, device=batch.actions.device) - 1
    queries = policy.embed_query(batch.observations[:, slots].flatten(0, 1))
    queries = policy.stamp(queries, numbers[:, slots].flatten())
    return some_decisions(policy, placed, queries.view(windows, len(slots), -1), slots)
