"""A job's progress in one line, as terminals and notebooks show it."""

from __future__ import annotations

from datetime import UTC, datetime

from attnscope.progress import describe
from attnscope_storage.wire import Job, JobState, Progress


def job(state: JobState, **progress) -> Job:
    """Return a job of which only state and progress are known."""
    told = Progress(steps_total=100, steps_done=40, phase="rolling", **progress)
    return Job.model_construct(state=state, progress=told)


def test_a_running_job_shows_its_rate():
    """Phase, steps, rate and the time left."""
    assert describe(job(JobState.RUNNING, steps_per_second=7.25, eta_seconds=8.3)) == (
        "running  rolling  40/100 steps  7.2 steps/s  8 s left"
    )


def test_a_stalled_job_shows_its_last_sign_of_life():
    """It says when the job was last heard of, and neither a rate nor a time left."""
    at = datetime(2026, 3, 1, 12, 30, 5, tzinfo=UTC)
    told = describe(job(JobState.RUNNING, stalled=True, last_sign_at=at))
    assert told == "running  rolling  40/100 steps  stalled, last sign of life 2026-03-01 12:30:05 UTC"


def test_a_service_that_tells_no_last_sign_is_read_too():
    """An older one, or a job that never said anything."""
    assert describe(job(JobState.RUNNING, stalled=True)) == "running  rolling  40/100 steps  stalled"
