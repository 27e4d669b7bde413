"""Another try for a job that ended, without a worker."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from attnscope_server.errors import ProblemError
from attnscope_server.records.job_store import JobStore
from attnscope_storage.wire import JobChanges, JobState, ProblemCode, Progress, problem

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


def failed(jobs, submitted):
    """Return a job that failed after two steps."""
    job = submitted(jobs)
    jobs.claim()
    jobs.record(job.id, Progress(steps_total=5, steps_done=2, steps_committed=2), ran_seconds=7.0)
    why = problem(ProblemCode.OUT_OF_MEMORY, "memory ran out")
    return jobs.move(job.id, JobState.FAILED, "memory ran out", failure=why)


def test_a_failed_job_is_queued_again(jobs, submitted):
    """Its failure and its counts are gone, its commits are not, and a worker takes it."""
    job = failed(jobs, submitted)
    again = jobs.retry(job.id, queue_limit=10)
    assert again.state is JobState.QUEUED
    assert (again.failure, again.finished_at, again.interruptions, again.ran_seconds) == (None, None, 0, 0.0)
    assert again.progress.steps_committed == 2
    assert jobs.get(job.id) == again
    assert jobs.claim().id == job.id
    assert jobs.get(job.id).attempts == 2


@pytest.mark.parametrize("state", [JobState.CANCELLED, JobState.INTERRUPTED])
def test_cancelled_and_interrupted_jobs_too(jobs, submitted, state):
    """Whatever ended a job without success, its owner may try again."""
    job = submitted(jobs)
    jobs.claim()
    if state is JobState.INTERRUPTED:
        jobs.interrupt(job.id, 0, "it stopped", counted=True)
    else:
        jobs.move(job.id, JobState.CANCELLING)
        jobs.move(job.id, JobState.CANCELLED)
    assert jobs.retry(job.id, queue_limit=10).state is JobState.QUEUED


@pytest.mark.parametrize("state", ["queued", "running", "succeeded"])
def test_others_are_left_alone(jobs, submitted, state):
    """A job that waits, runs or has succeeded is a conflict, and stays as it is."""
    job = submitted(jobs)
    if state != "queued":
        jobs.claim()
    if state == "succeeded":
        jobs.move(job.id, JobState.SUCCEEDED)
    with pytest.raises(ProblemError, match=state) as raised:
        jobs.retry(job.id, queue_limit=10)
    assert raised.value.problem.code is ProblemCode.CONFLICT
    assert jobs.get(job.id).state == state


def test_the_queue_has_its_cap_for_tries_too(jobs, submitted):
    """Trying again is no way around the owner's cap."""
    job = failed(jobs, submitted)
    submitted(jobs)
    with pytest.raises(ProblemError) as raised:
        jobs.retry(job.id, queue_limit=1)
    assert raised.value.problem.code is ProblemCode.TOO_MANY_REQUESTS


def test_an_expiry_that_retention_set_is_set_anew(database, submitted):
    """Else the job would be deleted as soon as it ends; an owner's own date stays."""
    jobs = JobStore(database, now=lambda: NOON, retention=timedelta(days=7))
    stamped, own = failed(jobs, submitted), failed(jobs, submitted)
    jobs.change(own.id, JobChanges(expires_at=NOON + timedelta(days=1)))
    assert jobs.retry(stamped.id, queue_limit=10).expires_at is None
    assert jobs.retry(own.id, queue_limit=10).state is JobState.QUEUED
    assert jobs.get(stamped.id).expires_at is None
    assert jobs.get(own.id).expires_at == NOON + timedelta(days=1)


def test_a_job_is_either_tried_again_or_deleted(jobs, submitted):
    """Whichever comes first refuses the other, so that no running job loses its capture."""
    again, gone = failed(jobs, submitted), failed(jobs, submitted)
    jobs.retry(again.id, queue_limit=10)
    with pytest.raises(ProblemError, match="cancel it first"):
        jobs.mark_deleted(again.id)
    jobs.mark_deleted(gone.id)
    with pytest.raises(ProblemError, match="deleted") as raised:
        jobs.retry(gone.id, queue_limit=10)
    assert raised.value.problem.code is ProblemCode.GONE
