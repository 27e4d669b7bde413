"""The operations that dropping tokens saves at a model's size, and the positions that the kept tokens need."""

from __future__ import annotations

from attnscope_storage.wire import RecordedPolicy
from attnscope_storage.wire.flops import flops_of_shape


def flops_saved(policy: RecordedPolicy, tokens: float, kept: float) -> float:
    """Return the share of a decision's operations that is saved by `kept` instead of `tokens`, both with the query.

    NaN where the policy's width is unknown, as of an imported capture.
    """
    if policy.width is None:
        return float("nan")
    whole, less = (flops_of_shape(policy.layers, policy.width, count) for count in (tokens, kept))
    return 1 - less / whole


def position_policy(policy: RecordedPolicy) -> tuple[str, str]:
    """Return which positions kept tokens get first, as in a trial that names none, and why."""
    if policy.positions is None:
        why = "the imported file does not say the position encoding: keep fits absolute positions, reindex rotary ones"
        return "keep", why
    if policy.positions != "learned-absolute":
        return "reindex", f"positions are {policy.positions}: kept tokens close up"
    if policy.query_slot == "first":
        return "keep", "positions are learned: kept tokens keep theirs, and the query stays in front of them"
    if policy.family == "ad-reference":
        why = (
            "the query was trained at the last position only, so kept tokens keep theirs and it stays there; "
            "right_align does too and closes the gaps, reindex moves it to a position it was never trained at"
        )
        return "keep", why
    return "keep", "positions are learned: kept tokens keep theirs; reindex and right_align must be tried beside it"
