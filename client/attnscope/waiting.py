"""Waiting for the end of a job, with or without a progress bar, also through a restart of the service."""

from __future__ import annotations

import time
from abc import abstractmethod
from typing import Any, Final, Protocol
from uuid import UUID

from attnscope.errors import (
    ConnectionFailedError,
    JobCancelledError,
    JobFailedError,
    UnavailableError,
    WaitTimeoutError,
)
from attnscope.progress import ProgressDisplay, in_a_notebook
from attnscope_storage.wire import Job, JobState

POLL_SECONDS: Final = 1.0
"""Time for which the service holds an answer while a progress bar is shown."""

LONG_POLL_SECONDS: Final = 30.0
"""Time for which it holds an answer without one."""

RESTART_SECONDS: Final = 300.0
"""Time that a service may be away while a job is waited for."""


class Awaited(Protocol):
    """The part of `JobHandle` that waiting needs."""

    @property
    @abstractmethod
    def id(self) -> UUID:
        """The job's id."""
        ...

    @property
    @abstractmethod
    def state(self) -> JobState:
        """The state that the service said last."""
        ...

    @property
    @abstractmethod
    def info(self) -> Job:
        """The job as the service said it last."""
        ...

    def refresh(self, wait: float = 0.0) -> Any:  # noqa: ANN401 - the handle itself
        """Ask the service again, which may hold its answer for so many seconds."""


def until_ended(job: Awaited, *, progress: bool | None, timeout: float | None) -> None:
    """Return when a job has succeeded.

    Parameters
    ----------
    progress
        Show a bar; None shows one in a notebook alone.
    timeout
        Seconds; None waits for as long as it takes.

    Raises
    ------
    JobFailedError, JobCancelledError
        The job ended otherwise.
    WaitTimeoutError
        The job has not ended in time; it goes on.
    """
    deadline = None if timeout is None else time.monotonic() + timeout
    shown = in_a_notebook() if progress is None else progress
    hold = POLL_SECONDS if shown else LONG_POLL_SECONDS
    _refresh_patiently(job, 0.0, deadline)
    with ProgressDisplay(job.info, shown=shown) as display:
        while not job.state.final:
            display.update(job.info)
            if deadline is not None and time.monotonic() >= deadline:
                raise WaitTimeoutError(f"job {job.id} is {job.state} after {timeout} s; it goes on")
            _refresh_patiently(job, _left(hold, deadline), deadline)
        display.update(job.info)
    _refuse_unsuccessful(job)


def _refuse_unsuccessful(job: Awaited) -> None:
    """Raise where an ended job failed or was cancelled."""
    if job.state is JobState.FAILED:
        problem = job.info.failure
        why = "no reason given" if problem is None else f"{problem.title}: {problem.detail}"
        raise JobFailedError(f"job {job.id} failed: {why}", problem)
    if job.state is JobState.CANCELLED:
        raise JobCancelledError(f"job {job.id} was cancelled; what was committed stays readable")


def _refresh_patiently(job: Awaited, hold: float, deadline: float | None) -> None:
    """Ask again, also of a service that is being started anew: it queues its jobs again by itself."""
    patience = time.monotonic() + RESTART_SECONDS
    until = patience if deadline is None else min(patience, deadline)
    while True:
        try:
            job.refresh(hold)
        except (ConnectionFailedError, UnavailableError):
            if time.monotonic() >= until:
                raise
        else:
            return


def _left(hold: float, deadline: float | None) -> float:
    """Return the seconds for which an answer may be held, so that it comes before the deadline."""
    return hold if deadline is None else max(0.0, min(hold, deadline - time.monotonic()))
