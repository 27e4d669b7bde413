"""The tasks of a decision: those that judge, those that are captured and screened, and how far the claim reaches."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np

from attnscope_env.presets.listing import Listings
from attnscope_env.presets.tasks import Task
from attnscope_model.checkpoints.registry import CheckpointRegistry
from attnscope_server.capturing.resolving import Subject, find_subject
from attnscope_server.deciding.statistics.scopes import Scope, TooFewJudgesError, choose_scope
from attnscope_server.errors import refusal
from attnscope_storage.wire import CheckpointInfo, ProblemCode, TaskChoice
from attnscope_storage.wire.specifications.decisions import DecisionSpec

DRAW: Final = 0
"""Seed of the draw of tasks: the same checkpoint and environment have the same judges in every decision."""

SCREENING_TASKS: Final = 4
"""Tasks that are captured, screened and raced on, where there are as many."""


def asked_subject(spec: DecisionSpec, registry: CheckpointRegistry, listings: Listings) -> Subject:
    """Return the subject with all tasks that may judge: every task where the specification names none."""
    choice = spec.tasks
    silent = choice.split is None and choice.indices is None and choice.goals is None
    asked = spec.model_copy(update={"tasks": TaskChoice(split="all")}) if silent else spec
    return find_subject(asked, registry, listings)


def judging_tasks(spec: DecisionSpec, subject: Subject) -> tuple[str, tuple[Task, ...]]:
    """Return the tasks that may judge and the name of their split: what was asked for, else what is held out."""
    choice = spec.tasks
    if choice.goals is not None or choice.indices is not None:
        return "named", subject.tasks
    if choice.split is not None:
        return choice.split, subject.tasks
    if not (subject.checkpoint.held_out_tasks or subject.preset.tasks("test")):
        return "whole", subject.tasks
    return subject.unseen()


def named_tasks(spec: DecisionSpec, registry: CheckpointRegistry, listings: Listings) -> tuple[Task, ...]:
    """Return the screening tasks that were asked for."""
    return find_subject(spec.model_copy(update={"tasks": spec.screening}), registry, listings).tasks


def screening_tasks(subject: Subject, pool: Sequence[Task]) -> tuple[str, tuple[Task, ...]]:
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


def scope_of(spec: DecisionSpec, split: str, pool: Sequence[Task], screening: Sequence[Task]) -> Scope:
    """Return the tasks that judge and how far the claim reaches; refused where too few tasks are left."""
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
