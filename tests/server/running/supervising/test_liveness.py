"""Signs of life: what is shown of a job that does not move, and what is ended."""

from __future__ import annotations

import pytest

from attnscope_server.limits import Limits
from attnscope_server.running.messages import Alive
from attnscope_server.running.supervising.supervisor import Supervisor
from attnscope_storage.wire import JobState, ProblemCode

TIMES = {"worker_start_seconds": 20.0, "silent_seconds": 30.0, "stalled_seconds": 10.0, "hung_seconds": 100.0}


@pytest.fixture
def where(where):
    """Return settings with short times."""
    return where.model_copy(update=TIMES)


def last(jobs, job) -> str:
    """Return why a job was interrupted last."""
    return [detail for state, _, detail in jobs.events(job.id) if state == "interrupted"][-1]


def test_a_stalled_job_shows_its_last_sign_and_no_rate(supervisor, runner, jobs, submitted, clock):
    """The rate and the time left are gone once the job says nothing, though its worker lives; a step ends that."""
    job = submitted(jobs)
    supervisor.look()
    runner.advance(2, 1, rate=7.0)
    told = supervisor.progress(job.id)
    assert (told.stalled, told.steps_per_second, told.eta_seconds) == (False, 7.0, pytest.approx(3 / 7))
    assert told.last_sign_at is not None
    clock.now += 11
    runner.hear("0", Alive())
    stalled = supervisor.progress(job.id)
    assert (stalled.stalled, stalled.steps_per_second, stalled.eta_seconds) == (True, None, None)
    assert stalled.last_sign_at == told.last_sign_at
    assert stalled.steps_done == 2
    runner.advance(3, 1, rate=7.0)
    assert supervisor.progress(job.id).stalled is False


def test_a_worker_that_never_starts_is_ended(supervisor, runner, jobs, submitted, clock):
    """It is shown as stalled, ended after the deadline, and its job goes to another try."""
    job = submitted(jobs)
    supervisor.look()
    clock.now += 11
    assert supervisor.progress(job.id).stalled
    clock.now += 8
    supervisor.look()
    assert runner.ended == []
    clock.now += 2
    supervisor.look()
    assert runner.ended == [(job.id, 1)]
    runner.die()
    supervisor.look()
    assert last(jobs, job) == "its worker did not start within 20 s"
    assert runner.ran[-1] == (job.id, 2, "0")


@pytest.mark.parametrize(
    ("alive", "after", "words"), [(False, 31, "no sign of life for 30 s"), (True, 101, "did not move for 100 s")]
)
def test_a_worker_that_hangs_is_ended_and_its_job_queued(
    supervisor, runner, jobs, submitted, clock, alive, after, words
):
    """A stopped process gives no sign of life; one whose job is stuck does, and is ended for that."""
    job = submitted(jobs)
    supervisor.look()
    runner.advance(1, 0)
    for _ in range(after):
        assert runner.ended == []
        clock.now += 1
        if alive:
            runner.hear("0", Alive())
        supervisor.look()
    assert runner.ended == [(job.id, 1)]
    runner.die()
    supervisor.look()
    assert words in last(jobs, job)
    assert jobs.get(job.id).attempts == 2
    assert jobs.get(job.id).interruptions == 1


def test_a_job_may_run_for_so_long_and_no_longer(where, runner, jobs, submitted, clock):
    """The time of all attempts counts; the job fails by the cap, which names itself."""
    limited = where.model_copy(update={"limits": Limits(run_seconds=50.0)})
    supervisor = Supervisor(limited, jobs, (runner,), now=clock)
    job = submitted(jobs)
    supervisor.look()
    clock.now += 30
    runner.advance(1, 1)
    runner.die()
    supervisor.look()
    assert jobs.get(job.id).ran_seconds == pytest.approx(30)
    clock.now += 15
    runner.advance(2, 1)
    supervisor.look()
    assert runner.cancelled == []
    clock.now += 6
    runner.hear("0", Alive())
    supervisor.look()
    assert runner.cancelled == [(job.id, 2)]
    supervisor.look()
    assert runner.cancelled == [(job.id, 2)]
    runner.die(-15)
    supervisor.look()
    failed = jobs.get(job.id)
    assert failed.state is JobState.FAILED
    assert failed.failure.code is ProblemCode.TOO_LARGE
    assert failed.failure.limit == 50
    assert failed.failure.requested == pytest.approx(51)


def test_a_job_that_ends_in_time_after_all_has_succeeded(where, runner, jobs, submitted, clock):
    """A success that crosses the cap's order to stop stays one."""
    supervisor = Supervisor(where.model_copy(update={"limits": Limits(run_seconds=5.0)}), jobs, (runner,), now=clock)
    job = submitted(jobs)
    supervisor.look()
    clock.now += 6
    supervisor.look()
    runner.succeed()
    supervisor.look()
    assert jobs.get(job.id).state is JobState.SUCCEEDED
