"""Reports of an actor's worker: kept until a driver has them, and told again to the next driver."""

from __future__ import annotations

from uuid import uuid4

import pytest

from attnscope_server.running.lease import lasting_clock
from attnscope_server.running.messages import REPORT, Advanced, Alive, Cancel, Ready, Run, Succeeded
from attnscope_server.running.on_ray.mailbox import Mailbox


@pytest.fixture
def order(jobs, submitted):
    """Return an order with a lease."""
    job = submitted(jobs)
    return Run(
        job=job.id, attempt=2, name=job.name, owner="me", module="json", spec=job.spec, resolved=job.resolved,
        data_root="/nowhere", stores="/nowhere", device="cpu", lease_seconds=10.0,
    )  # fmt: skip


def read(mailbox, after):
    """Return the reports after a number, and the number of the last."""
    number, lines = mailbox.since(after, 0.0)
    return number, [REPORT.validate_json(line) for line in lines]


def test_reports_stay_until_they_are_acknowledged():
    """A driver that ends between a call and its next one loses nothing."""
    mailbox = Mailbox()
    about = {"job": uuid4(), "attempt": 1}
    mailbox.report(Ready())
    mailbox.report(Succeeded(**about))
    assert read(mailbox, 0) == (2, [Ready(), Succeeded(**about)])
    assert read(mailbox, 0) == (2, [Ready(), Succeeded(**about)])
    assert read(mailbox, 1) == (2, [Succeeded(**about)])
    assert read(mailbox, 2) == (2, [])


def test_only_the_newest_progress_waits():
    """However long no driver calls, the reports that wait stay few."""
    mailbox = Mailbox()
    about = {"job": uuid4(), "attempt": 1, "phase": "rolling", "steps_committed": 0, "bytes_written": 0}
    for step in range(100):
        mailbox.report(Advanced(**about, steps_done=step))
    mailbox.report(Alive())
    mailbox.report(Alive())
    assert read(mailbox, 0) == (102, [Advanced(**about, steps_done=99), Alive()])


def test_a_report_that_comes_after_a_call_is_not_lost_with_the_one_that_it_replaces():
    """The newer one has a number of its own."""
    mailbox = Mailbox()
    mailbox.report(Alive())
    number, _ = read(mailbox, 0)
    mailbox.report(Alive(said_at=2.0))
    assert read(mailbox, number) == (2, [Alive(said_at=2.0)])


def test_an_order_that_waited_in_a_stopped_process_gives_no_right_to_write(order):
    """The lease began when the actor answered the driver; an older ending is forgotten."""
    mailbox = Mailbox()
    mailbox.report(Succeeded(job=order.job, attempt=1))
    mailbox.take(order.model_copy(update={"asked_at": lasting_clock() - 7.0}))
    assert not mailbox.may_write((order.job, 2))
    assert not mailbox.has((str(order.job), 1))
    mailbox.take(order.model_copy(update={"asked_at": lasting_clock()}))
    assert mailbox.may_write((order.job, 2))
    mailbox.take(Cancel(job=order.job, attempt=2))
    assert mailbox.cancelled == {(order.job, 2)}


def test_the_next_driver_hears_of_the_attempt(order):
    """One that waits or runs is here; the end of one that ended is told once more; an older attempt is unknown."""
    mailbox = Mailbox()
    assert not mailbox.has((str(order.job), 2))
    mailbox.take(order)
    assert mailbox.has((str(order.job), 2))
    assert not mailbox.has((str(order.job), 1))
    mailbox.leases.clear()
    end = Succeeded(job=order.job, attempt=2)
    mailbox.report(end)
    number, _ = read(mailbox, 0)
    assert read(mailbox, number)[1] == []
    assert mailbox.has((str(order.job), 2))
    assert read(mailbox, number)[1] == [end]
