"""The job database when things go wrong: locked, damaged, newer, gone; what survives a restart."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from uuid import uuid4

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
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
from attnscope_server.records import upgrading
from attnscope_server.records.job_store import JobStore
from attnscope_server.records.keys import KeyStore
from attnscope_server.records.tables import Base
from attnscope_server.root.data_root import open_database
from attnscope_storage.wire import JobState, ProblemCode
from attnscope_storage.wire.parts import CAPTURE, child_id
from submitted import RESOLVED, SPEC

SQLITE = pytest.mark.parametrize("engine", ["sqlite"])
"""For tests of SQLite's file."""

PLACEMENT = (
    "lease_until",
    "runner",
    "slot",
    "placed_on",
    "last_heard_at",
    "served_turn",
    "ran_seconds",
    "resume_elsewhere",
    "device_kind",
    "bytes_expected",
    "token_digest",
    "token_key",
    "token_attempt",
)
"""Columns of the third version and later ones."""


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


def test_a_repetition_is_answered_without_resolving_it_again(jobs, submitted):
    """A checkpoint that is gone by now does not stop the answer to a job that is known already."""

    def gone(*_):
        raise LookupError("the checkpoint is gone")

    job = submitted(jobs)
    assert jobs.submit(job.name, "me", job.spec, gone, queue_limit=0) == (job, False)
    with pytest.raises(LookupError):
        jobs.submit(uuid4(), "me", job.spec, gone, queue_limit=10)
    assert len(jobs.in_state(JobState.QUEUED)) == 1


def test_the_queue_of_an_owner_has_a_cap(jobs, submitted):
    """The cap names itself and what was asked; another owner is not held up."""
    for _ in range(10):
        submitted(jobs)
    with pytest.raises(ProblemError) as raised:
        submitted(jobs)
    assert raised.value.problem.code is ProblemCode.TOO_MANY_REQUESTS
    assert (raised.value.problem.limit, raised.value.problem.requested) == (10, 11)
    submitted(jobs, "somebody else")


def test_a_newer_database_is_left_alone(where, raw):
    """An older attnscope refuses what a newer one wrote, and changes nothing in it."""
    raw("UPDATE service_metadata SET value = '99' WHERE name = 'database_version'")
    with pytest.raises(DatabaseVersionError, match="99"):
        open_database(where)


@SQLITE
def test_a_database_of_the_first_version_is_brought_up(where, submitted):
    """Its jobs keep their ids and states; the new columns hold what they meant before."""
    opened = open_database(where)
    job = submitted(JobStore(opened))
    opened.close()
    with closing(sqlite3.connect(where.database_path)) as raw:
        for index in ("name", "turn", "service"):
            raw.execute(f"DROP INDEX jobs_by_{index}")
        for column in ("name", "expires_at", "pinned", *PLACEMENT):
            raw.execute(f"ALTER TABLE jobs DROP COLUMN {column}")
        for column in ("serves", "device_kinds"):
            raw.execute(f"ALTER TABLE api_keys DROP COLUMN {column}")
        raw.execute("ALTER TABLE jobs DROP COLUMN served_from")
        for table in ("owner_turns", "alembic_version"):
            raw.execute(f"DROP TABLE {table}")
        raw.execute("UPDATE service_metadata SET value = '1' WHERE name = 'database_version'")
        raw.commit()
    opened = open_database(where)
    found = JobStore(opened).find("me", job.name)
    opened.close()
    assert found == job


def test_migrations_make_the_tables_that_the_code_has(database):
    """Nothing is missing, and nothing left over, between the migrated tables and the mapped ones."""
    with database._writing.begin() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True, "compare_server_default": False})
        assert compare_metadata(context, Base.metadata) == []


@pytest.mark.parametrize("value", ["", "zero", "-1", "0", None])
def test_an_odd_version_is_said(where, raw, value):
    """A version row that holds no version, or that is gone, is a damaged database and not a traceback."""
    update = f"UPDATE service_metadata SET value = '{value}'"  # noqa: S608 - one of the values above
    raw("DELETE FROM service_metadata" if value is None else update)
    with pytest.raises(DatabaseDamagedError, match="version"):
        open_database(where)


def test_an_unknown_migration_is_said(where, raw):
    """A database that a newer attnscope migrated is refused, also where its number says nothing."""
    raw("UPDATE alembic_version SET version_num = 'f00'")
    with pytest.raises(DatabaseVersionError, match="f00"):
        open_database(where)


def test_a_lost_version_table_is_said(where, raw):
    """Jobs without the table that says their version are not taken for a new database."""
    raw("DROP TABLE service_metadata")
    with pytest.raises(DatabaseDamagedError, match="version"):
        open_database(where)


@SQLITE
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


@SQLITE
def test_a_missing_database_is_not_replaced_by_an_empty_one(where):
    """Captures without the database that knows them stop the start; an empty root begins anew."""
    (where.captures_folder / f"{uuid4()}.zarr").mkdir()
    with pytest.raises(DatabaseMissingError, match="doctor --rebuild"):
        open_database(where)
    assert not where.database_path.exists()


@SQLITE
def test_a_database_that_cannot_be_opened_says_so(where):
    """A folder in its place is no database."""
    where.database_path.mkdir()
    with pytest.raises(DataRootUnusableError):
        open_database(where)


@SQLITE
def test_a_database_taken_away_takes_no_more_writes(jobs, where, submitted):
    """A write into a file that nobody will find again is refused."""
    job = submitted(jobs)
    where.database_path.rename(where.database_path.with_suffix(".away"))
    with pytest.raises(DatabaseGoneError):
        submitted(jobs)
    where.database_path.with_suffix(".away").rename(where.database_path)
    assert submitted(jobs).sequence == job.sequence + 1


@SQLITE
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


def test_no_name_of_a_job_leads_to_a_part_of_another(jobs, submitted):
    """Ids of parts are computed from their owner's, and may be known: a job that is named so has a store elsewhere."""
    mine = submitted(jobs)
    part = child_id(mine.id, CAPTURE)
    for owner in ("me", "a stranger"):
        made, new = jobs.submit(part, owner, SPEC, lambda *_: RESOLVED, queue_limit=10)
        assert new
        assert made.name == part
        assert made.id != part
        assert made.id.version == 4
    assert jobs.find("me", part).name == part
    assert mine.id == mine.name


def test_a_database_of_this_version_is_opened_without_migrations(where, monkeypatch):
    """The second start loads no Alembic; the version that it trusts is the last migration's."""
    open_database(where).close()
    assert ScriptDirectory.from_config(upgrading.migrations()).get_heads() == [
        upgrading.REVISIONS[upgrading.DATABASE_VERSION]
    ]
    monkeypatch.setattr(upgrading, "migrations", lambda: pytest.fail("nothing is left to migrate"))
    open_database(where).close()
