"""Stores and files that nobody will read are removed after a grace time; all others stay."""

from __future__ import annotations

from pathlib import Path
from uuid import UUID, uuid4

import pytest
from sqlalchemy import column, table, update

from attnscope_server.records.fates import Fate
from attnscope_server.records.tables import JobRow
from attnscope_server.root.captures import Captures
from attnscope_server.root.housekeeping import remove
from attnscope_server.root.orphans import GRACE_SECONDS, LOOK_EVERY, Orphans
from attnscope_storage.layout.store import PARTIAL_SUFFIX
from attnscope_storage.wire import JobState, Problem
from attnscope_storage.wire.parts import child_id

FAILURE = Problem(type="x", title="x", status=500, detail="x")


class Hours:
    """A steady clock, and looks of housekeeping at it."""

    def __init__(self, jobs, where, **options) -> None:
        self.now = 0.0
        self.orphans = Orphans(jobs, Captures(where.data_root), steady=lambda: self.now, **options)

    def pass_by(self, seconds: float = GRACE_SECONDS) -> None:
        """Look now, and after so many seconds."""
        self.orphans.look()
        self.now += seconds
        self.orphans.look()


@pytest.fixture
def hours(jobs, where):
    """Return the clock of a data root's looks."""
    return Hours(jobs, where)


def store_of(where, store: UUID, *, rooted: bool) -> object:
    """Make a store that somebody wrote into."""
    folder = Captures(where.data_root).path(store)
    (folder / "stats").mkdir(parents=True)
    (folder / "stats" / "0").write_bytes(b"1")
    if rooted:
        (folder / "zarr.json").write_text("{}")
    return folder


@pytest.mark.parametrize("rooted", [True, False])
def test_a_store_of_a_removed_job_goes(jobs, where, hours, ended, rooted):
    """A late worker made it again after the deletion, with a root document or without."""
    job = ended(jobs)
    jobs.mark_deleted(job.id)
    remove(jobs, Captures(where.data_root), job.id)
    folder = store_of(where, job.id, rooted=rooted)
    hours.pass_by(GRACE_SECONDS - 1)
    assert folder.exists()
    hours.pass_by(LOOK_EVERY)
    assert not folder.exists()


def test_stores_that_may_be_read_stay(jobs, where, hours, submitted, ended):
    """Those of jobs that are there, rooted ones of a lost database, and what has no id for its name."""
    kept = [store_of(where, ended(jobs).id, rooted=True), store_of(where, submitted(jobs).id, rooted=False)]
    kept.append(store_of(where, uuid4(), rooted=True))
    (where.captures_folder / "mine.zarr").mkdir()
    gone = store_of(where, uuid4(), rooted=False)
    hours.pass_by()
    assert all(folder.exists() for folder in (*kept, where.captures_folder / "mine.zarr"))
    assert not gone.exists()


def test_a_store_whose_root_cannot_be_looked_at_stays(where, hours, monkeypatch):
    """It may have one: a disk that fails, or rights that were taken away, are no reason to remove what is there."""
    folder = store_of(where, uuid4(), rooted=True)
    root = folder / "zarr.json"

    def failing(look_at):
        def fails(path, **options):
            if path == root:
                raise PermissionError
            return look_at(path, **options)

        return fails

    for way in ("stat", "lstat"):
        monkeypatch.setattr(Path, way, failing(getattr(Path, way)))
    hours.pass_by()
    monkeypatch.undo()
    assert folder.exists()


@pytest.mark.parametrize(
    "spoilt", [{"id": "no id"}, {"resolved": "{"}, {"resolved": "null"}, {"attempts": "many"}, {"deleted_at": "then"}]
)
def test_a_damaged_record_hides_no_other(jobs, database, where, hours, ended, monkeypatch, spoilt):
    """Leavings of other jobs are removed; a store of no job stays while the record does not tell what its job owns."""
    monkeypatch.setattr("attnscope_server.root.orphans._owning", lambda: ["capture"])
    damaged, job = ended(jobs), ended(jobs)
    jobs.mark_deleted(job.id)
    remove(jobs, Captures(where.data_root), job.id)
    (name,) = spoilt
    plain = table("jobs", column("id"), column(name))  # without the types that would refuse such values
    with database.write() as session:
        session.execute(update(plain).where(plain.c.id == str(damaged.id)).values(spoilt))
    late, own, part = (
        store_of(where, one, rooted=rooted)
        for one, rooted in ((job.id, True), (damaged.id, True), (child_id(damaged.id, "screen"), False))
    )
    hours.pass_by()
    assert [late.exists(), own.exists()] == [False, True]
    assert part.exists() == (name == "resolved")


def test_links_are_left_alone(where, hours, tmp_path):
    """The doctor names them."""
    link = Captures(where.data_root).path(uuid4())
    link.symlink_to(tmp_path)
    hours.pass_by()
    assert link.is_symlink()


def test_owned_stores_share_the_fate_of_their_job(jobs, database, where, hours, ended, monkeypatch):
    """A store that a decision may own stays while the decision does, and goes after it."""
    monkeypatch.setattr("attnscope_server.root.orphans._owning", lambda: ["capture"])
    job = ended(jobs)
    with database.write() as session:
        row = session.query(JobRow).filter_by(id=str(job.id)).one()
        row.resolved = {**row.resolved, "children": ["screen"]}
    part = store_of(where, child_id(job.id, "screen"), rooted=False)
    hours.pass_by()
    assert part.exists()
    jobs.mark_deleted(job.id)
    hours.pass_by()
    assert part.exists()
    jobs.mark_removed(job.id)
    hours.now += LOOK_EVERY
    hours.pass_by()
    assert not part.exists()


def test_halves_of_commits_go_once_no_attempt_comes(jobs, where, hours, submitted):
    """Those of a failed job; a job that waits or was tried again keeps them, and so does its later attempt."""
    job, waits = submitted(jobs), submitted(jobs)
    jobs.claim()
    jobs.move(job.id, JobState.FAILED, failure=FAILURE)
    halves = {one.id: store_of(where, one.id, rooted=True) / f"0.1{PARTIAL_SUFFIX}" for one in (job, waits)}
    later = halves[job.id].with_name(f"0.2{PARTIAL_SUFFIX}")
    for one in (*halves.values(), later):
        one.write_bytes(b"half")
    hours.pass_by(GRACE_SECONDS - 1)
    assert halves[job.id].exists()
    hours.pass_by(LOOK_EVERY)
    assert [one.exists() for one in (*halves.values(), later)] == [False, True, True]


def test_a_job_that_begins_anew_keeps_its_halves(jobs, where, hours, submitted):
    """The grace time ends with the attempt's end; a job that was queued again has not ended."""
    job = submitted(jobs)
    jobs.claim()
    jobs.move(job.id, JobState.FAILED, failure=FAILURE)
    half = store_of(where, job.id, rooted=True) / f"0.1{PARTIAL_SUFFIX}"
    half.write_bytes(b"half")
    hours.orphans.look()
    jobs.retry(job.id, queue_limit=10)
    hours.pass_by()
    assert half.exists()


def test_the_grace_time_outlasts_a_lease(where):
    """Whoever may still write is waited for."""
    job = uuid4()

    class Jobs:
        """One removed job."""

        def fates(self, _owning, _only=None):
            """Return its fate."""
            return (Fate(job, (job,), told=True, removed=True, ended=False, clean=False, attempts=1),)

    folder, hours = store_of(where, job, rooted=True), Hours(Jobs(), where, lease_seconds=GRACE_SECONDS)
    hours.pass_by(2 * GRACE_SECONDS - 1)
    assert folder.exists()
    hours.pass_by(LOOK_EVERY)
    assert not folder.exists()
