"""Expiry, retention and deletion of jobs, whatever the clock and the disk do."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
from sqlalchemy import column, table, update

from attnscope_server.records.job_store import JobStore
from attnscope_server.root.captures import Captures
from attnscope_server.root.housekeeping import CLOCK_DRIFT, Housekeeping
from attnscope_storage.errors import ChunkDamagedError
from attnscope_storage.wire import JobChanges, JobState, Problem

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


class Clocks:
    """A wall clock and a steady one."""

    def __init__(self) -> None:
        self.wall, self.steady = NOON, 0.0

    def run(self, wall: timedelta, steady: timedelta | None = None) -> None:
        """Let time pass; where the steady clock says otherwise, the wall clock was set."""
        self.wall += wall
        self.steady += (steady if steady is not None else wall).total_seconds()


@pytest.fixture
def clocks():
    """Return clocks to set."""
    return Clocks()


@pytest.fixture
def keeping(jobs, where, clocks):
    """Return the housekeeping of a data root, and its captures."""
    return Housekeeping(jobs, Captures(where.data_root), 1, lambda: clocks.wall, lambda: clocks.steady)


def capture_of(where, job) -> object:
    """Make the folder of a job's capture."""
    folder = Captures(where.data_root).path(job.id)
    folder.mkdir()
    (folder / "zarr.json").write_text("{}")
    return folder


def test_captures_expire_unless_pinned(jobs, where, keeping, clocks, submitted, ended):
    """An ended, unpinned job past its time is gone with its capture; pinned, running and undated ones stay."""
    plain, pinned, undated = (ended(jobs) for _ in range(3))
    running = submitted(jobs)
    due = JobChanges(expires_at=NOON + timedelta(hours=1))
    for job in (plain, pinned, running):
        jobs.change(job.id, due)
    jobs.change(pinned.id, JobChanges(pinned=True))
    assert jobs.get(pinned.id).expires_at == NOON + timedelta(hours=1)
    folder = capture_of(where, plain)
    keeping.round()
    clocks.run(timedelta(minutes=59))
    keeping.round()
    assert folder.exists()
    clocks.run(timedelta(minutes=1))
    keeping.round()
    assert not folder.exists()
    assert jobs.get(plain.id).deleted_at == clocks.wall
    assert all(jobs.get(job.id).deleted_at is None for job in (pinned, undated, running))
    jobs.change(pinned.id, JobChanges(pinned=False))
    keeping.round()
    assert jobs.get(pinned.id).deleted_at is not None


def test_a_clock_that_was_set_deletes_nothing(jobs, keeping, clocks, ended):
    """A jump of years in either direction expires nothing; only time that has passed on both clocks does."""
    job = ended(jobs)
    jobs.change(job.id, JobChanges(expires_at=NOON + timedelta(days=30)))
    keeping.round()
    clocks.run(timedelta(days=3650), steady=timedelta(seconds=60))
    keeping.round()
    assert jobs.get(job.id).deleted_at is None
    clocks.run(timedelta(days=-3650), steady=timedelta(seconds=60))
    keeping.round()
    clocks.run(timedelta(seconds=60) + CLOCK_DRIFT / 2, steady=timedelta(seconds=60))
    keeping.round()
    assert jobs.get(job.id).deleted_at is None
    clocks.run(timedelta(days=31))
    keeping.round()
    assert jobs.get(job.id).deleted_at is not None


def test_a_clock_that_runs_backwards_keeps_the_order(database, submitted, listed):
    """Jobs are ordered by submission and states by event, whatever the clock says."""
    hours = iter(range(100, 0, -1))
    jobs = JobStore(database, now=lambda: NOON + timedelta(hours=next(hours)))
    first, second = submitted(jobs), submitted(jobs)
    assert jobs.claim().id == first.id
    assert listed(jobs) == [second.id, first.id]
    assert [state for state, _, _ in jobs.events(first.id)] == ["queued", "running"]


def test_retention_dates_a_job_when_it_ends(database, submitted, ended):
    """A default time is stamped at the end, and an owner's own is kept."""
    jobs = JobStore(database, now=lambda: NOON, retention=timedelta(days=7))
    assert ended(jobs).id
    own = submitted(jobs)
    jobs.change(own.id, JobChanges(expires_at=NOON + timedelta(days=1)))
    jobs.claim()
    failure = Problem(type="x", title="x", status=500, detail="x")
    jobs.move(own.id, JobState.FAILED, failure=failure)
    dates = {job.id: job.expires_at for job in jobs.in_state(*JobState)}
    assert sorted(dates.values()) == [NOON + timedelta(days=1), NOON + timedelta(days=7)]
    assert dates[own.id] == NOON + timedelta(days=1)


def test_a_deletion_that_failed_is_ended_later(jobs, where, keeping, monkeypatch, ended, listed):
    """Half a removed capture is never listed or read: hidden first, and removed by a later round."""
    import shutil  # noqa: PLC0415 - only this test's

    job = ended(jobs)
    folder = capture_of(where, job)
    jobs.mark_deleted(job.id)
    monkeypatch.setattr(shutil, "rmtree", lambda *_: (_ for _ in ()).throw(OSError("device busy")))
    keeping.round()
    assert not folder.exists()
    assert [path.name for path in where.captures_folder.iterdir()] == [f".deleted-{folder.name}"]
    assert jobs.deleted_leftovers() == (job.id,)
    assert listed(jobs) == []
    monkeypatch.undo()
    keeping.round()
    assert list(where.captures_folder.iterdir()) == []
    assert jobs.deleted_leftovers() == ()


def test_a_part_that_fails_stops_no_other(jobs, where):
    """The part that is done last is reached, whatever failed before it."""
    looked = []

    def fails() -> int:
        raise RuntimeError

    Housekeeping(jobs, Captures(where.data_root), 1, sweep=fails, orphans=lambda: looked.append(None)).round()
    assert looked == [None]


def test_a_damaged_record_expires_too_and_stops_no_other(jobs, database, where, keeping, clocks, ended):
    """A round reads of a job only what tells that its time has come."""
    damaged, whole = ended(jobs), ended(jobs)
    folders = [capture_of(where, job) for job in (damaged, whole)]
    for job in (damaged, whole):
        jobs.change(job.id, JobChanges(expires_at=NOON + timedelta(hours=1)))
    plain = table("jobs", column("id"), column("resolved"))  # without the type that would refuse such a value
    with database.write() as session:
        session.execute(update(plain).where(plain.c.id == str(damaged.id)).values(resolved="{"))
    keeping.round()
    clocks.run(timedelta(hours=2))
    keeping.round()
    assert [folder.exists() for folder in folders] == [False, False]


def test_links_in_the_data_root_are_not_followed(where, tmp_path):
    """A capture's folder that is a link is refused, and removing it leaves alone what it points to."""
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "zarr.json").write_text("{}")
    captures, job = Captures(where.data_root), UUID(int=1)
    captures.path(job).symlink_to(elsewhere)
    with pytest.raises(ChunkDamagedError, match="symbolic link"):
        captures.open(job)
    captures.remove(job)
    assert not captures.path(job).is_symlink()
    assert (elsewhere / "zarr.json").exists()
