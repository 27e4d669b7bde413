"""A service whose captures lie in a bucket: the same arrays, whoever dies, and the same answers over HTTP."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import numpy as np
import psutil
import pytest

import attnscope
import stores
import workload
from attnscope_server.root.backup import back_up
from attnscope_server.root.doctor import examine
from attnscope_server.root.paths import capture_path
from attnscope_server.root.restoring import restore, verify_backup
from attnscope_server.serving import serve_background
from attnscope_storage.layout.bucket import BucketPath, connect
from attnscope_storage.layout.places import stores_in
from attnscope_storage.reading.reader import CaptureReader
from attnscope_storage.wire import JobChanges, JobState
from attnscope_storage.writing.copying import copy_committed

STEPS = 200

OPTIONS = {
    "checkpoint": "AD-darkroom",
    "tasks": {"split": "test", "indices": [2, 7]},
    "steps": STEPS,
    "maps": {"steps": [70, STEPS - 1]},
}
PLACE = "s3://attnscope/service"
SECONDS = 300.0


@pytest.fixture(scope="module")
def in_bucket(service_settings, bucket_server):
    """Return a running service whose data root is given as a bucket, and a client of it."""
    with pytest.MonkeyPatch.context() as surroundings:
        for name, value in bucket_server.environment.items():
            surroundings.setenv(name, value)
        connect.cache_clear()
        with (
            serve_background(service_settings(bucket=PLACE)) as running,
            attnscope.connect(running.url, running.key) as client,
        ):
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
    copy_committed(place, tmp_path / "copied.zarr")
    assert differing(place, tmp_path / "copied.zarr") == []
    capture.download(tmp_path / "kept.zarr")
    assert attnscope.open(tmp_path / "kept.zarr").steps_committed == STEPS
    assert not list(running.settings.captures_folder.iterdir())
    assert list(stores_in(BucketPath(PLACE) / "captures")) == [place]
    job.delete()
    wait_until_gone(place)


def wait_until_gone(place) -> None:
    """Return once the bucket does not hold a store any more."""
    deadline = time.monotonic() + SECONDS
    while place.exists():
        assert time.monotonic() < deadline, "the bucket still holds what was deleted"
        time.sleep(0.05)


def test_a_bucket_is_backed_up_examined_and_expires(in_bucket, service, tmp_path):
    """A capture, its screen and a trial are as on a disk, come back from a backup, and leave when it is time."""
    running, client = in_bucket
    kept, captured, done = tmp_path / "restored", {}, {}
    with attnscope.connect(service.url, service.key) as local:
        for kind in ("capture", "screen", "trial"):
            pair = []
            for side, one in (("bucket", client), ("disk", local)):
                of = captured[side].id if kind == "screen" else None
                workload.submit(one, kind, name := uuid4(), of)
                pair.append(one.job(name))
                captured.setdefault(side, pair[-1])
            for job in pair:
                assert job.wait(timeout=SECONDS).state is JobState.SUCCEEDED
            places = in_place(PLACE), in_place(service.settings.data_root)
            assert workload.apart(kind, *zip(pair, places, strict=True)) == []
            done[kind] = pair[0]
    told = {one.part: one.ok for one in examine(running.settings)}
    assert [told[f"capture {job.id}"] for job in done.values()] == [True] * 3
    manifest = back_up(running.settings, tmp_path / "backup")
    assert {str(job.id) for job in done.values()} <= set(manifest.captures)
    assert [one for one in verify_backup(tmp_path / "backup") if not one.ok] == []
    restore(tmp_path / "backup", kept)
    for job in done.values():
        assert stores.differing(in_place(PLACE)(job.id), in_place(kept)(job.id)) == []
    job = done["trial"].id
    running.state.jobs.change(job, JobChanges(expires_at=datetime.now(UTC) - timedelta(days=1)))
    running.state.housekeeping.round()
    running.state.housekeeping.round()
    wait_until_gone(in_place(PLACE)(job))
    assert list(BucketPath(PLACE).objects()) != []
    assert not [key for key, _ in in_place(PLACE)(job).objects()]


def in_place(root):
    """Return a function that gives the place of a job's store below a data root or bucket."""
    where = BucketPath(root) if isinstance(root, str) else root
    return lambda job: capture_path(where, str(job))
