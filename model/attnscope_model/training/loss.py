"""The loss of a batch: cross-entropy of the action at every step of a window, given all transitions before it."""

from __future__ import annotations

from jaxtyping import Float
from torch import Tensor
from torch.nn import functional

from attnscope_model.forward.stack import StackedPolicy
from attnscope_model.training.forward import every_decision
from attnscope_model.training.windows import Batch


def imitation_loss(policy: StackedPolicy, batch: Batch) -> Float[Tensor, ""]:
    """Return the mean cross-entropy over windows and steps, nats."""
    logits = window_logits(policy, batch)
    targets = batch.actions if batch.intended is None else batch.intended
    return functional.cross_entropy(logits.flatten(0, 1).float(), targets.flatten())


def window_logits(policy: StackedPolicy, batch: Batch) -> Float[Tensor, "window step action"]:
    """Return the logits at every step of every window."""
    windows, steps = batch.actions.shape
    transitions = policy.embed_transition(
        batch.observations[:, :-1].flatten(0, 1),
        batch.actions[:, :-1].flatten(),
        batch.rewards[:, :-1].flatten(),
        batch.next_observations[:, :-1].flatten(0, 1),
    )
    queries = policy.embed_query(batch.observations.flatten(0, 1))
    return every_decision(policy, transitions.view(windows, steps - 1, -1), queries.view(windows, steps, -1))
