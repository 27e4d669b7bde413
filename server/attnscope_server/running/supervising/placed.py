"""A job on a placement slot, and how the end of an attempt becomes a state of the job."""

from __future__ import annotations

import signal
from dataclasses import dataclass
from datetime import datetime

import structlog

from attnscope_server.errors import TransitionError
from attnscope_server.records.job import MAX_INTERRUPTIONS, StoredJob
from attnscope_server.records.job_store import JobStore
from attnscope_server.running.messages import (
    Cancelled,
    Died,
    Failed,
    GivenBack,
    Interrupted,
    JobReport,
    Misplaced,
    Placement,
    Succeeded,
)
from attnscope_server.running.runner import Runner, Slot
from attnscope_server.running.supervising.signs import Signs
from attnscope_storage.wire import JobState, Problem, ProblemCode, Progress, problem

log = structlog.get_logger("attnscope.supervisor")

REDUCE = "fewer environments, or fewer stored layers, heads, rows or maps"
"""Advice for a job that needs less memory."""


@dataclass
class Placed:
    """A job on a placement slot, from its claim until its end is written down."""

    runner: Runner
    slot: Slot
    job: StoredJob
    signs: Signs
    progress: Progress | None = None
    written: float = 0.0
    """When the progress was last written down."""
    placed_on: Placement | None = None
    why: str | None = None
    """Why the supervisor itself ends the attempt; None while it does not."""
    to_cancel: bool = False
    """True where the runner has still to be told to cancel."""
    verdict: Problem | None = None
    """The failure of a job that the supervisor stops for good."""
    ending: JobReport | None = None
    """The end of the attempt; kept until the database has it."""
    over: float | None = None
    """When the attempt ended, on the steady clock."""
    leased_until: float | None = None
    """When the attempt's lease ends, on the steady clock; None where its runner has no leases."""

    @property
    def key(self) -> tuple[str, str]:
        """Name of the runner and of its slot."""
        return (self.runner.name, self.slot.name)

    def belongs(self, report: JobReport) -> bool:
        """Return True where a report is about this attempt; one about an older attempt is not."""
        return (report.job, report.attempt) == (self.job.id, self.job.attempts)


def write_end(jobs: JobStore, placed: Placed, *, stopping: bool) -> None:
    """Bring a job into the state that its attempt ended in.

    Parameters
    ----------
    stopping
        Whether the service stops: then an interrupted job waits for the next start, and no death counts.
    """
    job = placed.job
    if placed.over is not None:
        jobs.record(job.id, placed.progress, ran_seconds=job.ran_seconds + placed.over - placed.signs.placed)
    try:
        _write(jobs, placed, stopping=stopping)
    except TransitionError as error:
        log.warning("a job had moved on", job=str(job.id), detail=error.message)


def _write(jobs: JobStore, placed: Placed, *, stopping: bool) -> None:
    job = placed.job
    match placed.ending:
        case Succeeded():
            jobs.move(job.id, JobState.SUCCEEDED)
        case _ if placed.verdict is not None and (jobs.get(job.id) or job).state is JobState.RUNNING:
            jobs.move(job.id, JobState.FAILED, placed.verdict.detail, failure=placed.verdict)
        case Failed(problem=failure):
            jobs.move(job.id, JobState.FAILED, failure.detail, failure=failure)
        case Cancelled():
            jobs.move(job.id, JobState.CANCELLED)
        case Died(code=code, detail=known):
            detail = placed.why or known or _death(code)
            interrupted(jobs, job, detail, counted=not stopping, queue=not stopping)
        case GivenBack(detail=known):
            given_back(jobs, job, known or "gave its slot back", queue=not stopping)
        case Misplaced(placed_on=found):
            wanted = f"goes on only on {job.resume_on}" if job.resume_on else f"asks for a {job.device_kind} device"
            detail = f"it {wanted}, and this slot has {found.device}"
            given_back(jobs, job, detail, queue=not stopping)
        case Interrupted():
            interrupted(jobs, job, placed.why or "the worker was stopped", counted=False, queue=not stopping)


def _death(code: int | None) -> str:
    detail = "its worker is gone" if code is None else f"its worker ended with {code}"
    if code == -signal.SIGKILL:
        detail += f" (killed, as the system does when memory runs out: ask for {REDUCE})"
    return detail


def given_back(jobs: JobStore, job: StoredJob, detail: str, *, queue: bool = True) -> None:
    """Queue a job again that left its slot by itself; nothing counts against it, and a cancel that came holds."""
    current = jobs.get(job.id) or job
    if current.state is JobState.CANCELLING:
        jobs.move(job.id, JobState.CANCELLED)
        return
    if current.state is not JobState.INTERRUPTED:  # else an earlier try got as far as that
        jobs.interrupt(job.id, current.progress.steps_committed, detail, counted=False)
    if queue:
        jobs.move(job.id, JobState.QUEUED)


def interrupted(
    jobs: JobStore,
    job: StoredJob,
    detail: str,
    *,
    counted: bool,
    queue: bool = True,
    until: datetime | None = None,
) -> None:
    """Mark a job as interrupted, then queue it again or, after too many deaths, fail it.

    Parameters
    ----------
    counted
        Whether the job's own worker died; the death of the service is not the job's fault.
    until
        Until when the job ran, where that was not until now.
    """
    current = jobs.get(job.id) or job
    if current.state is JobState.CANCELLING:
        jobs.move(job.id, JobState.CANCELLED, detail)
        return
    stored = current
    if current.state is not JobState.INTERRUPTED:  # else an earlier try got as far as that
        stored = jobs.interrupt(job.id, current.progress.steps_committed, detail, counted=counted, until=until)
    if stored.interruptions >= MAX_INTERRUPTIONS:
        text = f"{stored.interruptions} interruptions without a new commit; the last: {detail}"
        jobs.move(job.id, JobState.FAILED, text, failure=problem(ProblemCode.INTERRUPTED_TOO_OFTEN, text))
    elif queue:
        jobs.move(job.id, JobState.QUEUED)
    log.warning("job interrupted", job=str(job.id), detail=detail)
