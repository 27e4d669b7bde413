"""The policies of the study: three training seeds of one recipe."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Final

from attnscope_model.training.trainer import Recipe
from attnscope_server.training.plan import HistoryPlan, TrainingPlan

SEEDS: Final = (0, 1, 2)
"""Training seeds."""

PLAN: Final = TrainingPlan(
    preset="repeat-previous",
    histories=HistoryPlan(source="own", per_task=12, episodes=4, noise=0.3, targets="intended"),
    positions="rotary",
    context_length=104,
    layers=2,
    heads=2,
    recipe=Recipe(steps=3000, batch=16, learning_rate=3e-3, warmup=50),
    evaluate_every=1500,
)
"""The recipe; two heads of 32 numbers each, so that rotary positions tell 15 steps from 14."""


def plan_of(seed: int) -> TrainingPlan:
    """Return the plan of a training seed."""
    return PLAN.model_copy(update={"recipe": replace(PLAN.recipe, seed=seed)})


def folder_of(runs: Path, seed: int) -> Path:
    """Return the folder of a training seed's last checkpoint."""
    return runs / plan_of(seed).run_name / f"step-{PLAN.recipe.steps}"
