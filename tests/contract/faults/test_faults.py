"""Workers that die, fail or will not stop, seen through the service: what a job's owner is told."""

from __future__ import annotations

import sys
import time

import pytest

from attnscope.connecting.connection import Connection
from attnscope.connecting.transport import Transport
from attnscope.errors import JobFailedError
from attnscope.service import Service
from attnscope_server.failures import problem_of
from attnscope_server.running.worker import REDUCE
from attnscope_storage.errors import StorageFullError, StorageUnwritableError
from attnscope_storage.wire import JobState, ProblemCode

SPEC = {"checkpoint": "AD-darkroom", "steps": 5, "tasks": {"goals": [(5, 4)]}}
DIES = "import sys; sys.stdin.readline(); sys.exit(9)"
DEAF = "import signal, sys, time; signal.signal(15, signal.SIG_IGN); sys.stdin.readline(); time.sleep(600)"


def client_of(running) -> Service:
    """Return a client of a running service."""
    return Service(Transport(Connection(running.url, running.key, "a test")))


def test_three_deaths_without_a_commit_fail_the_job(second_service):
    """A job whose worker dies each time does not run for ever, and says so; every state was written down."""
    with second_service(worker_command=(sys.executable, "-c", DIES)) as running, client_of(running) as client:
        job = client.submit(**SPEC)
        with pytest.raises(JobFailedError, match="3 interruptions") as raised:
            job.wait(timeout=60)
        assert raised.value.problem.code is ProblemCode.INTERRUPTED_TOO_OFTEN
        assert job.info.attempts == 3
        states = [state for state, _, _ in running.state.jobs.events(job.id)]
        assert states == ["queued", *["running", "interrupted", "queued"] * 2, "running", "interrupted", "failed"]


def test_a_worker_that_will_not_stop_is_killed(second_service):
    """A cancelled job ends within two seconds, also where its worker ignores the flag and SIGTERM."""
    deaf = {"worker_command": (sys.executable, "-c", DEAF), "stop_grace_seconds": 0.1}
    with second_service(**deaf) as running, client_of(running) as client:
        job = client.submit(**SPEC)
        deadline = time.monotonic() + 30
        while job.refresh().state is not JobState.RUNNING:
            assert time.monotonic() < deadline
        assert job.cancel().state is JobState.CANCELLING
        while not job.refresh(wait=1.0).state.final:
            assert time.monotonic() < deadline
        assert job.state is JobState.CANCELLED


@pytest.mark.parametrize(
    ("error", "code", "words"),
    [
        (MemoryError(), ProblemCode.OUT_OF_MEMORY, "fewer environments"),
        (RuntimeError("DefaultCPUAllocator: can't allocate memory"), ProblemCode.OUT_OF_MEMORY, "fewer environments"),
        (StorageFullError("no space left"), ProblemCode.STORAGE_FULL, "no space"),
        (StorageUnwritableError("read-only"), ProblemCode.STORAGE_UNWRITABLE, "read-only"),
        (KeyError("secret"), ProblemCode.INTERNAL, "KeyError"),
    ],
)
def test_failures_are_explained(error, code, words):
    """Memory names what to reduce, storage says why, and an inner fault leaks nothing."""
    document = problem_of(error, where="in the worker", reduce=REDUCE)
    assert document.code is code
    assert words in document.detail
    assert "secret" not in document.detail
