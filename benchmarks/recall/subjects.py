"""The policies of the study: three training seeds of each of two recipes."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from attnscope_model.training.trainer import Recipe
from attnscope_server.training.plan import HistoryPlan, TrainingPlan

SEEDS: Final = (0, 1, 2)
"""Training seeds."""


@dataclass(frozen=True)
class Subject:
    """One recipe."""

    key: str
    """Name in files, and of its folder among the runs."""
    plan: TrainingPlan

    @property
    def name(self) -> str:
        """The name in sentences."""
        return self.key.replace("-", " ")

    def plan_of(self, seed: int) -> TrainingPlan:
        """Return the plan of a training seed."""
        return self.plan.model_copy(update={"recipe": replace(self.plan.recipe, seed=seed)})

    def runs(self, runs: Path) -> Path:
        """Return the folder of the recipe's runs and of what was measured of them."""
        return runs / self.key

    def folder(self, runs: Path, seed: int) -> Path:
        """Return the folder of a training seed's last checkpoint."""
        return self.runs(runs) / self.plan_of(seed).run_name / f"step-{self.plan.recipe.steps}"


_HISTORIES: Final = HistoryPlan(source="own", per_task=12, episodes=4, noise=0.3, targets="intended")

TWO: Final = Subject(
    "two-layers",
    TrainingPlan(
        preset="repeat-previous",
        histories=_HISTORIES,
        positions="rotary",
        context_length=104,
        layers=2,
        heads=2,
        recipe=Recipe(steps=3000, batch=16, learning_rate=3e-3, warmup=50),
        evaluate_every=1500,
    ),
)
"""The recipe that was tried first; two heads of 32 numbers each, so that rotary positions tell 15 steps from 14."""

THREE: Final = Subject(
    "three-layers", TWO.plan.model_copy(update={"layers": 3, "recipe": replace(TWO.plan.recipe, steps=1500)})
)
"""The same with a layer more, and half of the steps."""

SUBJECTS: Final = {subject.key: subject for subject in (THREE, TWO)}
"""By key, in the page's order."""
