"""The meaning of a decision's specification on this service: judges, screening tasks, budgets, and lengths.

Knows registries and presets, not torch: it runs in the service process.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Final

from attnscope_env.presets.listing import LISTED, Listings
from attnscope_model.checkpoints.registry import CheckpointRegistry
from attnscope_model.compression import default_positions, unfit
from attnscope_model.families import OWN_FAMILIES
from attnscope_server.capturing.resolving import task_cell
from attnscope_server.capturing.shortening import refuse_other_actions, refuse_whole
from attnscope_server.deciding.driver import rollout_range
from attnscope_server.deciding.phases.linking import Linked
from attnscope_server.deciding.phases.sizing import (
    budgets_of,
    children_of,
    placeholders,
    room_of,
    transitions_of,
)
from attnscope_server.deciding.phases.tasks import (
    asked_subject,
    judging_tasks,
    named_tasks,
    scope_of,
    screening_tasks,
)
from attnscope_server.deciding.state import DecisionPlan
from attnscope_server.deciding.statistics.look_plans import Reach
from attnscope_server.deciding.statistics.scopes import Scope
from attnscope_server.errors import refusal
from attnscope_storage.wire import PolicyDescription, ProblemCode
from attnscope_storage.wire.specifications.arms import Budget, PositionPolicy
from attnscope_storage.wire.specifications.decisions import DecisionSpec, ResolvedDecision

CAPTURE_ROLLOUTS: Final = 32
"""Rollouts of the capture, about."""

FEWEST_EPISODES: Final = 4
"""Episodes of a rollout, at least, where nothing is said; otherwise they end when the context is first full.

A policy that was made for a growing window may fall back to random once it slides, and would be judged by that.
"""


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
    subject = asked_subject(spec, registry, listings)
    policy, horizon = subject.checkpoint.policy, subject.preset.horizon
    if policy.window != "compressed":  # its partner is the same weights over a sliding window
        refuse_whole(policy, subject.checkpoint.name)
    refuse_other_actions(policy, subject.checkpoint.name)
    budgets = budgets_of(spec, policy)
    split, pool = judging_tasks(spec, subject)
    if linked is not None:
        screening_split, screening = "capture", tuple(subject.preset.task(index) for index in linked.tasks)
    elif spec.screening is not None:
        screening_split, screening = "named", named_tasks(spec, registry, listings)
    else:
        screening_split, screening = screening_tasks(subject, pool)
    scope = scope_of(spec, split, pool, screening)
    judges = tuple(subject.preset.task(index) for index in scope.tasks)
    most = transitions_of(budgets[0], policy)
    episodes = _episodes(spec, policy, horizon, most)
    if linked is not None:
        linked.refuse_unfit(subject.checkpoint, scope, spec.seeds[0], episodes * horizon)
    base = None if linked is None else linked.seeds[0]
    seeds = max(2, CAPTURE_ROLLOUTS // len(screening)) if linked is None else len(linked.seeds)
    indices = [task.index for task in screening]
    plan = _plan(spec, scope, indices, seeds, base, most * policy.tokens_per_transition)
    return ResolvedDecision(
        **dict(replace(subject, tasks=judges).resolved(spec)),
        **_sizes(spec, plan, budgets, policy, captures=linked is None),
        screening_tasks=tuple(task_cell(task) for task in screening),
        capture_seeds=plan.capture_seeds,
        screening_split=screening_split,
        scope=_stored(scope),
        scope_words=scope.words(len(scope.tasks)),
        episodes=episodes,
        steps=episodes * horizon,
        budgets=budgets,
        positions=_positions(spec, policy),
        capture_store=None if linked is None else linked.store,
        capture_base=plan.capture_base,
        most_tokens=plan.most_tokens,
    )


def _stored(scope: Scope) -> dict[str, Any]:
    """Return the parts of a scope that a resolved decision holds beside its tasks."""
    parts = {"reach": scope.reach.value, "split": scope.split, "whole_split": scope.whole_split}
    return {**parts, "notes": list(scope.notes)}


def plan_of(spec: DecisionSpec, resolved: ResolvedDecision) -> DecisionPlan:
    """Return the plan of a resolved decision."""
    stored = resolved.scope
    scope = Scope(
        Reach(stored["reach"]),
        tuple(cell.index for cell in resolved.tasks),
        str(stored["split"]),
        whole_split=bool(stored["whole_split"]),
        notes=tuple(stored["notes"]),
    )
    screening = [cell.index for cell in resolved.screening_tasks]
    return _plan(spec, scope, screening, resolved.capture_seeds, resolved.capture_base, resolved.most_tokens)


def _plan(
    spec: DecisionSpec,
    scope: Scope,
    screening: Sequence[int],
    capture_seeds: int,
    capture_base: int | None,
    most_tokens: int,
) -> DecisionPlan:
    return DecisionPlan(
        scope=scope,
        screening_tasks=tuple(screening),
        capture_seeds=capture_seeds,
        capture_base=capture_base,
        margin=spec.margin,
        extendable=spec.extendable,
        most_tokens=most_tokens,
        seed_base=spec.seeds[0],
        most_rollouts=spec.most_rollouts,
    )


def _sizes(
    spec: DecisionSpec, plan: DecisionPlan, budgets: Sequence[Budget], policy: PolicyDescription, *, captures: bool
) -> dict[str, Any]:
    """Return the stores, rollouts and requests of the longest decision by their fields."""
    captured = len(plan.screening_tasks) * plan.capture_seeds
    first, most = (captured, captured) if spec.quick else rollout_range(plan, placeholders(budgets, policy))
    parts, largest = room_of(plan, budgets, quick=spec.quick)
    return {
        "children": children_of(plan, budgets, quick=spec.quick, captures=captures),
        "first_rollouts": first,
        "most_rollouts": most,
        "parts": parts,
        "largest_part": largest,
    }


def _episodes(spec: DecisionSpec, policy: PolicyDescription, horizon: int, most: int) -> int:
    """Return the episodes of a rollout: more than a budget of `most` transitions holds."""
    episodes = spec.episodes or max(FEWEST_EPISODES, math.ceil(policy.transitions / horizon))
    if (episodes - 1) * horizon <= most:
        detail = f"episodes: {most} transitions are not exceeded in {episodes} episodes of {horizon} steps"
        raise refusal(ProblemCode.INVALID_REQUEST, f"{detail}: ask for more episodes or fewer transitions")
    return episodes


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
