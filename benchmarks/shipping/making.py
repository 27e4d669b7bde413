"""Making the shipped policies: train every seed, evaluate, choose by validation, write folders and figures.

Interrupted, it goes on. ``python -m benchmarks.shipping`` is its command.
"""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float64

from attnscope_model.checkpoints.conversion import read_checkpoint, write_entry
from attnscope_model.checkpoints.native import load_policy
from attnscope_model.checkpoints.registry import CheckpointRegistry
from attnscope_model.errors import CheckpointChangedError, CheckpointUnreadableError
from attnscope_model.families.ad import ADPolicy
from attnscope_server.training.checkpoints import write_native
from attnscope_server.training.plan import TrainingPlan
from attnscope_server.training.reporting import evaluate_checkpoints
from attnscope_server.training.run import PLAN, refuse_other_plan
from attnscope_server.training.watching import watch
from attnscope_storage.wire import CheckpointInfo
from benchmarks.shipping.cards import card, draw_curves
from benchmarks.shipping.recipes import SHIPMENTS, TRIED, Shipment

ROLLOUTS = 10
"""Of each task, in the evaluation that the cards print."""

VALIDATION_EPISODES = 20
"""Episodes of the rollouts that choose between training seeds."""

EARLY_EPISODES = 20
"""Episodes of the evaluation of an earlier point of a run."""

AT_MOST_TASKS = {"train": 8, "validation": 16, "held-out": 24}
"""Tasks of a split in an evaluation, spread evenly over it."""


def shippable(run: Path, plan: TrainingPlan, step: int) -> tuple[Path, CheckpointInfo]:
    """Write a run's checkpoint beside it as it is shipped, and return it: what is evaluated is what is shipped.

    Native checkpoints ship in half precision; a file in the reference's layout as its reader converts it.
    """
    folder = run / f"shipped-{step}"
    if plan.layout == "reference":
        return folder, _converted(run / f"ckpt-{step}.pt", plan, folder)
    policy = load_policy(run / f"step-{step}", torch.device("cpu"))
    if not isinstance(policy, ADPolicy):
        raise TypeError(f"expected a native policy, got {type(policy).__name__}")
    tensors = {name: tensor.half() for name, tensor in policy.state_dict().items()}
    info = write_native(folder, policy, plan, step, name=f"{plan.run_name}@{step}", tensors=tensors)
    return folder, info


def _converted(file: Path, plan: TrainingPlan, folder: Path) -> CheckpointInfo:
    """Convert a file in the reference's layout as `checkpoint add` does, and name its task lists."""
    tasks = plan.task_lists()
    with tempfile.TemporaryDirectory() as scratch:
        registry = CheckpointRegistry(Path(scratch))
        info = registry.add(file, causal=True, train_tasks=tasks.train, name=f"{plan.run_name}@{plan.recipe.steps}")
        shutil.rmtree(folder, ignore_errors=True)
        shutil.copytree(registry.folder(info.id), folder)
    lists = {"validation_tasks": tuple(sorted(tasks.validation)), "held_out_tasks": tuple(sorted(tasks.test))}
    info = info.model_copy(update=lists)
    write_entry(folder, info)
    return info


def evaluated(folders: list[Path], episodes: int, kept: Path, splits: tuple[str, ...]) -> tuple[dict[str, Any], str]:
    """Return an evaluation's report and what it says; returns that are in `kept` are not measured again."""
    lines: list[str] = []
    report = evaluate_checkpoints(
        folders,
        splits=splits,
        rollouts=ROLLOUTS,
        episodes=episodes,
        at_most=AT_MOST_TASKS,
        seed=0,
        tell=lines.append,
        kept=kept,
    )
    return report, "\n".join(lines)


def ship(key: str, runs: Path, target: Path, images: Path | None) -> list[Path]:
    """Train, evaluate and write one shipment; return the folders written."""
    shipment = (SHIPMENTS | TRIED)[key]
    made = []
    for plan in shipment.plans:
        run = runs / plan.run_name
        if not trained(run, plan, plan.recipe.steps):
            watch(run, plan)
        made.append(shippable(run, plan, plan.recipe.steps))
    kept = runs / "evaluations"
    folders = [folder for folder, _ in made]
    chosen_by, chosen = evaluated(folders, min(VALIDATION_EPISODES, shipment.episodes), kept, ("validation",))
    best = shipped_plan(shipment, np.array(chosen_by["splits"]["validation"]["returns"]))
    report, held_out = evaluated(folders, shipment.episodes, kept, ("held-out",))
    own_splits = ("train",) if len(folders) == 1 else ("train", "held-out")
    own, of_its_own = evaluated([folders[best]], shipment.episodes, kept, own_splits)
    report["splits"]["train"] = own["splits"]["train"]
    text = f"{chosen}\n\n{held_out}\n\n{of_its_own}"
    plan, (folder, info) = shipment.plans[best], made[best]
    written = [_place(target, folder, info, plan, shipment, text, report, final=True)]
    for step in shipment.earlier:
        folder, info = shippable(runs / plan.run_name, plan, step)
        early, said = evaluated([folder], EARLY_EPISODES, kept, ("train", "held-out"))
        written.append(_place(target, folder, info, plan, shipment, said, early, final=False))
    if images is not None:
        shutil.copyfile(written[0] / "curves.png", images / f"policy-{key}.png")
    return written


def shipped_plan(shipment: Shipment, returns: Float64[np.ndarray, "seed task rollout episode"]) -> int:
    """Return the place of the plan that is shipped: the named seed's, else the best of the last ten episodes here."""
    if shipment.shipped_seed is not None:
        return [plan.recipe.seed for plan in shipment.plans].index(shipment.shipped_seed)
    return int(returns[..., -10:].mean(axis=(1, 2, 3)).argmax())


def trained(run: Path, plan: TrainingPlan, step: int) -> bool:
    """Return whether a run's checkpoint of this step is there, whole and of this plan; else it is trained anew.

    Raises
    ------
    PlanChangedError
        The folder holds a run of another plan.
    """
    if not (run / PLAN).exists():
        return False
    refuse_other_plan(run, plan)
    try:
        if plan.layout == "reference":
            with tempfile.TemporaryDirectory() as scratch:
                read_checkpoint(run / f"ckpt-{step}.pt", Path(scratch))
        else:
            load_policy(run / f"step-{step}", torch.device("cpu"))
    except (CheckpointUnreadableError, CheckpointChangedError):
        return False
    return True


def _place(
    target: Path,
    folder: Path,
    info: CheckpointInfo,
    plan: TrainingPlan,
    shipment: Shipment,
    measured: str,
    report: dict[str, Any],
    *,
    final: bool,
) -> Path:
    place = target / info.name
    shutil.rmtree(place, ignore_errors=True)
    shutil.copytree(folder, place)
    draw_curves(report, shipment.title, place / "curves.png")
    (place / "README.md").write_text(card(info, plan, shipment, measured, final=final), encoding="utf-8")
    return place
