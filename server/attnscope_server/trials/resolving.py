"""The meaning of a trial's specification on this service: every condition spelled out, and refused where it cannot be.

Knows registries and strategies, not torch: it runs in the service process.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from attnscope_env.presets.listing import LISTED, Listings
from attnscope_model.checkpoints.registry import CheckpointRegistry
from attnscope_model.compression import default_positions
from attnscope_model.strategies import strategy
from attnscope_model.strategies.learned import Latents
from attnscope_server.capturing.resolving import Subject, evenly_spaced, find_subject
from attnscope_server.capturing.shortening import refuse_whole
from attnscope_server.errors import refusal
from attnscope_server.trials.arms import arm_conditions, find_subjects
from attnscope_server.trials.spelling import (
    Rule,
    made_of,
    refuse_large_budget,
    refuse_unfit,
    refused,
    spelled,
)
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


def resolve_trial(spec: TrialSpec, registry: CheckpointRegistry, listings: Listings = LISTED) -> ResolvedTrial:
    """Return what `spec` means on a service that lists these environments.

    Raises
    ------
    ProblemError
        unknown-checkpoint, unknown-environment or invalid-request for what it names and there is not, or what does not
        fit the checkpoint; too-large for more conditions or environments than a trial may have.
    """
    if spec.arms:
        found = find_subjects(spec, registry, listings)
        subject, conditions = found.subjects[spec.checkpoint], arm_conditions(spec, found)
        fields = dict(subject.resolved(spec)) | {"held_out": found.held_out, "checkpoints": found.checkpoints}
    else:
        subject = find_subject(spec, registry, listings)
        conditions, fields = _grid_conditions(spec, subject), dict(subject.resolved(spec))
    steps = spec.episodes * subject.preset.horizon
    split, unseen = subject.unseen()
    return ResolvedTrial(
        **fields,
        envs=subject.envs(len(spec.seeds)),
        steps=steps,
        conditions=conditions,
        divergence_steps=evenly_spaced(spec.divergence_steps, steps),
        kept_steps=evenly_spaced(spec.kept_steps, steps),
        whole_split=split if {task.index for task in unseen} == {task.index for task in subject.tasks} else None,
    )


def _grid_conditions(spec: TrialSpec, subject: Subject) -> tuple[Condition, ...]:
    """Return the conditions of strategies × budgets × positions on one checkpoint."""
    policy = subject.checkpoint.policy
    if policy.window != "compressed":  # its partner is the same weights over a sliding window
        refuse_whole(policy, subject.checkpoint.name)
    if spec.positions is None:  # conditions echo it; the specification stays as it was sent
        spec = spec.model_copy(update={"positions": (default_positions(policy, spec.memory),)})
    rules = _rules(spec)
    _refuse_unfit(spec, rules, policy, subject.checkpoint.name)
    return _conditions(spec, rules)


def _refuse_unfit(spec: TrialSpec, rules: list[Rule], policy: PolicyDescription, name: str) -> None:
    """Refuse budgets, strategies and ways to decide that this policy does not allow, and budgets that are missing."""
    heeding = [rule.made.name for rule in rules if rule.made.bounded and not rule.control]
    if heeding and not spec.budgets:
        raise refused(f"budgets: {heeding[0]} needs one")
    for budget in spec.budgets:
        refuse_large_budget(budget, policy, name, "budgets")
    for positions in spec.positions or ():
        for index, rule in enumerate(rules):
            where = "controls" if rule.control else f"strategies.{index}"
            refuse_unfit(rule, positions, spec, policy, name, where)


def _rules(spec: TrialSpec) -> list[Rule]:
    rules: list[Rule] = []
    for index, choice in enumerate(spec.strategies):
        where = f"strategies.{index}"
        made = made_of(choice, where)
        if any(made == rule.made for rule in rules):
            raise refused(f"{where}: {made} is named twice")
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
    return tuple(spelled(index, *one, spec) for index, one in enumerate(_grid(spec, rules)))


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
