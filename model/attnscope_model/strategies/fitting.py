"""The fit of a strategy: policies, positions, memories and paths that it serves, and those where it is an oracle.

One place says so for the list of strategies, for the service that refuses and for the rollout that marks oracles.
"""

from __future__ import annotations

from typing import Final, Literal

from attnscope_model.strategies.base import Strategy
from attnscope_model.strategies.compressors import installed_compressors
from attnscope_model.strategies.learned import Latents
from attnscope_storage.wire import (
    Memory,
    ObservationKind,
    PolicyDescription,
    PositionPolicy,
    Recompute,
)

ATTENTION: Final = frozenset({"attention", "accumulated", "expected"})
"""Fields of a view that a forward pass over the context fills."""

TRAINED_ONCE: Final = frozenset({"cccad-cad"})
"""Families whose compressor saw, in training, everything older at once."""

Observation = ObservationKind


def looks_at_attention(rule: Strategy) -> bool:
    """Return whether a strategy looks at attention where there is any.

    Parameters
    ----------
    rule
        A strategy with its parameters.
    """
    return bool(rule.uses & ATTENTION)


def why_not_positions(rule: Strategy, positions: PositionPolicy) -> str | None:
    """Return why a strategy cannot be applied under a position policy; None where it can."""
    if positions == "mask" and rule.pooling:
        return "a masked context holds the transitions themselves; a pooled token has no slot in it"
    return None


def why_not_memory(rule: Strategy, memory: Memory) -> str | None:
    """Return why a strategy cannot be applied with a memory; None where it can."""
    if memory == "stateful" and rule.oracle_reason is not None:
        return "it judges by the whole context, which a stateful one has forgotten"
    return None


def why_not_path(rule: Strategy, path: Recompute, policy: PolicyDescription | None = None) -> str | None:
    """Return why a strategy cannot be applied on a path, to any policy where none is named; None where it can."""
    if path == "recompute":
        return None
    if rule.pooling:
        return "kept keys and values of several tokens have no mean that a forward would have given"
    if rule.oracle_reason is not None:
        return "it runs whole contexts, which a cache does not hold"
    if policy is not None and not (policy.causal and policy.by_distance):
        return "keys and values can only be kept by causal policies with positions by distance: rotary, alibi, relative"
    return None


def why_not_policy(rule: Strategy, policy: PolicyDescription) -> str | None:
    """Return why a strategy cannot be applied to a policy, whatever else is asked; None where it can.

    A policy that packs its history itself is compared with the same weights over a sliding window, which every other
    rule may shorten.
    """
    if isinstance(rule, Latents) and rule.by:
        return _why_not_installed(rule, policy)
    if isinstance(rule, Latents):
        if not policy.latents:
            return "the policy was trained with no network that packs transitions"
        if rule.once and (reason := _why_not_once(rule, policy)) is not None:
            return reason
        room = (policy.context_length - 2 - policy.latents) // policy.tokens_per_transition
        most = f"beside {policy.latents} latents a context has room for {room} transitions and one more"
        return None if rule.newest <= room else f"{most}, so a compression cannot leave {rule.newest}"
    return None if policy.window == "compressed" else policy.why_whole


def _why_not_once(rule: Latents, policy: PolicyDescription) -> str | None:
    """Return why a policy's own compressor cannot pack everything older at once; None where it can."""
    if policy.family not in TRAINED_ONCE:
        return "it was trained to pack latents again with further transitions, not everything older at once"
    if rule.newest:
        return "everything older is packed at once, so the newest transitions that stay are as many as have room"
    if 0 < policy.compressor_positions < policy.context_length:
        most = f"its compressor reads {policy.compressor_positions} tokens at most, no more than a context holds"
        return f"{most}, so everything older has no room in one compression"
    return None


def _why_not_installed(rule: Latents, policy: PolicyDescription) -> str | None:
    """Return why an installed compressor cannot pack for a policy, as far as names and descriptions tell."""
    if rule.by not in (known := installed_compressors()):
        return f"no compressor {rule.by!r} is installed here; installed are {', '.join(known) or 'none'}"
    if rule.once:
        return "only the network of CAD was trained on everything older at once"
    if policy.query_slot != "last" or policy.window not in {"recompute", "compressed"} or policy.cleared != "never":
        return "latents stand at the front of a context that is computed anew at every decision, its query last"
    return None


def why_not_observation(rule: Strategy, observation: Observation) -> str | None:
    """Return why a strategy cannot be applied to a policy of this observation kind; None where it can."""
    if "query_observation" not in rule.required:
        return None
    named = {"discrete": "numbers of states have none", "image": "the kinds of a grid's tiles have none"}
    return f"it measures distances between observations, and {named[observation]}" if observation in named else None


def why_not(
    rule: Strategy, policy: PolicyDescription, positions: PositionPolicy, memory: Memory, path: Recompute
) -> str | None:
    """Return why a strategy cannot be applied to a policy like this; None where it can.

    Parameters
    ----------
    rule
        A strategy with its parameters.
    policy
        Description of the policy.
    positions
        Position policy of the condition.
    memory
        ``stateless`` or ``stateful``.
    path
        ``recompute`` or ``cached``.
    """
    reasons = (
        why_not_policy(rule, policy),
        why_not_observation(rule, policy.observation),
        why_not_positions(rule, positions),
        why_not_memory(rule, memory),
        why_not_path(rule, path, policy),
    )
    return next((f"{rule.name} does not fit: {reason}" for reason in reasons if reason is not None), None)


def why_oracle(
    rule: Strategy, positions: PositionPolicy, memory: Memory, interval: int | Literal["full"]
) -> str | None:
    """Return why a condition is an oracle, of which no speed-up is claimed; None where it is none.

    Parameters
    ----------
    rule
        A strategy with its parameters.
    positions
        Position policy of the condition.
    memory
        ``stateless`` or ``stateful``.
    interval
        Steps from one selection to the next; ``full`` selects where the context is full.
    """
    if positions == "mask":
        return "a mask keeps the whole context and hides the others: it saves nothing"
    if rule.oracle_reason is not None:
        return rule.oracle_reason
    if looks_at_attention(rule) and memory == "stateless" and interval in {1, "full"}:
        return "it looks at the attention of the whole context before every decision, which is the full forward"
    return None
