"""The specifications of a decision's own stores, and what these mean: a capture, a screen, trials of arms.

Knows no store that is written and no rollout.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from attnscope_model.strategies import strategy
from attnscope_server.deciding.phases.record import setup_of
from attnscope_server.deciding.phases.trying import Trying
from attnscope_server.screening.arms import Arm
from attnscope_server.screening.decisions import chosen_rollouts
from attnscope_server.screening.resolving import block_of, spelled, why_no_rows
from attnscope_storage.reading.reader import CaptureReader
from attnscope_storage.wire import (
    CaptureSpec,
    CheckpointInfo,
    Condition,
    MapsChoice,
    ResolvedCapture,
    ResolvedTrial,
    SpeedChoice,
    StrategyChoice,
    TaskCell,
    TaskChoice,
    TrialSpec,
)
from attnscope_storage.wire.resolved import ResolvedSubject
from attnscope_storage.wire.specifications.cards import CardArm
from attnscope_storage.wire.specifications.decisions import DecisionSpec, ResolvedDecision
from attnscope_storage.wire.specifications.screens import ResolvedScreen, ScreenSpec


@dataclass(frozen=True)
class Named:
    """A capture by its job's name and by its store."""

    job: UUID
    store: str


def captured(
    spec: DecisionSpec, resolved: ResolvedDecision, checkpoint: CheckpointInfo
) -> tuple[CaptureSpec, ResolvedCapture]:
    """Return the capture of the screening tasks, with every decision's attention and no whole maps."""
    tasks, policy = resolved.screening_tasks, checkpoint.policy
    first = spec.seeds[0]
    asked = CaptureSpec(
        **_acting(spec, resolved, tasks),
        seeds=tuple(range(first, first + resolved.capture_seeds)),
        steps=resolved.steps,
        maps=MapsChoice(count=0),
        sliding=policy.window == "compressed",
    )
    envs = len(tasks) * resolved.capture_seeds
    return asked, ResolvedCapture(
        **_subject(resolved, tasks, checkpoint),
        envs=envs,
        steps=resolved.steps,
        map_steps=(),
        row_envs=tuple(range(envs)),
        row_layers=tuple(range(policy.layers)),
        row_heads=tuple(range(policy.heads)),
    )


def screened(
    spec: DecisionSpec,
    resolved: ResolvedDecision,
    named: Named,
    capture: CaptureReader,
    arms: Sequence[Arm],
    most_rewards: int | None,
) -> tuple[ScreenSpec, ResolvedScreen]:
    """Return the screen of a capture's first steps by some arms."""
    envs = chosen_rollouts(capture.array("env/task")[:], spec.screened)
    each = min(resolved.steps, max(1, -(-spec.screened // len(envs))))
    rows = whole_rows(capture)
    asked = ScreenSpec(
        capture=named.job,
        budgets=resolved.budgets,
        positions=resolved.positions,
        memories=spec.memories,
        oracles=False,
        decisions=spec.screened,
    )
    return asked, ResolvedScreen(
        **{name: getattr(resolved, name) for name in ResolvedSubject.model_fields if name != "tasks"},
        tasks=resolved.screening_tasks,
        capture_store=named.store,
        steps=resolved.steps,
        envs=tuple(int(env) for env in envs),
        decisions_each=each,
        block=block_of(each, len(envs)),
        rows=rows,
        most_rewards=most_rewards,
        temperature=spec.sampling.temperature if resolved.sampling == "sample" else None,
        arms=tuple(spelled(index, arm) for index, arm in enumerate(arms)),
        notes=() if rows else (why_no_rows(capture.policy),),
    )


def whole_rows(capture: CaptureReader) -> bool:
    """Tell whether a capture holds the attention of every decision, layer and head."""
    if "attention/rows" not in capture.names():
        return False
    stored = ResolvedCapture.model_validate(capture.attributes["resolved"])
    spec, policy = CaptureSpec.model_validate(capture.attributes["spec"]), capture.policy
    whole = (stored.envs, policy.layers, policy.heads)
    return spec.rows.every == 1 and whole == (len(stored.row_envs), len(stored.row_layers), len(stored.row_heads))


def tried(
    spec: DecisionSpec,
    resolved: ResolvedDecision,
    tries: Trying,
    checkpoint: CheckpointInfo,
) -> tuple[TrialSpec, ResolvedTrial]:
    """Return the trial of some arms beside the uncompressed policy.

    Its conditions are these arms and no others: the grid that its specification spans may hold more.
    """
    arms, tasks, seeds = tries.arms, tries.cells, tries.seeds
    first = next((arm for arm in arms if arm.memory == "stateless"), arms[0])
    asked = TrialSpec(
        **_acting(spec, resolved, tasks),
        seeds=tuple(seeds),
        episodes=resolved.episodes,
        strategies=tuple({str(one): one for one in map(_choice, arms)}.values()),
        budgets=tuple(dict.fromkeys(arm.budget for arm in arms if arm.budget is not None)) or (first.tokens,),
        positions=tuple(dict.fromkeys(arm.positions for arm in arms)),
        interval=first.interval,
        memory=first.memory,
        path=first.path,
        controls=False,
        divergence_steps=0,
        kept_steps=0,
        speed=SpeedChoice(enabled=False),
        margin=spec.margin,
    )
    return asked, ResolvedTrial(
        **_subject(resolved, tasks, checkpoint),
        envs=len(tasks) * len(seeds),
        steps=resolved.steps,
        conditions=(_uncompressed(), *(_condition(number, arm) for number, arm in enumerate(arms, start=1))),
        divergence_steps=(),
        kept_steps=(),
    )


def _choice(arm: CardArm) -> StrategyChoice:
    return StrategyChoice(name=arm.strategy, parameters=arm.parameters)


def _uncompressed() -> Condition:
    return Condition(
        index=0,
        strategy="none",
        parameters={},
        text=str(strategy("none")),
        budget=None,
        positions="reindex",
        interval=1,
        memory="stateless",
        path="recompute",
        control=True,
        oracle=False,
    )


def _condition(index: int, arm: CardArm) -> Condition:
    rule = setup_of(arm).rule
    return Condition(
        index=index,
        strategy=rule.name,
        parameters=rule.parameters,
        text=str(rule),
        budget=arm.budget,
        positions=arm.positions,
        interval=arm.interval,
        memory=arm.memory,
        path=arm.path,
        control=False,
        oracle=False,
    )


def _acting(spec: DecisionSpec, resolved: ResolvedDecision, tasks: Sequence[TaskCell]) -> dict[str, Any]:
    """Return the fields that captures and trials of a decision share."""
    return {
        "checkpoint": resolved.checkpoint_id,
        "environment": spec.environment,
        "tasks": TaskChoice(split="all", indices=tuple(cell.index for cell in tasks)),
        "sampling": spec.sampling,
    }


def _subject(resolved: ResolvedDecision, tasks: Sequence[TaskCell], checkpoint: CheckpointInfo) -> dict[str, Any]:
    """Return who acts where, on some of the tasks."""
    fields = {name: getattr(resolved, name) for name in ResolvedSubject.model_fields}
    used = {*(checkpoint.train_tasks or ()), *(checkpoint.validation_tasks or ())}
    apart = used.isdisjoint(one.index for one in tasks)
    return fields | {"tasks": tuple(tasks), "held_out": None if checkpoint.train_tasks is None else apart}
