"""The arithmetic of a decision: of an arm's forwards, and of the fastest exact way to serve the uncompressed policy."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float64, Int

from attnscope_model.strategies import looks_at_attention, strategy
from attnscope_model.strategies.learned import Latents, packing_work
from attnscope_storage.wire import Condition, PolicyDescription
from attnscope_storage.wire.flops import forward_flops


def work_of(
    arm: Condition | None,
    policy: PolicyDescription,
    kept: Int[np.ndarray, "*decision"],
    held: Int[np.ndarray, "*decision"],
    step: Int[np.ndarray, "*decision"] | None = None,
) -> Float64[np.ndarray, "*decision"]:
    """Return the operations of decisions, a selection's own forwards spread over its interval.

    A compressor's are spread over the decisions from one compression to the next; NaN where nobody counts them.

    Parameters
    ----------
    arm
        None: the uncompressed policy, computed anew.
    kept, held
        History tokens of the arm's context and of the uncompressed one.
    step
        Step of each decision; needed where an arm packs.
    """
    if arm is None:
        return _forward(policy, held)
    rule = strategy(arm.strategy, **arm.parameters)
    own = _forward(policy, held if arm.positions == "mask" else kept)
    per = policy.tokens_per_transition
    if isinstance(rule, Latents):
        packs: Float64[np.ndarray, "*decision"] = own + packing_work(rule, policy, held if step is None else step * per)
        return packs
    if "influence" in rule.uses:
        own = own + held / per * _forward(policy, np.maximum(held - per, 0)) + _forward(policy, held)
    if looks_at_attention(rule) and arm.memory == "stateless":
        full = held == policy.transitions * per
        every = full.astype(float) if arm.interval == "full" else 1.0 / arm.interval
        own = own + every * _forward(policy, held)
    return own


def fastest_exact(
    policy: PolicyDescription, held: Int[np.ndarray, "*decision"], *, full: bool
) -> Float64[np.ndarray, "*decision"]:
    """Return the operations of uncompressed decisions: from a cache while a causal policy's window grows, else anew."""
    if full or not (policy.causal and policy.query_slot == "last"):
        return _forward(policy, held)
    return _forward(policy, np.minimum(held, policy.tokens_per_transition), held)


def _forward(
    policy: PolicyDescription, tokens: Int[np.ndarray, "*decision"], seen: Int[np.ndarray, "*decision"] | None = None
) -> Float64[np.ndarray, "*decision"]:
    """Return the operations of forwards over so many history tokens and the query, which attend to `seen` and it."""
    pairs = np.stack([tokens, tokens if seen is None else seen], axis=-1).reshape(-1, 2)
    different, where = np.unique(pairs, axis=0, return_inverse=True)
    cost = np.array([forward_flops(policy, int(new) + 1, int(old) + 1) for new, old in different])
    return np.asarray(cost[where.ravel()].reshape(tokens.shape), np.float64)
