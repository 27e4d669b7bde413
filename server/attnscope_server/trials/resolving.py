"""The meaning of a trial's specification on this service: every condition spelled out, and refused where it cannot be.

Knows registries and strategies, not torch: it runs in the service process.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from attnscope_env.presets.listing import LISTED, Listings
from attnscope_model.checkpoints.registry import CheckpointRegistry
from attnscope_model.compression import default_positions, unfit
from attnscope_model.strategies import Strategy, StrategyError, build, strategy, why_not, why_oracle
from attnscope_model.strategies.learned import Latents
from attnscope_server.capturing.resolving import evenly_spaced, find_subject
from attnscope_server.capturing.shortening import refuse_whole
from attnscope_server.errors import refusal
from attnscope_storage.wire import (
    MAX_CONDITIONS,
    Budget,
    Condition,
    PolicyDescription,
    PositionPolicy,
    ProblemCode,
    ResolvedTrial,
    TrialSpec,
)

CONTROLS: Final = ("uniform", "random")
"""Strategies that stand beside every other one at an equal budget."""


@dataclass(frozen=True)
class Rule:
    """A strategy of a trial's grid."""

    made: Strategy
    control: bool = False


def resolve_trial(spec: TrialSpec, registry: CheckpointRegistry, listings: Listings = LISTED) -> ResolvedTrial:
    """Return what `spec` means on a service that lists these environments.

    Raises
    ------
    ProblemError
        unknown-checkpoint, unknown-environment or invalid-request for what it names and there is not, or what does not
        fit the checkpoint; too-large for more conditions or environments than a trial may have.
    """
    subject = find_subject(spec, registry, listings)
    policy = subject.checkpoint.policy
    if policy.window != "compressed":  # its partner is the same weights over a sliding window
        refuse_whole(policy, subject.checkpoint.name)
    if spec.positions is None:  # conditions echo it; the specification stays as it was sent
        spec = spec.model_copy(update={"positions": (default_positions(policy, spec.memory),)})
    rules = _rules(spec)
    _refuse_unfit(spec, rules, policy, subject.checkpoint.name)
    steps = spec.episodes * subject.preset.horizon
    split, unseen = subject.unseen()
    return ResolvedTrial(
        **dict(subject.resolved(spec)),
        envs=subject.envs(len(spec.seeds)),
        steps=steps,
        conditions=_conditions(spec, rules),
        divergence_steps=evenly_spaced(spec.divergence_steps, steps),
        kept_steps=evenly_spaced(spec.kept_steps, steps),
        whole_split=split if {task.index for task in unseen} == {task.index for task in subject.tasks} else None,
    )


def _refuse_unfit(spec: TrialSpec, rules: list[Rule], policy: PolicyDescription, name: str) -> None:
    """Refuse budgets, strategies and ways to decide that this policy does not allow."""
    full = policy.transitions
    for budget in spec.budgets:
        if isinstance(budget, int) and budget > full:
            detail = f"budgets: a full context of {name} holds {full} transitions, {budget} would drop none of them"
            raise refusal(ProblemCode.INVALID_REQUEST, f"{detail}; all of them is the strategy none")
    for positions in spec.positions or ():
        for index, rule in enumerate(rules):
            if (reason := why_not(rule.made, policy, positions, spec.memory, spec.path)) is not None:
                where = "controls" if rule.control else f"strategies.{index}"
                raise refusal(ProblemCode.INVALID_REQUEST, f"{where}: {reason} (positions {positions})")
            if (reason := unfit(policy, positions, spec.memory, spec.path)) is not None:
                raise refusal(ProblemCode.INVALID_REQUEST, f"positions, memory and path for {name}: {reason}")


def _rules(spec: TrialSpec) -> list[Rule]:
    rules: list[Rule] = []
    for index, choice in enumerate(spec.strategies):
        where = f"strategies.{index}"
        try:
            made = build(choice.name, choice.parameters)
        except StrategyError as error:
            raise refusal(ProblemCode.INVALID_REQUEST, f"{where}: {error}") from error
        if any(made == rule.made for rule in rules):
            raise refusal(ProblemCode.INVALID_REQUEST, f"{where}: {made} is named twice")
        rules.append(Rule(made))
    if spec.controls and any(rule.made.bounded for rule in rules):
        named = {rule.made.name for rule in rules}
        rules += [Rule(strategy(name), control=True) for name in CONTROLS if name not in named]
    return rules


def _conditions(spec: TrialSpec, rules: list[Rule]) -> tuple[Condition, ...]:
    """Return every way to act: uncompressed, then positions × budgets × strategies, controls after them.

    A strategy that heeds no budget comes once a position policy.
    """
    learned = sum(isinstance(rule.made, Latents) for rule in rules)
    unbounded = sum(not rule.made.bounded for rule in rules) - learned
    places = len(spec.positions or ())
    count = 1 + learned + places * (unbounded + len(spec.budgets) * (len(rules) - unbounded - learned))
    if count > MAX_CONDITIONS:
        detail = f"{len(rules)} strategies × {len(spec.budgets)} budgets × {places} position policies, "
        detail += f"controls and baseline counted, are {count} conditions"
        raise refusal(ProblemCode.TOO_LARGE, detail, limit=MAX_CONDITIONS, requested=count)
    return tuple(_spelled(index, *one, spec) for index, one in enumerate(_grid(spec, rules)))


def _grid(spec: TrialSpec, rules: list[Rule]) -> Iterator[tuple[Rule, Budget | None, PositionPolicy]]:
    yield Rule(strategy("none"), control=True), None, "reindex"
    for rule in rules:
        if isinstance(rule.made, Latents):  # where latents stand is the policy's own
            yield rule, None, "reindex"
    for positions in spec.positions or ():
        for rule in rules:
            if not rule.made.bounded and not isinstance(rule.made, Latents):
                yield rule, None, positions
        for budget in spec.budgets:
            for rule in rules:
                if rule.made.bounded:
                    yield rule, budget, positions


def _spelled(index: int, rule: Rule, budget: Budget | None, positions: PositionPolicy, spec: TrialSpec) -> Condition:
    plain = index == 0 or isinstance(rule.made, Latents)
    reason = None if plain else why_oracle(rule.made, positions, spec.memory, spec.interval)
    return Condition(
        index=index,
        strategy=rule.made.name,
        parameters=rule.made.parameters,
        text=str(rule.made),
        budget=budget,
        positions=positions,
        interval=1 if plain else spec.interval,
        memory="stateful" if isinstance(rule.made, Latents) else "stateless" if plain else spec.memory,
        path="recompute" if plain else spec.path,
        control=rule.control,
        oracle=reason is not None,
        oracle_reason=reason,
    )
