"""The job database when things go wrong: locked, damaged, newer, gone; what survives a restart."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from uuid import uuid4

import pytest
from sqlalchemy import event
from sqlalchemy.exc import OperationalError

from attnscope_server.errors import (
    DatabaseDamagedError,
    DatabaseGoneError,
    DatabaseMissingError,
    DatabaseVersionError,
    DataRootUnusableError,
    ProblemError,
)
from attnscope_server.records import database as database_module
from attnscope_server.records.database import Database
from attnscope_server.records.job_store import JobStore
from attnscope_server.records.keys import KeyStore
from attnscope_server.root.data_root import open_database
from attnscope_server.running.supervisor import Supervisor
from attnscope_storage.wire import JobState, ProblemCode


def test_states_and_events_survive_a_restart(where, submitted):
    """Each change is in the file before anybody is told; another process, another day, it is all there."""
    first = open_database(where)
    jobs = JobStore(first)
    job = submitted(jobs)
    jobs.claim()
    jobs.interrupt(job.id, 3, "the worker died", counted=True)
    jobs.move(job.id, JobState.QUEUED)
    first.close()
    second = open_database(where)
    jobs = JobStore(second)
    assert jobs.get(job.id).state is JobState.QUEUED
    assert jobs.get(job.id).progress.steps_committed == 3
    told = [(state, detail) for state, _, detail in jobs.events(job.id)]
    assert told == [("queued", None), ("running", None), ("interrupted", "the worker died"), ("queued", None)]
    assert jobs.claim().id == job.id
    second.close()


def test_ids_are_an_owners_own(jobs, submitted):
    """The same id of two owners is two jobs with two captures; neither finds the other's."""
    name = uuid4()
    mine, theirs = submitted(jobs, "me", name), submitted(jobs, "you", name)
    assert mine.name == theirs.name == name
    assert mine.id == name != theirs.id
    assert jobs.find("me", name).id == mine.id
    assert jobs.find("you", name).id == theirs.id
    assert jobs.find("nobody", name) is None
    assert submitted(jobs, "you", name).id == theirs.id
    assert theirs.wire().id == name


def test_the_queue_of_an_owner_has_a_cap(jobs, submitted):
    """The cap names itself and what was asked; another owner is not held up."""
    for _ in range(10):
        submitted(jobs)
    with pytest.raises(ProblemError) as raised:
        submitted(jobs)
    assert raised.value.problem.code is ProblemCode.TOO_MANY_REQUESTS
    assert (raised.value.problem.limit, raised.value.problem.requested) == (10, 11)
    submitted(jobs, "somebody else")


def test_a_newer_database_is_left_alone(where):
    """An older attnscope refuses what a newer one wrote, and changes nothing in it."""
    open_database(where).close()
    with closing(sqlite3.connect(where.database_path)) as raw:
        raw.execute("UPDATE service_metadata SET value = '99' WHERE name = 'database_version'")
        raw.commit()
    with pytest.raises(DatabaseVersionError, match="99"):
        open_database(where)


def test_a_database_of_the_first_version_is_brought_up(where, submitted):
    """Its jobs keep their ids and states; the new columns hold what they meant before."""
    opened = open_database(where)
    job = submitted(JobStore(opened))
    opened.close()
    with closing(sqlite3.connect(where.database_path)) as raw:
        raw.execute("DROP INDEX jobs_by_name")
        for column in ("name", "expires_at", "pinned"):
            raw.execute(f"ALTER TABLE jobs DROP COLUMN {column}")
        raw.execute("UPDATE service_metadata SET value = '1' WHERE name = 'database_version'")
        raw.commit()
    opened = open_database(where)
    found = JobStore(opened).find("me", job.name)
    opened.close()
    assert found == job


@pytest.mark.parametrize("damage", ["header", "page", "text"])
def test_a_damaged_database_is_refused_with_a_remedy(where, damage, submitted):
    """Not only a file that is none: a damaged page is noticed before anything is written."""
    opened = open_database(where)
    jobs = JobStore(opened)
    for _ in range(10):
        submitted(jobs)
    opened.close()
    content = bytearray(where.database_path.read_bytes())
    if damage == "header":
        content[:16] = b"not a database!!"
    elif damage == "page":
        content[4096:] = b"\xa5" * (len(content) - 4096)
    else:
        content = bytearray(b"hello")
    where.database_path.write_bytes(content)
    with pytest.raises(DatabaseDamagedError, match="backup"):
        open_database(where)
    assert where.database_path.read_bytes() == content


def test_a_missing_database_is_not_replaced_by_an_empty_one(where):
    """Captures without the database that knows them stop the start; an empty root begins anew."""
    (where.captures_folder / f"{uuid4()}.zarr").mkdir()
    with pytest.raises(DatabaseMissingError, match="doctor --rebuild"):
        open_database(where)
    assert not where.database_path.exists()


def test_a_database_that_cannot_be_opened_says_so(where):
    """A folder in its place is no database."""
    where.database_path.mkdir()
    with pytest.raises(DataRootUnusableError):
        open_database(where)


def test_a_database_taken_away_takes_no_more_writes(jobs, where, submitted):
    """What would be written into a file that nobody will find again is refused instead."""
    job = submitted(jobs)
    where.database_path.rename(where.database_path.with_suffix(".away"))
    with pytest.raises(DatabaseGoneError):
        submitted(jobs)
    where.database_path.with_suffix(".away").rename(where.database_path)
    assert submitted(jobs).sequence == job.sequence + 1


def test_a_locked_database_answers_when_it_is_free(where, monkeypatch, submitted):
    """Reads go on; a write fails in time; a key's last use is not worth a refusal."""
    monkeypatch.setattr(database_module, "BUSY_MILLISECONDS", 20)
    opened = open_database(where)
    jobs, keys = JobStore(opened), KeyStore(opened)
    job, key = submitted(jobs), keys.create("me")
    with closing(sqlite3.connect(where.database_path)) as other:
        other.execute("BEGIN IMMEDIATE")
        assert jobs.get(job.id) == job
        assert keys.identify(key).owner == "me"
        with pytest.raises(OperationalError, match="locked"):
            submitted(jobs)
        other.rollback()
    assert submitted(jobs).state is JobState.QUEUED
    opened.close()


class Refusing:
    """Makes a database refuse writes, as a read-only or full disk does."""

    def __init__(self, database: Database) -> None:
        self.on = False

        @event.listens_for(database._reading, "before_cursor_execute")
        def _refuse(_connection, _cursor, statement, *_rest):
            if self.on and statement.startswith(("INSERT", "UPDATE")):
                raise sqlite3.OperationalError("attempt to write a readonly database")


def test_no_ending_is_lost_while_the_database_refuses(database, jobs, where, submitted):
    """A job that ends while nothing can be written keeps its device until its end is; then it is as reported."""
    supervisor = Supervisor(where, jobs)
    refusing = Refusing(database)
    job = submitted(jobs)
    supervisor._busy["0"] = jobs.claim()
    refusing.on = True
    report = {"type": "progress", "job": str(job.id), "phase": "rolling", "steps_done": 5, "steps_committed": 4}
    supervisor._hear("0", report | {"bytes_written": 10, "steps_per_second": 1.0})
    supervisor._hear("0", {"type": "succeeded", "job": str(job.id)})
    supervisor._hear("0", {"type": "died", "code": 0})
    assert jobs.get(job.id).state is JobState.RUNNING
    assert supervisor.devices()[0][1].id == job.id
    assert supervisor.progress(job.id).steps_committed == 4
    refusing.on = False
    supervisor._settle()
    assert jobs.get(job.id).state is JobState.SUCCEEDED
    assert jobs.get(job.id).progress.steps_committed == 4
    assert supervisor.devices()[0][1] is None
    assert [state for state, _, _ in jobs.events(job.id)] == ["queued", "running", "succeeded"]


def test_an_interruption_half_written_is_ended(jobs, where, submitted):
    """Where only the first of an interruption's two changes was written, the job still gets back to the queue."""
    supervisor = Supervisor(where, jobs)
    job = submitted(jobs)
    supervisor._busy["0"] = jobs.claim()
    moved, jobs.move = jobs.move, lambda *_a, **_k: (_ for _ in ()).throw(OperationalError("", {}, Exception("full")))
    supervisor._hear("0", {"type": "died", "code": -9})
    assert jobs.get(job.id).state is JobState.INTERRUPTED
    jobs.move = moved
    supervisor._settle()
    assert jobs.get(job.id).state is JobState.QUEUED
    assert "memory" in next(detail for state, _, detail in jobs.events(job.id) if state == "interrupted")
