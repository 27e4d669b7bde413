"""`python -m benchmarks.shipping.measured`: evaluate the shipped policies, store the returns in docs/study/policies.

Other training seeds of a recipe are measured where their weights lie in the folder of the runs or in `artifacts`. What
is stored already is not measured again.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Final

import numpy as np
import torch
import typer
from jaxtyping import Float64

from attnscope_env.presets.tasks import Task
from attnscope_model.checkpoints.registry import shipped_checkpoints
from attnscope_server.training.plan import TrainingPlan, tasks_of
from benchmarks.checksums import unchanged, write_sums
from benchmarks.seeds import measuring as seeds
from benchmarks.seeds.aims import AIMS
from benchmarks.shipping.making import (
    AT_MOST_TASKS,
    EARLY_EPISODES,
    VALIDATION_EPISODES,
    evaluated,
    shippable,
)
from benchmarks.shipping.recipes import SHIPMENTS, Shipment

ROOT: Final = Path(__file__).resolve().parents[2]
FOLDER: Final = ROOT / "docs" / "study" / "policies"

KEPT_RUNS: Final = ROOT / "artifacts" / "under"
"""Weights of further training seeds of key-to-door."""


@dataclass(frozen=True)
class Point:
    """A checkpoint whose returns are stored: a training seed's end, or an earlier point of a shipped run."""

    shipment: Shipment
    plan: TrainingPlan
    step: int

    @property
    def name(self) -> str:
        """The checkpoint's name, and its file's."""
        return f"{self.plan.run_name}@{self.step}"

    @property
    def final(self) -> bool:
        """True at the end of its run."""
        return self.step == self.plan.recipe.steps

    def episodes(self, split: str) -> int:
        """Return the episodes of a rollout on a split."""
        if not self.final:
            return EARLY_EPISODES
        return min(VALIDATION_EPISODES, self.shipment.episodes) if split == "validation" else self.shipment.episodes

    def tasks(self, split: str) -> tuple[Task, ...]:
        """Return the tasks of a split that are rolled out."""
        lists = self.plan.task_lists()
        indices = {"train": lists.train, "validation": lists.validation, "held-out": lists.test}[split]
        return tasks_of(self.plan.environment(), tuple(sorted(indices)), AT_MOST_TASKS[split])  # as entries list them


def folders() -> dict[str, Path]:
    """Return the folders of the shipped checkpoints by name."""
    return {folder.name: folder for folder in shipped_checkpoints()}


def points() -> Iterator[Point]:
    """Yield every training seed's end and every earlier point that is shipped."""
    for shipment in SHIPMENTS.values():
        for plan in shipment.plans:
            yield Point(shipment, plan, plan.recipe.steps)
            if f"{plan.run_name}@{plan.recipe.steps}" in folders():
                yield from (Point(shipment, plan, step) for step in shipment.earlier)


def weights(point: Point, runs: Path) -> Path | None:
    """Return the folder of a checkpoint, as it ships; None where its weights are not kept."""
    if (shipped := folders().get(point.name)) is not None:
        return shipped
    run = runs / point.plan.run_name
    if not (run / f"step-{point.step}").exists() and (KEPT_RUNS / point.plan.run_name).exists():
        run.mkdir(parents=True, exist_ok=True)
        (run / f"step-{point.step}").symlink_to(KEPT_RUNS / point.plan.run_name / f"step-{point.step}")
    return shippable(run, point.plan, point.step)[0] if (run / f"step-{point.step}").exists() else None


def publish(runs: Path, keys: Collection[str] = (), to: Path = FOLDER) -> list[str]:
    """Measure what is not stored yet, write a file for each checkpoint and the checksums; return the files' names.

    Parameters
    ----------
    runs
        Folder of the runs.
    keys
        Of the recipes; all where none is named.
    to
        Folder of the files.
    """
    to.mkdir(parents=True, exist_ok=True)
    wanted = [SHIPMENTS[key].title for key in keys or SHIPMENTS]
    for point in points():
        if point.shipment.title not in wanted:
            continue
        file, splits = to / f"{point.name}.npz", ["held-out"]
        splits += ["validation"] * point.final + ["train"] * (point.name in folders())
        found = None if file.exists() else weights(point, runs)
        if found is None:
            continue
        arrays = {}
        for split in splits:
            report, _ = evaluated([found], point.episodes(split), runs / "evaluations", (split,))
            arrays[split] = np.array(report["splits"][split]["returns"][0]).astype(np.uint8)
        np.savez_compressed(file, **arrays)  # type: ignore[arg-type]  # names are splits
    return sum_up(to)


def sum_up(folder: Path) -> list[str]:
    """Write the checksums of a folder's files and return their names."""
    names = sorted(path.name for path in folder.iterdir() if path.suffix in {".npz", ".json"})
    write_sums(folder, names)
    return names


def published(point: Point, folder: Path = FOLDER) -> Mapping[str, Float64[np.ndarray, "task rollout episode"]]:
    """Return the stored returns of a checkpoint by split; none where it was not measured.

    Raises
    ------
    ValueError
        The file's checksum is another.
    """
    file = folder / f"{point.name}.npz"
    if file.exists():
        with np.load(unchanged(file), allow_pickle=False) as stored:
            return {split: stored[split].astype(float) for split in stored.files}
    for aim in AIMS:
        at = [f"{plan.run_name}@{plan.recipe.steps}" for plan in aim.plans]
        if point.name in at and aim.window_episodes is None:
            arrays = seeds.published(aim)
            return {split: arrays[f"{split}-returns"][at.index(point.name)].astype(float) for split in aim.sizes}
    return {}


def main(
    keys: Annotated[list[str] | None, typer.Argument(help="Recipes; all where none is named.")] = None,
    runs: Annotated[Path, typer.Option(help="Folder of the runs.")] = Path("runs"),
) -> None:
    """Store what the shipped policies return."""
    torch.set_num_threads(1)
    typer.echo("\n".join(publish(runs, keys or ())))


if __name__ == "__main__":
    typer.run(main)
