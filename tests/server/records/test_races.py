"""Several writers at once, each over a database of its own: nothing claimed twice, no cap passed, no end undone."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from uuid import uuid4

import pytest

from attnscope_server.errors import ProblemError, TransitionError
from attnscope_server.records import database as database_module
from attnscope_server.records.job_store import JobStore
from attnscope_server.root.data_root import opened
from attnscope_storage.wire import JobState, ProblemCode
from submitted import RESOLVED, SPEC

TOGETHER = 8
"""Writers that begin at the same moment."""


@pytest.fixture(autouse=True)
def patient(monkeypatch):
    """Let writers wait as long as a machine under load needs."""
    monkeypatch.setattr(database_module, "BUSY_MILLISECONDS", 60_000)


@pytest.fixture
def at_once(where):
    """Return a function that calls another one from several threads, each with a database of its own."""

    def call(act, times=TOGETHER) -> list:
        ready = threading.Barrier(times)

        def run(number: int):
            with opened(where) as database:
                ready.wait()
                return act(JobStore(database), number)

        with ThreadPoolExecutor(times) as pool:
            return list(pool.map(run, range(times)))

    return call


def submit(jobs, name, owner="me", limit=1000):
    """Queue a job, and return whether it is new, or the code of the refusal."""
    try:
        return jobs.submit(name, owner, SPEC, lambda *_: RESOLVED, queue_limit=limit)[1]
    except ProblemError as error:
        return error.problem.code


def test_each_job_is_claimed_once(jobs, at_once):
    """Eight claimers share out 120 jobs."""
    for number in range(120):
        submit(jobs, uuid4(), f"owner {number % 7}")

    def claim_all(mine, _number) -> list:
        found = []
        while (job := mine.claim()) is not None:
            found.append(job.id)
        return found

    claimed = [job for one in at_once(claim_all) for job in one]
    assert len(claimed) == len(set(claimed)) == 120


def test_the_same_put_from_all_sides_makes_one_job(jobs, at_once):
    """One is told that it is new, all others get the same job."""
    name = uuid4()
    assert sorted(at_once(lambda mine, _: submit(mine, name))) == [False] * 7 + [True]
    assert len(jobs.in_state(JobState.QUEUED)) == 1


def test_a_full_queue_lets_no_crowd_in(jobs, at_once):
    """Three of eight fit."""
    told = at_once(lambda mine, _: submit(mine, uuid4(), limit=3))
    assert told.count(True) == 3
    assert told.count(ProblemCode.TOO_MANY_REQUESTS) == 5
    assert len(jobs.in_state(JobState.QUEUED)) == 3


def test_a_job_that_has_ended_is_not_cancelled(jobs, submitted, at_once):
    """Its end and a cancel at the same moment: in whichever order they come, the end stays."""
    running = []
    for _ in range(8):
        submitted(jobs)
        running.append(jobs.claim().id)
    states = (JobState.SUCCEEDED, JobState.CANCELLING)

    def move(mine, number) -> None:
        for job in running:
            try:
                mine.move(job, states[number % 2])
            except TransitionError:
                continue

    at_once(move, 4)
    for job in running:
        assert jobs.get(job).state is JobState.SUCCEEDED
        went = [state.value for state, _, _ in jobs.events(job)]
        assert went in (["queued", "running", "succeeded"], ["queued", "running", "cancelling", "succeeded"])
