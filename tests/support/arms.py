"""Trials of two recipes' checkpoints, made of planted losses."""

from __future__ import annotations

import numpy as np

from attnscope_storage.wire import ResolvedTrial, TrialSpec

RECIPES = ("plain", "packed")


def arms_of(plant, lost, spread: float = 0.05, **options):
    """Return a trial of two recipes, whose second loses what is planted and whose training seeds differ by `spread`."""
    seeds = len(lost)
    draw = np.random.default_rng(5)
    losses = [("none", None, one) for one in (*draw.normal(0, spread, seeds), *lost)]
    made = plant(losses, noise=0.02, seeds=5, tasks=8, **options)
    checkpoints = [
        {
            "id": f"{place:064x}", "name": f"{RECIPES[place // seeds]}-seed{place % seeds}@9",
            "policy": made.policy.model_dump(), "recipe": RECIPES[place // seeds], "training_seed": place % seeds,
        }
        for place in range(2 * seeds)
    ]  # fmt: skip
    conditions = [
        one.model_dump() | {
            "checkpoint": place, "checkpoint_name": checkpoints[place]["name"], "arm": place // seeds,
            "against": place if place < seeds else 0,
        }
        for place, one in enumerate(made.resolved.conditions)
    ]  # fmt: skip
    spec = {
        "arms": [{"checkpoint": name} for name in RECIPES], "seeds": list(range(5)), "episodes": 20,
        "recipes": [
            {"name": name, "checkpoints": [one["name"] for one in checkpoints if one["recipe"] == name]}
            for name in RECIPES
        ],
    }  # fmt: skip
    resolved = made.resolved.model_dump() | {"conditions": conditions, "checkpoints": checkpoints}
    return type(made)(
        made.job, TrialSpec.model_validate(spec), ResolvedTrial.model_validate(resolved), made.policy,
        made.provenance, made.arrays,
    )  # fmt: skip
