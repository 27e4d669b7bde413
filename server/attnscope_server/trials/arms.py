"""The arms of a trial, resolved: whose checkpoint acts, under which rule, and the condition that it is compared with.

All checkpoints act in one environment, with one numbering of actions, on the same tasks; else nothing is paired.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from attnscope_env.presets.listing import Listings
from attnscope_model.checkpoints.registry import CheckpointRegistry
from attnscope_model.compression import default_positions
from attnscope_model.strategies import Strategy, strategy
from attnscope_model.strategies.learned import Latents
from attnscope_server.capturing.resolving import Subject, find_subject
from attnscope_server.capturing.shortening import refuse_whole
from attnscope_server.errors import refusal
from attnscope_server.trials.spelling import (
    Rule,
    Whose,
    made_of,
    refuse_large_budget,
    refuse_unfit,
    refused,
    spelled,
)
from attnscope_server.trials.unlike import why_unlike
from attnscope_storage.wire import (
    MAX_CONDITIONS,
    ArmChoice,
    Condition,
    PolicyDescription,
    PositionPolicy,
    ProblemCode,
    TrialSpec,
    TriedCheckpoint,
)


@dataclass(frozen=True)
class ArmSubjects:
    """The subjects of a trial's arms, by the names that the specification calls them."""

    subjects: dict[str, Subject]
    checkpoints: tuple[TriedCheckpoint, ...]
    places: dict[str, int]
    """Place of each name's checkpoint among `checkpoints`."""

    @property
    def held_out(self) -> bool | None:
        """True where no task was trained on or chosen by in any of them; None where one's train tasks are unknown."""
        known = [subject.held_out for subject in self.subjects.values()]
        return False if False in known else None if None in known else True


def find_subjects(spec: TrialSpec, registry: CheckpointRegistry, listings: Listings) -> ArmSubjects:
    """Return the checkpoints that a trial's arms name, the first one's first.

    Raises
    ------
    ProblemError
        One of them does not exist, belongs to two recipes, or acts elsewhere or otherwise than the first one.
    """
    recipes = {recipe.name: recipe.checkpoints for recipe in spec.recipes}
    names = list(dict.fromkeys(name for arm in spec.arms for name in recipes.get(arm.checkpoint, (arm.checkpoint,))))
    subjects = {name: find_subject(spec.model_copy(update={"checkpoint": name}), registry, listings) for name in names}
    first = subjects[names[0]]
    for name, subject in subjects.items():
        if (reason := why_unlike(spec, first, subject)) is not None:
            raise refused(f"arms: {subject.checkpoint.name} and {first.checkpoint.name} cannot be paired: {reason}")
        if subject.checkpoint.policy.window != "compressed":
            refuse_whole(subject.checkpoint.policy, name)
    found: dict[str, TriedCheckpoint] = {}
    for name in names:
        info = subjects[name].checkpoint
        found.setdefault(info.id, TriedCheckpoint(id=info.id, name=info.name, policy=info.policy))
    for recipe, members in recipes.items():
        ids = [subjects[name].checkpoint.id for name in members]
        for seed, identity in enumerate(ids):
            if found[identity].recipe is not None:
                raise refused(f"recipes: {found[identity].name} is named twice; a training seed counts once")
            found[identity] = found[identity].model_copy(update={"recipe": recipe, "training_seed": seed})
    order = list(found)
    return ArmSubjects(
        subjects, tuple(found.values()), {name: order.index(subjects[name].checkpoint.id) for name in names}
    )


def arm_conditions(spec: TrialSpec, found: ArmSubjects) -> tuple[Condition, ...]:
    """Return the conditions of a trial's arms: the uncompressed first one, then arm by arm, checkpoint by checkpoint.

    Raises
    ------
    ProblemError
        A rule, a budget or a way to decide does not fit its checkpoint; or the conditions are too many.
    """
    asked = [one for place, arm in enumerate(spec.arms) for one in _asked(spec, found, place, arm)]
    start = found.checkpoints[0]
    zero = asked[0].rule.made == strategy("none")
    whose = Whose(0, start.name, 0 if zero else None)
    stated = spec.positions[0] if spec.positions else None  # as the other uncompressed arms have it
    placed = stated or default_positions(start.policy, spec.memory)
    conditions = [spelled(0, Rule(strategy("none"), control=not zero), None, placed, spec, whose)]
    for one in asked[1:] if zero else asked:
        conditions.append(one.condition(len(conditions), found.checkpoints[one.checkpoint].name))
    if len(conditions) > MAX_CONDITIONS:
        detail = f"{len(spec.arms)} arms are {len(conditions)} conditions"
        raise refusal(ProblemCode.TOO_LARGE, detail, limit=MAX_CONDITIONS, requested=len(conditions))
    _refuse_doubles(conditions)
    return tuple(_paired(conditions, found.checkpoints, together=spec.paired_recipes))


@dataclass(frozen=True)
class _Asked:
    """One checkpoint of an arm."""

    arm: int
    checkpoint: int
    rule: Rule
    choice: ArmChoice
    spec: TrialSpec
    """With the arm's own interval, memory, path and positions."""

    def condition(self, index: int, name: str) -> Condition:
        """Return the condition that it is."""
        positions = (self.spec.positions or ("reindex",))[0]
        placed: PositionPolicy = "reindex" if isinstance(self.rule.made, Latents) else positions
        whose = Whose(self.checkpoint, name, self.arm)
        made = spelled(max(1, index), self.rule, self.choice.budget, placed, self.spec, whose)
        return made.model_copy(update={"index": index})


def _asked(spec: TrialSpec, found: ArmSubjects, place: int, arm: ArmChoice) -> Iterator[_Asked]:
    """Yield the checkpoints of an arm, its rule held against each."""
    members = next((one.checkpoints for one in spec.recipes if one.name == arm.checkpoint), (arm.checkpoint,))
    own = {name: getattr(arm, name) for name in ("interval", "memory", "path") if getattr(arm, name) is not None}
    spec = spec.model_copy(update=own)
    for name in members:
        policy, called = found.subjects[name].checkpoint.policy, found.subjects[name].checkpoint.name
        stated = arm.positions or (spec.positions[0] if spec.positions else None)
        positions = stated or default_positions(policy, spec.memory)
        rule, where = Rule(_rule(arm, policy, f"arms.{place}")), f"arms.{place}"
        if rule.made.bounded == (arm.budget is None) and not isinstance(rule.made, Latents):
            needs = "needs a budget" if rule.made.bounded else "heeds no budget"
            raise refused(f"{where}: {rule.made.name} {needs}")
        if isinstance(rule.made, Latents) and arm.budget is not None:
            raise refused(f"{where}: {rule.made.name} heeds no budget")
        if arm.budget is not None:
            refuse_large_budget(arm.budget, policy, called, where)
        if rule.made != strategy("none"):
            refuse_unfit(rule, positions, spec, policy, called, where)
        yield _Asked(place, found.places[name], rule, arm, spec.model_copy(update={"positions": (positions,)}))


def _rule(arm: ArmChoice, policy: PolicyDescription, where: str) -> Strategy:
    """Return the rule of an arm: what it names, else how the policy acts by itself."""
    if arm.strategy is not None:
        return made_of(arm.strategy, where)
    return strategy(Latents.name if policy.window == "compressed" else "none")


def _refuse_doubles(conditions: Sequence[Condition]) -> None:
    """Refuse an arm that is named twice, but for the first one: beside itself it is a check of the pairing."""
    seen: dict[str, int | None] = {}
    for one in conditions:
        key = one.model_copy(update={"index": 0, "arm": None, "control": False}).model_dump_json()
        if seen.get(key):  # neither new, nor the first arm or condition 0
            raise refused(f"arms.{one.arm}: the same as arm {seen[key]}; only the first arm may be named once more")
        seen[key] = one.arm


def _paired(
    conditions: Sequence[Condition], checkpoints: Sequence[TriedCheckpoint], *, together: bool
) -> Iterator[Condition]:
    """Yield the conditions, each with the one that it is compared with.

    That is the first arm's: of the same checkpoint where there is one; where recipes are paired, of the same training
    seed; else the first arm's first.
    """
    references = [one for one in conditions if one.arm == 0]
    seeds = {one.index: checkpoints[one.checkpoint].training_seed for one in conditions}
    for one in conditions:
        same = [other for other in references if other.checkpoint == one.checkpoint]
        alike = [other for other in references if together and seeds[other.index] == seeds[one.index] is not None]
        against = one if one.arm == 0 else (same or alike or references)[0]
        yield one.model_copy(update={"against": against.index})
