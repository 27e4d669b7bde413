"""The episodes that are judged: from the first one on in which a budget binds, the same for both arms."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float, Int


def first_binding_episode(tokens: Int[np.ndarray, "rollout episode"], budget: int) -> int | None:
    """Index of the first episode from whose first decision on every captured rollout holds more than the budget.

    Parameters
    ----------
    tokens
        Context tokens of the uncompressed policy at the first decision of every episode; negative where the rollout
        had no such episode.
    budget
        Tokens that the arm may keep.

    Returns
    -------
    int or None
        None where the budget never binds in all rollouts.
    """
    binds = (tokens > budget).all(axis=0)
    return int(np.argmax(binds)) if binds.any() else None


def held_share(budget: int, capacity: int, steps: int) -> float:
    """Tokens that an arm with a count holds over a whole rollout, as a share of the uncompressed policy's.

    While the context grows, a count drops nothing, so that this share is larger than the count's share of a full one.

    Parameters
    ----------
    budget, capacity
        Transitions that the arm keeps, and that a full context holds.
    steps
        Decisions of a rollout.
    """
    before = np.arange(steps)
    return float(np.minimum(before, budget).sum() / max(1, np.minimum(before, capacity).sum()))


def mean_return(episodes: Float[np.ndarray, "*sample episode"], first: int = 0) -> Float[np.ndarray, "*sample"]:
    """Mean return an episode from one episode index on; episodes that a rollout did not finish are NaN.

    Raises
    ------
    ValueError
        If a rollout has no episode there, as its mean would stand for nothing.
    """
    kept = episodes[..., first:]
    count = np.isfinite(kept).sum(-1)
    if kept.shape[-1] == 0 or (count == 0).any():
        raise ValueError(f"a rollout has no finished episode from index {first} on: ask for more steps")
    return np.asarray(np.nansum(kept, -1) / count)
