"""Jobs of each kind at workers without access to the stores: they end as on a local worker, equal to the bit."""

from __future__ import annotations

import signal
from uuid import uuid4

import pytest

import attnscope
import workload
from attnscope_server.root.paths import capture_path
from attnscope_storage.reading.reader import CaptureReader
from attnscope_storage.verify import verify
from attnscope_storage.wire import JobState
from attnscope_storage.wire.parts import child_id
from killed_jobs import undisturbed
from worker_processes import SECONDS, everybody, fleet, wait_until

__all__ = ["fleet", "undisturbed"]

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


def test_a_decision_that_is_sent_goes_on_at_another_worker_when_its_own_is_killed(stocked, fleet, undisturbed):
    """Capture, screen, races and looks are sent store by store; nothing of what was committed is done again."""
    with attnscope.connect(stocked.url, stocked.key) as client:
        workers = fleet(stocked)
        first = workers.start("far")
        job = asked(client, "decision")
        raced = capture_path(stocked.settings.data_root, str(child_id(job.id, "race/8/round-1")))
        wait_until(lambda: raced.exists() or job.refresh().state.final, workers.log())
        everybody(first, signal.SIGKILL)
        assert not job.refresh().state.final
        begun = {path: path.stat().st_mtime_ns for path in raced.parent.glob("*.zarr/attention/rows/c.0.*")}
        workers.start("farther")
        job.wait(timeout=SECONDS)
        assert stocked.state.jobs.get(job.id).slot.startswith("farther.")
        assert_alike(stocked, "decision", job, undisturbed)
        assert begun
        assert {path: path.stat().st_mtime_ns for path in begun} == begun
        for name, part in job.decision().card.children.items():
            stored = CaptureReader.open(capture_path(stocked.settings.data_root, part))
            assert stored.complete, name
            assert stored.attributes["part_of"] == {"store": str(job.id), "name": name}
            assert stored.attributes["owner"] == job.info.owner
