"""Readers and writers of the job database: a locked writer starves no reader, and a crowd of writers is refused."""

from __future__ import annotations

import sqlite3
import threading
from contextlib import ExitStack, closing

import pytest
from sqlalchemy import event, text
from structlog.testing import capture_logs

from attnscope_server.errors import DatabaseBusyError
from attnscope_server.records import database as database_module
from attnscope_server.records.database import UNANSWERED
from attnscope_server.records.job import StoredJob
from attnscope_server.records.keys import KeyStore


@pytest.fixture
def engine():
    """Return the engine whose file these tests use."""
    return "sqlite"


def test_behind_a_locked_writer_reads_go_on_and_writes_are_refused_at_once(
    database, jobs, submitted, where, monkeypatch
):
    """Forty writers behind another program's lock: each ends with a retryable error, and every read is answered."""
    job = submitted(jobs)
    monkeypatch.setattr(database_module, "STUCK_SECONDS", 0.0)
    begun, refused, other_errors = threading.Event(), [], []

    def write() -> None:
        begun.set()
        try:
            submitted(jobs)
        except UNANSWERED as error:
            refused.append(type(error))
        except Exception as error:  # noqa: BLE001 - told by the assertion below
            other_errors.append(error)

    with closing(sqlite3.connect(where.database_path)) as other:
        other.execute("BEGIN IMMEDIATE")
        first = threading.Thread(target=write)
        first.start()
        begun.wait()
        while database._since is None:
            pass
        crowd = [threading.Thread(target=write) for _ in range(39)]
        for one in crowd:
            one.start()
        for one in crowd:
            one.join()
        assert refused == [DatabaseBusyError] * 39
        assert first.is_alive()
        for _ in range(60):
            assert jobs.get(job.id) == job
        other.rollback()
        first.join()
    assert other_errors == []
    assert len(refused) == 39


def test_a_crowd_of_waiting_writers_is_bounded(database, monkeypatch):
    """So many wait; one more is refused at once, and is told that another try may succeed."""
    monkeypatch.setattr(database_module, "WAITING_WRITERS", 0)
    with pytest.raises(DatabaseBusyError, match="try again"), database.write():
        pass


def test_reads_do_not_share_the_writers_connection(database):
    """While a writer holds its connection, more readers than the writers' pool has are served, all at once."""
    with database.write() as writing, ExitStack() as stack:
        taken = [writing.connection().connection.dbapi_connection]
        for _ in range(3):
            session = stack.enter_context(database.read())
            assert session.execute(text("SELECT 1")).scalar() == 1
            taken.append(session.connection().connection.dbapi_connection)
        assert len(set(map(id, taken))) == 4


def test_a_key_is_read_behind_a_locked_writer_without_waiting(database, where):
    """The last use of a key is not worth a wait: behind a lock it is left out, and the key is known."""
    keys = KeyStore(database)
    key = keys.create("me")
    asked = []

    @event.listens_for(database._writing, "before_cursor_execute")
    def _note(_connection, _cursor, statement, *_rest):
        asked.append(statement)

    with closing(sqlite3.connect(where.database_path)) as other:
        other.execute("BEGIN IMMEDIATE")
        assert keys.identify(key).owner == "me"
        assert asked == ["PRAGMA busy_timeout = 0", "BEGIN IMMEDIATE"]
        other.rollback()
    with database.write() as session:
        session.execute(text("SELECT 1"))
    pragma, begin = asked[2:4]
    assert begin == "BEGIN IMMEDIATE"
    assert 0 < int(pragma.removeprefix("PRAGMA busy_timeout = ")) <= 5_000
    with database._turn, capture_logs() as logged:
        assert keys.identify(key).owner == "me"
    assert logged == []  # nothing is lost: the next request writes it


def test_a_slow_writer_of_ones_own_is_waited_for(database, jobs, submitted, monkeypatch):
    """A transaction that a busy machine stretches refuses nobody: whoever comes writes after it."""
    monkeypatch.setattr(database_module, "STUCK_SECONDS", 0.0)
    outcomes = []

    def write() -> None:
        try:
            outcomes.append(submitted(jobs))
        except UNANSWERED as error:
            outcomes.append(error)

    with database.write() as slow:
        slow.execute(text("SELECT 1"))
        second = threading.Thread(target=write)
        second.start()
        while not database._waiting and second.is_alive():
            second.join(0.01)
    second.join()
    assert [type(one) for one in outcomes] == [StoredJob]
