"""The runner of workers that ask: its slots, leases that end, and restarts of the service while a worker runs."""

from __future__ import annotations

import secrets

import pytest
from pydantic import ValidationError

from attnscope_server.errors import ProblemError
from attnscope_server.pulling.messages import Offer
from attnscope_server.pulling.runner import WORKERS_PER_KEY, PullRunner
from attnscope_server.records.attempt_tokens import AttemptTokens
from attnscope_server.records.keys import Identity, Scope
from attnscope_server.running.messages import Alive, Cancel, Renewed, Succeeded
from attnscope_server.running.supervising.supervisor import Supervisor
from attnscope_storage import __version__
from attnscope_storage.wire import JobState

KEY = Identity("(workers)", "k1", frozenset({Scope.WORKER}))


def offer(**changes) -> Offer:
    """Return the offer of a new worker."""
    about = {"name": "box", "version": __version__, "device": "cuda:1", "hardware": "H200", "stores": "reached"}
    return Offer(**(about | {"session": secrets.token_hex(16), "wait": 1.0} | changes))


class Clock:
    """A steady clock that a test moves."""

    now = 100.0

    def __call__(self) -> float:
        """Return the time in seconds."""
        return self.now


@pytest.fixture
def clock():
    """Return a clock to move."""
    return Clock()


@pytest.fixture
def service(where, jobs, clock):
    """Return a function that starts a service with a new runner; a test makes it look."""

    def start() -> tuple[Supervisor, PullRunner]:
        runner = PullRunner(where, now=clock)
        made = Supervisor(where, jobs, (runner,), now=clock)
        made._thread.start = made._thread.join = lambda: None
        made.start()
        return made, runner

    return start


def test_a_job_goes_on_over_a_restart(service, jobs, database, submitted):
    """Its token is good at the new service, whose first answer renews the lease; it ends as if nothing had been."""
    supervisor, runner = service()
    job, worker = submitted(jobs), offer()
    turn = runner.offered(KEY, worker)
    supervisor.look()
    order = runner.taken(worker.slot, turn)
    assert (order.job, order.device, order.lease_seconds) == (job.id, "cuda:1", runner.lease_seconds)
    token = AttemptTokens(database).issue(job.id, 1, KEY.key_id)
    supervisor.stop()
    supervisor, runner = service()
    held = AttemptTokens(database).held(token, KEY.key_id)
    assert (held.id, held.state, held.slot) == (job.id, JobState.RUNNING, worker.slot)
    sign = Alive(job=job.id, attempt=1, said_at=5.0)
    assert runner.heard(worker.slot, (job.id, 1), [sign]) == (Renewed(job=job.id, attempt=1, said_at=5.0),)
    supervisor.cancel(held)
    assert runner.heard(worker.slot, (job.id, 1), [sign])[-1] == Cancel(job=job.id, attempt=1)
    runner.heard(worker.slot, (job.id, 1), [Succeeded(job=job.id, attempt=1)])
    supervisor.look()
    assert jobs.get(job.id).state is JobState.SUCCEEDED


def test_another_key_ends_no_attempt_after_a_restart(service, jobs, database, submitted):
    """It may know the name of the slot: it can neither say goodbye for the worker nor ask in its place."""
    supervisor, runner = service()
    job, worker, other = submitted(jobs), offer(), Identity("(workers)", "k2", frozenset({Scope.WORKER}))
    runner.offered(KEY, worker)
    supervisor.look()
    AttemptTokens(database).issue(job.id, 1, KEY.key_id)
    supervisor.stop()
    supervisor, runner = service()
    with pytest.raises(ProblemError, match="another key"):
        runner.offered(other, worker)
    runner.left(other, worker.slot)
    supervisor.look()
    assert jobs.get(job.id).state is JobState.RUNNING
    runner.left(KEY, worker.slot)
    supervisor.look()
    assert jobs.get(job.id).attempts == 1
    assert jobs.get(job.id).state is not JobState.RUNNING


def test_a_lease_that_ends_gives_the_job_to_the_next_worker(service, jobs, clock, database, submitted):
    """The first one hears that its attempt is over; nothing that it says afterwards counts."""
    supervisor, runner = service()
    job, first, second = submitted(jobs), offer(), offer()
    runner.offered(KEY, first)
    supervisor.look()
    token = AttemptTokens(database).issue(job.id, 1, KEY.key_id)
    clock.now += runner.lease_seconds + 1
    supervisor.look()
    runner.offered(KEY, second)
    supervisor.look()
    assert jobs.get(job.id).attempts == 2
    with pytest.raises(ProblemError, match="over"):
        AttemptTokens(database).held(token, KEY.key_id)
    runner.heard(first.slot, (job.id, 1), [Succeeded(job=job.id, attempt=1)])
    supervisor.look()
    assert jobs.get(job.id).state is JobState.RUNNING


def test_a_worker_whose_job_hangs_loses_it(service, where, jobs, clock, database, submitted):
    """It lives and says so, which renews its lease for ever; its job goes to another try when it has not moved."""
    supervisor, runner = service()
    job, worker = submitted(jobs), offer()
    turn = runner.offered(KEY, worker)
    supervisor.look()
    runner.closed(worker.slot, turn)
    token, ends = AttemptTokens(database).issue(job.id, 1, KEY.key_id), clock.now + where.hung_seconds
    while clock.now <= ends:
        assert jobs.get(job.id).state is JobState.RUNNING
        clock.now += runner.lease_seconds / 2
        runner.heard(worker.slot, (job.id, 1), [Alive(job=job.id, attempt=1, said_at=clock.now)])
        supervisor.look()
    supervisor.look()
    found = jobs.get(job.id)
    assert (found.state, found.interruptions) == (JobState.QUEUED, 1)
    assert "did not move" in [detail for _, _, detail in jobs.events(job.id) if detail][-1]
    with pytest.raises(ProblemError, match="over"):
        AttemptTokens(database).held(token, KEY.key_id)


def test_a_slot_is_shown_as_long_as_its_worker_asks(service, clock):
    """Free while a claim waits; gone when nothing was heard for a lease; one key has a bounded number."""
    _, runner = service()
    worker = offer(stores="streamed")
    turn = runner.offered(KEY, worker)
    (slot,) = runner.slots()
    assert (slot.free, slot.device, slot.hardware, slot.owners) == (True, "cuda:1", "H200", None)
    assert slot.refuses == frozenset()
    assert runner.offered(KEY, worker) == turn + 1
    assert not runner.waits(worker.slot, turn)
    assert runner.closed(worker.slot, turn) is None
    assert runner.slots()[0].free
    runner.closed(worker.slot, turn + 1)
    assert [slot.free for slot in runner.slots()] == [False]
    clock.now += runner.lease_seconds + 1
    assert runner.slots() == ()
    for _ in range(WORKERS_PER_KEY):
        runner.offered(KEY, offer())
    with pytest.raises(ProblemError, match="a key of their own"):
        runner.offered(KEY, offer())


def test_a_job_that_nobody_waits_for_any_more_goes_back(service, jobs, submitted):
    """The claim had ended when the job was laid ready, or ends with it untaken: no death counts."""
    supervisor, runner = service()
    job, worker = submitted(jobs), offer()
    turn = runner.offered(KEY, worker)
    with pytest.raises(RuntimeError, match="waits for no job"):
        runner.run(job, 1, "another")
    supervisor.look()
    order = runner.closed(worker.slot, turn)
    runner.given_back(worker.slot, order)
    supervisor._settle()
    assert (jobs.get(job.id).state, jobs.get(job.id).interruptions) == (JobState.QUEUED, 0)


@pytest.mark.parametrize("hardware", ["", "x" * 201, "cpu\x1b[2J", "cpu\u202e"])
def test_a_device_has_a_plain_name(hardware):
    """It is shown to people, in terminals too."""
    with pytest.raises(ValidationError):
        offer(hardware=hardware)
