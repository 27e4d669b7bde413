"""A job's progress for people: a bar in a terminal or a notebook's cell, plain lines in a pipe."""

from __future__ import annotations

import html
import sys
from importlib import import_module
from types import TracebackType
from typing import Any, Final, Protocol, Self

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn

from attnscope_storage.wire import Job

LINES: Final = 10
"""Lines of a whole job where there is no terminal."""


def in_a_notebook() -> bool:
    """Return whether this code runs in a cell of a notebook, whose outputs are HTML."""
    shell = getattr(sys.modules.get("IPython"), "get_ipython", lambda: None)()
    return getattr(shell, "kernel", None) is not None


class _Form(Protocol):
    """One way to show progress."""

    def show(self, job: Job) -> None:
        """Show how far a job is now."""
        ...

    def end(self) -> None:
        """Leave the last state where it stands."""
        ...


class _Bar:
    """A bar in a terminal, which is drawn over and over."""

    def __init__(self, job: Job, console: Console) -> None:
        columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.fields[text]}"))
        self._bar = Progress(*columns, console=console)
        self._task = self._bar.add_task(str(job.id)[:8], total=max(1, job.progress.steps_total), text="")
        self._bar.start()

    def show(self, job: Job) -> None:
        progress = job.progress
        total = max(1, progress.steps_total)
        self._bar.update(self._task, completed=progress.steps_done, total=total, text=describe(job))

    def end(self) -> None:
        self._bar.stop()


class _Cell:
    """A bar in a notebook's cell, which stays in the saved notebook as it was last."""

    def __init__(self) -> None:
        self._shown: Any = None

    def show(self, job: Job) -> None:
        cell: Any = import_module("IPython.display")  # there in a notebook alone
        made = cell.HTML(bar_html(job))
        if self._shown is None:
            self._shown = cell.display(made, display_id=True)
        else:
            self._shown.update(made)

    def end(self) -> None:
        """Do nothing: the last state is shown."""


class _Lines:
    """A line for each tenth of a job and each change of state, where output is piped."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._said: str | None = None

    def show(self, job: Job) -> None:
        progress = job.progress
        tenth = progress.steps_done * LINES // max(1, progress.steps_total)
        mark = f"{job.state} {progress.phase} {tenth} {progress.stalled} {progress.waits_for}"
        if mark != self._said:
            self._said = mark
            self._console.print(f"{str(job.id)[:8]}  {describe(job)}", markup=False, highlight=False)

    def end(self) -> None:
        """Do nothing: each line is whole."""


class ProgressDisplay:
    """Shows one job, in a notebook's cell or on standard error."""

    def __init__(self, job: Job, *, shown: bool) -> None:
        self._job, self._wanted = job, shown
        self._form: _Form | None = None

    def __enter__(self) -> Self:
        if self._wanted and in_a_notebook():
            self._form = _Cell()
        elif self._wanted:
            console = Console(file=sys.stderr, soft_wrap=True)
            self._form = _Bar(self._job, console) if console.is_terminal else _Lines(console)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._form is not None:
            self._form.end()

    def update(self, job: Job) -> None:
        """Show how far the job is now."""
        if self._form is not None:
            self._form.show(job)


def describe(job: Job) -> str:
    """Return a job's progress in one line."""
    progress = job.progress
    parts = [f"{job.state}"]
    if progress.queue_position is not None:
        parts.append(f"place {progress.queue_position + 1} in the queue")
    elif not job.state.final:
        parts.append(progress.phase)
    if progress.waits_for is not None:
        parts.append(progress.waits_for)
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


def share_of(job: Job) -> float:
    """Return the share of a job's steps that is done."""
    return job.progress.steps_done / max(1, job.progress.steps_total)


def bar_html(job: Job) -> str:
    """Return one line with a bar, for a job that is awaited."""
    return (
        f'<div><code>{html.escape(str(job.id)[:8])}</code> <progress value="{min(max(share_of(job), 0.0), 1.0):.4f}" '
        f'max="1" style="width:16em"></progress> {html.escape(describe(job))}</div>'
    )
