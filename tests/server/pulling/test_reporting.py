"""Reports on their way to a service that answers, is away, or says that the attempt is over."""

from __future__ import annotations

import queue
from uuid import uuid4

import pytest
from structlog.testing import capture_logs

from attnscope_server.pulling import reporting
from attnscope_server.pulling.child import Child
from attnscope_server.pulling.errors import AwayError, OverError
from attnscope_server.pulling.messages import Answer
from attnscope_server.pulling.reporting import Reporter
from attnscope_server.running.messages import Advanced, Alive, Cancel, Interrupted, Placement, Renewed, Succeeded, Taken

JOB = uuid4()
ABOUT = {"job": JOB, "attempt": 2}
TAKEN = Taken(**ABOUT, placed_on=Placement(device="cpu", dtype="float32", threads=1, torch="2"))


class Order:
    """The fields of an order that a reporter reads."""

    job, attempt, alive_seconds, lease_seconds = JOB, 2, 60.0, 60.0


class Assignment:
    """An attempt of that order."""

    order, token = Order, "secret"


class Service:
    """Takes reports; a test says how each request is answered."""

    def __init__(self) -> None:
        self.said = queue.SimpleQueue()
        self.answers = queue.SimpleQueue()

    def report(self, token, reports):
        """Note the reports, and answer as the test says; an error is raised."""
        assert token == Assignment.token
        self.said.put(list(reports))
        answer = self.answers.get(timeout=60)
        if isinstance(answer, Exception):
            raise answer
        return Answer(orders=answer)

    def heard(self):
        """Return the kinds of the reports of the next request."""
        return [type(one) for one in self.said.get(timeout=60)]


class Clock:
    """A clock that a test moves."""

    now = 1000.0

    def __call__(self) -> float:
        """Return the time in seconds."""
        return self.now


@pytest.fixture
def service():
    """Return such a service."""
    return Service()


@pytest.fixture
def reporter(service, monkeypatch):
    """Return a reporter that does not wait long, with what it obeyed and why it lost its attempt."""
    for name in ("TOLD_EVERY", "FIRST_WAIT", "LONGEST_WAIT"):
        monkeypatch.setattr(reporting, name, 0.01)
    obeyed, lost = [], []
    made = Reporter(service, Assignment, obeyed.append, lost.append, Clock())
    made.obeyed, made.lost = obeyed, lost
    made.start()
    return made


def advanced(steps: int) -> Advanced:
    """Return a report of progress."""
    return Advanced(**ABOUT, phase="rolling", steps_done=steps, steps_committed=0, bytes_written=0)


def test_the_first_report_is_a_sign_of_life_that_renews_the_lease(service, reporter):
    """Only then is the job handed over; the moment is that of the sign, not of the answer."""
    (sign,) = service.said.get(timeout=60)
    service.answers.put((Renewed(**ABOUT, said_at=sign.said_at),))
    reporter.wait_renewed(lambda: False)
    assert reporter.renewed_at == sign.said_at
    reporter.hear(Succeeded(**ABOUT))
    assert service.heard() == [Succeeded]
    service.answers.put(())
    reporter.wait_over()
    assert (reporter.lost, reporter.reason, len(reporter.obeyed)) == ([], None, 1)


def test_reports_that_wait_are_sent_in_order_and_progress_once(service, reporter):
    """While the service is away only the newest progress and sign of life are kept, and every other report."""
    assert service.heard() == [Alive]
    reporter.hear(Alive())  # the child's, before it has the job
    for report in (TAKEN, advanced(1), advanced(2), Alive(**ABOUT, said_at=3.0), advanced(3)):
        reporter.hear(report)
    service.answers.put(AwayError("down"))
    sent = service.said.get(timeout=60)
    assert [type(one) for one in sent] == [Taken, Alive, Advanced]
    assert (sent[1].said_at, sent[2].steps_done) == (3.0, 3)
    service.answers.put(AwayError("down"))
    assert service.heard() == [Taken, Alive, Advanced]  # again, whole
    reporter.hear(Succeeded(**ABOUT))
    service.answers.put(())
    assert service.heard() == [Succeeded]
    service.answers.put(())
    reporter.wait_over()


def test_a_service_that_is_away_is_asked_again_as_often_as_signs_of_life_are_due(service, monkeypatch):
    """One that starts anew within a short lease hears of the attempt before the lease ends."""
    monkeypatch.setattr(reporting, "FIRST_WAIT", 0.01)
    monkeypatch.setattr(Order, "alive_seconds", 0.02)
    reporter = Reporter(service, Assignment, lambda _: None, lambda _: None, Clock())
    for _ in range(4):
        service.answers.put(AwayError("down"))
    service.answers.put(OverError("the lease ended"))
    with capture_logs() as logged:
        reporter.start()
        reporter.wait_over(60)
    assert [one["again_in"] for one in logged] == [0.01, 0.02, 0.02, 0.02]


def test_an_attempt_that_is_over_is_lost_once(service, reporter):
    """Its worker is told why; whoever waits for the lease does not wait for ever."""
    assert service.heard() == [Alive]
    service.answers.put(OverError("the lease ended"))
    reporter.wait_over()
    assert reporter.lost == ["the lease ended"]
    with pytest.raises(OverError, match="the lease ended"):
        reporter.wait_renewed(lambda: False)


def test_a_cancel_is_kept_for_a_job_that_is_not_begun(service, reporter):
    """It is obeyed, and seen by whoever fetches the checkpoint."""
    assert service.heard() == [Alive]
    service.answers.put((Cancel(**ABOUT),))
    reporter.hear(TAKEN)
    assert service.heard() == [Taken]
    assert reporter.to_cancel
    assert reporter.obeyed == [Cancel(**ABOUT)]
    service.answers.put(OverError("done"))
    reporter.wait_over()


def test_a_job_moves_while_what_it_needs_arrives(service, reporter, monkeypatch):
    """A service ends an attempt that does not move for long, and a large checkpoint may need longer."""
    assert service.heard() == [Alive]
    reporter.moves()
    monkeypatch.setattr(reporting, "MOVED_EVERY", 0.0)
    service.answers.put(())
    reporter.moves()
    (told,) = service.said.get(timeout=60)
    assert (told.phase, told.steps_done) == ("loading", 0)
    service.answers.put(OverError("done"))
    reporter.wait_over()


def test_a_worker_that_ends_gives_back_a_job_whose_commits_are_on_their_way(service, reporter):
    """Its process is done and has nothing to stop; the sender might need an hour."""
    assert service.heard() == [Alive]
    Child(None, lambda: True, reporter, stream=object()).give_back()
    service.answers.put(())
    assert service.heard() == [Interrupted]
    service.answers.put(())
    reporter.wait_over(60)
    assert (reporter.over, reporter.reason) == (True, None)


def test_a_service_that_stays_away_is_told_the_end_for_a_while_only(service, reporter):
    """It has given the job away by then, so the worker asks for another one."""
    assert service.heard() == [Alive]
    service.answers.put(())
    reporter.hear(Succeeded(**ABOUT))
    for seconds in (0.0, 119.0, 2.0):
        assert service.heard() == [Succeeded]
        reporter.clock.now += seconds
        service.answers.put(AwayError("down"))
    reporter.wait_over(60)
    assert "given the job away" in reporter.reason
    assert reporter.lost == [reporter.reason]


def test_a_worker_whose_commits_wait_for_a_service_that_stays_away_gives_up(service, reporter):
    """Its process is done and its end is not told yet: two leases after the last answer the attempt is lost."""
    assert service.heard() == [Alive]
    service.answers.put(())
    reporter.hear(TAKEN)
    assert service.heard() == [Taken]
    reporter.clock.now += 1000.0
    service.answers.put(())  # this answer begins the wait anew
    reporter.alone()
    reporter.hear(advanced(5))
    for seconds in (119.0, 2.0):
        assert service.heard() == [Advanced]
        reporter.clock.now += seconds
        service.answers.put(AwayError("down"))
    reporter.wait_over(60)
    assert "away for 120 s" in reporter.reason
    assert reporter.lost == [reporter.reason]
