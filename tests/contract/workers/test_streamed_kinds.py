"""Jobs of each kind at workers without access to the stores: they end as on a local worker, equal to the bit."""

from __future__ import annotations

from uuid import uuid4

import pytest

import attnscope
import workload
from attnscope_server.root.paths import capture_path
from attnscope_storage.reading.reader import CaptureReader
from attnscope_storage.verify import verify
from attnscope_storage.wire import JobState
from killed_jobs import undisturbed
from worker_processes import SECONDS, wait_until

__all__ = ["undisturbed"]

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def stocked(pulled, tmp_path_factory):
    """Return the service with the checkpoints of the workload."""
    workload.add_checkpoints(pulled.settings.checkpoints_folder, tmp_path_factory.mktemp("planted"))
    return pulled


def asked(client, kind, of=None):
    """Submit the workload's job of a kind."""
    workload.submit(client, kind, name := uuid4(), of)
    return client.job(name)


def assert_alike(running, kind, job, undisturbed) -> None:
    """Check that a job has ended as on a local worker, and that all of its chunks are there."""

    def store(name):
        return capture_path(running.settings.data_root, str(name))

    assert job.state is JobState.SUCCEEDED, job.info.failure
    assert workload.apart(kind, undisturbed(kind), (job, store)) == []
    assert verify(CaptureReader.open(store(job.id))).ok


def test_a_capture_a_trial_and_a_screen_that_are_sent_have_the_bits_of_local_ones(stocked, lent, undisturbed):
    """Their worker reaches no store: it sends commits, and fetches the capture that the screen reads."""
    with attnscope.connect(stocked.url, stocked.key) as client, lent(stocked, stores=None, name="far"):
        jobs = {}
        for kind in ("capture", "trial", "screen"):
            jobs[kind] = asked(client, kind, jobs["capture"].id if kind == "screen" else None)
            jobs[kind].wait(timeout=SECONDS)
            assert stocked.state.jobs.get(jobs[kind].id).slot.startswith("far.")
            assert_alike(stocked, kind, jobs[kind], undisturbed)


def test_a_decision_is_given_to_no_worker_that_sends_but_to_one_that_reaches_the_stores(stocked, lent, undisturbed):
    """It reads and writes several stores: it waits and says so, then ends as on a local worker."""
    with attnscope.connect(stocked.url, stocked.key) as client, lent(stocked, stores=None, name="far"):
        job = asked(client, "decision")
        wait_until(lambda: job.refresh().info.progress.waits_for)
        assert "none reaches the stores" in job.info.progress.waits_for
        assert job.state is JobState.QUEUED
        with lent(stocked, name="near"):
            job.wait(timeout=SECONDS)
        assert stocked.state.jobs.get(job.id).slot.startswith("near.")
        assert_alike(stocked, "decision", job, undisturbed)
