"""One service a database on a server: by a lock that is watched, taken again where nobody came between, or given up."""

from __future__ import annotations

import time

import psycopg
import pytest
from pydantic import SecretStr

from attnscope_server.errors import (
    DatabaseBusyError,
    DatabaseDamagedError,
    DatabaseGoneError,
    DatabaseUnreachableError,
    DataRootInUseError,
    SettingUnusableError,
)
from attnscope_server.records import sole_service
from attnscope_server.records.database import Database
from attnscope_server.records.job_store import JobStore
from attnscope_server.running.environment import computing
from attnscope_server.settings import Settings

SECRET = "correct-horse-battery"  # noqa: S105 - of no server


@pytest.fixture
def address(postgresql):
    """Return the address of a new database."""
    return postgresql.fresh()


@pytest.fixture(autouse=True)
def watched_by_hand(monkeypatch):
    """Let only the tests look at the lock."""
    monkeypatch.setattr(sole_service, "LOOK_EVERY", 3600.0)


@pytest.fixture
def service(address):
    """Return the open database of one service, its watch over the lock, and what it heard."""
    database, heard = Database.connect(address), []
    with database.served(heard.append):
        yield database, database._dialect._sole, heard
    database.close()


@pytest.mark.usefixtures("service")
def test_a_second_service_is_refused(address):
    """The database names itself, not its address; once the first has ended the next one has it."""
    second = Database.connect(address)
    with pytest.raises(DataRootInUseError, match="the database test_"), second.served(print):
        pytest.fail("two serve one database")
    second.close()


def test_an_operator_writes_beside_a_service(address, service, submitted):
    """A verb of the command line needs no lock of a service."""
    beside = Database.connect(address)
    job = submitted(JobStore(beside))
    assert JobStore(service[0]).get(job.id) == job
    beside.close()


def test_a_lock_that_was_lost_with_its_connection_is_taken_again(address, service, submitted, monkeypatch):
    """As after a restart of the server: writes wait for it, then go on."""
    database, sole, heard = service
    with psycopg.connect(address, autocommit=True) as other:
        other.execute("SELECT pg_terminate_backend(%s)", (sole._session,))
    sole.look()
    assert sole._connection is None
    with monkeypatch.context() as late:
        late.setattr(sole_service, "LOOK_EVERY", 0.0)
        with pytest.raises(DatabaseBusyError, match="made again"):
            submitted(JobStore(database))
    sole.look()
    sole.look()
    submitted(JobStore(database))
    assert heard == []


def test_a_service_that_was_replaced_stops(address, service, submitted):
    """Another one had the database in between: nothing more is written, and the service is told to stop."""
    database, sole, heard = service
    sole._close()
    other = Database.connect(address)
    with other.served(print):
        sole.look()
        assert "another attnscope service" in heard[0]
    other.close()
    with pytest.raises(DatabaseGoneError, match="another attnscope service"):
        submitted(JobStore(database))
    sole.look()
    assert len(heard) == 1


def test_a_service_that_was_replaced_writes_nothing_before_it_looks(address, service, submitted):
    """Its lock went with its connection, and another one began, before it looked again: the database itself says so."""
    database, sole, heard = service
    with psycopg.connect(address, autocommit=True) as other:
        other.execute("SELECT pg_terminate_backend(%s)", (sole._session,))
    other = Database.connect(address)
    until_unlocked(address)
    with other.served(print):
        with pytest.raises(DatabaseGoneError, match="in between"):
            submitted(JobStore(database))
        job = submitted(JobStore(other))
        assert JobStore(other).get(job.id) == job
    other.close()
    assert len(heard) == 1


def test_a_service_begins_when_what_is_being_written_is_whole(address, monkeypatch):
    """A writer of the service before may be in the middle of a transaction; one that never ends is said."""
    monkeypatch.setattr(sole_service, "WRITES_WITHIN", 1)
    database = Database.connect(address)
    with psycopg.connect(address) as writer:
        writer.execute("SELECT pg_advisory_xact_lock(%s, %s)", sole_service.WRITER)
        with pytest.raises(DataRootInUseError, match="has been writing"), database.served(print):
            pytest.fail("it begins beside a writer")
    with database.served(print):
        pass
    database.close()


def until_unlocked(address: str) -> None:
    """Return when no session holds an advisory lock of the database: a server ends a closed session a moment later."""
    held = "SELECT count(*) FROM pg_locks JOIN pg_database ON oid = database AND datname = current_database() "
    ends = time.monotonic() + 60
    with psycopg.connect(address, autocommit=True) as connection:
        while connection.execute(f"{held} WHERE locktype = 'advisory'").fetchone() != (0,):
            assert time.monotonic() < ends


def test_a_successor_that_has_left_again_is_noticed(address, service):
    """The lock is free, but the database has had another service since."""
    _, sole, heard = service
    sole._close()
    other = Database.connect(address)
    with other.served(print):
        pass
    other.close()
    until_unlocked(address)
    sole.look()
    assert "in between" in heard[0]


def test_a_lock_that_is_dropped_in_silence_stops_the_service(service, submitted):
    """As a pooler does, which gives the connection another session: the answer is from a session without the lock."""
    database, sole, heard = service
    sole._connection.execute("SELECT pg_advisory_unlock_all()")
    sole.look()
    assert "behind a pooler" in heard[0]
    with pytest.raises(DatabaseGoneError):
        submitted(JobStore(database))


def test_a_pooler_is_refused_at_the_start(address, monkeypatch):
    """Two connections that share a session both get the lock."""
    shared = psycopg.connect(address, autocommit=True)

    class Pooled:
        execute = shared.execute

        @staticmethod
        def close() -> None:
            """Keep the session for others."""

        def __enter__(self):
            return self

        def __exit__(self, *_):
            return None

    database = Database.connect(address)
    monkeypatch.setattr(database._dialect, "_connect", Pooled)
    with pytest.raises(SettingUnusableError, match="behind a pooler"), database.served(print):
        pytest.fail("it serves behind a pooler")
    database.close()
    shared.close()


@pytest.mark.parametrize(
    "address",
    [
        f"postgresql://me:{SECRET}@127.0.0.1:1/jobs",
        f"postgresql://me:{SECRET}@[broken/jobs",
        f"mysql://me:{SECRET}@127.0.0.1/jobs",
        f"me:{SECRET}",
    ],
)
def test_no_message_repeats_the_password(address, tmp_path):
    """Neither an address that is none, nor a server that does not answer, nor the settings show it."""
    with pytest.raises((SettingUnusableError, DatabaseUnreachableError)) as raised:
        Database.connect(address)
    shown: BaseException | None = raised.value
    while shown is not None:
        assert SECRET not in str(shown)
        shown = shown.__cause__
    settings = Settings(data_root=tmp_path, database_url=SecretStr(address))
    assert SECRET not in f"{settings!r} {settings.model_dump_json()}"
    assert SECRET not in str(computing({"ATTNSCOPE_SERVER_DATABASE_URL": address, "PGPASSWORD": SECRET}))


def test_an_account_without_rights_is_said(postgresql):
    """The server's own words, in one line."""
    address = postgresql.fresh()
    with psycopg.connect(address, autocommit=True) as connection:
        connection.execute("DROP TABLE alembic_version; CREATE ROLE guest LOGIN")
        connection.execute("GRANT SELECT ON service_metadata TO guest")
    with pytest.raises(DatabaseDamagedError, match="permission denied"):
        Database.connect(address.replace("tester@", "guest@"))
