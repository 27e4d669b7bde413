"""The arithmetic of a forward pass: the one formula that both sides count floating-point operations by."""

from __future__ import annotations

from typing import Final

from attnscope_storage.wire.catalogue import PolicyDescription

FEED_FORWARD: Final = 4
"""Width of the feed-forward layer in multiples of the embedding width, assumed because no description says it."""


def forward_flops(policy: PolicyDescription, tokens: float, seen: float | None = None) -> float:
    """Return the floating-point operations of one decision of a policy; see `flops_of_shape`."""
    return flops_of_shape(policy.layers, policy.width, tokens, seen)


def flops_of_shape(layers: int, width: int, tokens: float, seen: float | None = None) -> float:
    """Return the floating-point operations of one decision.

    A multiply-add counts two. A token costs 2 (4 + 2 × 4) d² for projections and feed-forward, and 4 n d for scores
    and mixing over the n tokens that it attends to, whether or not a mask hides some. The last layer computes keys and
    values of every token and everything else of the query alone, as the policies of this package do. Embeddings,
    norms and the head are not counted.

    Parameters
    ----------
    tokens
        Tokens that are computed, the query among them.
    seen
        Tokens that they attend to, the query among them; None: those that are computed.
    """
    attended = tokens if seen is None else seen
    linear = 2 * (4 + 2 * FEED_FORWARD) * width**2
    keys_and_values = 4 * width**2
    scores = 4 * attended * width
    last = tokens * keys_and_values + (linear - keys_and_values) + scores
    return float((layers - 1) * tokens * (linear + scores) + last)
