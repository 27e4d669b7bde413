"""Workers that ask a service for jobs: the same arrays as a local worker's, whatever happens to worker and service."""

from __future__ import annotations

import pytest

import attnscope
from attnscope_server.root.paths import capture_path
from attnscope_storage.wire import JobState

OPTIONS = {
    "checkpoint": "AD-darkroom",
    "tasks": {"split": "test", "indices": [2, 7]},
    "steps": 100,
    "maps": {"steps": [70, 99]},
}
SECONDS = 120.0


@pytest.fixture(scope="module")
def whole(service):
    """Return the folder of the capture as a local worker makes it."""
    with attnscope.connect(service.url, service.key) as client:
        job = client.submit(**OPTIONS).wait(timeout=SECONDS)
        return capture_path(service.settings.data_root, str(job.id))


def test_a_job_at_a_worker_equals_that_of_a_local_one(pulled, lent, whole, differing):
    """Bit for bit; the slot is shown while the worker asks, and says where the job ran."""
    with attnscope.connect(pulled.url, pulled.key) as client, lent(pulled):
        job = client.submit(**OPTIONS).wait(timeout=SECONDS)
        assert job.state is JobState.SUCCEEDED
        assert differing(whole, capture_path(pulled.settings.data_root, str(job.id))) == []
        assert job.info.placed_on["device"] == "cpu"
        (slot,) = pulled.state.supervisor.places()
        assert (slot.runner, slot.slot.device, slot.hardware) == ("pull", "cpu", "cpu")
        assert slot.slot.name.startswith("box.")
