"""The policies of the study: three training seeds, each fine-tuned under compressions and as long without one."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from attnscope_model.checkpoints.registry import shipped_checkpoints
from attnscope_server.training.plan import TrainingPlan
from attnscope_server.training.start import StartPlan
from attnscope_server.training.under import UnderPlan
from attnscope_server.training.watching import watch
from benchmarks.shipping.recipes import SHIPMENTS

SEEDS: Final = (0, 1, 2)
"""Training seeds. Seed 0 of the base is the shipped policy, the others are trained by the same recipe."""

STEPS: Final = 400
"""Optimiser steps of every fine-tuning."""

SHARE: Final = "40%"

RULES: Final = {name: UnderPlan.of_text(f"{name}:{SHARE}", "keep") for name in ("rewards", "recency")}
"""Rules that policies are fine-tuned under; the first is the registered one, the other is for comparison."""

WITHOUT: Final = "without"
"""The fine-tuning on whole contexts."""

BASE: Final = "base"
"""The policy before any fine-tuning."""


@dataclass(frozen=True)
class Trainee:
    """A policy of the study: a training seed, and what it was fine-tuned under."""

    seed: int
    tuning: str
    """A rule, `WITHOUT` or `BASE`."""

    def folder(self, runs: Path) -> Path:
        """Return the folder of its checkpoint, where its run left it."""
        if self.tuning != BASE:
            return runs / self.plan(runs).run_name / f"step-{STEPS}"
        plan = SHIPMENTS["key-to-door"].plans[self.seed]
        name = f"{plan.run_name}@{plan.recipe.steps}"
        for shipped in shipped_checkpoints():
            if shipped.name == name:
                return shipped
        return runs / plan.run_name / f"step-{plan.recipe.steps}"

    def plan(self, runs: Path) -> TrainingPlan:
        """Return the plan of its training."""
        plan = SHIPMENTS["key-to-door"].plans[self.seed]
        if self.tuning == BASE:
            return plan
        start, _ = StartPlan.of(Trainee(self.seed, BASE).folder(runs))
        recipe = replace(plan.recipe, steps=STEPS, learning_rate=5e-4, warmup=50)
        changed = {"recipe": recipe, "start": start, "under": RULES.get(self.tuning), "evaluate_every": STEPS}
        return plan.model_copy(update=changed)

    def train(self, runs: Path) -> Path:
        """Train it, or go on with its training, and return the folder of its checkpoint."""
        folder = self.folder(runs)
        if not folder.exists():
            base = None if self.tuning == BASE else Trainee(self.seed, BASE).train(runs)
            plan = self.plan(runs)
            watch(runs / plan.run_name, plan, start=base)
        return folder


TRAINEES: Final = tuple(Trainee(seed, tuning) for tuning in (BASE, "rewards", WITHOUT, "recency") for seed in SEEDS)
"""In the order in which they are trained."""
