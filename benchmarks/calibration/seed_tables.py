"""The table of `docs/trial-reports.md`: claims on recipes, with training seeds as a level of the simulation."""

from __future__ import annotations

from benchmarks.calibration.claims import MARGIN
from benchmarks.calibration.tables import error_of, head, row
from benchmarks.calibration.training import Recipes, rates, without_training

WORLDS: dict[str, Recipes] = {
    "independent recipes": Recipes(1 - MARGIN),
    "independent, luck shared by all": Recipes(1 - MARGIN, shared=0.2),
    "independent, training seeds alike": Recipes(1 - MARGIN, training=0.0, shared=0.2),
    "independent, skewed": Recipes(1 - MARGIN, shape="skewed"),
    "paired by training seed": Recipes(1 - MARGIN, paired=True),
    "paired, luck shared by all": Recipes(1 - MARGIN, paired=True, shared=0.2),
    "paired, skewed": Recipes(1 - MARGIN, paired=True, shape="skewed"),
    "paired, rare failures": Recipes(1 - MARGIN, paired=True, shape="rare"),
}
"""Recipes that lose exactly the margin."""


def training_seeds(repetitions: int) -> None:
    """Print false claims on a recipe at the margin, by training seeds, and what leaving their spread out would do."""
    head(
        f"Claims on a recipe that loses the margin (error ±{error_of(repetitions)}; nominal .025 a side)",
        "recipes", "training seeds", "false non-inferior", "false inferior", "interval holds the truth",
        "these checkpoints, read as the recipe",
    )  # fmt: skip
    for name, world in WORLDS.items():
        for seeds in (3, 5, 8):
            found = rates(world, seeds, repetitions)
            naive = without_training(world, seeds, max(1, repetitions // 10))
            cells = (found.non_inferior, found.inferior, found.covered, naive)
            row(name, seeds, *(f"{one:.3f}".removeprefix("0") for one in cells))
    head(
        "Power of the claim on a recipe that keeps all", "recipes", "training seeds", "non-inferior", "holds the truth"
    )
    for paired in (False, True):
        for seeds in (5, 8, 16):
            found = rates(Recipes(1.0, paired=paired), seeds, max(1, repetitions // 4))
            row("paired" if paired else "independent", seeds, f"{found.non_inferior:.2f}", f"{found.covered:.2f}")
