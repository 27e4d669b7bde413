"""A training run's plan: tasks, histories, policy and recipe, resolved and stored beside what comes of it."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from attnscope_env import preset
from attnscope_env.tasks import EnvPreset, Task
from attnscope_model.ad import Positions
from attnscope_model.training.trainer import Recipe

VALIDATION_SHARE = 0.1
"""Share of the train split that is kept from training, to choose between runs and steps by."""

MIN_VALIDATION_TASKS = 8
"""Tasks kept for validation at least."""

SourceName = Literal["explorer", "annealed", "q-learning"]
Layout = Literal["native", "reference"]


class TaskLists(BaseModel):
    """Which tasks are trained on, which choose, and which are used once at the end; task indices, disjoint."""

    model_config = ConfigDict(frozen=True)

    train: tuple[int, ...]
    validation: tuple[int, ...]
    test: tuple[int, ...]


class HistoryPlan(BaseModel):
    """Which learning histories are made."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    source: SourceName = "explorer"
    per_task: int = Field(default=100, ge=1, description="Histories of each train task.")
    episodes: int = Field(default=16, ge=1, description="Episodes of a history.")
    seed: int = 0


class TrainingPlan(BaseModel):
    """All that decides a run; equal plans give equal weights on one machine."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    preset: str = "darkroom-reference"
    histories: HistoryPlan = HistoryPlan()
    layout: Layout = "native"
    positions: Positions = "learned-absolute"
    context_length: int = Field(default=160, ge=2)
    width: int = 64
    layers: int = 3
    heads: int = 4
    feedforward: int = 256
    recipe: Recipe = Recipe(steps=2400)
    evaluate_every: int = Field(default=400, ge=1, description="Steps between evaluations on validation tasks.")
    save_every: int = Field(default=250, ge=1, description="Steps between checkpoints; each is kept.")

    @property
    def model_name(self) -> str:
        """What the policy is, in a word for folders and names."""
        kind = {"learned-absolute": "absolute", "rotary": "rotary"}[self.positions]
        parts = ["AD", "reference" if self.layout == "reference" else kind]
        if self.histories.source != "explorer":
            parts.append(self.histories.source)
        return "-".join(parts)

    @property
    def run_name(self) -> str:
        """Name of the run's folder: <model>-<env>-seed<k>."""
        return f"{self.model_name}-{self.preset}-seed{self.recipe.seed}"

    def environment(self) -> EnvPreset:
        """Return the preset."""
        return preset(self.preset)

    def task_lists(self) -> TaskLists:
        """Return the split of the preset's tasks; validation is the end of the train split's own order."""
        room = self.environment()
        train = [task.index for task in room.tasks("train")]
        kept = max(MIN_VALIDATION_TASKS, round(len(train) * VALIDATION_SHARE))
        test = tuple(task.index for task in room.tasks("test"))
        return TaskLists(train=tuple(train[:-kept]), validation=tuple(train[-kept:]), test=test)


def tasks_of(room: EnvPreset, indices: tuple[int, ...], at_most: int | None = None) -> tuple[Task, ...]:
    """Return the tasks of these indices, or `at_most` of them spread evenly."""
    if at_most is not None and len(indices) > at_most:
        indices = tuple(indices[i * len(indices) // at_most] for i in range(at_most))
    return tuple(room.task(index) for index in indices)
