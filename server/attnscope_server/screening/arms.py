"""The arms of a screen: rules × budgets × positions × intervals, those that fit, deployable ones and oracles apart."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final, Literal

from attnscope_model.compression import Compression, unfit
from attnscope_model.strategies import Strategy, looks_at_attention, why_not, why_oracle
from attnscope_model.strategies.candidates import BETWEEN_SELECTIONS, candidates
from attnscope_model.strategies.learned import Latents, own_forms
from attnscope_storage.wire import PolicyDescription
from attnscope_storage.wire.specifications.arms import Budget, Memory, PositionPolicy

BUDGETS: Final[tuple[Budget, ...]] = (0.1, 0.25, 0.4, 0.6)
"""Shares of the history that a screen judges, where nothing else is asked for."""

Interval = int | Literal["full"]


@dataclass(frozen=True)
class Arm:
    """One way to see less."""

    setup: Compression
    oracle_reason: str | None
    """Why no compressed policy could act so, where none could."""

    @property
    def deployable(self) -> bool:
        """True where a compressed policy could act so."""
        return self.oracle_reason is None


def arm_of(setup: Compression) -> Arm:
    """Return a compression as an arm."""
    return Arm(setup, why_oracle(setup.rule, setup.positions, setup.memory, setup.interval))


def arms_of(
    policy: PolicyDescription,
    rules: Sequence[Strategy] | None = None,
    budgets: Sequence[Budget] = BUDGETS,
    positions: Sequence[PositionPolicy] | None = None,
    intervals: Sequence[Interval] | None = None,
    memories: Sequence[Memory] = ("stateless",),
    *,
    attention: bool = True,
    oracles: bool = True,
    most: int | None = None,
) -> list[Arm]:
    """Return every arm that fits the policy, deployable ones first.

    Parameters
    ----------
    rules
        None: the first choice of every form that a rule declares.
    positions
        None: ``reindex``, and ``keep`` where the policy knows positions.
    intervals
        Of rules that look at attention; None: the interval that a rule declares for itself. The others select before
        every decision.
    attention
        Whether rules that look at attention can be screened: not without stored rows.
    oracles
        Whether rules that look at attention are judged at every decision too, as a bound.
    most
        Arms after which no more are looked for: whoever refuses more needs not know how many there are.
    """
    every_arm = (
        arm
        for place in _positions(policy, positions)
        for memory in memories
        for rule, interval in _named(rules, policy)
        if attention or not looks_at_attention(rule)
        for every in _intervals(rule, memory, intervals or (interval,), oracles=oracles)
        for arm in _of_rule(policy, rule, budgets, place, every, memory)
        if oracles or arm.deployable
    )
    found: dict[Arm, None] = {}
    for one in every_arm:
        found[one] = None
        if most is not None and len(found) >= most:
            break
    return sorted(found, key=lambda arm: not arm.deployable)


def _named(rules: Sequence[Strategy] | None, policy: PolicyDescription) -> list[tuple[Strategy, Interval]]:
    """Return rules and their intervals; without names, a policy's own ways to pack are among them."""
    if rules is None:
        every: list[tuple[Strategy, Interval]] = [(one.choices[0], one.interval) for one in candidates()]
        return every + [(rule, 1) for rule in own_forms(policy)]
    return [(rule, BETWEEN_SELECTIONS if looks_at_attention(rule) else 1) for rule in rules]


def _intervals(rule: Strategy, memory: Memory, asked: Sequence[Interval], *, oracles: bool) -> list[Interval]:
    """Return the intervals of a rule: one that looks at no attention selects before every decision."""
    if not looks_at_attention(rule):
        return [1]
    return list(dict.fromkeys([*asked, *([1] if oracles and memory == "stateless" else [])]))


def _of_rule(
    policy: PolicyDescription,
    rule: Strategy,
    budgets: Sequence[Budget],
    positions: PositionPolicy,
    interval: Interval,
    memory: Memory,
) -> Iterator[Arm]:
    """Yield the arms of one rule at one interval, one for every budget that its context can exceed.

    Where latents stand is the policy's own, and what was packed is gone: they come once, whatever is asked for.
    """
    if isinstance(rule, Latents):
        positions, memory = "reindex", "stateful"
    full = (policy.context_length - 1) // policy.tokens_per_transition
    if unfit(policy, positions, memory, "recompute") or why_not(rule, policy, positions, memory, "recompute"):
        return
    for budget in budgets if rule.bounded else (None,):
        if not (isinstance(budget, int) and budget > full):
            yield arm_of(Compression(rule, budget, positions, interval, memory))


def _positions(policy: PolicyDescription, asked: Sequence[PositionPolicy] | None) -> tuple[PositionPolicy, ...]:
    if asked is not None:
        return tuple(asked)
    return ("reindex",) if policy.positions == "none" else ("reindex", "keep")
