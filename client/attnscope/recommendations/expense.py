"""What dropping tokens saves at a model's size, and which positions the kept tokens need."""

from __future__ import annotations

from typing import Final

from attnscope_storage.wire import PolicyDescription

FEED_FORWARD: Final = 4
"""Width of the feed-forward layer in multiples of the embedding width, assumed where the description does not say."""


def forward_flops(policy: PolicyDescription, tokens: float) -> float:
    """Return the floating-point operations of one decision over a context of `tokens`, recomputed whole.

    Two a multiply-add; projections and feed-forward 2 (4 + 2 × 4) d² a token, scores and mixing 4 n d a token. In the
    last layer only the query's row is needed: keys and values of all tokens, everything else once. Embeddings are
    cached and not counted.
    """
    width, layers = policy.width, policy.layers
    linear = 2 * (4 + 2 * FEED_FORWARD) * width**2
    whole = tokens * (linear + 4 * tokens * width)
    last = tokens * 4 * width**2 + (linear - 4 * width**2) + 4 * tokens * width
    return (layers - 1) * whole + last


def flops_saved(policy: PolicyDescription, tokens: float, kept: float) -> float:
    """Return the share of a decision's operations that is saved by `kept` instead of `tokens`, both with the query."""
    return 1 - forward_flops(policy, kept) / forward_flops(policy, tokens)


def position_policy(policy: PolicyDescription) -> tuple[str, str]:
    """Return which positions kept tokens should get first in a trial, and why."""
    if policy.query_slot == "first":
        return "reindex", "the query comes first and shorter contexts were trained, so kept tokens close up"
    if policy.positions in {"rotary", "none"}:
        return (
            "reindex",
            f"positions are {policy.positions}: only distances change, and the query keeps none of its own",
        )
    if policy.family == "ad-reference":
        why = (
            "the query was trained at the last position only, so kept tokens keep theirs and it stays there; "
            "right_align does too and closes the gaps, reindex moves it to a position it was never trained at"
        )
        return "keep", why
    return "keep", "positions are absolute: kept tokens keep theirs; reindex and right_align must be tried beside it"
