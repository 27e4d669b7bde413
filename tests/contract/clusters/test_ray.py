"""Jobs on a Ray cluster with two nodes: the same bits as on one machine, whoever dies."""

from __future__ import annotations

from contextlib import suppress
from functools import partial
from uuid import uuid4

import psutil
import pytest

import attnscope
import workload
from attnscope_server.errors import SettingUnusableError
from attnscope_server.records.database import Database
from attnscope_server.records.job_store import JobStore
from attnscope_server.root.paths import capture_path
from attnscope_server.running.on_ray.marks import MARK
from attnscope_server.running.on_ray.runner import RayRunner
from attnscope_server.running.on_ray.tokens import asked_apart
from attnscope_server.serving import serve_background
from attnscope_storage.reading.reader import CaptureReader
from attnscope_storage.wire import JobState
from ray_cluster import ray_cluster

pytestmark = pytest.mark.slow

STEPS = 4000
OPTIONS = {"checkpoint": "AD-darkroom", "tasks": {"split": "test", "indices": [2, 7]}, "steps": STEPS}
SHORT = {"checkpoint": "AD-darkroom", "tasks": {"split": "test", "indices": [2, 7]}, "steps": 120}


@pytest.fixture(scope="module")
def whole(service):
    """Return the store of the job that nothing interrupted."""
    with attnscope.connect(service.url, service.key) as client:
        job = client.submit(**OPTIONS).wait()
    return capture_path(service.settings.data_root, str(job.id))


def test_jobs_of_each_kind_equal_those_of_one_machine(far, service_settings, ended, tmp_path):
    """Capture, trial, screen and decision: every array bit-equal, but for what was timed."""
    settings, names = service_settings(), {}
    workload.add_checkpoints(settings.checkpoints_folder, tmp_path)
    workload.add_checkpoints(far.root / "checkpoints", tmp_path / "again")
    client = far.start()
    with serve_background(settings) as running, attnscope.connect(running.url, running.key) as local:
        for kind in ("capture", "screen", "trial", "decision"):
            pair = []
            for one, root in ((local, settings.data_root), (client, far.root)):
                workload.submit(one, kind, name := uuid4(), of=names.get(one))
                names.setdefault(one, name)
                job = ended(one.job(name))
                assert job.state is JobState.SUCCEEDED, job.info.failure
                pair.append((job, partial(store_of, root)))
            assert workload.apart(kind, *pair) == []


def store_of(root, job):
    """Return the place of a job's store below a data root."""
    return capture_path(root, str(job))


def test_a_cancel_ends_a_job_and_keeps_its_worker(far, cluster, committed, until):
    """The flag is seen at the next step; the next job finds the warm actor."""
    client = far.start()
    job = client.submit(**OPTIONS)
    until(lambda: committed(far.root, job) > 0)
    (actor,) = cluster.actors()
    job.cancel()
    until(lambda: job.refresh(wait=1.0).state is JobState.CANCELLED)
    assert client.submit(**SHORT).wait(timeout=120).state is JobState.SUCCEEDED
    assert cluster.actors() == [actor]


def test_kills_of_worker_node_and_service_leave_no_trace(far, cluster, whole, committed, until, ended, differing):
    """One after the other in one job: it resumes on another slot, or goes on where only the service died.

    The lease outlasts the service's start on a crowded machine: without a service nobody renews it.
    """
    far.more["ATTNSCOPE_SERVER_LEASE_SECONDS"] = "120"
    client = far.start()
    job = client.submit(**OPTIONS)
    until(lambda: committed(far.root, job) > 0)
    cluster.actors()[0].kill()
    before = committed(far.root, job)
    until(lambda: job.refresh().info.attempts == 2 and committed(far.root, job) > before)
    (node,) = [node for node in cluster.nodes() if set(cluster.actors()) & set(node.children())]
    cluster.kill_node(node)
    before = committed(far.root, job)
    until(lambda: job.refresh().info.attempts == 3 and committed(far.root, job) > before)
    far.kill()
    before = committed(far.root, job)
    until(lambda: committed(far.root, job) > before)  # nobody serves, and the job goes on
    job = far.start().job(job.id)
    assert ended(job).state is JobState.SUCCEEDED
    assert job.info.attempts == 3
    assert differing(whole, capture_path(far.root, str(job.id))) == []


def test_a_node_that_wakes_after_its_lease_writes_nothing(far, cluster, whole, committed, until, ended, differing):
    """Stopped past the lease and woken while the next attempt writes: that one's arrays stand."""
    client = far.start()
    job = client.submit(**OPTIONS)
    until(lambda: committed(far.root, job) > 0)
    (node,) = [node for node in cluster.nodes() if set(cluster.actors()) & set(node.children())]
    stopped = cluster.pause_node(node)
    before = committed(far.root, job)
    until(lambda: job.refresh().info.attempts > 1 and committed(far.root, job) > before)
    attempt = job.info.attempts
    for one in stopped:
        one.resume()
    assert ended(job).state is JobState.SUCCEEDED
    assert job.info.attempts == attempt
    place = capture_path(far.root, str(job.id))
    assert CaptureReader.open(place).attributes["attempt"] == attempt
    assert differing(whole, place) == []
    cluster.kill_node(node)


def _is_over(process: psutil.Process) -> bool:
    with suppress(psutil.NoSuchProcess):
        return process.status() == psutil.STATUS_ZOMBIE
    return True


def test_an_orphan_of_a_dead_node_writes_nothing(far, cluster, whole, committed, until, ended, differing):
    """The node's own process is killed and the actor lives on, unheard: another attempt takes the job over."""
    client = far.start()
    job = client.submit(**OPTIONS)
    until(lambda: committed(far.root, job) > 0)
    (node,) = [node for node in cluster.nodes() if set(cluster.actors()) & set(node.children())]
    orphans = tuple(set(cluster.actors()) & set(node.children()))
    cluster.kill_node(node, spare=orphans)
    try:
        assert ended(job).state is JobState.SUCCEEDED
        assert differing(whole, capture_path(far.root, str(job.id))) == []
        until(lambda: all(_is_over(one) for one in orphans))  # no driver asks for them
    finally:
        for one in orphans:
            with suppress(psutil.NoSuchProcess):
                one.kill()


def test_a_machine_without_the_data_root_runs_nothing(far, cluster, until):
    """The job waits, and its events say why."""
    client = far.start()
    until(lambda: client.capabilities().placement_slots)
    (far.root / MARK).write_text("the mark of another folder")
    job = client.submit(**SHORT)
    database = Database.open(far.root / "service.sqlite3")
    until(lambda: any("does not see the folder" in (why or "") for _, _, why in JobStore(database).events(job.id)))
    database.close()
    assert not job.refresh().state.final
    assert cluster.actors() == []


def test_a_cluster_that_wants_a_token_refuses_a_stranger(cluster):
    """Nothing connects before that answer: one that only came too late would look like a cluster that is away."""
    assert asked_apart(cluster.address).outcome == "refused"


def test_a_cluster_that_wants_no_token_is_refused(service_settings):
    """The service does not start, and says how to start the cluster."""
    with ray_cluster({"RAY_AUTH_MODE": "disabled"}, nodes=0) as open_to_all:
        settings = service_settings(runners=("ray",), ray_address=open_to_all.address)
        with pytest.raises(SettingUnusableError, match="wants no token"):
            RayRunner(settings)


def test_without_its_head_a_cluster_has_no_slots(far, token, until):
    """Jobs wait, and what was captured is read."""
    with ray_cluster(token, nodes=1) as doomed:
        far.more["ATTNSCOPE_SERVER_RAY_ADDRESS"] = doomed.address
        client = far.start()
        captured = client.submit(**SHORT).wait(timeout=120)
        doomed.kill_head()
        until(lambda: not client.capabilities().placement_slots)
        waiting = client.submit(**SHORT)
        assert captured.capture()["stats/entropy"].shape[0] == SHORT["steps"]
        assert waiting.refresh().state is JobState.QUEUED
