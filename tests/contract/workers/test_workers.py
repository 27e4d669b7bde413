"""Workers that ask a service for jobs: the same arrays as a local worker's, whatever happens to worker and service."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import psutil
import pytest

import attnscope
import workload
from attnscope_server.root.paths import capture_path
from attnscope_storage.reading.reader import CaptureReader
from attnscope_storage.wire import JobState
from running_here import run_here

FAR = (sys.executable, "-X", "far", "-m", "attnscope_server.running.worker")
"""A command that no other worker of this process has: services of other tests may have workers here too."""

OPTIONS = {
    "checkpoint": "AD-darkroom",
    "tasks": {"split": "test", "indices": [2, 7]},
    "steps": 400,
    "maps": {"steps": [70, 399]},
}
DECISION = {
    "checkpoint": "AD-darkroom",
    "tasks": {"split": "test", "indices": [2, 4, 5, 7]},
    "screening": {"split": "test", "indices": [1, 3]},
    "episodes": 2,
    "budgets": [4],
    "screened": 8,
    "quick": True,
}
SECONDS = 120.0


def wait_until(condition: Callable[[], object], seconds: float = SECONDS) -> None:
    """Return once `condition` holds."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not come to that in time"
        time.sleep(0.01)


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory):
    """Return a function that runs a job of a service here, in one piece, and gives its folder."""
    root = tmp_path_factory.mktemp("whole")
    return lambda running, job: run_here(job.info, running.settings.checkpoints_folder, root)


@contextmanager
def stopped_at_its_first_commit(worker) -> Iterator[Callable[[], list[psutil.Process]]]:
    """Stop the computing process of a worker that streams when its first steps are sent; wake it at the end."""
    send, stopped = worker.connection.send, []

    def sent(token, number, *given):
        if number and not stopped:  # commit 0 has no steps
            stopped.extend(one for one in psutil.Process().children() if one.cmdline()[1:] == list(FAR[1:]))
            for one in stopped:
                one.suspend()
        send(token, number, *given)

    worker.connection.send = sent
    try:
        yield lambda: stopped
    finally:
        for one in stopped:
            one.resume()


def test_short_jobs_that_are_sent_tell_all_of_their_steps_and_have_the_bits_of_a_run_here(
    pulled, lent, uninterrupted, differing
):
    """Commits are sent when the job has ended, and its end overtakes no progress; a screen gets its capture first.

    A decision sends a store that it owns too, whole before the request that follows from it; its gate ends it there.
    """
    with attnscope.connect(pulled.url, pulled.key) as client, lent(pulled, stores=None) as far:
        job = client.submit(**OPTIONS | {"steps": 20, "maps": {"count": 0}})
        assert job.wait(timeout=SECONDS).state is JobState.SUCCEEDED
        screen = client.submit(
            kind="screen", capture=job.id, strategies=[{"name": "recency"}], budgets=[4], decisions=4
        )
        assert screen.wait(timeout=SECONDS).state is JobState.SUCCEEDED, screen.info.failure
        decision = client.submit(kind="decision", **DECISION)
        assert decision.wait(timeout=SECONDS).state is JobState.SUCCEEDED, decision.info.failure
        parts = decision.decision().card.children
        assert not list(far.means.cache.root.glob("captures/*"))
    progress = job.info.progress
    assert (progress.steps_done, progress.steps_committed, progress.steps_total) == (20, 20, 20)
    assert progress.bytes_written > 0
    assert set(parts) == {"capture"}
    whole = [uninterrupted(pulled, one) for one in (job, screen, decision)]
    for path in (*whole, *(capture_path(whole[-1].parents[1], part) for part in parts.values())):
        sent = pulled.settings.data_root / "captures" / path.name
        assert set(differing(path, sent)) <= workload.TIMED
        there, here = (CaptureReader.open(one).attributes for one in (sent, path))
        assert there["complete"]
        for name in ("spec", "resolved", "job", "owner", "provenance", "children", "part_of"):
            assert there.get(name) == here.get(name), (path, name)


def test_a_job_that_changes_its_worker_has_the_bits_of_one_that_did_not(pulled, lent, uninterrupted, differing):
    """The first sends its commits and is told to end; the second goes on from them, where the stores are.

    The job waits at once when its worker ends, no death counts, and its root document says where it ran.
    """
    with attnscope.connect(pulled.url, pulled.key) as client:
        job = client.submit(**OPTIONS)
        with lent(pulled, name="far", stores=None, command=FAR) as far, stopped_at_its_first_commit(far) as stopped:
            wait_until(lambda: job.refresh().info.progress.steps_committed or job.state.final)
            assert len(stopped()) == 1
            (place,) = pulled.state.supervisor.places()
            assert (place.runner, place.hardware, place.slot.name[:4]) == ("pull", "cpu", "far.")
            assert not list(far.means.cache.root.glob(f"captures/{job.id}*"))
            far.drain()  # before the process wakes, so that it cannot have come to the job's end
        pulled.state.supervisor.look()
        stored = pulled.state.jobs.get(job.id)
        assert (stored.state, stored.interruptions) == (JobState.QUEUED, 0)
        assert not list((far.means.cache.root / "scratch").iterdir())
        sent = CaptureReader.open(capture_path(pulled.settings.data_root, str(job.id)))
        assert 0 < sent.steps_committed < OPTIONS["steps"]
        left = far.means.cache.root / "scratch" / "of-a-killed-worker"
        left.mkdir()
        with lent(pulled):
            assert job.wait(timeout=SECONDS).state is JobState.SUCCEEDED
            assert not left.exists()
        reader = CaptureReader.open(capture_path(pulled.settings.data_root, str(job.id)))
        assert differing(uninterrupted(pulled, job), capture_path(pulled.settings.data_root, str(job.id))) == []
        assert (job.info.attempts, reader.attributes["attempt"], reader.complete) == (2, 2, True)
        assert [place["device"] for place in reader.attributes["placed_on"]] == ["cpu"]
        assert reader.attributes["provenance"]["threads"] == 1
        assert reader.attributes["owner"] == job.info.owner
