"""A job's progress for people: a bar in a terminal or notebook, lines in a pipe."""

from __future__ import annotations

import sys
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn

from attnscope_storage.wire import Job

LINES = 10
"""Lines of a whole job where there is no terminal."""


class ProgressDisplay:
    """Shows one job, on standard error."""

    def __init__(self, job: Job, *, shown: bool) -> None:
        self._shown = shown
        self._console = Console(file=sys.stderr, soft_wrap=True)
        self._live = shown and (self._console.is_terminal or self._console.is_jupyter)
        self._bar = Progress(
            TextColumn("{task.description}"), BarColumn(), TextColumn("{task.fields[text]}"), console=self._console
        )
        self._task = self._bar.add_task(str(job.id)[:8], total=max(1, job.progress.steps_total), text="")
        self._said: str | None = None

    def __enter__(self) -> Self:
        if self._live:
            self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._live:
            self._bar.stop()

    def update(self, job: Job) -> None:
        """Show how far the job is now."""
        progress = job.progress
        if self._live:
            total = max(1, progress.steps_total)
            self._bar.update(self._task, completed=progress.steps_done, total=total, text=describe(job))
        elif self._shown:
            tenth = progress.steps_done * LINES // max(1, progress.steps_total)
            mark = f"{job.state} {progress.phase} {tenth} {progress.stalled}"
            if mark != self._said:
                self._said = mark
                self._console.print(f"{str(job.id)[:8]}  {describe(job)}", markup=False, highlight=False)


def describe(job: Job) -> str:
    """Return a job's progress in one line."""
    progress = job.progress
    parts = [f"{job.state}"]
    if progress.queue_position is not None:
        parts.append(f"place {progress.queue_position + 1} in the queue")
    elif not job.state.final:
        parts.append(progress.phase)
    if progress.conditions_total is not None:
        parts.append(f"{progress.conditions_committed}/{progress.conditions_total} conditions")
    parts.append(f"{progress.steps_done}/{progress.steps_total} steps")
    if progress.stalled:
        last = (
            ""
            if progress.last_sign_at is None
            else f", last sign of life {progress.last_sign_at:%Y-%m-%d %H:%M:%S} UTC"
        )
        parts.append(f"stalled{last}")
    if progress.steps_per_second:
        parts.append(f"{progress.steps_per_second:.1f} steps/s")
    if progress.eta_seconds is not None and not job.state.final:
        parts.append(f"{progress.eta_seconds:.0f} s left")
    return "  ".join(parts)
