"""Commits on their way to a service that takes none: the sender gives up, and says how the attempt ended."""

from __future__ import annotations

import queue
from types import SimpleNamespace
from uuid import uuid4

import pytest

from attnscope_server.pulling.errors import AwayError, RefusedError
from attnscope_server.pulling.messages import Beside, CommitState
from attnscope_server.pulling.streaming import Stream
from attnscope_server.running.messages import Advanced, Failed, Succeeded
from attnscope_storage.wire import ProblemCode, problem
from screens import policy_of
from submitted import RESOLVED, SPEC

JOB = uuid4()


class Reporter:
    """A reporter whose time passes while somebody waits; the attempt is over after so many seconds."""

    patience, reason = 120.0, "lost"

    def __init__(self, over_at=float("inf")) -> None:
        self.now, self.over_at, self.heard = 0.0, over_at, queue.SimpleQueue()
        self.hear = self.heard.put

    @property
    def over(self) -> bool:
        """True where the attempt is over."""
        return self.now >= self.over_at

    def clock(self) -> float:
        """Return the time in seconds."""
        return self.now

    def wait_over(self, seconds) -> None:
        """Let time pass."""
        self.now += seconds

    def wait_told(self) -> bool:
        """Return that the service knows where the attempt runs."""
        return True

    def alone(self) -> None:
        """Take note of nothing."""


class Service:
    """Has no store of the job."""

    def fetch(self, *_) -> None:
        """Refuse: there is nothing."""
        raise RefusedError("none", problem(ProblemCode.NOT_FOUND, "none"))

    def committed(self, *_) -> CommitState:
        """Return that nothing is committed."""
        return CommitState()

    def beside(self, _) -> Beside:
        """Return that no other store tells anything."""
        return Beside()


@pytest.fixture
def stream_of(tmp_path):
    """Return a function that makes the sender of a job, with a reporter and what became of its child."""

    def make(reporter, dropped=()):
        order = SimpleNamespace(job=JOB, attempt=1, spec=SPEC, resolved=RESOLVED)
        assignment = SimpleNamespace(order=order, token=str(JOB), checkpoints=[SimpleNamespace(policy=policy_of())])
        return Stream(Service(), assignment, reporter, tmp_path, lambda: dropped.append(True))

    return make


@pytest.fixture
def sending(stream_of, monkeypatch):
    """Return a function that lets a job end whose commits a service never takes, and what became of it."""

    def away(_):
        raise AwayError("busy")

    monkeypatch.setattr(Stream, "_send_all", away)

    def end(reporter):
        dropped = []
        stream = stream_of(reporter, dropped)
        stream.prepare(lambda: False)
        stream.hear(Succeeded(job=JOB, attempt=1))
        stream._thread.join(60)
        assert not stream._thread.is_alive()
        return dropped

    return end


@pytest.mark.parametrize(("patience", "waited"), [(120.0, 120), (24.0, 80)])
def test_a_service_that_answers_and_takes_no_commit_fails_the_job(sending, patience, waited):
    """Reports renew the lease for ever, so the sender itself ends the attempt; a bucket's tries may outlast a lease."""
    reporter = Reporter()
    reporter.patience = patience
    assert sending(reporter) == [True]
    failed = reporter.heard.get(timeout=1)
    assert isinstance(failed, Failed)
    assert failed.problem.code is ProblemCode.STORAGE_UNWRITABLE
    assert f"took no commit for {waited} s: busy" in failed.problem.detail
    assert waited < reporter.now < waited + 3


def test_an_attempt_that_is_over_is_sent_no_more(sending):
    """The reporter has given up; nothing is told of an attempt that is another worker's."""
    reporter = Reporter(over_at=5.0)
    assert sending(reporter) == []
    assert reporter.heard.empty()


def test_a_job_moves_with_every_answer_while_its_commits_are_sent(stream_of):
    """A slow line may need an hour for what is committed here, and a job that does not move for long is ended."""
    reporter = Reporter()
    stream = stream_of(reporter)
    stream._own.look()
    assert reporter.heard.empty()
    done = {"steps_done": 5, "steps_committed": 5, "bytes_written": 9}
    stream.hear(Advanced(job=JOB, attempt=1, phase="rolling", **done))
    stream._own.look()
    told = reporter.heard.get(timeout=1)
    assert (told.steps_done, told.steps_committed, told.bytes_written) == (5, 0, 0)
