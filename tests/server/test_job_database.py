"""The job database when things go wrong: locked, damaged, newer, gone; clocks that jump; what survives a restart."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

import pytest
from sqlalchemy import event
from sqlalchemy.exc import OperationalError

from attnscope_server import database as database_module
from attnscope_server.captures import Captures
from attnscope_server.data_root import open_database, prepare
from attnscope_server.database import Database
from attnscope_server.errors import (
    DatabaseDamagedError,
    DatabaseGoneError,
    DatabaseMissingError,
    DatabaseVersionError,
    DataRootUnusableError,
    ProblemError,
)
from attnscope_server.housekeeping import CLOCK_DRIFT, Housekeeping
from attnscope_server.job_store import JobStore
from attnscope_server.keys import KeyStore
from attnscope_server.settings import Settings
from attnscope_server.supervisor import Supervisor
from attnscope_storage.errors import ChunkDamagedError
from attnscope_storage.wire import CaptureSpec, JobChanges, JobState, Problem, ProblemCode, ResolvedCapture

SPEC = CaptureSpec(checkpoint="AD-toy", steps=5)
RESOLVED = ResolvedCapture(
    checkpoint_id="c" * 64,
    checkpoint_name="AD-toy@1",
    environment_id="attnscope/Darkroom-v0",
    preset="darkroom-reference",
    horizon=20,
    tasks=(),
    held_out=None,
    envs=1,
    steps=5,
    map_steps=(),
    row_envs=(0,),
    row_layers=(0,),
    row_heads=(0,),
)
NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


@pytest.fixture
def where(tmp_path):
    """Return the settings of a prepared data root."""
    settings = Settings(data_root=tmp_path / "root", durable=False, worker_command=("false",))
    prepare(settings)
    return settings


@pytest.fixture
def database(where):
    """Return its job database."""
    opened = open_database(where)
    yield opened
    opened.close()


@pytest.fixture
def jobs(database):
    """Return its jobs."""
    return JobStore(database)


def submitted(jobs, owner="me", name=None):
    """Queue a job."""
    return jobs.submit(name or uuid4(), owner, SPEC, RESOLVED, queue_limit=10)[0]


def ended(jobs, **options):
    """Queue a job and let it succeed."""
    job = submitted(jobs, **options)
    jobs.claim()
    return jobs.move(job.id, JobState.SUCCEEDED)


def test_states_and_events_survive_a_restart(where):
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


def test_ids_are_an_owners_own(jobs):
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


def test_the_queue_of_an_owner_has_a_cap(jobs):
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


def test_a_database_of_the_first_version_is_brought_up(where):
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
def test_a_damaged_database_is_refused_with_a_remedy(where, damage):
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


def test_a_database_taken_away_takes_no_more_writes(jobs, where):
    """What would be written into a file that nobody will find again is refused instead."""
    job = submitted(jobs)
    where.database_path.rename(where.database_path.with_suffix(".away"))
    with pytest.raises(DatabaseGoneError):
        submitted(jobs)
    where.database_path.with_suffix(".away").rename(where.database_path)
    assert submitted(jobs).sequence == job.sequence + 1


def test_a_locked_database_answers_when_it_is_free(where, monkeypatch):
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


def test_no_ending_is_lost_while_the_database_refuses(database, jobs, where):
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


def test_an_interruption_half_written_is_ended(jobs, where):
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


def test_captures_expire_unless_pinned(jobs, where, keeping, clocks):
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


def test_a_clock_that_was_set_deletes_nothing(jobs, keeping, clocks):
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


def test_a_clock_that_runs_backwards_keeps_the_order(database):
    """Jobs are ordered by submission and states by event, whatever the clock says."""
    hours = iter(range(100, 0, -1))
    jobs = JobStore(database, now=lambda: NOON + timedelta(hours=next(hours)))
    first, second = submitted(jobs), submitted(jobs)
    assert jobs.claim().id == first.id
    assert [job.id for job in jobs.page(_mine(), 10, None)[0]] == [second.id, first.id]
    assert [state for state, _, _ in jobs.events(first.id)] == ["queued", "running"]


def _mine():
    from attnscope_server.job_store import JobFilter  # noqa: PLC0415 - one use

    return JobFilter(owner="me")


def test_retention_dates_a_job_when_it_ends(database):
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


def test_a_deletion_that_failed_is_ended_later(jobs, where, keeping, monkeypatch):
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
    assert jobs.page(_mine(), 10, None)[0] == ()
    monkeypatch.undo()
    keeping.round()
    assert list(where.captures_folder.iterdir()) == []
    assert jobs.deleted_leftovers() == ()


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
