"""The policies of the study: two recipes, their training seeds and steps, and the files in which they lie."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from attnscope_model.checkpoints.registry import CheckpointRegistry
from attnscope_model.training.trainer import Recipe
from attnscope_server.training.layouts import CompressorPlan
from attnscope_server.training.plan import HistoryPlan, TrainingPlan
from attnscope_server.training.watching import watch
from attnscope_storage.wire import CheckpointInfo

SEEDS: Final = (0, 1)
"""Training seeds."""

STEPS: Final = 3000
"""Optimiser steps of the plans."""

CAD: Final = "cad"
NEWEST: Final = "newest"

MIDWAY: Final = 1500
"""The step of the plans at which the training seeds are judged."""

ARTIFACTS: Final = Path(__file__).resolve().parents[2] / "artifacts" / "learned"
"""Holds the judged files, those of over 1 MB in parts."""

PLANS: Final = {
    CAD: TrainingPlan(
        layout="cad",
        compressor=CompressorPlan(latents=16, window=160, decisions=16),
        context_length=64,
        histories=HistoryPlan(source="sweeper"),
        recipe=Recipe(steps=STEPS, batch=16),
        evaluate_every=600,
    ),
    NEWEST: TrainingPlan(
        layout="reference",
        context_length=64,
        histories=HistoryPlan(source="sweeper"),
        recipe=Recipe(steps=STEPS, batch=16),
        evaluate_every=1000,
    ),
}


@dataclass(frozen=True)
class Trainee:
    """A policy of the study: a recipe, a training seed, and the step at which it is judged."""

    recipe: str
    """`CAD` or `NEWEST`."""
    seed: int
    step: int = MIDWAY

    @property
    def name(self) -> str:
        """Name of its registered checkpoint."""
        return f"{self.recipe}-seed{self.seed}@{self.step}"

    @property
    def group(self) -> str:
        """Name of its recipe in the trial: policies at the end of their plan are a group of their own."""
        return self.recipe if self.step == MIDWAY else f"{self.recipe}-end"

    @property
    def plan(self) -> TrainingPlan:
        """The plan of its training."""
        plan = PLANS[self.recipe]
        return plan.model_copy(update={"recipe": replace(plan.recipe, seed=self.seed)})

    def file(self, runs: Path) -> Path:
        """Return the judged file, where its run left it."""
        return runs / self.plan.run_name / f"ckpt-{self.step}.pt"

    def train(self, runs: Path) -> Path:
        """Train its plan to the end, or go on with it, and return the judged file."""
        if not self.file(runs).exists():
            watch(runs / self.plan.run_name, self.plan)
        return self.file(runs)

    def add(self, runs: Path, registry: CheckpointRegistry) -> CheckpointInfo:
        """Register it; of its run where that is there, else of the artifacts.

        Raises
        ------
        FileNotFoundError
            It lies in neither.
        """
        source = self.file(runs)
        if not source.exists():
            source = joined(ARTIFACTS / self.plan.run_name, source)
        lists = self.plan.task_lists()
        trained = (*lists.train, *lists.validation)  # what chose is no more held out than what trained
        return registry.add(source, causal=True, preset=self.plan.preset, name=self.name, train_tasks=trained)


TRAINEES: Final = (
    *(Trainee(recipe, seed) for recipe in (NEWEST, CAD) for seed in SEEDS),
    *(Trainee(recipe, 0, STEPS) for recipe in (NEWEST, CAD)),
)
"""All that are judged."""


def joined(folder: Path, to: Path) -> Path:
    """Write a file whose parts lie in a folder, named `<file>.aa`, `<file>.ab`, …, and return it.

    Raises
    ------
    FileNotFoundError
        The folder has no part of it.
    """
    parts = sorted(folder.glob(f"{to.name}.*"))
    if not parts:
        raise FileNotFoundError(f"{to}: not trained here, and {folder} has no part of it")
    to.parent.mkdir(parents=True, exist_ok=True)
    to.write_bytes(b"".join(part.read_bytes() for part in parts))
    return to
