"""Making the shipped policies: train every seed, evaluate, choose by validation, write folders and figures.

``python -m attnscope_server.training.shipping``, or ``make train-shipped``; interrupted, it goes on.
"""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from importlib.resources import files
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import torch
import typer

from attnscope_model.ad import ADPolicy
from attnscope_model.native import load_policy
from attnscope_server.training.cards import card, draw_curves
from attnscope_server.training.checkpoints import write_native
from attnscope_server.training.plan import TrainingPlan
from attnscope_server.training.reporting import evaluate_checkpoints
from attnscope_server.training.shipments import SHIPMENTS, Shipment
from attnscope_server.training.watching import watch
from attnscope_storage.wire import CheckpointInfo

ROLLOUTS = 10
"""Of each task, in the evaluation that the cards print."""

EARLY_EPISODES = 20
"""Episodes of the evaluation of an earlier point of a run."""

AT_MOST_TASKS = {"train": 8, "validation": 8, "held-out": 40}
"""Tasks of a split in an evaluation, spread evenly over it."""


def halve(run: Path, plan: TrainingPlan, step: int) -> tuple[Path, CheckpointInfo]:
    """Write a run's checkpoint in half precision beside it, and return it: what is evaluated is what is shipped."""
    policy = load_policy(run / f"step-{step}", torch.device("cpu"))
    if not isinstance(policy, ADPolicy):
        raise TypeError(f"expected a native policy, got {type(policy).__name__}")
    tensors = {name: tensor.half() for name, tensor in policy.state_dict().items()}
    folder = run / f"half-{step}"
    info = write_native(folder, policy, plan, step, name=f"{plan.run_name}@{step}", tensors=tensors)
    return folder, info


def evaluated(
    shipment: Shipment, folders: list[Path], kept: Path, splits: tuple[str, ...]
) -> tuple[dict[str, Any], str]:
    """Return an evaluation's report and what it printed; a stored one of the same checkpoints is taken again."""
    ids = [json.loads((folder / "entry.json").read_bytes())["id"] for folder in folders]
    if kept.exists():
        stored = json.loads(kept.read_text())
        if [checkpoint["id"] for checkpoint in stored["report"]["checkpoints"]] == ids:
            return stored["report"], stored["text"]
    lines: list[str] = []
    report = evaluate_checkpoints(
        folders,
        splits=splits,
        rollouts=ROLLOUTS,
        episodes=shipment.episodes,
        at_most=AT_MOST_TASKS,
        seed=0,
        tell=lines.append,
    )
    kept.write_text(json.dumps({"report": report, "text": "\n".join(lines)}))
    return report, "\n".join(lines)


def ship(key: str, runs: Path, target: Path, images: Path | None) -> list[Path]:
    """Train, evaluate and write one shipment; return the folders written."""
    shipment = SHIPMENTS[key]
    halves = []
    for plan in shipment.plans:
        run = runs / plan.run_name
        if not (run / f"step-{plan.recipe.steps}").exists():
            watch(run, plan)
        halves.append(halve(run, plan, plan.recipe.steps))
    report, text = evaluated(
        shipment, [folder for folder, _ in halves], runs / f"{key}.json", ("validation", "train", "held-out")
    )
    best = int(np.array(report["splits"]["validation"]["returns"])[..., -10:].mean(axis=(1, 2, 3)).argmax())
    plan, (folder, info) = shipment.plans[best], halves[best]
    written = [_place(target, folder, info, plan, shipment, text, report, final=True)]
    for step in shipment.earlier:
        folder, info = halve(runs / plan.run_name, plan, step)
        early, said = evaluated(
            replace(shipment, episodes=min(20, shipment.episodes)),
            [folder],
            runs / f"{key}-{step}.json",
            ("train", "held-out"),
        )
        written.append(_place(target, folder, info, plan, shipment, said, early, final=False))
    if images is not None:
        shutil.copyfile(written[0] / "curves.png", images / f"policy-{key}.png")
    return written


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
    (place / "README.md").write_text(card(info, plan, shipment, measured, final=final))
    return place


def main(
    keys: Annotated[list[str] | None, typer.Argument(help="Shipments; all where none is named.")] = None,
    runs: Annotated[Path, typer.Option(help="Folder of the runs.")] = Path("runs"),
    target: Annotated[Path | None, typer.Option(help="Where the folders go; the package's own by default.")] = None,
    images: Annotated[Path | None, typer.Option(help="Where the documentation's figures go.")] = None,
) -> None:
    """Train and write the shipped policies."""
    torch.set_num_threads(1)
    place = target or Path(str(files("attnscope_model") / "shipped"))
    for key in keys or SHIPMENTS:
        for folder in ship(key, runs, place, images):
            typer.echo(f"shipped {folder.name}")


if __name__ == "__main__":
    typer.run(main)
