"""The next job, and the place in the queue that follows from the same rule."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from uuid import uuid4

import numpy as np
import pytest
from sqlalchemy import event

from attnscope_server.records.job_store import JobStore
from attnscope_server.records.turns import Claim, next_in_turn
from attnscope_storage.wire import JobChanges, JobState
from submitted import RESOLVED, SPEC


class Clock:
    """A clock that a test moves."""

    now = datetime(2026, 1, 1, tzinfo=UTC)

    def __call__(self) -> datetime:
        """Return the time."""
        return self.now


@pytest.fixture
def clock():
    """Return a clock to move."""
    return Clock()


@pytest.fixture
def timed(database, clock):
    """Return jobs whose time is that of the clock."""
    return JobStore(database, clock)


def owners_of(jobs, times, claim=None) -> list[str]:
    """Return whose jobs the next claims take."""
    return [(jobs.claim() if claim is None else jobs.claim(claim)).owner for _ in range(times)]


def test_owners_are_served_in_turn(jobs, submitted):
    """Ten jobs of one owner do not go before another's single one; each owner's own keep their order."""
    mine = [submitted(jobs, "many") for _ in range(10)]
    submitted(jobs, "one")
    submitted(jobs, "other")
    assert owners_of(jobs, 5) == ["many", "one", "other", "many", "many"]
    running = [job.id for job in jobs.in_state(JobState.RUNNING) if job.owner == "many"]
    assert running == [job.id for job in mine[:3]]


def test_who_was_served_longest_ago_is_next(jobs, submitted):
    """With one slot, two owners alternate, however many jobs of either wait."""
    for owner in ("a", "a", "a", "b", "b"):
        submitted(jobs, owner)
    order = []
    for _ in range(5):
        job = jobs.claim()
        order.append(job.owner)
        jobs.move(job.id, JobState.SUCCEEDED)
    assert order == ["a", "b", "a", "b", "a"]


def test_an_owner_may_run_so_many_jobs(jobs, submitted):
    """The cap leaves a slot to others, and holds back nobody once a job ends."""
    for owner in ("a", "a", "a", "b"):
        submitted(jobs, owner)
    capped = Claim(per_owner=1)
    assert owners_of(jobs, 2, capped) == ["a", "b"]
    assert jobs.claim(capped) is None
    jobs.move(jobs.in_state(JobState.RUNNING)[0].id, JobState.SUCCEEDED)
    assert jobs.claim(capped).owner == "a"


def test_a_job_waits_for_its_kind_of_device(jobs, submitted):
    """A slot of another kind passes it over, for the owner's next job too; a change of the wish holds at once."""
    fast = jobs.submit(uuid4(), "a", SPEC, lambda *_: RESOLVED, queue_limit=10, device_kind="cuda")[0]
    plain = submitted(jobs, "a")
    assert (fast.device_kind, jobs.get(fast.id).device_kind, plain.device_kind) == ("cuda", "cuda", None)
    assert jobs.claim(Claim(device_kind="cpu")).id == plain.id
    assert jobs.claim(Claim(device_kind="cpu")) is None
    assert jobs.change(fast.id, JobChanges(device_kind="mps")).device_kind == "mps"
    assert jobs.claim(Claim(device_kind="cuda")) is None
    jobs.change(fast.id, JobChanges(pinned=True))
    assert jobs.get(fast.id).device_kind == "mps"
    jobs.change(fast.id, JobChanges(device_kind=None))
    assert jobs.claim(Claim(device_kind="cpu")).id == fast.id


def test_a_slot_of_an_unknown_kind_is_tried(jobs):
    """Its worker says what it is, and the job goes back where that is another device."""
    jobs.submit(uuid4(), "a", SPEC, lambda *_: RESOLVED, queue_limit=10, device_kind="cuda")
    assert jobs.claim(Claim()).device_kind == "cuda"


@pytest.mark.parametrize("seed", range(12))
def test_a_place_in_the_queue_is_the_number_of_claims_before(timed, clock, submitted, seed):
    """For random queues, the place that each job is told is the place in which the claims of one moment take it."""
    chance, jobs = np.random.default_rng(seed), timed
    owners = ["a", "b", "c", "d"][: 1 + int(chance.integers(4))]
    for _ in range(int(chance.integers(1, 12))):
        submitted(jobs, str(chance.choice(owners)))
    for _ in range(int(chance.integers(0, 6))):
        clock.now += timedelta(seconds=int(chance.integers(0, 3)))
        if (job := jobs.claim()) is not None and chance.random() < 0.5:
            clock.now += timedelta(seconds=int(chance.integers(0, 3)))
            jobs.move(job.id, JobState.SUCCEEDED)
    for _ in range(int(chance.integers(0, 6))):
        submitted(jobs, str(chance.choice(owners)))
    waiting = jobs.in_state(JobState.QUEUED)
    told = jobs.queue_positions(*waiting)
    taken = [jobs.claim().id for _ in waiting]
    assert [told[job] for job in taken] == list(range(len(waiting)))


def test_a_poll_does_not_read_the_queue(database, jobs, submitted):
    """The rows that the place of one job takes from the database are as many as owners wait, not jobs."""
    for _ in range(9):
        submitted(jobs, "many")
    one = submitted(jobs, "one")
    fetched = []

    @event.listens_for(database._reading, "after_cursor_execute")
    def _count(_connection, cursor, statement, *_rest):
        if statement.startswith("SELECT"):
            fetched.append(statement)
            counted = f"SELECT count(*) FROM ({statement}) AS asked"  # noqa: S608 - the store's own statement
            rows = cursor.connection.execute(counted, _rest[0]).fetchone()[0]
            assert rows <= 2, statement

    assert jobs.queue_positions(one) == {one.id: 1}
    assert len(fetched) <= 5


def test_a_claim_asks_the_database_three_times(database, jobs, submitted):
    """Is a job there, whose turn is it, and what is the job: a further question would cost every claim."""
    for _ in range(3):
        submitted(jobs, "a")
    jobs.claim()  # gives the owner a stored time
    asked = []

    def heard(_connection, _cursor, statement, *_rest):
        if statement.startswith(("SELECT", "WITH")) and "pg_advisory" not in statement:
            asked.append(statement)

    for engine in (database._dialect.reading, database._dialect.writing):
        event.listen(engine, "before_cursor_execute", heard)
    assert jobs.claim().owner == "a"
    assert len(asked) == 3
    asked.clear()
    assert jobs.claim(Claim(only=("screen",))) is None
    assert len(asked) == 1


@pytest.mark.parametrize("engine", ["sqlite"])
def test_a_claim_costs_as_much_in_a_long_queue(database, jobs):
    """The instructions that SQLite runs to find the next job are as many with 40 waiting jobs as with 400."""
    counted, wish = [], Claim(never=("screen",), hardware="cpu", device_kind="cpu")
    with database._dialect.reading.connect() as connection:
        raw = connection.connection.driver_connection

    def instructions() -> int:
        counted.clear()
        raw.set_progress_handler(lambda: counted.append(1), 10)
        with database.read() as session:
            assert session.connection().connection.driver_connection is raw
            assert next_in_turn(session, wish, datetime.now(UTC)) is not None
        raw.set_progress_handler(None, 0)
        return len(counted)

    def queue(count: int) -> int:
        for nth in range(count):
            jobs.submit(uuid4(), f"owner-{nth % 4}", SPEC, lambda *_: RESOLVED, queue_limit=1000)
        return instructions()

    short, long = queue(40), queue(360)
    assert long < 1.2 * short
