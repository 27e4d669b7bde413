"""A run with a progress bar."""

from __future__ import annotations

from pathlib import Path

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from attnscope_server.training.plan import TrainingPlan
from attnscope_server.training.run import TrainingRun


def watch(folder: Path, plan: TrainingPlan, *, tensorboard: bool = False, until: int | None = None) -> Path:
    """Train to the end, or to step `until`, and return the run's folder."""
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("loss {task.fields[loss]:.3f}"),
        TimeRemainingColumn(),
    )
    with Progress(*columns) as progress:
        bar = progress.add_task("histories", total=plan.recipe.steps, loss=float("nan"))
        run = TrainingRun(folder, plan, tensorboard=tensorboard)
        progress.update(bar, description=plan.run_name)
        run.advance(until, tell=lambda step, loss: progress.update(bar, completed=step, loss=loss))
    return run.folder
