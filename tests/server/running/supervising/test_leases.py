"""Leases: renewed by signs of life, over when these stay away, and alive across a restart of the service."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy.exc import OperationalError

from attnscope_server.errors import TransitionError
from attnscope_server.records.tables import JobRow
from attnscope_server.records.turns import Claim
from attnscope_server.running.lease import WRITES_FOR, Lease, lasting_clock
from attnscope_server.running.messages import Alive, Misplaced, Placement, Succeeded, Taken
from attnscope_server.running.runner import Slot
from attnscope_server.running.supervising.supervisor import Supervisor
from attnscope_storage.wire import JobState, Progress

SECONDS = 20.0


@pytest.fixture
def leased(make_runner):
    """Return a function that makes a runner whose workers outlive the service."""

    def make(*slots, keeps=True):
        runner = make_runner(*slots, name="far")
        runner.lease_seconds, runner.renewals, runner.kept = SECONDS, [], []

        def keep(job, attempt, slot):
            runner.kept.append((job.id, attempt, slot))
            return Slot(slot, "cuda") if keeps else None

        runner.renewed = lambda *renewal: runner.renewals.append(renewal)
        runner.keep = keep
        return runner

    return make


@pytest.fixture
def restarted(where, jobs, clock):
    """Return a function that starts a further service over a runner; a test makes it look."""

    def start(runner):
        service = Supervisor(where, jobs, (runner,), now=clock)
        service._thread.start = service._thread.join = lambda: None
        service._thread.is_alive = lambda: True
        service.start()
        return service

    return start


def alive(runner, said_at, at=-1) -> None:
    """Let the worker of a job give a sign of life."""
    job, attempt, slot = runner.ran[at]
    runner.hear(slot, Alive(job=job, attempt=attempt, said_at=said_at))


def test_a_worker_may_write_for_a_part_of_its_lease():
    """By its own clock, from the moment when it asked; an answer that comes late renews nothing anew."""
    now = [100.0]
    lease = Lease(10.0, 100.0, clock=lambda: now[0])
    assert lease.alive()
    now[0] += 10 * WRITES_FOR
    assert not lease.alive()
    lease.renew(103.0)
    assert lease.alive()
    lease.renew(101.0)
    now[0] = 103 + 10 * WRITES_FOR
    assert not lease.alive()


def test_the_clock_of_a_lease_counts_on_in_sleep():
    """It is the system's clock that does; here it moves forward."""
    assert lasting_clock() <= lasting_clock()


def test_a_sign_of_life_renews_the_lease(jobs, clock, leased, submitted, restarted):
    """It is written down first, then the worker is told; without signs the attempt ends and the next one begins."""
    runner = leased()
    service = restarted(runner)
    job = submitted(jobs)
    service.look()
    first = jobs.get(job.id).lease_until
    assert timedelta(0) < first - datetime.now(UTC) <= timedelta(seconds=SECONDS)
    for _ in range(4):
        clock.now += 15
        alive(runner, 7.0)
        service.look()
    assert runner.renewals == [(job.id, 1, 7.0)] * 4
    assert jobs.get(job.id).lease_until > first
    clock.now += SECONDS + 1
    service.look()
    service.look()
    assert runner.ended == [(job.id, 1)]
    assert runner.ran[-1] == (job.id, 2, "0")
    (why,) = [detail for state, _, detail in jobs.events(job.id) if state == "interrupted"]
    assert why.startswith("its lease ran out")
    alive(runner, 8.0, at=0)
    assert len(runner.renewals) == 4
    runner.succeed(at=0)
    service.look()
    assert jobs.get(job.id).state is JobState.RUNNING
    runner.succeed()
    service.look()
    assert jobs.get(job.id).lease_until is None


def test_a_lease_that_cannot_be_written_is_not_renewed(jobs, leased, submitted, restarted, monkeypatch):
    """The worker hears nothing, so it stops in time if that lasts."""
    runner = leased()
    service = restarted(runner)
    submitted(jobs)
    service.look()
    with monkeypatch.context() as broken:

        def full(*_):
            raise OperationalError("", {}, Exception("full"))

        broken.setattr(jobs, "renew", full)
        alive(runner, 7.0)
    assert runner.renewals == []
    alive(runner, 8.0)
    assert len(runner.renewals) == 1


def test_the_database_renews_only_the_attempt_that_runs(jobs, submitted):
    """An attempt that is over, or an older one, has no lease to renew."""
    job = submitted(jobs)
    jobs.claim()
    jobs.renew(job.id, 1, SECONDS)
    with pytest.raises(TransitionError, match="attempt 1, not 2"):
        jobs.renew(job.id, 2, SECONDS)
    jobs.move(job.id, JobState.SUCCEEDED)
    with pytest.raises(TransitionError, match="succeeded"):
        jobs.renew(job.id, 1, SECONDS)


def test_a_job_with_a_live_lease_survives_a_restart(jobs, clock, leased, submitted, restarted):
    """The stopped service leaves it running; the next one takes it up, and hears the rest of it."""
    runner = leased()
    service = restarted(runner)
    job = submitted(jobs)
    service.look()
    service.stop()
    assert jobs.get(job.id).state is JobState.RUNNING
    service = restarted(runner)
    assert runner.kept == [(job.id, 1, "0")]
    clock.now += 15
    alive(runner, 9.0)
    service.look()
    assert runner.renewals == [(job.id, 1, 9.0)]
    assert len(runner.ran) == 1
    runner.advance(5, 4)
    runner.succeed()
    service.look()
    assert jobs.get(job.id).state is JobState.SUCCEEDED
    assert [state.value for state, _, _ in jobs.events(job.id)] == ["queued", "running", "succeeded"]


def test_a_cancel_survives_a_restart_too(jobs, leased, submitted, restarted):
    """A job that was told to stop is told again, and stays `cancelling` until it has."""
    runner = leased()
    service = restarted(runner)
    job = submitted(jobs)
    service.look()
    service.cancel(jobs.get(job.id))
    service.stop()
    service = restarted(runner)
    assert jobs.get(job.id).state is JobState.CANCELLING
    service.look()
    assert runner.cancelled == [(job.id, 1)] * 2
    runner.die(None)
    service.look()
    assert jobs.get(job.id).state is JobState.CANCELLED


@pytest.mark.parametrize("reason", ["lapsed", "runner gone", "not kept"])
def test_a_job_that_cannot_be_taken_up_is_queued_again(jobs, leased, runner, submitted, restarted, reason):
    """Its lease is over, nobody runs its runner, or its runner knows nothing of it."""
    before = leased(keeps=reason != "not kept")
    service = restarted(before)
    job = submitted(jobs)
    service.look()
    service.stop()
    if reason == "lapsed":
        jobs.renew(job.id, 1, -1.0)
    restarted(runner if reason == "runner gone" else before)
    assert jobs.get(job.id).state is JobState.QUEUED
    assert jobs.get(job.id).interruptions == 0


def test_a_job_that_was_taken_up_ends_with_its_lease(jobs, clock, leased, submitted, restarted):
    """The next attempt begins once the lease is over, if the worker is never heard of again."""
    runner = leased()
    service = restarted(runner)
    job = submitted(jobs)
    service.look()
    service.stop()
    service = restarted(runner)
    clock.now += SECONDS + 1
    service.look()
    service.look()
    assert runner.ran[-1] == (job.id, 2, "0")


def place(device) -> Placement:
    """Return where something runs."""
    return Placement(device=device, dtype="float32", threads=1, torch="2.10")


def test_a_job_goes_on_only_on_its_kind_of_device(where, jobs, clock, make_runner, submitted):
    """A slot whose device is unknown learns it from the job that it cannot take; that job waits for the other slot."""
    runner = make_runner(Slot("0", "cuda:0"), Slot("1", "cpu"))
    service = Supervisor(where, jobs, (runner,), now=clock)
    job = submitted(jobs)
    service.look()
    runner.say(Taken, placed_on=place("H200"))
    runner.advance(3, 2)
    runner.hear("0", Succeeded(job=submitted(jobs).id, attempt=1))  # of no job of this slot
    service.look()
    assert runner.ran[-1][2] == "1"
    runner.say(Taken, placed_on=place("cpu"))
    runner.die(at=0)
    runner._slots = (Slot("1", "cpu"), Slot("2", "cpu"))
    service.look()
    assert runner.ran[-1] == (job.id, 2, "2")
    runner.say(Misplaced, placed_on=place("cpu"))
    service.look()
    assert len(runner.ran) == 3
    assert jobs.get(job.id).interruptions == 1
    assert [detail for state, _, detail in jobs.events(job.id) if state == "interrupted"][-1] == (
        "it goes on only on H200, and this slot has cpu"
    )
    runner._slots = (Slot("0", "cuda:0"),)
    service.look()
    assert runner.ran[-1] == (job.id, 3, "0")


@pytest.mark.parametrize("why", ["nothing committed", "its owner lets it"])
def test_a_job_may_go_on_elsewhere(jobs, database, submitted, why):
    """With nothing committed any device will do, and where the owner says so."""
    job = submitted(jobs)
    jobs.claim()
    jobs.place(job.id, place("H200").model_dump(mode="json"))
    if why == "its owner lets it":
        jobs.record(job.id, Progress(steps_committed=2))
    jobs.interrupt(job.id, 2 if why == "its owner lets it" else 0, "x", counted=False)
    jobs.move(job.id, JobState.QUEUED)
    if why == "its owner lets it":
        assert jobs.claim(Claim(hardware="cpu")) is None
        assert jobs.get(job.id).resume_on == "H200"
        with database.write() as session:
            session.get(JobRow, job.sequence).resume_elsewhere = True
    assert jobs.get(job.id).resume_on is None
    assert jobs.claim(Claim(hardware="cpu")).id == job.id
