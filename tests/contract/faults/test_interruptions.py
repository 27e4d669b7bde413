"""Killed at random moments, a job ends by itself with every array bit-equal to an uninterrupted run."""

from __future__ import annotations

import os
import time

import numpy as np
import pytest

import attnscope
from attnscope_server.records.job import MAX_INTERRUPTIONS
from attnscope_server.root.paths import capture_path
from attnscope_storage.errors import CaptureNotFoundError
from attnscope_storage.reading.reader import CaptureReader
from attnscope_storage.wire import JobState

STEPS = 1500 if os.environ.get("ATTNSCOPE_KILLS") is None else 4000
KILLS = int(os.environ.get("ATTNSCOPE_KILLS", "2"))
"""Kills of one run; `make kills` asks for ten."""

VICTIMS = {"worker": KILLS, "service": KILLS if "ATTNSCOPE_KILLS" in os.environ else 1}
"""Kills by what is killed: a service takes seconds to start again."""

OPTIONS = {
    "checkpoint": "AD-darkroom",
    "tasks": {"split": "test", "indices": [2, 7]},
    "steps": STEPS,
    "maps": {"steps": [70, 700, STEPS - 1]},
}


@pytest.fixture(scope="module")
def whole(service):
    """Return the store of the job that nothing interrupted."""
    with attnscope.connect(service.url, service.key) as client:
        job = client.submit(**OPTIONS).wait()
    return capture_path(service.settings.data_root, str(job.id))


def committed(server, job) -> int:
    """Return the steps committed, and check that a live reader sees no hole in them."""
    try:
        reader = CaptureReader.open(capture_path(server.root, str(job.id)))
    except CaptureNotFoundError:
        return 0
    entropy = reader.array("stats/entropy")[:]
    assert len(entropy) == reader.steps_committed
    assert np.isfinite(entropy).all()
    return reader.steps_committed


def wait_until(condition, seconds: float = 90) -> None:
    """Return once `condition` holds."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not come to that in time"
        time.sleep(0.01)


def ended(job) -> bool:
    """Return True if the job has ended."""
    return job.refresh(wait=1.0).state.final


@pytest.mark.parametrize("victim", ["worker", "service"])
def test_kills_leave_no_trace_in_the_arrays(server, whole, differing, victim):
    """Killed again and again with -9, worker or service, the job resumes by itself to the same bits.

    A worker is gone with its service.
    """
    client = server.start()
    job = client.submit(**OPTIONS)
    chance, killed = np.random.default_rng(7), 0
    for _ in range(VICTIMS[victim]):
        before = committed(server, job)
        wait_until(lambda before=before, job=job: committed(server, job) > before or job.refresh().state.final)
        time.sleep(chance.uniform(0, 0.2))
        if job.refresh().state.final:
            break
        worker = server.worker()
        if victim == "worker":
            worker.kill()
        else:
            server.kill()
            wait_until(lambda worker=worker: not worker.is_running() or worker.status() == "zombie", 20)
            client = server.start()
            job = client.job(job.id)
        killed += 1
    wait_until(lambda: ended(job))
    assert job.state is JobState.SUCCEEDED
    assert killed == VICTIMS[victim]
    assert differing(whole, capture_path(server.root, str(job.id))) == []


BEFORE_A_COMMIT = MAX_INTERRUPTIONS - 1
"""Kills of a worker before a job's first commit that the job outlives: one more fails it."""


@pytest.mark.parametrize("victim", ["worker", pytest.param("service", marks=pytest.mark.slow)])
def test_kills_before_the_first_commit_leave_no_trace(server, whole, differing, victim):
    """Killed while nothing is committed yet, the job begins anew by itself and ends with the same bits."""
    client = server.start()
    chance, killed, jobs = np.random.default_rng(11), 0, []
    while killed < VICTIMS[victim]:
        job = client.submit(**OPTIONS)
        jobs.append(job.id)
        for attempt in range(1, 1 + min(BEFORE_A_COMMIT, VICTIMS[victim] - killed)):
            wait_until(lambda job=job, attempt=attempt: job.refresh().info.attempts == attempt)
            time.sleep(chance.uniform(0, 0.3))
            if victim == "worker":
                server.worker().kill()
            else:
                server.kill()
            killed += committed(server, job) == 0
            if victim == "service":
                client = server.start()
                job = client.job(job.id)
            if committed(server, job) > 0:
                break  # it came to its first commit; further kills of it are those of the test above
    for job in map(client.job, jobs):
        wait_until(lambda job=job: ended(job))
        assert job.state is JobState.SUCCEEDED
        assert job.info.attempts > 1
        assert differing(whole, capture_path(server.root, str(job.id))) == []


def test_an_orderly_stop_resumes_at_the_next_start(server, whole, differing):
    """SIGTERM lets the worker drop its partial chunk; the next start ends the job to the same bits."""
    client = server.start()
    job = client.submit(**OPTIONS)
    wait_until(lambda: committed(server, job) > 0)
    server.stop()
    client = server.start()
    job = client.job(job.id)
    wait_until(lambda: ended(job))
    assert job.state is JobState.SUCCEEDED
    assert differing(whole, capture_path(server.root, str(job.id))) == []
