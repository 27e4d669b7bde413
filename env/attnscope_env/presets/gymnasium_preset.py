"""A listed Gymnasium environment as a preset: stepped by Gymnasium's own vectorisation, episodes seeded by number."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from types import MappingProxyType
from typing import Any, ClassVar

import gymnasium
import numpy as np
from gymnasium.vector import AsyncVectorEnv, AutoresetMode, SyncVectorEnv, VectorEnv

from attnscope_env.presets.gymnasium_entry import GymnasiumEntry
from attnscope_env.presets.tasks import SPLITS, EnvPreset, Split, Task
from attnscope_env.rooms.boundary import OwnTransitions
from attnscope_env.rooms.observations import (
    ActionLayout,
    EnvironmentUnusableError,
    action_layout,
    observation_layout,
)
from attnscope_env.rooms.seeds import SeededEpisodes


@dataclass(frozen=True)
class GymnasiumPreset(EnvPreset):
    """The tasks that an operator lists for an installed Gymnasium environment."""

    entry: GymnasiumEntry

    bound_kwargs: ClassVar[tuple[str, ...]] = ()

    @property
    def branches(self) -> tuple[int, ...]:
        """Sizes of the independent choices, as the operator lists them."""
        return self.entry.branches

    @property
    def continuous(self) -> bool:
        """True where the operator lists actions that are vectors."""
        return self.entry.continuous

    @property
    def task_count(self) -> int:
        """Number of listed tasks."""
        return len(self.entry.tasks)

    def task_of_goal(self, goal: Sequence[int]) -> Task:
        """Refuse: what a task is, only the operator knows."""
        raise ValueError(f"tasks of {self.environment_id} are named by split and indices, got {list(goal)}")

    def make_vector(self, tasks: Sequence[Task]) -> VectorEnv[np.ndarray, np.ndarray, np.ndarray]:
        """Return these tasks in Gymnasium's vectorisation, ``SAME_STEP``, episodes seeded by number.

        Raises
        ------
        EnvironmentUnusableError
            It is not installed, refuses its arguments, or has observations or actions that a rollout cannot carry.
        """
        makers = [partial(make_single, self.entry, self._arguments(task)) for task in tasks]
        self._check(makers[0])
        kind = AsyncVectorEnv if self.entry.vectorization == "async" else SyncVectorEnv
        try:
            return kind(makers, autoreset_mode=AutoresetMode.SAME_STEP)
        except Exception as error:
            raise EnvironmentUnusableError(
                f"the tasks of {self.environment_id} do not step together: {error}"
            ) from error

    def _arguments(self, task: Task) -> dict[str, Any]:
        return {**self.entry.kwargs, **self.kwargs, **self.entry.tasks[task.index].kwargs}

    def _check(self, make: Callable[[], gymnasium.Env[Any, Any]]) -> None:
        try:
            single = make()
        except Exception as error:
            raise EnvironmentUnusableError(f"{self.environment_id} cannot be made: {error}") from error
        observation_layout(single.observation_space)
        found = action_layout(single.action_space)
        single.close()
        listed = ActionLayout(len(self.actions), self.branches, self.continuous)
        if found != listed:
            raise EnvironmentUnusableError(
                f"{self.environment_id} has {found.words}, the service's settings list {listed.words}"
            )

    def _split_indices(self) -> Mapping[Split, Sequence[int]]:
        listed = self.entry.tasks
        return {split: [i for i, task in enumerate(listed) if task.split == split] for split in SPLITS}

    def _task(self, index: int) -> Task:
        listed = self.entry.tasks[index]
        return Task(
            index=index,
            label=listed.label,
            goal=None,
            optimal_return=listed.optimal_return,
            random_return=listed.random_return,
        )


def make_single(entry: GymnasiumEntry, arguments: Mapping[str, Any]) -> gymnasium.Env[Any, Any]:
    """Return one environment of an entry; a function of its own, so that a subprocess can be told to call it."""
    if entry.module is not None:
        importlib.import_module(entry.module)
    single = gymnasium.make(entry.id, max_episode_steps=entry.horizon, disable_env_checker=True, **arguments)
    return OwnTransitions(SeededEpisodes(single), entry.id)


def gymnasium_preset(entry: GymnasiumEntry, name: str, kwargs: Mapping[str, Any]) -> GymnasiumPreset:
    """Return the preset of an entry with these keyword arguments of a request, which `GymnasiumEntry.checked` gave."""
    return GymnasiumPreset(
        name=name,
        environment_id=entry.id,
        kwargs=MappingProxyType(dict(kwargs)),
        horizon=entry.horizon,
        actions=entry.actions,
        description=entry.description,
        entry=entry,
    )
