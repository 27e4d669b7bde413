"""A service whose captures lie in a bucket: the same arrays, whoever dies, and the same answers over HTTP."""

from __future__ import annotations

import time

import numpy as np
import psutil
import pytest

import attnscope
from attnscope_server.root.paths import capture_path
from attnscope_storage.layout.bucket import BucketPath, connect
from attnscope_storage.layout.places import stores_in
from attnscope_storage.reading.reader import CaptureReader
from attnscope_storage.wire import JobState
from buckets import bucket_server

__all__ = ["bucket_server"]

STEPS = 200

OPTIONS = {
    "checkpoint": "AD-darkroom",
    "tasks": {"split": "test", "indices": [2, 7]},
    "steps": STEPS,
    "maps": {"steps": [70, STEPS - 1]},
}
PLACE = "s3://attnscope/service"
SECONDS = 120.0


@pytest.fixture
def in_bucket(second_service, bucket_server, monkeypatch):
    """Return a running service whose data root is given as a bucket, and a client of it."""
    for name, value in bucket_server.environment.items():
        monkeypatch.setenv(name, value)
    connect.cache_clear()
    with second_service(bucket=PLACE) as running, attnscope.connect(running.url, running.key) as client:
        yield running, client
    connect.cache_clear()


def kill_workers() -> None:
    """Kill the workers of the services in this process."""
    for child in psutil.Process().children(recursive=True):
        if "attnscope_server.running.worker" in " ".join(child.cmdline()):
            child.kill()


def committed(job) -> int:
    """Return the steps that the job has committed by now."""
    return job.refresh().info.progress.steps_committed


def test_jobs_in_a_bucket_equal_those_on_a_disk(in_bucket, bucket_server, service, differing, tmp_path):
    """A capture that lost its worker and its bucket has the bits of one on a disk; slices, maps and deletion work."""
    running, client = in_bucket
    job = client.submit(**OPTIONS)
    deadline = time.monotonic() + SECONDS
    while committed(job) == 0:
        assert time.monotonic() < deadline, "nothing was committed in time"
        time.sleep(0.02)
    kill_workers()
    bucket_server.kill()
    bucket_server.start()
    assert job.wait(timeout=SECONDS).state is JobState.SUCCEEDED
    assert job.info.attempts == 2
    place = capture_path(BucketPath(PLACE), str(job.id))
    assert [one["attempt"] for one in CaptureReader.open(place).attributes["takeovers"]] == [1, 2]
    capture = job.capture()
    with attnscope.connect(service.url, service.key) as local:
        whole = local.submit(**OPTIONS).wait(timeout=SECONDS)
        assert differing(capture_path(service.settings.data_root, str(whole.id)), place) == []
        np.testing.assert_array_equal(capture.map(150), whole.capture().map(150))  # replayed by both services
    assert capture["stats/entropy"][::7].shape[0] == len(range(0, STEPS, 7))
    capture.download(tmp_path / "kept.zarr")
    assert attnscope.open(tmp_path / "kept.zarr").steps_committed == STEPS
    assert not list(running.settings.captures_folder.iterdir())
    assert list(stores_in(BucketPath(PLACE) / "captures")) == [place]
    job.delete()
    while place.exists():
        assert time.monotonic() < deadline + SECONDS, "the bucket still holds what was deleted"
        time.sleep(0.05)
