"""Presets: action numbering, start, episode end and split rule, bound together as one checkpoint family expects them.

A preset knows its tasks and builds the vectorised environment for them. It knows no policy.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import cached_property
from types import MappingProxyType
from typing import Any, Final, Literal

import gymnasium
import numpy as np
from gymnasium.vector import AutoresetMode, VectorEnv

from attnscope_env.actions import numbering
from attnscope_env.registration import DARKROOM_ID
from attnscope_env.returns import optimal_return, random_returns
from attnscope_env.room import DEFAULT_HORIZON, DEFAULT_SIZE, start_cell
from attnscope_env.splits import SPLIT_SEED, TRAIN_RATIO, shuffled_goals

Split = Literal["train", "validation", "test"]
SPLITS: Final[tuple[Split, ...]] = ("train", "validation", "test")


@dataclass(frozen=True)
class Task:
    """One environment instance.

    `index` is the task's identity, whatever the split; `split_index` its place in the split's list. Field names are
    those of the wire's ``TaskCell``.
    """

    index: int
    split: Split | None
    split_index: int | None
    label: str
    goal: tuple[int, int] | None
    optimal_return: float | None
    random_return: float | None
    """Expected return of uniform actions."""


@dataclass(frozen=True)
class EnvPreset(ABC):
    """An environment as one checkpoint family expects it."""

    name: str
    environment_id: str
    kwargs: Mapping[str, Any]
    horizon: int
    """Steps of an episode, each of which adds one transition to the context."""
    actions: tuple[str, ...]
    """Names of the actions, by number."""
    description: str

    @abstractmethod
    def tasks(self, split: Split | Literal["all"]) -> tuple[Task, ...]:
        """Return a split's tasks in its own order, or all of them by index; empty where there is no such split."""

    @abstractmethod
    def task_of_goal(self, goal: tuple[int, int]) -> Task:
        """Return the task with this goal; ValueError where there is none."""

    @abstractmethod
    def make_vector(self, tasks: Sequence[Task]) -> VectorEnv[np.ndarray, np.ndarray, np.ndarray]:
        """Return an environment that steps these tasks as arrays, one room a task, in ``SAME_STEP`` mode."""

    def info(self) -> dict[str, Any]:
        """Return what the wire's ``PresetInfo`` holds, as plain values."""
        return {
            "name": self.name,
            "environment_id": self.environment_id,
            "environment_kwargs": dict(self.kwargs),
            "horizon": self.horizon,
            "actions": self.actions,
            "splits": {split: tuple(asdict(task) for task in self.tasks(split)) for split in SPLITS},
        }


@dataclass(frozen=True)
class DarkroomPreset(EnvPreset):
    """A Darkroom whose tasks are goal cells, split by the reference's rule."""

    size: int = DEFAULT_SIZE
    start: tuple[int, int] = (DEFAULT_SIZE // 2, DEFAULT_SIZE // 2)
    numbering: str = "reference"
    split_seed: int = SPLIT_SEED
    train_ratio: float = field(default=TRAIN_RATIO)

    def tasks(self, split: Split | Literal["all"]) -> tuple[Task, ...]:
        """Return a split's tasks in the reference's order, or every cell row by row."""
        return self._lists.get(split, ())

    def task_of_goal(self, goal: tuple[int, int]) -> Task:
        """Return the task with this goal cell."""
        row, column = goal
        if not (0 <= row < self.size and 0 <= column < self.size):
            raise ValueError(f"expected a goal inside a room of {self.size}×{self.size} cells, got {(row, column)}")
        return self._lists["all"][row * self.size + column]

    def make_vector(self, tasks: Sequence[Task]) -> VectorEnv[np.ndarray, np.ndarray, np.ndarray]:
        """Return an environment that steps these tasks as arrays; a task may occur several times."""
        goals = np.array([task.goal for task in tasks], dtype=np.int32)
        return gymnasium.make_vec(
            self.environment_id,
            num_envs=len(tasks),
            vectorization_mode="vector_entry_point",
            max_episode_steps=self.horizon,
            goals=goals,
            size=self.size,
            actions=self.numbering,
            start=self.start,
            autoreset_mode=AutoresetMode.SAME_STEP,
        )

    @cached_property
    def _lists(self) -> dict[str, tuple[Task, ...]]:
        train, test = shuffled_goals(self.size, self.split_seed, self.train_ratio)
        lists = {
            "train": tuple(self._task(goal, "train", i) for i, goal in enumerate(train)),
            "test": tuple(self._task(goal, "test", i) for i, goal in enumerate(test)),
        }
        every = sorted((*lists["train"], *lists["test"]), key=lambda task: task.index)
        return lists | {"all": tuple(every)}

    def _task(self, goal: tuple[int, int], split: Split, split_index: int) -> Task:
        worth = random_returns(self.size, self.start, self.horizon, self.numbering)
        return Task(
            index=goal[0] * self.size + goal[1],
            split=split,
            split_index=split_index,
            label=f"goal {goal}",
            goal=goal,
            optimal_return=float(optimal_return(goal, self.start, self.horizon)),
            random_return=float(worth[goal]),
        )


def darkroom_preset(
    name: str,
    description: str,
    *,
    size: int = DEFAULT_SIZE,
    horizon: int = DEFAULT_HORIZON,
    actions: str = "reference",
    start: tuple[int, int] | None = None,
) -> DarkroomPreset:
    """Return a Darkroom preset; the centre is the start where none is named."""
    row, column = (int(x) for x in start_cell(size, start))
    return DarkroomPreset(
        name=name,
        environment_id=DARKROOM_ID,
        kwargs=MappingProxyType({"size": size, "horizon": horizon, "actions": actions, "start": [row, column]}),
        horizon=horizon,
        actions=numbering(actions).names,
        description=description,
        size=size,
        start=(row, column),
        numbering=actions,
    )


PRESETS: Final[Mapping[str, EnvPreset]] = MappingProxyType(
    {
        preset.name: preset
        for preset in (
            darkroom_preset("darkroom-reference", "Darkroom 9×9 as the AD reference numbers, starts and splits it."),
            darkroom_preset(
                "darkroom-toymeta",
                "Darkroom 9×9 with the action numbering of toymeta, ad-eps and cinemere; the reference's split.",
                actions="toymeta",
            ),
        )
    }
)
"""By name."""


def preset(name: str) -> EnvPreset:
    """Return the preset of this name; LookupError where there is none."""
    try:
        return PRESETS[name]
    except KeyError:
        raise LookupError(f"expected a preset of {sorted(PRESETS)}, got {name!r}") from None
