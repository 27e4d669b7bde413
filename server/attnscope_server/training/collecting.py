"""Collecting learning histories: the sources, set up for a preset's rooms and a plan's train tasks."""

from __future__ import annotations

from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Protocol, runtime_checkable

import numpy as np

from attnscope_env import environment_seeds
from attnscope_env.histories import AnnealedExpert, Explorer, Histories, QLearning, Source, record
from attnscope_env.presets.rooms import KeyToDoorPreset, RoomPreset
from attnscope_env.presets.tasks import EnvPreset, Task
from attnscope_server.training.plan import SEARCHING, HistoryPlan
from attnscope_storage.errors import AttnscopeError

LEARNED = 0.9
"""Share of the optimum that a learned task's last episodes return."""


class SourceUnfitError(AttnscopeError, ValueError):
    """The source cannot learn in this environment."""


@runtime_checkable
class Meaning(Protocol):
    """A source that tells after each ``act`` what it meant to do, where noise took another action."""

    intended: np.ndarray


class SourceMissingError(AttnscopeError, ImportError):
    """The source's algorithm is not installed."""


def _tell_nobody(_done: int, _tasks: int) -> None:
    """Take no note of how many tasks are done."""


def collect(
    room: EnvPreset,
    plan: HistoryPlan,
    indices: tuple[int, ...],
    *,
    parts: Path | None = None,
    tell: Callable[[int, int], None] = _tell_nobody,
) -> Histories:
    """Return the histories of these tasks, `per_task` of each.

    Parameters
    ----------
    parts
        Folder where PPO keeps the histories of each task that is done, for the same call after an interruption; the
        caller removes it. None keeps nothing. The other sources take seconds and keep nothing.
    tell
        Hears how many tasks PPO has done, and of how many.

    Raises
    ------
    PlanUnfitError
        The plan asks the source for what it has no use for.
    SourceUnfitError
        The environment is not one that the source knows how to explore.
    SourceMissingError
        The source's algorithm is an extra that is not installed.
    """
    refuse_unfit_source(room, plan)
    if isinstance(room, RoomPreset) and plan.source == "ppo":
        from attnscope_server.training.ppo import ppo_histories  # noqa: PLC0415 - an extra, and heavy

        return ppo_histories(room, plan, indices, parts, tell)
    tasks = [room.task(index) for index in indices for _ in range(plan.per_task)]
    named = np.array([task.index for task in tasks])
    source = _source(room, plan, tasks)
    meaning = source if isinstance(source, Meaning) and plan.targets == "intended" else None
    return record(
        room.make_vector(tasks),
        source,
        named,
        episodes=plan.episodes,
        every=plan.every,
        horizon=room.horizon,
        intends=None if meaning is None else lambda: meaning.intended,
        seeds=_seeds(plan, indices),
    )


def refuse_unfit_source(room: EnvPreset, plan: HistoryPlan) -> None:
    """Refuse a plan whose source cannot make its histories in this room; the errors are those of `collect`."""
    plan.refuse_unfit()
    if plan.source == "own":
        if room.source((), steps=1, noise=0.0, seed=0) is None:
            raise SourceUnfitError(f"{room.name} has no source of its own: name another")
        return
    if not isinstance(room, RoomPreset):
        raise SourceUnfitError(f"expected a preset of a room, got {room.name}: the sources walk over cells")
    if isinstance(room, KeyToDoorPreset) and plan.source not in SEARCHING:
        raise SourceUnfitError(f"the source {plan.source} takes its reward from one cell, {room.name} from two in turn")
    if plan.source == "ppo" and find_spec("stable_baselines3") is None:
        raise SourceMissingError(
            "the source ppo is stable-baselines3's, which is not installed: pip install 'attnscope[ppo]'"
        )


def tasks_learned(room: EnvPreset, histories: Histories) -> int:
    """Return how many tasks' histories end, on average, with `LEARNED` of the optimum."""
    last = histories.episode_returns()[:, -1]
    learned = 0
    for index in np.unique(histories.tasks):
        optimal = room.task(int(index)).optimal_return
        learned += optimal is not None and last[histories.tasks == index].mean() >= LEARNED * optimal
    return learned


def _seeds(plan: HistoryPlan, indices: tuple[int, ...]) -> list[int]:
    """Return the seed of each history's environment, by plan, task and number of the history."""
    own = [(index, number) for index in indices for number in range(plan.per_task)]
    return environment_seeds([plan.seed] * len(own), *zip(*own, strict=True))


def _source(room: EnvPreset, plan: HistoryPlan, tasks: list[Task]) -> Source:
    steps = plan.episodes * plan.every * room.horizon
    if not isinstance(room, RoomPreset):
        own = room.source(tasks, steps=steps, noise=plan.noise, seed=plan.seed)
        if own is None:
            raise SourceUnfitError(f"{room.name} has no source of its own: name another")
        return own
    if plan.source in SEARCHING:
        return Explorer(
            len(tasks),
            size=room.size,
            steps=steps,
            seed=plan.seed,
            stages=2 if isinstance(room, KeyToDoorPreset) else 1,
            actions=room.numbering,
            max_noise=plan.noise,
            order="sweep" if plan.source == "sweeper" else "nearest",
        )
    if plan.source == "annealed":
        goals = np.array([task.goal for task in tasks])
        return AnnealedExpert(goals, size=room.size, steps=steps, seed=plan.seed, actions=room.numbering)
    return QLearning(len(tasks), size=room.size, actions=len(room.actions), steps=steps, seed=plan.seed)
