"""The rule that packs older transitions by a network: it chooses no entries, so it stands beside the other rules.

It fits policies that hold such a network, and is tried by rollouts alone: no laptop can predict latents from places.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from jaxtyping import Float64, Int

from attnscope_model.strategies.arrays import Array
from attnscope_model.strategies.base import Form, Strategy
from attnscope_model.strategies.errors import StrategyError
from attnscope_model.strategies.parameters import parameter
from attnscope_model.strategies.plan import Plan
from attnscope_model.strategies.view import ContextView
from attnscope_storage.wire.flops import compression_flops, packing_bytes
from attnscope_storage.wire.packing import rhythm_of
from attnscope_storage.wire.policies import PolicyDescription, RecordedPolicy


@dataclass(frozen=True)
class PackingMoment:
    """The state of a packed history at a decision."""

    generation: int
    """Compressions so far; 0 before the first."""
    age: int | None
    """Transitions that have joined since the newest compression: 0 is the decision right after it; None before the
    first."""


def packing_moments(policy: RecordedPolicy, steps: int, newest: int = 0) -> list[PackingMoment]:
    """Return for each step of a rollout how often its history was packed, and how long ago.

    Parameters
    ----------
    policy
        One that packs its history.
    steps
        Steps of the rollout.
    newest
        Transitions that a compression leaves as they are.
    """
    per, buffered, now = policy.tokens_per_transition, 0, PackingMoment(0, None)
    found: list[PackingMoment] = []
    for _ in range(steps):
        found.append(now)
        buffered += per
        held = policy.latents if now.generation else 0
        if policy.packed_at and buffered >= policy.packed_at - held:
            buffered, now = newest * per, PackingMoment(now.generation + 1, 0)
        else:
            now = PackingMoment(now.generation, None if now.age is None else now.age + 1)
    return found


def packing_ages(policy: RecordedPolicy, steps: int, newest: int = 0) -> list[int | None]:
    """Return for each step of a rollout the transitions since the newest compression, as `packing_moments` has them."""
    return [moment.age for moment in packing_moments(policy, steps, newest)]


def own_forms(policy: RecordedPolicy) -> tuple[Latents, ...]:
    """Return the forms of the rule that are tried where nobody names any; none of a policy that packs nothing.

    Its own evaluation, the newest transition or half of those that have room left as they are, and everything older
    packed at once. Which of them fit is said by `attnscope_model.strategies.why_not`.
    """
    if not policy.latents:
        return ()
    half = (policy.context_length - 2 - policy.latents) // policy.tokens_per_transition // 2
    kept = sorted({newest for newest in (1, half) if newest > 0})
    return (Latents(), *(Latents(newest=newest) for newest in kept), Latents(once=True))


@dataclass(frozen=True)
class Latents(Strategy):
    """Pack older transitions into latents by the network that the checkpoint was trained with."""

    name: ClassVar[str] = "latents"
    forms: ClassVar[tuple[Form, ...]] = ()
    simplicity: ClassVar[int] = 5
    bounded: ClassVar[bool] = False

    newest: int = parameter(
        0, "newest transitions that a compression leaves as they are; 0 leaves the next query alone", low=0
    )

    once: bool = parameter(
        default=False, meaning="pack everything older at once, anew at every decision, as CAD was trained"
    )

    by: str = parameter("", "installed compressor that packs; the checkpoint's own where it is empty")

    def choose(self, view: ContextView, limit: Int[Array, "*batch"]) -> Plan:
        """Refuse: latents are no entries of a context.

        Raises
        ------
        StrategyError
            Always.
        """
        del view, limit
        raise StrategyError("latents are made by the policy's own network, not chosen among entries: try it in a trial")


def packing_work(
    rule: Latents, policy: PolicyDescription, seen: Int[np.ndarray, "*decision"]
) -> Float64[np.ndarray, "*decision"]:
    """Return the operations of a compressor at decisions, spread over those from one compression to the next.

    NaN where nobody counts them: of an installed compressor, and of a policy whose description says no network.

    Parameters
    ----------
    rule
        The arm.
    policy
        The policy that it packs for.
    seen
        Tokens of the transitions before each decision.
    """
    if rule.by or not policy.compressor_layers:
        return np.full(seen.shape, np.nan)
    fixed = compression_flops(policy, 0)
    each, per = compression_flops(policy, 1) - fixed, policy.tokens_per_transition
    room = policy.packed_at - policy.latents
    if rule.once:
        older = -(-np.maximum(seen - room, 0) // per) * per
        return np.asarray(np.where(seen > policy.packed_at, fixed + each * older, 0.0), np.float64)
    between = max(1, -(-room // per) - rule.newest)
    spread = (fixed + each * (policy.latents + between * per)) / between
    return np.asarray(np.where(seen >= policy.packed_at, spread, 0.0), np.float64)


def most_packed(rule: Latents, policy: PolicyDescription, steps: int) -> int:
    """Return the tokens and latents that the largest compression of a rollout packs; 0 where there is none.

    0 too of an installed compressor: only its package knows when it packs.

    Parameters
    ----------
    rule
        The arm.
    policy
        The policy that it packs for.
    steps
        Steps of the rollout.
    """
    rhythm, per = rhythm_of(policy), policy.tokens_per_transition
    if rule.by or rhythm is None:
        return 0
    if rule.once:
        beyond = steps * per - policy.packed_at
        return -(-(beyond + policy.latents) // per) * per if beyond > 0 else 0
    if steps < rhythm.first:
        return 0
    again = steps >= rhythm.first + rhythm.every - rule.newest
    return (rhythm.most_sources if again else rhythm.first_sources) - rule.newest * per


def packing_memory(rule: Latents, policy: PolicyDescription, steps: int) -> int:
    """Return the bytes that a rollout's largest compression takes for a moment; 0 where there is none.

    Parameters
    ----------
    rule
        The arm.
    policy
        The policy that it packs for.
    steps
        Steps of the rollout.
    """
    most = most_packed(rule, policy, steps)
    return packing_bytes(policy, most) if most else 0
