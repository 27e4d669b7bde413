"""A runner that runs nothing, and a supervisor that looks when a test says so."""

from __future__ import annotations

from uuid import UUID

import pytest

from attnscope_server.running.messages import Advanced, Died, Failed, Succeeded
from attnscope_server.running.runner import Runner, Slot
from attnscope_server.running.supervising.supervisor import Supervisor
from attnscope_storage.wire import ProblemCode, problem


class FakeRunner(Runner):
    """Takes jobs, and reports what a test says."""

    def __init__(self, *slots: Slot, name: str = "fake") -> None:
        self.name = name
        self._slots = slots or (Slot("0", "cpu"),)
        self.ran: list[tuple[UUID, int, str]] = []
        self.cancelled: list[tuple[UUID, int]] = []
        self.ended: list[tuple[UUID, int]] = []
        self.released: list[str] = []
        self.refuses: Exception | None = None

    def connect(self, hear) -> None:
        """Take the supervisor's ear."""
        self.hear = hear

    def slots(self):
        """Return the slots of the test."""
        return self._slots

    def run(self, job, attempt, slot) -> None:
        """Note a job, or refuse it."""
        if self.refuses is not None:
            raise self.refuses
        self.ran.append((job.id, attempt, slot))

    def cancel(self, job, attempt) -> None:
        """Note that a job is to stop."""
        self.cancelled.append((job, attempt))

    def end(self, job, attempt) -> None:
        """Note that a worker is to end."""
        self.ended.append((job, attempt))

    def release(self, slot) -> None:
        """Note that a device is free."""
        self.released.append(slot)

    def stop(self) -> None:
        """Have nothing to stop."""

    def say(self, kind, at=-1, **content) -> None:
        """Report about the attempt that was taken as the `at`-th."""
        job, attempt, slot = self.ran[at]
        self.hear(slot, kind(**{"job": job, "attempt": attempt} | content))

    def advance(self, done, committed, at=-1, rate=1.0) -> None:
        """Report progress."""
        said = {"phase": "rolling", "steps_done": done, "steps_committed": committed, "bytes_written": 10}
        self.say(Advanced, at, **said, steps_per_second=rate)

    def succeed(self, at=-1) -> None:
        """Report success."""
        self.say(Succeeded, at)

    def fail(self, at=-1) -> None:
        """Report an error."""
        self.say(Failed, at, problem=problem(ProblemCode.INTERNAL, "it broke"))

    def die(self, code=-9, at=-1) -> None:
        """Report a death."""
        self.say(Died, at, code=code)


class Clock:
    """A steady clock that a test moves."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        """Return the time in seconds."""
        return self.now


@pytest.fixture
def clock():
    """Return a clock to move."""
    return Clock()


@pytest.fixture
def runner():
    """Return a runner with one slot."""
    return FakeRunner()


@pytest.fixture
def make_runner():
    """Return a function that makes a runner with these slots."""
    return FakeRunner


@pytest.fixture
def supervisor(where, jobs, runner, clock):
    """Return a supervisor of the fake runner; a test makes it look."""
    return Supervisor(where, jobs, (runner,), now=clock)
