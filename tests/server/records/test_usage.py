"""Quotas of one owner: what is stored and what is to come count, and a refusal names the quota."""

from __future__ import annotations

from uuid import uuid4

import pytest

from attnscope_server.errors import ProblemError
from attnscope_server.records.turns import Claim
from attnscope_server.records.usage import Room
from attnscope_server.running.messages import MOST_BYTES, MOST_STEPS
from attnscope_storage.wire import JobState, ProblemCode, Progress
from submitted import RESOLVED, SPEC


@pytest.fixture
def asked(jobs):
    """Return a function that submits a job which is expected to store so many bytes."""

    def submit(more, limit=100, owner="me"):
        room = Room(limit)

        def resolve(*_):
            room.more = more
            return RESOLVED

        return jobs.submit(uuid4(), owner, SPEC, resolve, queue_limit=10, room=room)[0]

    return submit


def test_what_is_to_come_counts(asked, jobs):
    """Jobs that wait hold what they are expected to store; another owner has a quota of its own."""
    asked(60)
    with pytest.raises(ProblemError) as refused:
        asked(41)
    assert refused.value.problem.code is ProblemCode.TOO_LARGE
    assert (refused.value.problem.limit, refused.value.problem.requested) == (100, 101)
    asked(40)
    asked(100, owner="you")
    used = jobs.usage("me")
    assert (used.stored_bytes, used.running, used.waiting) == (100, 0, 2)
    assert jobs.usage("nobody").stored_bytes == 0


def test_what_an_ended_job_wrote_counts_until_it_is_gone(asked, jobs):
    """While it runs the greater of both counts; deleted, but still on disk, it counts too."""
    job = asked(60)
    jobs.claim()
    jobs.record(job.id, Progress(bytes_written=10))
    assert (jobs.usage("me").stored_bytes, jobs.usage("me").running) == (60, 1)
    jobs.record(job.id, Progress(bytes_written=70))
    assert jobs.usage("me").stored_bytes == 70
    jobs.record(job.id, Progress(bytes_written=30))
    jobs.move(job.id, JobState.SUCCEEDED)
    assert jobs.usage("me").stored_bytes == 30
    jobs.mark_deleted(job.id)
    with pytest.raises(ProblemError):
        asked(71)
    jobs.mark_removed(job.id)
    assert jobs.usage("me").stored_bytes == 0
    asked(71)


def test_more_than_an_sql_integer_holds(asked, jobs):
    """The most that a worker may tell stops neither the sums of its owner nor the next claim."""
    job = asked(60, limit=None)
    jobs.claim()
    jobs.place(job.id, {"device": "cuda"})
    jobs.record(job.id, Progress(bytes_written=MOST_BYTES, steps_committed=MOST_STEPS))
    assert jobs.usage("me").stored_bytes == MOST_BYTES
    jobs.interrupt(job.id, MOST_STEPS, "a test", counted=False)
    jobs.move(job.id, JobState.QUEUED)
    other = asked(60, limit=None)
    assert jobs.claim(Claim(hardware="cpu")).id == other.id


def test_without_a_quota_anything_goes(asked):
    """The default."""
    asked(2**60, limit=None)
