"""Collecting learning histories: the sources, set up for a preset's rooms and a plan's train tasks."""

from __future__ import annotations

import numpy as np

from attnscope_env.histories import AnnealedExpert, Explorer, Histories, QLearning, Source, record
from attnscope_env.room_presets import KeyToDoorPreset, RoomPreset
from attnscope_env.tasks import EnvPreset, Task
from attnscope_server.training.plan import SEARCHING, HistoryPlan
from attnscope_storage.errors import AttnscopeError


class SourceUnfitError(AttnscopeError, ValueError):
    """The source cannot learn in this environment."""


def collect(room: EnvPreset, plan: HistoryPlan, indices: tuple[int, ...]) -> Histories:
    """Return the histories of these tasks, `per_task` of each.

    Raises
    ------
    SourceUnfitError
        The environment is not one that the source knows how to explore.
    """
    tasks = [room.task(index) for index in indices for _ in range(plan.per_task)]
    named = np.array([task.index for task in tasks])
    source = _source(room, plan, tasks)
    explorer = source if isinstance(source, Explorer) and plan.targets == "intended" else None
    return record(
        room.make_vector(tasks),
        source,
        named,
        episodes=plan.episodes,
        horizon=room.horizon,
        intends=None if explorer is None else lambda: explorer.intended,
    )


def _source(room: EnvPreset, plan: HistoryPlan, tasks: list[Task]) -> Source:
    if not isinstance(room, RoomPreset):
        raise SourceUnfitError(f"expected a preset of a room, got {room.name}: the sources walk over cells")
    steps = plan.episodes * room.horizon
    keys = isinstance(room, KeyToDoorPreset)
    if plan.source in SEARCHING:
        return Explorer(
            len(tasks),
            size=room.size,
            steps=steps,
            seed=plan.seed,
            stages=2 if keys else 1,
            actions=room.numbering,
            max_noise=plan.noise,
            order="sweep" if plan.source == "sweeper" else "nearest",
        )
    if keys:
        raise SourceUnfitError(f"the source {plan.source} takes its reward from one cell, {room.name} from two in turn")
    if plan.source == "annealed":
        goals = np.array([task.goal for task in tasks])
        return AnnealedExpert(goals, size=room.size, steps=steps, seed=plan.seed, actions=room.numbering)
    return QLearning(len(tasks), size=room.size, actions=len(room.actions), steps=steps, seed=plan.seed)
