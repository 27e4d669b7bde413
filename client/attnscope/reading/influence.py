"""Attention beside influence: where a decision looks, and what it would lose without what it looks at.

Influence is KL(π ‖ π without the transition), one transition left out at a time. Transitions that say the same thing
stand in for each other, so that none of them has influence alone.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64

from attnscope.capture import Capture
from attnscope.errors import OutsideError
from attnscope.measures.ranks import spearman
from attnscope_storage.wire import Positions


@dataclass(frozen=True, eq=False)
class Influence:
    """One decision: attention to each transition of its context, a line a head, and each one's influence."""

    step: int
    first: int
    """Index of the oldest transition."""
    attention: Float64[np.ndarray, "layer head transition"]
    """Shares of the attention that is not on the query itself."""
    influence: Float64[np.ndarray, " transition"]
    """KL in nats, or another change of the decision, in `unit`."""
    unit: str = "nats"
    """Unit of the influence: that of the policy's head."""

    @property
    def agreement(self) -> Float64[np.ndarray, "layer head"]:
        """Rank correlation of each head's attention with influence; NaN where one of them does not vary."""
        layers, heads, _ = self.attention.shape
        found = [spearman(line, self.influence) for line in self.attention.reshape(layers * heads, -1)]
        return np.array(found).reshape(layers, heads)

    @property
    def mean_agreement(self) -> float:
        """The same of the mean over layers and heads: what strategies choose by."""
        return spearman(self.attention.mean(axis=(0, 1)), self.influence)


def influence(capture: Capture, step: int, env: int = 0, *, positions: Positions = "reindex") -> Influence:
    """Return attention and influence of a decision; the service computes both.

    Parameters
    ----------
    env
        Place among the stored environments.
    positions
        Where the others stand when one is left out; see `Capture.leave_one_out`.

    Raises
    ------
    NotReplayableError
        There is no service to compute it.
    OutsideError
        Nothing stands before the first step.
    """
    if step < 1:
        raise OutsideError(f"the decision at step {step} has no transition to leave out; name step 1 or a later one")
    left_out = np.asarray(capture.leave_one_out(step, env, positions=positions), np.float64)
    rows = capture.map(step, env=env)
    query = 0 if capture.policy.query_slot == "first" else rows.shape[-1] - 1
    history = np.delete(np.asarray(rows[..., query, :], np.float64), query, axis=-1)
    per = capture.policy.tokens_per_transition
    whole = history[..., : history.shape[-1] // per * per]
    summed = whole.reshape(*whole.shape[:-1], -1, per).sum(axis=-1)
    share = summed / np.maximum(summed.sum(axis=-1, keepdims=True), np.finfo(np.float64).tiny)
    first = int(capture.transition_index(step, env).min())
    return Influence(step, first, share, left_out, capture.policy.output.influence)
