"""Turns go by running time where slots are fewer than owners, and time before an owner came is no credit."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime, timedelta

import pytest

from attnscope_server.records.job_store import JobStore
from attnscope_server.records.served import CREDIT
from attnscope_server.records.tables import OwnerRow
from attnscope_storage.wire import JobState


class Clock:
    """A clock that a test moves."""

    now = datetime(2026, 1, 1, tzinfo=UTC)

    def __call__(self) -> datetime:
        """Return the time."""
        return self.now

    def on(self, seconds: float) -> None:
        """Let seconds pass."""
        self.now += timedelta(seconds=seconds)


@pytest.fixture
def clock():
    """Return a clock to move."""
    return Clock()


@pytest.fixture
def jobs(database, clock):
    """Return jobs whose time is that of the clock."""
    return JobStore(database, clock)


@pytest.fixture
def served(jobs, clock, submitted):
    """Return a function that runs jobs one after the other, and gives the owners in their order.

    An owner whose job was claimed queues another one at once, so that all of them always wait.
    """

    def run(lasting: dict[str, float], times: int) -> list[str]:
        order = []
        for _ in range(times):
            job = jobs.claim()
            order.append(job.owner)
            submitted(jobs, job.owner)
            clock.on(lasting[job.owner])
            jobs.move(job.id, JobState.SUCCEEDED)
        return order

    return run


def charged(database) -> dict[str, float]:
    """Return what each owner is charged with."""
    with database.read() as session:
        return {row.owner: row.served_seconds for row in session.query(OwnerRow)}


def test_owners_get_equal_time_on_one_slot_however_long_their_jobs_are(jobs, submitted, served):
    """Nine jobs of 10 s go for each job of 90 s, so neither owner's jobs take more of the slot."""
    lasting = {"long": 90.0, "short": 10.0}
    for owner in lasting:
        submitted(jobs, owner)
    times = Counter(served(lasting, 40))
    assert abs(times["long"] * 90.0 - times["short"] * 10.0) <= 90.0


def test_the_time_of_a_job_that_runs_counts_already(jobs, clock, submitted):
    """Of two owners with a running job each, the one whose job began last is next, whoever was served before."""
    for owner in ("a", "b", "a", "b"):
        submitted(jobs, owner)
    assert jobs.claim().owner == "a"
    clock.on(100)
    assert jobs.claim().owner == "b"
    clock.on(10)
    assert jobs.claim().owner == "b"


def test_an_owner_who_comes_gets_no_credit_for_the_time_before(jobs, submitted, served, database):
    """It takes turns with one that was served for hours; so does one that comes back."""
    submitted(jobs, "old")
    served({"old": 3600.0}, 5)
    submitted(jobs, "new")
    lasting = {"old": 10.0, "new": 10.0}
    # The old one's last job of an hour is the slot's present, which the newcomer has not missed.
    assert Counter(served(lasting, 10)) == {"old": 5, "new": 5}
    jobs.move(next(job for job in jobs.in_state(JobState.QUEUED) if job.owner == "new").id, JobState.CANCELLED)
    served(lasting, 20)
    submitted(jobs, "new")
    assert Counter(served(lasting, 10)) == {"old": 5, "new": 5}
    assert len(charged(database)) == 2


def test_an_owner_whose_jobs_find_no_slot_has_a_bounded_credit(jobs, submitted, served):
    """Its waiting is no debt that others pay for weeks: a day of it counts."""
    submitted(jobs, "waits")
    with jobs._database.write() as session:
        session.merge(OwnerRow(owner="runs", served_seconds=10 * CREDIT))
    submitted(jobs, "runs")
    order = served({"waits": CREDIT / 4, "runs": CREDIT / 4}, 8)
    assert order[:4] == ["waits"] * 4
    assert set(order[4:6]) == {"waits", "runs"}


def test_time_in_which_the_service_was_away_is_not_charged(jobs, clock, submitted, database):
    """A job whose service died is charged until it was last heard of."""
    submitted(jobs, "me")
    job, began = jobs.claim(), clock.now
    clock.on(7200)
    jobs.interrupt(job.id, 0, "the service had stopped", counted=False, until=began + timedelta(seconds=30))
    assert charged(database) == {"me": 30.0}


def test_each_end_of_an_attempt_is_charged_once(jobs, clock, submitted, database):
    """An interruption, another try and a cancel sum up; an attempt that ends at once costs the least."""
    job = submitted(jobs, "me").id
    jobs.claim()
    clock.on(20)
    jobs.interrupt(job, 0, "died", counted=True)
    jobs.move(job, JobState.QUEUED)
    jobs.claim()
    clock.on(5)
    jobs.move(job, JobState.CANCELLING)
    clock.on(5)
    jobs.move(job, JobState.CANCELLED)
    jobs.retry(job, queue_limit=10)
    jobs.claim()
    jobs.move(job, JobState.FAILED)
    assert charged(database) == {"me": 31.0}
