"""Tasks and presets: the tasks of an environment by index, split by a rule, stepped as arrays.

A preset binds action numbering, start, episode end and split rule together as one checkpoint family expects them. It
knows its tasks and builds the vectorised environment for them. It knows no policy.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import cached_property
from typing import Any, ClassVar, Final, Literal

import gymnasium
import numpy as np
from gymnasium.vector import AutoresetMode, VectorEnv

from attnscope_env.histories.recording import Source
from attnscope_env.presets.splits import SplitRule

Split = Literal["train", "validation", "test"]
SPLITS: Final[tuple[Split, ...]] = ("train", "validation", "test")

LISTED_TASKS: Final = 128
"""Tasks of a split that a preset's own description spells out; longer splits are only counted there."""

Numbers = tuple[int, ...] | tuple[float, ...]

Vector = VectorEnv[np.ndarray, np.ndarray, np.ndarray]
"""Many environments that are stepped as arrays."""


@dataclass(frozen=True)
class Task:
    """One environment instance.

    `index` is the task's identity, whatever the split; `split_index` its place in the split's list. Field names are
    those of the wire's ``TaskCell``.
    """

    index: int
    label: str
    goal: tuple[int, int] | None
    """The one goal cell; None where a task is something else."""
    optimal_return: float | None
    random_return: float | None
    """Expected return of uniform actions."""
    parameters: Mapping[str, Numbers] = field(default_factory=dict, hash=False)
    """The values that set the task apart, by name: goal, key and door, permutation, means."""
    split: Split | None = None
    split_index: int | None = None


@dataclass(frozen=True)
class EnvPreset(ABC):
    """An environment as one checkpoint family expects it."""

    name: str
    environment_id: str
    kwargs: Mapping[str, Any]
    """The arguments from which `EnvironmentListing.preset` rebuilds this preset."""
    horizon: int
    """Steps of an episode, at most; each adds one transition to the context."""
    actions: tuple[str, ...]
    """Names of the actions, by number, branch after branch; or of the numbers of an action vector."""
    description: str

    bound_kwargs: ClassVar[tuple[str, ...]] = ("size", "actions")
    """Keyword arguments that a policy's weights depend on: another value would feed it what it cannot read."""

    most_rewards: ClassVar[int | None] = None
    """Rewards other than 0 that an episode can give, where the environment gives no more: after the last of them no
    decision of the episode is live. None: any number."""

    whole_episodes: ClassVar[bool] = False
    """True where every episode has exactly `horizon` steps."""

    @property
    def branches(self) -> tuple[int, ...]:
        """Sizes of the independent choices that make one action, in the order of `actions`; empty: one choice."""
        return ()

    @property
    def continuous(self) -> bool:
        """True where an action is a vector, whose numbers `actions` names."""
        return False

    @property
    def features(self) -> tuple[int, ...] | None:
        """Values that each number of an observation can take; None where they are not counted from 0."""
        return None

    def source(self, tasks: Sequence[Task], *, steps: int, noise: float, seed: int) -> Source | None:  # noqa: ARG002 - for those that have one
        """Return the environment's own source of learning histories; None where it has none.

        Parameters
        ----------
        tasks
            The task of each history.
        steps
            Steps of a history.
        noise
            Share of random actions, at most.
        seed
            Of the source's random numbers.
        """
        return None

    @property
    @abstractmethod
    def task_count(self) -> int:
        """Number of tasks."""

    @abstractmethod
    def task_of_goal(self, goal: Sequence[int]) -> Task:
        """Return the task that these numbers name; ValueError where there is none."""

    @abstractmethod
    def make_vector(self, tasks: Sequence[Task]) -> Vector:
        """Return an environment that steps these tasks as arrays, one room a task, in ``SAME_STEP`` mode."""

    @abstractmethod
    def _split_indices(self) -> Mapping[Split, Sequence[int]]:
        """Return the task indices of each split, in its own order."""

    @abstractmethod
    def _task(self, index: int) -> Task:
        """Return the task of this index, without its place in a split."""

    def task(self, index: int) -> Task:
        """Return the task of this index; ValueError where there is none."""
        if not 0 <= index < self.task_count:
            raise ValueError(f"expected a task below {self.task_count}, got {index}")
        return self._lists["all"][index]

    def tasks(self, split: Split | Literal["all"]) -> tuple[Task, ...]:
        """Return a split's tasks in its own order, or all of them by index; empty where there is no such split."""
        return self._lists.get(split, ())

    @cached_property
    def task_counts(self) -> dict[str, int]:
        """Number of tasks of every split, without building them."""
        named = self._split_indices()
        return {split: len(named.get(split, ())) for split in SPLITS}

    def info(self) -> dict[str, Any]:
        """Return what the wire's ``PresetInfo`` holds, as plain values; splits over `LISTED_TASKS` are only counted."""
        listed: list[Split] = [split for split in SPLITS if self.task_counts[split] <= LISTED_TASKS]
        return {
            "name": self.name,
            "description": self.description,
            "environment_id": self.environment_id,
            "environment_kwargs": dict(self.kwargs),
            "horizon": self.horizon,
            "actions": self.actions,
            "branches": self.branches,
            "continuous": self.continuous,
            "most_rewards": self.most_rewards,
            "task_counts": self.task_counts | {"all": self.task_count},
            "splits": {split: tuple(asdict(task) for task in self.tasks(split)) for split in listed},
        }

    @cached_property
    def _lists(self) -> dict[str, tuple[Task, ...]]:
        lists: dict[str, tuple[Task, ...]] = {
            split: tuple(replace(self._task(int(i)), split=split, split_index=at) for at, i in enumerate(indices))
            for split, indices in self._split_indices().items()
        }
        known = {task.index: task for tasks in lists.values() for task in tasks}
        every = (known.get(index) or self._task(index) for index in range(self.task_count))
        return lists | {"all": tuple(every)}


@dataclass(frozen=True)
class RuledPreset(EnvPreset):
    """A preset whose tasks are all split by one rule into train and test."""

    rule: SplitRule = field(default_factory=SplitRule)

    def _split_indices(self) -> Mapping[Split, Sequence[int]]:
        train, test = self.rule.cut(self.task_count)
        return {"train": train.tolist(), "test": test.tolist()}

    def _vector(self, **arguments: Any) -> Vector:  # noqa: ANN401 - of the environment's array-stepped twin
        """Return the environment's array-stepped twin."""
        return gymnasium.make_vec(
            self.environment_id,
            vectorization_mode="vector_entry_point",
            max_episode_steps=self.horizon,
            autoreset_mode=AutoresetMode.SAME_STEP,
            **arguments,
        )


def named_cells(numbers: Sequence[int], count: int, size: int, what: str) -> tuple[tuple[int, int], ...]:
    """Return `count` cells from twice as many numbers, after checking that they lie in the room."""
    if len(numbers) != 2 * count:
        raise ValueError(f"expected {2 * count} numbers, {what}, got {list(numbers)}")
    if min(numbers) < 0 or max(numbers) >= size:
        raise ValueError(f"expected {what} inside a room of {size}×{size} cells, got {tuple(numbers)}")
    return tuple((numbers[i], numbers[i + 1]) for i in range(0, 2 * count, 2))
