"""What takes long, with a progress bar: a run, and the collecting of histories."""

from __future__ import annotations

import shutil
from pathlib import Path

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from attnscope_env.histories import Histories
from attnscope_server.training.collecting import collect
from attnscope_server.training.plan import TrainingPlan
from attnscope_server.training.run import TrainingRun

DESCRIPTION = TextColumn("{task.description}")


def watch(folder: Path, plan: TrainingPlan, *, tensorboard: bool = False) -> Path:
    """Train to the end and return the run's folder."""
    columns = (
        DESCRIPTION,
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("loss {task.fields[loss]:.3f}"),
        TimeRemainingColumn(),
    )
    with Progress(*columns) as progress:
        bar = progress.add_task("histories", total=plan.recipe.steps, loss=float("nan"))
        run = TrainingRun(
            folder,
            plan,
            tensorboard=tensorboard,
            tell=lambda done, tasks: progress.update(bar, completed=done, total=tasks),
        )
        progress.reset(bar, description=plan.run_name, total=plan.recipe.steps, loss=float("nan"))
        run.advance(tell=lambda step, loss: progress.update(bar, completed=step, loss=loss))
    return run.folder


def watch_collecting(out: Path, plan: TrainingPlan) -> Histories:
    """Collect the histories of a plan's train tasks into a file; interrupted, the same call goes on."""
    parts = out.with_name(f"{out.name}.parts")
    indices = plan.task_lists().train
    with Progress(DESCRIPTION, BarColumn(), MofNCompleteColumn(), TimeRemainingColumn()) as progress:
        bar = progress.add_task(f"{plan.histories.source} tasks", total=len(indices))
        made = collect(
            plan.environment(),
            plan.histories,
            indices,
            parts=parts,
            tell=lambda done, _tasks: progress.update(bar, completed=done),
        )
        progress.update(bar, completed=len(indices))
    made.save(out)
    shutil.rmtree(parts, ignore_errors=True)
    return made
