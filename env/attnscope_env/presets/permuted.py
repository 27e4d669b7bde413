"""Presets of the permuted Darkroom: a task is a permutation of the actions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np

from attnscope_env.presets.returns import optimal_return, random_returns
from attnscope_env.presets.splits import SplitRule
from attnscope_env.presets.tasks import RuledPreset, Task, Vector
from attnscope_env.rooms.permuted import ACTIONS, DEFAULT_PERMUTED_HORIZON, PERMUTATIONS
from attnscope_env.rooms.registration import PERMUTED_ID
from attnscope_env.rooms.room import DEFAULT_SIZE

PERMUTED_RULE = SplitRule(seed=4, train_ratio=0.9)
"""DICP's split of the 120 permutations: 108 train, 12 test."""


@dataclass(frozen=True)
class PermutedPreset(RuledPreset):
    """A Darkroom from corner to corner whose tasks are the permutations of its actions."""

    size: int = DEFAULT_SIZE
    numbering: str = "reference"

    @property
    def task_count(self) -> int:
        """Number of permutations."""
        return len(PERMUTATIONS)

    def task_of_goal(self, goal: Sequence[int]) -> Task:
        """Return the task with this permutation."""
        try:
            return self.task(PERMUTATIONS.index(tuple(goal)))
        except ValueError:
            raise ValueError(f"expected a permutation of {ACTIONS} actions, got {list(goal)}") from None

    def make_vector(self, tasks: Sequence[Task]) -> Vector:
        """Return an environment that steps these tasks as arrays; a task may occur several times."""
        permutations = np.array([task.parameters["permutation"] for task in tasks])
        return self._vector(num_envs=len(tasks), permutations=permutations, size=self.size, actions=self.numbering)

    def _task(self, index: int) -> Task:
        start, corner = (0, 0), (self.size - 1, self.size - 1)
        worth = random_returns(self.size, start, self.horizon, self.numbering)  # a permutation keeps actions uniform
        return Task(
            index=index,
            label=f"permutation {index}",
            goal=corner,
            optimal_return=float(optimal_return(corner, start, self.horizon)),
            random_return=float(worth[corner]),
            parameters={"permutation": PERMUTATIONS[index]},
        )


def permuted_preset(
    name: str,
    description: str,
    *,
    size: int = DEFAULT_SIZE,
    horizon: int = DEFAULT_PERMUTED_HORIZON,
    actions: str = "reference",
    rule: SplitRule = PERMUTED_RULE,
) -> PermutedPreset:
    """Return a preset of permuted actions; the split is DICP's."""
    return PermutedPreset(
        name=name,
        environment_id=PERMUTED_ID,
        kwargs=MappingProxyType({"size": size, "horizon": horizon, "actions": actions} | rule.kwargs()),
        horizon=horizon,
        actions=tuple(f"action {number}" for number in range(ACTIONS)),
        description=description,
        rule=rule,
        size=size,
        numbering=actions,
    )
