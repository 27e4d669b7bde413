"""The policies of the study: three settings, their recipes and training seeds, and the files in which they lie."""

from __future__ import annotations

import shutil
from collections.abc import Collection
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from attnscope_model.checkpoints.registry import CheckpointRegistry
from attnscope_model.training.trainer import Recipe
from attnscope_server.training.layouts import CompressorPlan, Layout
from attnscope_server.training.plan import HistoryPlan, TrainingPlan
from attnscope_server.training.watching import watch
from attnscope_storage.wire import CheckpointInfo
from benchmarks.learned.weights import halved, widened

CAD: Final = "cad"
NEWEST: Final = "newest"
"""Recipes of the sweep: histories of the sweeper, a context of 64."""

CAD_24: Final = "cad24"
NEWEST_24: Final = "newest24"
WHOLE: Final = "whole"
"""Recipes of the search: histories of the explorer, a context of 24, and one of 160."""

CAD_40: Final = "cad40"
NEWEST_40: Final = "newest40"
"""Recipes of key-to-door: histories of the sweeper, a context of 40."""

SEEDS: Final = {
    NEWEST: range(3),
    CAD: range(3),
    NEWEST_24: range(2),
    CAD_24: range(2),
    WHOLE: range(1),
    NEWEST_40: range(1),
    CAD_40: range(1),
}
"""Training seeds of each recipe that are judged."""

STEPS: Final = 3000
"""Optimiser steps of the sweep's plans; their policies are judged at the end."""

SEARCH_STEPS: Final = 1600
"""Those of the search's plans."""

DOOR_STEPS: Final = 2000
"""Those of key-to-door's."""

ARTIFACTS: Final = Path(__file__).resolve().parents[2] / "artifacts" / "learned"
"""Holds the judged weights in half precision, and the logs."""

HALF: Final = "half.pt"
"""Name of a file of weights in half precision."""

KEPT: Final = ("log.jsonl", "plan.json")
"""Files of a run that are kept."""

WITH_WEIGHTS: Final = (NEWEST, CAD, NEWEST_40, CAD_40)
"""Recipes whose weights are kept, too; those of the others are trained again in minutes."""

SWEEPER: Final = HistoryPlan(source="sweeper")
EXPLORER: Final = HistoryPlan(source="explorer")
OF_THE_DOOR: Final = HistoryPlan(source="sweeper", per_task=1, episodes=14, noise=0.6, targets="intended")


def _plan(
    histories: HistoryPlan, steps: int, context: int, batch: int = 16, latents: int | None = None
) -> TrainingPlan:
    """Return the plan of a policy that packs into `latents`, or of one that packs nothing."""
    plan = TrainingPlan(
        layout="reference",
        context_length=context,
        histories=histories,
        recipe=Recipe(steps=steps, batch=batch),
        evaluate_every=steps // 2,
    )
    if latents is None:
        return plan
    return plan.model_copy(
        update={"layout": "cad", "compressor": CompressorPlan(latents=latents, window=160, decisions=16)}
    )


def _of_the_door(layout: Layout, context: int, batch: int) -> TrainingPlan:
    """Return the plan of a policy in key-to-door; one that packs has 8 latents and windows of 120."""
    return TrainingPlan(
        preset="key-to-door",
        layout=layout,
        context_length=context,
        histories=OF_THE_DOOR,
        compressor=CompressorPlan(latents=8, window=120, decisions=12) if layout == "cad" else CompressorPlan(),
        recipe=Recipe(steps=DOOR_STEPS, batch=batch, bfloat16=False),
        evaluate_every=DOOR_STEPS,
    )


PLANS: Final = {
    NEWEST: _plan(SWEEPER, STEPS, 64),
    CAD: _plan(SWEEPER, STEPS, 64, latents=16),
    NEWEST_24: _plan(EXPLORER, SEARCH_STEPS, 24, batch=32),
    CAD_24: _plan(EXPLORER, SEARCH_STEPS, 24, latents=8),
    WHOLE: _plan(EXPLORER, SEARCH_STEPS, 160),
    NEWEST_40: _of_the_door("cccad", 40, 32),
    CAD_40: _of_the_door("cad", 40, 16),
}


@dataclass(frozen=True)
class Trainee:
    """A policy of the study: a recipe and a training seed. It is judged at the end of its plan."""

    recipe: str
    """A key of `PLANS`."""
    seed: int

    @property
    def step(self) -> int:
        """The step at which it is judged."""
        return PLANS[self.recipe].recipe.steps

    @property
    def name(self) -> str:
        """Name of its registered checkpoint."""
        return f"{self.recipe}-seed{self.seed}@{self.step}"

    @property
    def plan(self) -> TrainingPlan:
        """The plan of its training."""
        plan = PLANS[self.recipe]
        return plan.model_copy(update={"recipe": replace(plan.recipe, seed=self.seed)})

    @property
    def folder(self) -> str:
        """Name of its run's folder; recipes of other settings have equal names of runs, so the recipe stands before."""
        return self.plan.run_name if self.recipe in (NEWEST, CAD) else f"{self.recipe}-{self.plan.run_name}"

    def file(self, runs: Path) -> Path:
        """Return the judged file, where its run left it."""
        return runs / self.folder / f"ckpt-{self.step}.pt"

    def train(self, runs: Path) -> Path:
        """Train its plan to the end, or go on with it, and return the judged file."""
        if not self.file(runs).exists():
            watch(runs / self.folder, self.plan)
        return self.file(runs)

    def keep(self, runs: Path, to: Path = ARTIFACTS) -> Path:
        """Put its log and its plan, and the weights of the sweep in half precision, into the repository."""
        folder = to / self.folder
        folder.mkdir(parents=True, exist_ok=True)
        for name in KEPT:
            shutil.copyfile(runs / self.folder / name, folder / name)
        if self.recipe in WITH_WEIGHTS:
            halved(self.file(runs), folder / HALF)
        return folder

    def add(self, runs: Path, registry: CheckpointRegistry) -> CheckpointInfo:
        """Register it as it is judged, in half precision: of its run where that is there, else of the artifacts.

        Raises
        ------
        FileNotFoundError
            It lies in neither: it is to be trained.
        """
        file, judged = self.file(runs), runs / "learned" / "judged" / self.name
        half = halved(file, judged / HALF) if file.exists() else ARTIFACTS / self.folder / HALF
        lists = self.plan.task_lists()
        trained = (*lists.train, *lists.validation)  # what chose is no more held out than what trained
        source = widened(half, judged / file.name)
        return registry.add(source, causal=True, preset=self.plan.preset, name=self.name, train_tasks=trained)


TRAINEES: Final = tuple(Trainee(recipe, seed) for recipe, seeds in SEEDS.items() for seed in seeds)
"""All that are judged."""


def of_recipes(recipes: Collection[str]) -> tuple[Trainee, ...]:
    """Return the policies of these recipes."""
    return tuple(one for one in TRAINEES if one.recipe in recipes)
