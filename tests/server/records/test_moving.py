"""Moving the job database to a server: every row arrives, numbers go on, and the file is set aside."""

from __future__ import annotations

import json

import pytest
from sqlalchemy import select

from attnscope_server.cli.machines import migrate
from attnscope_server.errors import BackupRefusedError, DatabaseMissingError, SettingUnusableError
from attnscope_server.records.database import Database
from attnscope_server.records.job_store import JobStore
from attnscope_server.records.keys import KeyStore
from attnscope_server.records.tables import Base
from attnscope_server.root.data_root import open_database
from attnscope_storage.wire import JobState

SQLITE = pytest.mark.parametrize("engine", ["sqlite"])
"""The engine that is moved from."""


def rows_of(database) -> dict[str, list]:
    """Return every row of a database in the order of its text, but for the facts that each has of itself."""
    with database.read() as session:
        found = {table.name: session.execute(select(table)).all() for table in Base.metadata.sorted_tables}
    return {name: sorted(rows, key=str) for name, rows in found.items() if name != "service_metadata"}


@SQLITE
def test_every_row_arrives(where, postgresql, submitted, capsys):
    """Jobs in every state, events and keys; the next job gets the next number, and the file is kept aside."""
    source = open_database(where)
    jobs, key = JobStore(source), KeyStore(source).create("me")
    first, second = submitted(jobs, "ümit"), submitted(jobs)
    jobs.claim()
    jobs.interrupt(first.id, 2, "a worker died", counted=True)
    before = rows_of(source)
    source.close()
    address = postgresql.fresh()
    migrate(address, where.data_root)
    told = capsys.readouterr().out
    assert "2 jobs" in told
    assert not where.database_path.exists()
    assert where.database_path.with_name("service.sqlite3.moved").exists()
    target = Database.connect(address)
    assert json.dumps(rows_of(target), default=str) == json.dumps(before, default=str)
    jobs = JobStore(target)
    assert KeyStore(target).identify(key).owner == "me"
    assert jobs.get(first.id).state is JobState.INTERRUPTED
    assert submitted(jobs).sequence == second.sequence + 1
    assert jobs.claim().id == second.id
    target.close()
    with pytest.raises(DatabaseMissingError, match="nothing to move"):
        migrate(address, where.data_root)


@SQLITE
def test_nothing_is_moved_over_what_is_there(where, postgresql, submitted):
    """A database that holds jobs is refused, and the file stays the service's."""
    open_database(where).close()
    address = postgresql.fresh()
    target = Database.connect(address)
    submitted(JobStore(target))
    with pytest.raises(BackupRefusedError, match="holds jobs"):
        migrate(address, where.data_root)
    assert where.database_path.exists()
    assert len(rows_of(target)["jobs"]) == 1
    target.close()


@SQLITE
def test_the_target_must_be_named(where):
    """By an option or by the variable."""
    with pytest.raises(SettingUnusableError, match="--to"):
        migrate(None, where.data_root)
