"""A job database made anew: jobs are entered as they were, or as cancelled, and never beside what is known."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from uuid import uuid4

import pytest
from typer.testing import CliRunner

from attnscope_server.cli import app
from attnscope_server.errors import DatabaseDamagedError, DataRootInUseError
from attnscope_server.records.job_store import JobStore
from attnscope_server.records.repairs import Found
from attnscope_server.root import rebuild
from attnscope_server.root.data_root import open_database
from attnscope_server.root.rebuild import rebuild_database
from attnscope_storage.wire import JobState
from submitted import RESOLVED, SPEC

STATES = ("queued", "running", "interrupted", "cancelled", "failed", "deleted", "complete")


@pytest.fixture
def engine():
    """Return the engine whose file these tests use."""
    return "sqlite"


@pytest.fixture
def lost(where, tmp_path, monkeypatch):
    """Return a root whose database lies elsewhere, and the id of the job that was in each state."""
    ids = {state: uuid4() for state in STATES}
    with closing(sqlite3.connect(tmp_path / "old.sqlite3")) as old:
        old.execute("CREATE TABLE jobs (id TEXT, state TEXT, deleted_at TEXT)")
        for state, job in ids.items():
            said = {"deleted": "cancelled", "complete": "running"}.get(state, state)
            old.execute("INSERT INTO jobs VALUES (?, ?, ?)", (str(job), said, "then" if state == "deleted" else None))
        old.commit()
    for job in ids.values():
        (where.captures_folder / f"{job}.zarr").mkdir()

    def told(path):
        state = next(state for state, job in ids.items() if str(job) == path.stem)
        return Found(ids[state], ids[state], "me", SPEC, RESOLVED, complete=state == "complete")

    monkeypatch.setattr(rebuild, "_found_in", told)
    return ids


def states(where) -> dict:
    """Return the state of each job by its id."""
    database = open_database(where)
    found = {job.id: job.state for job in JobStore(database).in_state(*JobState)}
    database.close()
    return found


def test_without_the_old_database_nothing_is_revived(where, lost):
    """A complete capture has succeeded; whatever else there is becomes cancelled, and waits for its owner."""
    entered = rebuild_database(where)
    assert entered == {JobState.CANCELLED: len(STATES) - 1, JobState.SUCCEEDED: 1}
    found = states(where)
    assert found[lost["complete"]] is JobState.SUCCEEDED
    assert {found[lost[state]] for state in STATES if state != "complete"} == {JobState.CANCELLED}


def test_with_the_old_database_jobs_are_as_they_were(where, lost, tmp_path):
    """Waiting and running ones go on, cancelled and failed ones stay ended, a deleted one is not entered."""
    rebuild_database(where, tmp_path / "old.sqlite3")
    found = states(where)
    assert {state: found.get(lost[state]) for state in STATES} == {
        "queued": JobState.QUEUED,
        "running": JobState.QUEUED,
        "interrupted": JobState.QUEUED,
        "cancelled": JobState.CANCELLED,
        "failed": JobState.FAILED,
        "deleted": None,
        "complete": JobState.SUCCEEDED,
    }


def test_an_old_database_that_cannot_be_read_changes_nothing(where, lost, tmp_path):  # noqa: ARG001 - captures are there
    """It is refused before a new database is made."""
    (tmp_path / "none.sqlite3").write_text("this is no database at all, however long it is read")
    with pytest.raises(DatabaseDamagedError, match=r"none\.sqlite3"):
        rebuild_database(where, tmp_path / "none.sqlite3")
    assert not where.database_path.exists()


def test_nothing_is_entered_beside_what_is_known(where):
    """A root that has its database is left alone."""
    open_database(where).close()
    with pytest.raises(DataRootInUseError, match="move it away"):
        rebuild_database(where)


def test_the_operator_is_asked(where, lost):  # noqa: ARG001 - captures are there
    """Without a yes nothing is made."""
    command = ["doctor", "--rebuild", "--data-root", str(where.data_root)]
    refused = CliRunner().invoke(app, command, input="n\n")
    assert refused.exit_code == 1
    assert "become cancelled" in refused.output
    assert not where.database_path.exists()
    done = CliRunner().invoke(app, command, input="y\n")
    assert f"{len(STATES)} captures entered anew ({len(STATES) - 1} cancelled, 1 succeeded)" in done.output
