"""Presets of bandits: a task is a tuple of means."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import ClassVar

import numpy as np
from jaxtyping import Float64

from attnscope_env.presets.splits import SplitRule
from attnscope_env.presets.tasks import RuledPreset, Task, Vector
from attnscope_env.rooms.bandit import DEFAULT_ARMS, DEFAULT_BANDIT_HORIZON, DEFAULT_VARIANCE, RewardKind
from attnscope_env.rooms.registration import BANDIT_ID

BANDIT_TASKS = 1000
"""Tasks of a bandit preset."""


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
        fields = {"arms": self.arms, "reward": self.reward, "variance": self.variance}
        return self._vector(num_envs=len(tasks), means=means, **fields)

    def _task(self, index: int) -> Task:
        means: Float64[np.ndarray, " arm"] = np.random.default_rng([self.means_seed, index]).random(self.arms)
        return Task(
            index=index,
            label=f"bandit {index}",
            goal=None,
            optimal_return=float(self.horizon * means.max()),
            random_return=float(self.horizon * means.mean()),
            parameters={"means": tuple(means.tolist())},
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
    fields = {"arms": arms, "reward": reward, "variance": variance, "horizon": horizon}
    return BanditPreset(
        name=name,
        environment_id=BANDIT_ID,
        kwargs=MappingProxyType(fields | {"tasks": tasks, "means_seed": means_seed} | rule.kwargs()),
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
