"""The worker's end of the pipes: signs of life, and orders that come too late."""

from __future__ import annotations

import io

import pytest

from attnscope_server.acting.errors import RolloutStoppedError
from attnscope_server.running import channel as channel_module
from attnscope_server.running.channel import Pipes
from attnscope_server.running.lease import Lease
from attnscope_server.running.messages import (
    REPORT,
    Alive,
    Cancel,
    Cancelled,
    Interrupted,
    Misplaced,
    Ready,
    Renewed,
    Run,
    Stop,
)
from attnscope_server.running.worker import Worker
from attnscope_storage.errors import FencedError, LeaseLostError


@pytest.fixture
def order(jobs, submitted):
    """Return an order to run a job."""
    job = submitted(jobs)
    return Run(
        job=job.id,
        attempt=2,
        name=job.name,
        owner="me",
        module="json",
        spec=job.spec,
        resolved=job.resolved,
        data_root="/nowhere",
        stores="/nowhere",
        device="cpu",
        alive_seconds=0.001,
    )


def reported(channel) -> list:
    """Return what was reported."""
    return [REPORT.validate_json(line) for line in channel.reports.getvalue().splitlines()]


def test_a_job_that_comes_with_the_end_is_not_begun(order):
    """A worker told to stop before it took a job reports it as interrupted, and ends."""
    channel = Pipes(io.BytesIO(), io.BytesIO())
    channel.orders.put(order)
    channel.orders.put(Stop())
    channel.stopping.set()
    Worker(channel).serve()
    assert reported(channel) == [Ready(), Interrupted(job=order.job, attempt=2)]


def test_orders_are_read_as_they_come(order, monkeypatch):
    """A job, its cancel and the stop are understood; the end of the pipe ends the process."""
    ended = []
    monkeypatch.setattr(channel_module.os, "_exit", ended.append)
    cancel = Cancel(job=order.job, attempt=2)
    channel = Pipes(io.BytesIO(order.line + cancel.line + Stop().line), io.BytesIO())
    channel.listen()
    assert ended == [0]
    assert [channel.orders.get(), channel.orders.get()] == [order, Stop()]
    assert channel.cancelled == {(order.job, 2)}
    assert channel.stopping.is_set()
    assert channel.alive_seconds == 0.001


def test_a_lease_is_kept_by_the_channel(order, monkeypatch):
    """It begins with the order, is renewed from the moment of the sign of life, and no other attempt renews it."""
    now, key = [50.0], (order.job, 2)
    monkeypatch.setattr(channel_module, "lasting_clock", lambda: now[0])
    channel = Pipes(io.BytesIO(), io.BytesIO())
    assert channel.may_write(key)
    channel.take(order.model_copy(update={"lease_seconds": 10.0}))
    channel.leases[key].clock = lambda: now[0]
    channel.running = key
    assert channel.sign_of_life() == Alive(job=order.job, attempt=2, said_at=50.0)
    now[0] = 56.0
    assert not channel.may_write(key)
    channel.take(Renewed(job=order.job, attempt=1, said_at=56.0))
    assert not channel.may_write(key)
    channel.take(Renewed(job=order.job, attempt=2, said_at=55.0))
    assert channel.may_write(key)


def test_an_attempt_that_waits_for_its_worker_is_alive(order, monkeypatch):
    """Torch may need longer to load than the lease lasts: without signs the next attempt would begin with it again."""
    monkeypatch.setattr(channel_module, "lasting_clock", lambda: 50.0)
    channel = Pipes(io.BytesIO(), io.BytesIO())
    assert channel.sign_of_life() == Alive()
    channel.take(order.model_copy(update={"lease_seconds": 10.0}))
    assert channel.sign_of_life() == Alive(job=order.job, attempt=2, said_at=50.0)
    Worker(channel).run(channel.orders.get().model_copy(update={"device_kind": "cuda"}))
    assert channel.sign_of_life() == Alive()


@pytest.mark.parametrize(
    ("error", "said"),
    [(LeaseLostError(), Interrupted), (FencedError(), Interrupted), (RolloutStoppedError(), Cancelled)],
)
def test_a_worker_that_lost_its_job_says_that_it_was_interrupted(order, monkeypatch, error, said):
    """Only an owner's cancel ends a job; whoever took it over goes on with it."""
    channel = Pipes(io.BytesIO(), io.BytesIO())
    worker = Worker(channel)

    def lost(_order):
        raise error

    monkeypatch.setattr(worker, "_job", lost)
    worker.run(order)
    assert reported(channel) == [said(job=order.job, attempt=2)]
    assert channel.running is None


def test_a_lost_lease_stops_the_work(order):
    """The rollout asks at every step, and hears that it must stop."""
    channel = Pipes(io.BytesIO(), io.BytesIO())
    worker, key = Worker(channel), (order.job, 2)
    assert not worker._must_stop(key)
    channel.leases[key] = Lease(10.0, 0.0, clock=lambda: 6.0)
    assert worker._must_stop(key)


@pytest.mark.parametrize("wish", [{"resume_on": "H200"}, {"device_kind": "cuda"}])
def test_a_job_for_another_device_is_not_begun(order, wish):
    """The worker says which device it has, and does not touch the store."""
    channel = Pipes(io.BytesIO(), io.BytesIO())
    Worker(channel).run(order.model_copy(update=wish))
    (said,) = reported(channel)
    assert isinstance(said, Misplaced)
    assert said.placed_on.device == "cpu"


def test_an_order_that_is_none_ends_the_worker(monkeypatch):
    """A job that is never taken would run for ever; a worker that ends is noticed."""
    ended = []
    monkeypatch.setattr(channel_module.os, "_exit", ended.append)
    Pipes(io.BytesIO(b"dance\n"), io.BytesIO()).listen()
    assert ended[0] == 1


def test_a_worker_says_that_it_lives():
    """Again and again while nothing else is said, until it is told to stop."""
    channel = Pipes(io.BytesIO(), io.BytesIO(), alive_seconds=0.001)
    report_to = channel.report

    def counted(report) -> None:
        report_to(report)
        if len(reported(channel)) == 3:
            channel.stopping.set()

    channel.report = counted
    channel.live()
    assert reported(channel) == [Alive()] * 3
