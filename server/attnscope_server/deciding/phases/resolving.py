"""The meaning of a decision's specification on this service: judges, screening tasks, budgets, and lengths.

Knows registries and presets, not torch: it runs in the service process.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Final

import numpy as np

from attnscope_env.presets.listing import LISTED, Listings
from attnscope_env.presets.tasks import Task
from attnscope_model.checkpoints.registry import CheckpointRegistry
from attnscope_model.compression import default_positions, unfit
from attnscope_model.families import OWN_FAMILIES
from attnscope_server.capturing.resolving import Subject, find_subject, task_cell
from attnscope_server.deciding.driver import rollout_range
from attnscope_server.deciding.phases.linking import Linked
from attnscope_server.deciding.phases.sizing import (
    budgets_of,
    children_of,
    placeholders,
    room_of,
    transitions_of,
)
from attnscope_server.deciding.state import DecisionPlan
from attnscope_server.deciding.statistics.plans import Reach
from attnscope_server.deciding.statistics.scopes import Scope, TooFewJudgesError, choose_scope
from attnscope_server.errors import refusal
from attnscope_storage.wire import CheckpointInfo, PolicyDescription, ProblemCode, TaskChoice
from attnscope_storage.wire.specifications.decisions import DecisionSpec, ResolvedDecision
from attnscope_storage.wire.specifications.trials import PositionPolicy

SCREENING_TASKS: Final = 4
"""Tasks that are captured, screened and raced on, where there are as many."""

CAPTURE_ROLLOUTS: Final = 32
"""Rollouts of the capture, about."""

FEWEST_EPISODES: Final = 4
"""Episodes of a rollout, at least, where nothing is said; otherwise they end when the context is first full.

A policy that was made for a growing window may fall back to random once it slides, and would be judged by that.
"""

DRAW: Final = 0
"""Seed of the draw of tasks: the same checkpoint and environment have the same judges in every decision."""


def resolve_decision(
    spec: DecisionSpec,
    registry: CheckpointRegistry,
    listings: Listings = LISTED,
    linked: Linked | None = None,
) -> ResolvedDecision:
    """Return what `spec` means on a service that lists these environments.

    Parameters
    ----------
    linked
        The capture that the specification names.

    Raises
    ------
    ProblemError
        What it names does not exist or does not fit, or too few tasks are left to judge.
    """
    subject = _subject(spec, registry, listings)
    policy, horizon = subject.checkpoint.policy, subject.preset.horizon
    budgets = budgets_of(spec, policy)
    split, pool = _judges(spec, subject)
    if linked is not None:
        screening_split, screening = "capture", tuple(subject.preset.task(index) for index in linked.tasks)
    elif spec.screening is None:
        screening_split, screening = _screening(subject, pool)
    else:
        screening_split, screening = _named(spec, registry, listings)
    scope = _scope(spec, split, pool, screening)
    judges = tuple(subject.preset.task(index) for index in scope.tasks)
    episodes = spec.episodes or max(FEWEST_EPISODES, math.ceil(policy.transitions / horizon))
    most = transitions_of(budgets[0], policy)
    if (episodes - 1) * horizon <= most:
        detail = f"episodes: {most} transitions are not exceeded in {episodes} episodes of {horizon} steps"
        raise refusal(ProblemCode.INVALID_REQUEST, f"{detail}: ask for more episodes or fewer transitions")
    capture_seeds = max(2, CAPTURE_ROLLOUTS // len(screening)) if linked is None else len(linked.seeds)
    if linked is not None:
        linked.refuse_unfit(subject.checkpoint, scope, spec.seeds[0], episodes * horizon)
    plan = DecisionPlan(
        scope=scope,
        screening_tasks=tuple(task.index for task in screening),
        capture_seeds=capture_seeds,
        capture_base=None if linked is None else linked.seeds[0],
        margin=spec.margin,
        extendable=spec.extendable,
        most_tokens=most * policy.tokens_per_transition,
        seed_base=spec.seeds[0],
        most_rollouts=spec.most_rollouts,
    )
    first, most = rollout_range(plan, placeholders(budgets, policy))
    parts, largest = room_of(plan, budgets, quick=spec.quick)
    captured = len(screening) * capture_seeds
    return ResolvedDecision(
        **dict(replace(subject, tasks=judges).resolved(spec)),
        screening_tasks=tuple(task_cell(task) for task in screening),
        capture_seeds=capture_seeds,
        screening_split=screening_split,
        scope={
            "reach": scope.reach.value,
            "split": scope.split,
            "whole_split": scope.whole_split,
            "notes": list(scope.notes),
        },
        scope_words=scope.words(len(scope.tasks)),
        episodes=episodes,
        steps=episodes * horizon,
        budgets=budgets,
        positions=_positions(spec, policy),
        capture_store=None if linked is None else linked.store,
        capture_base=plan.capture_base,
        children=children_of(plan, budgets, quick=spec.quick, captures=linked is None),
        most_tokens=plan.most_tokens,
        first_rollouts=captured if spec.quick else first,
        most_rollouts=captured if spec.quick else most,
        parts=parts,
        largest_part=largest,
    )


def plan_of(spec: DecisionSpec, resolved: ResolvedDecision) -> DecisionPlan:
    """Return the plan of a resolved decision."""
    told = resolved.scope
    scope = Scope(
        Reach(told["reach"]),
        tuple(cell.index for cell in resolved.tasks),
        str(told["split"]),
        whole_split=bool(told["whole_split"]),
        notes=tuple(told["notes"]),
    )
    return DecisionPlan(
        scope=scope,
        screening_tasks=tuple(cell.index for cell in resolved.screening_tasks),
        capture_seeds=resolved.capture_seeds,
        capture_base=resolved.capture_base,
        margin=spec.margin,
        extendable=spec.extendable,
        most_tokens=resolved.most_tokens,
        seed_base=spec.seeds[0],
        most_rollouts=spec.most_rollouts,
    )


def _subject(spec: DecisionSpec, registry: CheckpointRegistry, listings: Listings) -> Subject:
    """Return the subject with all tasks that may judge; all of the environment's where nothing is said."""
    choice = spec.tasks
    silent = choice.split is None and choice.indices is None and choice.goals is None
    asked = spec.model_copy(update={"tasks": TaskChoice(split="all")}) if silent else spec
    return find_subject(asked, registry, listings)


def _judges(spec: DecisionSpec, subject: Subject) -> tuple[str, tuple[Task, ...]]:
    """Return the tasks that may judge and the name of their split: what was asked for, else what is held out."""
    choice = spec.tasks
    if choice.goals is not None or choice.indices is not None:
        return "named", subject.tasks
    if choice.split is not None:
        return choice.split, subject.tasks
    if not (subject.checkpoint.held_out_tasks or subject.preset.tasks("test")):
        return "whole", subject.tasks
    return subject.unseen()


def _named(spec: DecisionSpec, registry: CheckpointRegistry, listings: Listings) -> tuple[str, tuple[Task, ...]]:
    """Return the screening tasks that were asked for."""
    tasks = find_subject(spec.model_copy(update={"tasks": spec.screening}), registry, listings).tasks
    return "named", tasks


def _screening(subject: Subject, pool: Sequence[Task]) -> tuple[str, tuple[Task, ...]]:
    """Return tasks to capture and screen: of validation, else of training, else some of those that could judge."""
    known, preset = subject.checkpoint, subject.preset
    judging = {task.index for task in pool}
    named = {"validation": _indices(known, "validation_tasks"), "train": _indices(known, "train_tasks")}
    for split in ("validation", "train"):
        indices = named[split] or tuple(task.index for task in preset.tasks(split))
        left = [index for index in indices if index not in judging]
        if len(left) >= SCREENING_TASKS:
            return split, tuple(preset.task(index) for index in _drawn(left, SCREENING_TASKS))
    if len(pool) == 1:
        return "whole", tuple(pool)
    half = min(SCREENING_TASKS, max(1, len(pool) // 2))
    return "judging", tuple(preset.task(index) for index in _drawn(sorted(judging), half))


def _indices(known: CheckpointInfo, name: str) -> tuple[int, ...]:
    return tuple(getattr(known, name) or ())


def _drawn(indices: Sequence[int], count: int) -> list[int]:
    order = np.random.default_rng((DRAW, 1)).permutation(len(indices))
    return [indices[i] for i in order[:count]]


def _scope(spec: DecisionSpec, split: str, pool: Sequence[Task], screening: Sequence[Task]) -> Scope:
    try:
        return choose_scope(
            split,
            [task.index for task in pool],
            {task.index for task in screening},
            beyond=spec.beyond,
            seed=DRAW,
        )
    except TooFewJudgesError as error:
        raise refusal(ProblemCode.INVALID_REQUEST, f"tasks: {error}") from error


def _positions(spec: DecisionSpec, policy: PolicyDescription) -> tuple[PositionPolicy, ...]:
    """Return the position policies that the screen chooses between, the policy's own default first."""
    if spec.positions is not None:
        for positions in spec.positions:
            if (reason := unfit(policy, positions, "stateless", "recompute")) is not None:
                raise refusal(ProblemCode.INVALID_REQUEST, f"positions: {reason}")
        return spec.positions
    default = default_positions(policy)
    if policy.positions == "none" or policy.family not in OWN_FAMILIES:
        return (default,)
    both: tuple[PositionPolicy, ...] = (default, "reindex" if default == "keep" else "keep")
    return both
