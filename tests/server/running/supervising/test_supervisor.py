"""The supervisor over a runner that runs nothing: whose job goes where, and what becomes of it."""

from __future__ import annotations

import errno
import sqlite3
import threading

import pytest
from sqlalchemy import event
from sqlalchemy.exc import OperationalError

from attnscope_server.errors import DatabaseBusyError
from attnscope_server.running.messages import Alive, GivenBack, Placement, Succeeded, Taken
from attnscope_server.running.runner import Slot, SlotKind
from attnscope_server.running.supervising import supervisor as supervisor_module
from attnscope_server.running.supervising import watching
from attnscope_server.running.supervising.supervisor import Supervisor
from attnscope_storage.wire import JobState


class Refusing:
    """Makes a database refuse writes, as a read-only or full disk does."""

    def __init__(self, database) -> None:
        self.on = False

        @event.listens_for(database._writing, "before_cursor_execute")
        def _refuse(_connection, _cursor, statement, *_rest):
            if self.on and statement.startswith(("INSERT", "UPDATE")):
                raise sqlite3.OperationalError("attempt to write a readonly database")


def states(jobs, job) -> list[str]:
    """Return the states that a job went through."""
    return [state.value for state, _, _ in jobs.events(job.id)]


def test_a_job_goes_its_way(supervisor, runner, jobs, submitted, where):
    """Claimed for a slot of a runner, told where it runs, advanced, ended; the slot is free again."""
    job = submitted(jobs)
    supervisor.look()
    assert runner.ran == [(job.id, 1, "0")]
    assert supervisor.devices()[0][1].id == job.id
    place = Placement(device="cpu", dtype="float32", threads=1, torch="2.10")
    runner.say(Taken, placed_on=place)
    runner.advance(5, 4)
    assert supervisor.progress(job.id).steps_committed == 4
    runner.succeed()
    supervisor.look()
    assert jobs.get(job.id).state is JobState.SUCCEEDED
    assert jobs.get(job.id).progress.steps_committed == 4
    assert supervisor.devices()[0][1] is None
    with sqlite3.connect(where.database_path) as raw:
        row = raw.execute(
            "SELECT runner, slot, placed_on IS NOT NULL, served_turn > 0, last_heard_at FROM jobs"
        ).fetchone()
    raw.close()
    assert row[:4] == ("fake", "0", 1, 1)
    assert row[4] is not None


def test_reports_of_an_older_attempt_are_dropped(supervisor, runner, jobs, submitted):
    """The report of an orphan of the first attempt changes nothing about the second."""
    job = submitted(jobs)
    supervisor.look()
    runner.die()
    supervisor.look()
    assert runner.ran == [(job.id, 1, "0"), (job.id, 2, "0")]
    runner.advance(5, 5, at=0)
    runner.succeed(at=0)
    supervisor.look()
    assert jobs.get(job.id).state is JobState.RUNNING
    assert supervisor.progress(job.id) is None
    runner.succeed()
    supervisor.look()
    assert jobs.get(job.id).state is JobState.SUCCEEDED


def test_a_side_slot_takes_only_kinds_that_say_so(where, jobs, submitted, clock, make_runner):
    """A kind that says nothing waits for a device; one that may run beside goes to the side slot."""
    runner = make_runner(Slot("side", "cpu", SlotKind.SIDE))
    job = submitted(jobs)
    Supervisor(where, jobs, (runner,), now=clock).look()
    assert runner.ran == []
    beside = {"capture": frozenset({SlotKind.SIDE})}
    never = make_runner(Slot("0", "cpu"))
    Supervisor(where, jobs, (never,), takes=beside, now=clock).look()
    assert never.ran == []
    Supervisor(where, jobs, (runner,), takes=beside, now=clock).look()
    assert runner.ran == [(job.id, 1, "side")]


def test_a_runner_that_cannot_start_a_job_gives_it_back(supervisor, runner, jobs, submitted, clock):
    """Out of file descriptors, the job waits again, uncounted, and the slot rests longer each time."""
    first, second = submitted(jobs), submitted(jobs)
    runner.refuses = OSError(errno.EMFILE, "Too many open files")
    supervisor.look()
    assert states(jobs, first) == ["queued", "running", "interrupted", "queued"]
    assert jobs.get(first.id).interruptions == 0
    assert "Too many open files" in next(detail for state, _, detail in jobs.events(first.id) if state == "interrupted")
    supervisor.look()
    assert len(states(jobs, first)) == 4
    for _ in range(5):
        clock.now += 31
        supervisor.look()
    runner.refuses = None
    clock.now += 31
    supervisor.look()
    assert runner.ran[0][0] == first.id
    runner.succeed()
    supervisor.look()
    assert runner.ran[1][0] == second.id
    assert jobs.get(first.id).state is JobState.SUCCEEDED


def test_no_exception_ends_the_supervisor(supervisor, runner, jobs, submitted, monkeypatch):
    """One of its duties that fails leaves the others done, and is done at the next look."""
    job = submitted(jobs)
    supervisor.look()
    runner.succeed()
    with monkeypatch.context() as broken:
        broken.setattr(runner, "slots", lambda: 1 / 0)
        supervisor.look()
    assert jobs.get(job.id).state is JobState.SUCCEEDED
    again = submitted(jobs)
    supervisor.look()
    assert runner.ran[-1][0] == again.id


@pytest.mark.parametrize("duty", ["_settle", "_watch", "_feed"])
def test_a_duty_that_fails_leaves_the_others_done(supervisor, monkeypatch, duty):
    """An error that no duty catches itself ends that duty for this look alone."""
    done = []
    for name in ("_settle", "_watch", "_feed"):
        monkeypatch.setattr(supervisor, name, lambda name=name: 1 / 0 if name == duty else done.append(name))
    supervisor.look()
    assert done == [name for name in ("_settle", "_watch", "_feed") if name != duty]


def test_a_runner_that_fails_leaves_the_others_their_jobs(where, jobs, make_runner, submitted, clock, monkeypatch):
    """The job goes to the second runner in the same look in which the first cannot say its slots."""
    broken, good = make_runner(name="broken"), make_runner(name="good")
    supervisor = Supervisor(where, jobs, (broken, good), now=clock)
    monkeypatch.setattr(broken, "slots", lambda: 1 / 0)
    job = submitted(jobs)
    supervisor.look()
    assert [ran[0] for ran in good.ran] == [job.id]


def test_a_report_that_cannot_be_taken_does_not_end_the_runners_thread(
    supervisor, runner, jobs, submitted, monkeypatch
):
    """Whatever goes wrong while a report is taken stays in the supervisor."""
    submitted(jobs)
    supervisor.look()
    with monkeypatch.context() as broken:
        broken.setattr(jobs, "record", lambda *_a, **_k: 1 / 0)
        runner.advance(1, 1)
    runner.succeed()
    supervisor.look()
    assert supervisor.devices()[0][1] is None


def test_no_ending_is_lost_while_the_database_refuses(supervisor, runner, database, jobs, submitted):
    """A job that ends while nothing can be written keeps its slot until its end is; then it is as reported."""
    refusing = Refusing(database)
    job = submitted(jobs)
    supervisor.look()
    refusing.on = True
    runner.advance(5, 4)
    runner.succeed()
    runner.die(0)
    supervisor.look()
    assert jobs.get(job.id).state is JobState.RUNNING
    assert supervisor.devices()[0][1].id == job.id
    assert supervisor.progress(job.id).steps_committed == 4
    refusing.on = False
    supervisor.look()
    assert jobs.get(job.id).state is JobState.SUCCEEDED
    assert jobs.get(job.id).progress.steps_committed == 4
    assert states(jobs, job) == ["queued", "running", "succeeded"]


def test_an_interruption_half_written_is_ended(supervisor, runner, jobs, submitted, monkeypatch):
    """If only the first of an interruption's two changes was written, the job still gets back to the queue."""
    job = submitted(jobs)
    supervisor.look()
    runner.die()
    with monkeypatch.context() as broken:

        def full(*_a, **_k):
            raise OperationalError("", {}, Exception("full"))

        broken.setattr(jobs, "move", full)
        supervisor.look()
    assert jobs.get(job.id).state is JobState.INTERRUPTED
    supervisor.look()
    assert states(jobs, job) == ["queued", "running", "interrupted", "queued", "running"]
    assert "memory" in next(detail for state, _, detail in jobs.events(job.id) if state == "interrupted")


def test_three_deaths_without_a_commit_fail_a_job(supervisor, runner, jobs, submitted):
    """A poisonous job does not run for ever, and a commit in between starts the count anew."""
    job = submitted(jobs)
    for committed in (0, 3, 3):
        supervisor.look()
        if committed:
            runner.advance(committed, committed)
        runner.die()
    supervisor.look()
    assert jobs.get(job.id).state is JobState.RUNNING
    runner.die()
    supervisor.look()
    assert jobs.get(job.id).state is JobState.FAILED
    assert jobs.get(job.id).attempts == 4


def test_a_job_that_gives_its_slot_back_waits_behind_others(supervisor, runner, jobs, submitted):
    """Another owner's job goes first, then it goes on as its next attempt; no interruption counts against it."""
    job, other = submitted(jobs), None
    for turn in range(4):
        supervisor.look()
        assert runner.ran[-1][0] == job.id
        other = submitted(jobs, f"other {turn}")
        runner.advance(turn, turn)
        runner.say(GivenBack)
        supervisor.look()
        assert runner.ran[-1][0] == other.id
        runner.succeed()
    supervisor.look()
    assert runner.ran[-1] == (job.id, 5, "0")
    assert jobs.get(job.id).interruptions == 0
    assert states(jobs, job)[:5] == ["queued", "running", "interrupted", "queued", "running"]
    supervisor.cancel(jobs.get(job.id))
    runner.say(GivenBack)
    supervisor.look()
    assert jobs.get(job.id).state is JobState.CANCELLED


def test_a_cancel_that_a_runner_refuses_is_passed_on_later(supervisor, runner, jobs, submitted, monkeypatch):
    """The owner is told `cancelling`, and the runner is asked again at the next look."""
    job = submitted(jobs)
    supervisor.look()
    with monkeypatch.context() as broken:
        broken.setattr(runner, "cancel", lambda *_a: 1 / 0)
        assert supervisor.cancel(jobs.get(job.id)).state is JobState.CANCELLING
    supervisor.look()
    assert runner.cancelled == [(job.id, 1)]
    runner.die(-15)
    supervisor.look()
    assert jobs.get(job.id).state is JobState.CANCELLED


def test_a_cancel_does_not_wait_behind_a_supervisor_that_waits(supervisor, jobs, submitted, monkeypatch):
    """While the supervisor waits for the database, a cancel is refused and can be sent again."""
    monkeypatch.setattr(supervisor_module, "CANCEL_WAITS", 0.0)
    job = submitted(jobs)
    held, done = threading.Event(), threading.Event()

    def hold() -> None:
        with supervisor._lock:
            held.set()
            done.wait(60)

    holder = threading.Thread(target=hold)
    holder.start()
    held.wait(60)
    with pytest.raises(DatabaseBusyError, match="try again"):
        supervisor.cancel(job)
    done.set()
    holder.join()
    assert supervisor.cancel(job).state is JobState.CANCELLED


@pytest.mark.usefixtures("supervisor")
def test_reports_of_a_slot_without_a_job_are_dropped(runner, jobs, submitted):
    """A sign of life or an ending that nobody waits for changes nothing."""
    job = submitted(jobs)
    runner.hear("0", Alive())
    runner.hear("0", Succeeded(job=job.id, attempt=1))
    assert jobs.get(job.id).state is JobState.QUEUED


def test_what_a_dead_service_left_is_queued_again_and_counts_for_no_job(where, jobs, submitted, runner, clock):
    """However often a service dies before a job's first commit, the job is not failed for it."""
    job = submitted(jobs)
    for _ in range(5):
        jobs.claim()
        service = Supervisor(where, jobs, (runner,), now=clock)
        service._thread.start = lambda: None
        service.start()
    assert jobs.get(job.id).state is JobState.QUEUED
    assert (jobs.get(job.id).interruptions, jobs.get(job.id).attempts) == (0, 5)


@pytest.mark.parametrize("wrong", ["{}", '{"kind": "of another attnscope"}'])
def test_a_row_that_cannot_be_read_does_not_stop_the_start(where, jobs, submitted, runner, clock, wrong, listed):
    """It fails, alone; the jobs behind it run."""
    odd, good = submitted(jobs), submitted(jobs)
    with sqlite3.connect(where.database_path) as raw:
        raw.execute("UPDATE jobs SET spec = ? WHERE id = ?", (wrong, str(odd.id)))
    raw.close()
    service = Supervisor(where, jobs, (runner,), now=clock)
    service._thread.start = lambda: None
    service.start()
    service.look()
    assert runner.ran[0][0] == good.id
    with sqlite3.connect(where.database_path) as raw:
        assert raw.execute("SELECT state FROM jobs WHERE id = ?", (str(odd.id),)).fetchone() == ("failed",)
    raw.close()
    assert listed(jobs) == [good.id]


def test_a_supervisor_says_whether_it_is_well(supervisor, runner, monkeypatch):
    """Its thread lives from the start to the stop, and a runner that is unwell is told by its own words."""
    assert "thread" in supervisor.unwell()
    supervisor.start()
    assert supervisor.unwell() is None
    with monkeypatch.context() as broken:
        broken.setattr(runner, "unwell", lambda: "the head node is away")
        assert supervisor.unwell() == "the head node is away"
    supervisor.stop()
    assert "thread" in supervisor.unwell()


def test_the_thread_outlives_what_every_look_raises(supervisor, jobs, submitted, runner, monkeypatch):
    """Errors that nobody thought of, look after look, leave the thread alive; it goes on when they are over."""
    failed = threading.Event()

    def broken_slots():
        failed.set()
        raise MemoryError

    with monkeypatch.context() as broken:
        broken.setattr(runner, "slots", broken_slots)
        supervisor.start()
        assert failed.wait(60)
        assert supervisor.unwell() is None
    ran = threading.Event()
    monkeypatch.setattr(runner, "run", lambda *_a: ran.set())
    submitted(jobs)
    supervisor.wake()
    assert ran.wait(60)
    supervisor.stop()


def test_idle_slots_alike_ask_the_database_once_a_round(where, jobs, make_runner, submitted, monkeypatch):
    """Fifty free slots make one claim where nothing waits; the next round asks again."""
    runner = make_runner(*(Slot(str(nth), "cpu") for nth in range(50)), Slot("other", "cuda:0", hardware="H200"))
    supervisor, asked, claim = Supervisor(where, jobs, (runner,)), [], jobs.claim

    def counted(wish):
        asked.append(wish)
        return claim(wish)

    monkeypatch.setattr(jobs, "claim", counted)
    supervisor.look()
    assert [one.hardware for one in asked] == [None, "H200"]
    for _ in range(3):
        submitted(jobs)
    supervisor.look()
    assert len(runner.ran) == 3


def test_progress_of_many_jobs_is_written_less_often(where, jobs, make_runner, submitted, clock, monkeypatch):
    """With ten jobs and five writes a second allowed, each job's progress is written every 2 s, its commits at once."""
    monkeypatch.setattr(watching, "PROGRESS_WRITES", 5.0)
    runner = make_runner(*(Slot(str(nth), "cpu") for nth in range(10)))
    supervisor, written = Supervisor(where, jobs, (runner,), now=clock), []
    for _ in range(10):
        submitted(jobs)
    supervisor.look()
    runner.advance(1, 1)
    monkeypatch.setattr(jobs, "record", lambda _job, progress, **_: written.append(progress.steps_done))
    for done in range(2, 7):
        clock.now += 1.0
        runner.advance(done, 1)
    runner.advance(7, 7)
    assert written == [3, 5, 7]
