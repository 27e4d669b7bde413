"""The worker's end of the pipes: signs of life, and orders that come too late."""

from __future__ import annotations

import io

import pytest

from attnscope_server.running import channel as channel_module
from attnscope_server.running.channel import Channel
from attnscope_server.running.messages import REPORT, Alive, Cancel, Interrupted, Ready, Run, Stop
from attnscope_server.running.worker import Worker


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
        device="cpu",
        alive_seconds=0.001,
    )


def said(channel) -> list:
    """Return what was reported."""
    return [REPORT.validate_json(line) for line in channel.reports.getvalue().splitlines()]


def test_a_job_that_comes_with_the_end_is_not_begun(order):
    """A worker told to stop before it took a job reports it as interrupted, and ends."""
    channel = Channel(io.BytesIO(), io.BytesIO())
    channel.orders.put(order)
    channel.orders.put(Stop())
    channel.stopping.set()
    Worker(channel).serve()
    assert said(channel) == [Ready(), Interrupted(job=order.job, attempt=2)]


def test_orders_are_read_as_they_come(order, monkeypatch):
    """A job, its cancel and the stop are understood; the end of the pipe ends the process."""
    ended = []
    monkeypatch.setattr(channel_module.os, "_exit", ended.append)
    cancel = Cancel(job=order.job, attempt=2)
    channel = Channel(io.BytesIO(order.line + cancel.line + Stop().line), io.BytesIO())
    channel.listen()
    assert ended == [0]
    assert [channel.orders.get(), channel.orders.get()] == [order, Stop()]
    assert channel.cancelled == {(order.job, 2)}
    assert channel.stopping.is_set()
    assert channel.alive_seconds == 0.001


def test_an_order_that_is_none_ends_the_worker(monkeypatch):
    """A job that is never taken would run for ever; a worker that ends is noticed."""
    ended = []
    monkeypatch.setattr(channel_module.os, "_exit", ended.append)
    Channel(io.BytesIO(b"dance\n"), io.BytesIO()).listen()
    assert ended[0] == 1


def test_a_worker_says_that_it_lives():
    """Again and again while nothing else is said, until it is told to stop."""
    channel = Channel(io.BytesIO(), io.BytesIO(), alive_seconds=0.001)
    report_to = channel.report

    def counted(report) -> None:
        report_to(report)
        if len(said(channel)) == 3:
            channel.stopping.set()

    channel.report = counted
    channel.live()
    assert said(channel) == [Alive()] * 3
