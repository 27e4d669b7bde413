"""Presets whose tasks are no cells: permuted actions and bandits."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import ClassVar

import numpy as np
from jaxtyping import Float64

from attnscope_env.presets.returns import optimal_return, random_returns
from attnscope_env.presets.splits import SplitRule
from attnscope_env.presets.tasks import RuledPreset, Split, Task, Vector
from attnscope_env.rooms.bandit import DEFAULT_ARMS, DEFAULT_BANDIT_HORIZON, DEFAULT_VARIANCE, RewardKind
from attnscope_env.rooms.permuted import ACTIONS, DEFAULT_PERMUTED_HORIZON, PERMUTATIONS
from attnscope_env.rooms.registration import BANDIT_ID, PERMUTED_ID
from attnscope_env.rooms.room import DEFAULT_SIZE

PERMUTED_RULE = SplitRule(seed=4, train_ratio=0.9)
"""DICP's split of the 120 permutations: 108 train, 12 test."""

BANDIT_TASKS = 1000
"""Tasks of a bandit preset."""


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

    def _task(self, index: int, split: Split | None, split_index: int | None) -> Task:
        start, corner = (0, 0), (self.size - 1, self.size - 1)
        worth = random_returns(self.size, start, self.horizon, self.numbering)  # a permutation keeps actions uniform
        return Task(
            index=index,
            split=split,
            split_index=split_index,
            label=f"permutation {index}",
            goal=corner,
            optimal_return=float(optimal_return(corner, start, self.horizon)),
            random_return=float(worth[corner]),
            parameters={"permutation": PERMUTATIONS[index]},
        )


@dataclass(frozen=True)
class BanditPreset(RuledPreset):
    """Bandits whose means are drawn uniformly from [0, 1] by their index: task i is the same everywhere."""

    arms: int = DEFAULT_ARMS
    reward: RewardKind = "bernoulli"
    variance: float = DEFAULT_VARIANCE
    count: int = BANDIT_TASKS
    means_seed: int = 0

    bound_kwargs: ClassVar[tuple[str, ...]] = ("arms",)

    @property
    def task_count(self) -> int:
        """Number of bandits."""
        return self.count

    def task_of_goal(self, goal: Sequence[int]) -> Task:
        """Refuse: means are no whole numbers."""
        raise ValueError(f"a bandit is named by split and indices, not by numbers, got {list(goal)}")

    def make_vector(self, tasks: Sequence[Task]) -> Vector:
        """Return an environment that steps these tasks as arrays; a task may occur several times."""
        means = np.array([task.parameters["means"] for task in tasks])
        said = {"arms": self.arms, "reward": self.reward, "variance": self.variance}
        return self._vector(num_envs=len(tasks), means=means, **said)

    def _task(self, index: int, split: Split | None, split_index: int | None) -> Task:
        means: Float64[np.ndarray, " arm"] = np.random.default_rng([self.means_seed, index]).random(self.arms)
        return Task(
            index=index,
            split=split,
            split_index=split_index,
            label=f"bandit {index}",
            goal=None,
            optimal_return=float(self.horizon * means.max()),
            random_return=float(self.horizon * means.mean()),
            parameters={"means": tuple(means.tolist())},
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


def bandit_preset(
    name: str,
    description: str,
    *,
    arms: int = DEFAULT_ARMS,
    reward: RewardKind = "bernoulli",
    variance: float = DEFAULT_VARIANCE,
    horizon: int = DEFAULT_BANDIT_HORIZON,
    tasks: int = BANDIT_TASKS,
    means_seed: int = 0,
    rule: SplitRule | None = None,
) -> BanditPreset:
    """Return a preset of bandits; they are split by the reference's rule."""
    rule = rule or SplitRule()
    said = {"arms": arms, "reward": reward, "variance": variance, "horizon": horizon}
    return BanditPreset(
        name=name,
        environment_id=BANDIT_ID,
        kwargs=MappingProxyType(said | {"tasks": tasks, "means_seed": means_seed} | rule.kwargs()),
        horizon=horizon,
        actions=tuple(f"arm {number}" for number in range(arms)),
        description=description,
        rule=rule,
        arms=arms,
        reward=reward,
        variance=variance,
        count=tasks,
        means_seed=means_seed,
    )
