"""Presets of the rooms: Darkroom and dark key-to-door."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, ClassVar

import numpy as np

from attnscope_env.presets.returns import optimal_key_to_door, optimal_return, random_key_to_door, random_returns
from attnscope_env.presets.splits import SplitRule
from attnscope_env.presets.tasks import RuledPreset, Task, Vector, named_cells
from attnscope_env.rooms.actions import numbering
from attnscope_env.rooms.key_to_door import DEFAULT_KEY_HORIZON
from attnscope_env.rooms.registration import DARKROOM_ID, KEY_TO_DOOR_ID
from attnscope_env.rooms.room import DEFAULT_HORIZON, DEFAULT_SIZE, start_cell


@dataclass(frozen=True)
class RoomPreset(RuledPreset):
    """A square room where episodes start in one cell."""

    whole_episodes: ClassVar[bool] = True

    size: int = DEFAULT_SIZE
    start: tuple[int, int] = (DEFAULT_SIZE // 2, DEFAULT_SIZE // 2)
    numbering: str = "reference"

    @property
    def features(self) -> tuple[int, ...]:
        """A cell's row and column are observed."""
        return (self.size, self.size)

    def _vector(self, **arguments: Any) -> Vector:  # noqa: ANN401 - tasks
        return super()._vector(size=self.size, actions=self.numbering, start=self.start, **arguments)


@dataclass(frozen=True)
class DarkroomPreset(RoomPreset):
    """A Darkroom whose tasks are its cells, row by row."""

    @property
    def task_count(self) -> int:
        """Number of cells."""
        return self.size**2

    def task_of_goal(self, goal: Sequence[int]) -> Task:
        """Return the task with this goal cell."""
        ((row, column),) = named_cells(goal, 1, self.size, "a goal (row, column)")
        return self.task(row * self.size + column)

    def make_vector(self, tasks: Sequence[Task]) -> Vector:
        """Return an environment that steps these tasks as arrays; a task may occur several times."""
        goals = np.array([task.goal for task in tasks], dtype=np.int32)
        return self._vector(num_envs=len(tasks), goals=goals)

    def _task(self, index: int) -> Task:
        goal = divmod(index, self.size)
        worth = random_returns(self.size, self.start, self.horizon, self.numbering)
        return Task(
            index=index,
            label=f"goal {goal}",
            goal=goal,
            optimal_return=float(optimal_return(goal, self.start, self.horizon)),
            random_return=float(worth[goal]),
            parameters={"goal": goal},
        )


@dataclass(frozen=True)
class KeyToDoorPreset(RoomPreset):
    """A dark key-to-door room whose tasks are all pairs of cells: index = key · cells + door."""

    most_rewards: ClassVar[int | None] = 2
    """One reward for the key and one for the door; later steps of the episode earn nothing."""

    @property
    def task_count(self) -> int:
        """Number of pairs, those on one cell among them."""
        return self.size**4

    def task_of_goal(self, goal: Sequence[int]) -> Task:
        """Return the task with this key and door, named by four numbers."""
        what = "(key row, key column, door row, door column)"
        key, door = named_cells(goal, 2, self.size, what)
        return self.task((key[0] * self.size + key[1]) * self.size**2 + door[0] * self.size + door[1])

    def make_vector(self, tasks: Sequence[Task]) -> Vector:
        """Return an environment that steps these tasks as arrays; a task may occur several times."""
        keys, doors = (np.array([task.parameters[what] for task in tasks], np.int32) for what in ("key", "door"))
        return self._vector(num_envs=len(tasks), keys=keys, doors=doors)

    def _task(self, index: int) -> Task:
        key, door = (divmod(cell, self.size) for cell in divmod(index, self.size**2))
        worth = random_key_to_door(self.size, self.start, self.horizon, self.numbering)
        return Task(
            index=index,
            label=f"key {key}, door {door}",
            goal=None,
            optimal_return=float(optimal_key_to_door(key, door, self.start, self.horizon)),
            random_return=float(worth[divmod(index, self.size**2)]),
            parameters={"key": key, "door": door},
        )


def darkroom_preset(
    name: str,
    description: str,
    *,
    size: int = DEFAULT_SIZE,
    horizon: int = DEFAULT_HORIZON,
    actions: str = "reference",
    start: tuple[int, int] | None = None,
    rule: SplitRule | None = None,
) -> DarkroomPreset:
    """Return a Darkroom preset. By default episodes start in the centre, and the split is the reference's."""
    return DarkroomPreset(
        name=name,
        environment_id=DARKROOM_ID,
        description=description,
        **_room(size, horizon, actions, start, rule or SplitRule()),
    )


def key_to_door_preset(
    name: str,
    description: str,
    *,
    size: int = DEFAULT_SIZE,
    horizon: int = DEFAULT_KEY_HORIZON,
    actions: str = "reference",
    start: tuple[int, int] | None = None,
    rule: SplitRule | None = None,
) -> KeyToDoorPreset:
    """Return a dark key-to-door preset. By default episodes start in the centre, and the split is DICP's."""
    return KeyToDoorPreset(
        name=name,
        environment_id=KEY_TO_DOOR_ID,
        description=description,
        **_room(size, horizon, actions, start, rule or KEY_TO_DOOR_RULE),
    )


KEY_TO_DOOR_RULE = SplitRule(seed=4, train_ratio=0.95)
"""DICP's split of the 6561 pairs: 6233 train, 328 test."""


def _room(size: int, horizon: int, actions: str, start: tuple[int, int] | None, rule: SplitRule) -> dict[str, Any]:
    row, column = (int(x) for x in start_cell(size, start))
    fields = {"size": size, "horizon": horizon, "actions": actions, "start": [row, column]}
    return {
        "kwargs": MappingProxyType(fields | rule.kwargs()),
        "horizon": horizon,
        "actions": numbering(actions).names,
        "rule": rule,
        "size": size,
        "start": (row, column),
        "numbering": actions,
    }
