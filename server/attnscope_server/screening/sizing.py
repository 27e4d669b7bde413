"""The cost of a screen: forwards of every arm's contexts, and the memory of a block."""

from __future__ import annotations

from attnscope_model.strategies.learned import Latents
from attnscope_server.trials.sizing import packing_flops, packing_moment
from attnscope_storage.wire import Condition, PolicyDescription
from attnscope_storage.wire.flops import forward_flops
from attnscope_storage.wire.specifications.screens import ResolvedScreen

FLOAT_BYTES = 4


def screen_flops(resolved: ResolvedScreen, policy: PolicyDescription) -> float:
    """Return the floating-point operations of a whole screen: at full windows, without what rules compute themselves.

    A stateful arm decides at every step of its rollouts, any other one at the judged decisions alone. Compressors are
    counted where they are known.
    """
    judged = resolved.decisions_each
    walked = resolved.steps
    per_rollout = sum(
        forward_flops(policy, _tokens(arm, policy)) * (walked if _decides_always(arm) else judged)
        + packing_flops(arm, walked, policy)
        for arm in resolved.arms
    )
    whole = 1 + 2 * len(resolved.bands) + resolved.episodes_back
    return len(resolved.envs) * (per_rollout + judged * whole * forward_flops(policy, policy.context_length))


def screen_memory(resolved: ResolvedScreen, policy: PolicyDescription) -> float:
    """Return a guess of the bytes of a block: its histories, rows, windows, and what its arms keep of them."""
    full = policy.transitions
    judged = resolved.block * resolved.decisions_each
    history = resolved.block * resolved.steps * (2 * policy.width * policy.tokens_per_transition + 64)
    rows = resolved.steps * policy.context_length * (resolved.block + 2 * policy.layers * policy.heads)
    windows = judged * full * (policy.width * policy.tokens_per_transition * max(2, len(resolved.arms) // 8) + 64)
    kept = 2 * judged * full * (len(resolved.arms) + 3 * len(resolved.bands) + resolved.episodes_back)
    moment = resolved.block * max((packing_moment(arm, resolved.steps, policy) for arm in resolved.arms), default=0)
    return FLOAT_BYTES * (history + rows * int(resolved.rows) + windows) + kept + moment


def _decides_always(arm: Condition) -> bool:
    """Return whether an arm decides at every step of a rollout; one that packs needs the transitions alone."""
    return arm.memory == "stateful" and arm.strategy != Latents.name


def _tokens(arm: Condition, policy: PolicyDescription) -> int:
    """Return the tokens of an arm's context at a full window."""
    full = policy.transitions
    budget = full if arm.budget is None or arm.positions == "mask" else arm.budget
    kept = int(full * budget) if isinstance(budget, float) else budget
    return max(1, min(full, kept)) * policy.tokens_per_transition + 1
