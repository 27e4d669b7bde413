"""Long work with a progress bar: a run, and the collecting of histories."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from attnscope_env.histories import Histories
from attnscope_server.training.collecting import LEARNED, collect, refuse_unfit_source, tasks_learned
from attnscope_server.training.plan import TrainingPlan
from attnscope_server.training.run import TrainingRun

DESCRIPTION = TextColumn("{task.description}")


def watch(folder: Path, plan: TrainingPlan, *, tensorboard: bool = False, start: Path | None = None) -> Path:
    """Train to the end and return the run's folder."""
    columns = (
        DESCRIPTION,
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[loss]}"),
        TimeRemainingColumn(),
    )
    with Progress(*columns) as progress, _goes_on(progress):
        bar = progress.add_task("histories", visible=False, loss="")  # a plan that is refused shows none
        run = TrainingRun(
            folder,
            plan,
            tensorboard=tensorboard,
            start=start,
            tell=lambda done, tasks: progress.update(bar, visible=True, completed=done, total=tasks),
        )
        progress.print(f"histories: {learned(plan, run.histories)}")
        progress.reset(bar, visible=True, description=plan.run_name, total=plan.recipe.steps)
        run.advance(tell=lambda step, loss: progress.update(bar, completed=step, loss=f"loss {loss:.3f}"))
    return run.folder


def watch_collecting(out: Path, plan: TrainingPlan) -> Histories:
    """Collect the histories of a plan's train tasks into a file; interrupted, the same call goes on."""
    refuse_unfit_source(plan.environment(), plan.histories)  # what is refused shows no bar
    parts = out.with_name(f"{out.name}.parts")
    indices = plan.task_lists().train
    columns = (DESCRIPTION, BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns) as progress, _goes_on(progress):
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


def learned(plan: TrainingPlan, histories: Histories) -> str:
    """Say how many tasks the source of a plan learned."""
    count = tasks_learned(plan.environment(), histories)
    tasks = len(set(histories.tasks.tolist()))
    return f"{count} of {tasks} tasks end at {LEARNED:.0%} of the optimum or more"


@contextmanager
def _goes_on(progress: Progress) -> Iterator[None]:
    """Say after an interruption that nothing needs to be begun anew."""
    try:
        yield
    except KeyboardInterrupt:
        progress.print("interrupted: the same command goes on from what was kept")
        raise
