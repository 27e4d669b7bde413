"""The rollouts: every training seed of a recipe on validation and on held-out tasks."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Final

import numpy as np
import torch
from jaxtyping import Float64

from attnscope_env.presets.tasks import Task
from attnscope_model.checkpoints.native import load_policy
from attnscope_model.checkpoints.registry import shipped_checkpoints
from attnscope_server.training.plan import TrainingPlan, tasks_of
from benchmarks.checksums import unchanged, write_sums
from benchmarks.seeds.aims import Aim
from benchmarks.seeds.moving import moved_returns
from benchmarks.shipping.making import evaluated, shippable

FIRST_SEED: Final = 1000
"""Seed of rollouts whose window is moved; no choice was made by rollouts of this seed."""

FOLDER: Final = Path(__file__).resolve().parents[2] / "docs" / "study" / "seeds"


def file_of(aim: Aim) -> str:
    """Return the name of an aim's file."""
    return f"{aim.key}.npz"


def tasks_on(aim: Aim, split: str) -> tuple[Task, ...]:
    """Return the tasks that are rolled out of validation or of what is held out, by the recipe's own lists."""
    plan = aim.plans[0]
    lists = plan.task_lists()
    indices = {"validation": lists.validation, "held-out": lists.test}[split]
    return tasks_of(plan.environment(), indices, aim.sizes[split].tasks)


def checkpoint_of(runs: Path, plan: TrainingPlan) -> Path:
    """Return the folder of a training seed's last checkpoint: the shipped one where it is shipped, else its run's."""
    name = f"{plan.run_name}@{plan.recipe.steps}"
    shipped = {folder.name: folder for folder in shipped_checkpoints()}
    return shipped.get(name, runs / plan.run_name / f"step-{plan.recipe.steps}")


def measure(runs: Path, aim: Aim, plan: TrainingPlan, split: str) -> Float64[np.ndarray, "task rollout episode"]:
    """Return the returns of a training seed's policy; those that are kept are not measured again.

    Where the window slides by itself, the rollouts are those that its card prints.
    """
    if aim.window_episodes is None:
        folder, _ = shippable(runs / plan.run_name, plan, plan.recipe.steps)
        report, _ = evaluated([folder], aim.episodes, runs / "evaluations", (split,))
        return np.array(report["splits"][split]["returns"][0])
    kept = runs / "seeds" / f"{aim.key}-{split}-seed{plan.recipe.seed}.npy"
    if not kept.exists():
        returns = moved_returns(
            load_policy(checkpoint_of(runs, plan), torch.device("cpu")),
            plan.environment(),
            tasks_on(aim, split),
            window=aim.window_episodes,
            rollouts=aim.sizes[split].rollouts,
            episodes=aim.episodes,
            seed=FIRST_SEED,
        )
        kept.parent.mkdir(parents=True, exist_ok=True)
        np.save(kept, returns)
    return np.asarray(np.load(kept, allow_pickle=False))


def publish(runs: Path, aims: Sequence[Aim], splits: Sequence[str], to: Path = FOLDER) -> str:
    """Measure what is not measured yet, write a file for each aim, and their checksums; return the files' names."""
    to.mkdir(parents=True, exist_ok=True)
    for aim in aims:
        arrays = {"seeds": np.array([plan.recipe.seed for plan in aim.plans])}
        for split in splits:
            tasks = tasks_on(aim, split)
            returns = np.stack([measure(runs, aim, plan, split) for plan in aim.plans])
            arrays[f"{split}-returns"] = returns.astype(np.uint8)
            arrays[f"{split}-tasks"] = np.array([task.index for task in tasks])
            arrays[f"{split}-optimal"] = np.array([task.optimal_return for task in tasks])
        np.savez_compressed(to / file_of(aim), **arrays)
    write_sums(to, sorted(path.name for path in to.glob("*.npz")))
    return ", ".join(map(file_of, aims))


def published(aim: Aim, folder: Path = FOLDER) -> dict[str, np.ndarray]:
    """Return the published arrays of an aim; ValueError where the file's checksum is another."""
    with np.load(unchanged(folder / file_of(aim)), allow_pickle=False) as stored:
        return {name: stored[name] for name in stored.files}
