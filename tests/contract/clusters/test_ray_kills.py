"""A service on a Ray cluster, over PostgreSQL and a bucket, of which everything is killed while its jobs run."""

from __future__ import annotations

import os
from functools import partial
from uuid import uuid4

import psutil
import pytest

import workload
from attnscope_server.running.on_ray.marks import MARK
from killed_jobs import Asked, assert_all_ended_alike, assert_capture_outlives, assert_nothing_shows, undisturbed
from kills import EVERYWHERE, NothingRunsError, Placed, Reader, Site, site_of
from ray_cluster import RayCluster, ray_cluster, service_on

__all__ = ["undisturbed"]

KILLS = int(os.environ.get("ATTNSCOPE_KILLS", "1"))
"""Kills of each sort; `make kills` asks for ten."""


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    """Return the folder where the nodes keep checkpoints that they were sent."""
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(scope="module")
def machines(token, bucket_server, cache):
    """Return a cluster whose nodes have the bucket's keys."""
    with ray_cluster(token | bucket_server.environment | {"XDG_CACHE_HOME": str(cache)}, nodes=0) as running:
        yield running


@pytest.fixture
def placed(cluster, on_cluster, until):
    """Return the runner, with kills of a worker and of a node; another node takes its place."""
    kills = {"worker": partial(kill_actor, cluster, until), "node": partial(kill_node, cluster, until)}
    return Placed(settings=on_cluster, kills=kills)


def kill_busy_actor(cluster: RayCluster, site: Site) -> None:
    """Kill -9 the only actor while it has a job.

    Raises
    ------
    NothingRunsError
        It has none.
    """
    if all(slot.busy_with is None for slot in site.client.capabilities().placement_slots):
        raise NothingRunsError
    (actor,) = cluster.actors()
    actor.kill()


def kill_actor(cluster: RayCluster, until, _site) -> None:
    """Kill -9 an actor that runs a job, or is warm."""
    until(cluster.actors)
    for actor in cluster.actors()[:1]:
        actor.kill()


def kill_node(cluster: RayCluster, until, _site) -> None:
    """Kill -9 a node with all its processes, and add another one."""
    until(cluster.actors)
    for actor in cluster.actors()[:1]:
        cluster.kill_node(psutil.Process(actor.ppid()))
    cluster.add_node()


@pytest.fixture
def served(postgresql, bucket_server, tmp_path, monkeypatch):
    """Return a function that runs a service over both servers, in a data root of its own."""
    root = tmp_path / f"root-{uuid4().hex[:8]}"
    return lambda placed: site_of(placed, root, postgresql, bucket_server, monkeypatch.setenv)


@pytest.fixture
def site(served, placed, tmp_path):
    """Return a running service that has the planted policy."""
    with served(placed) as site:
        workload.add_checkpoints(site.server.root / "checkpoints", tmp_path)
        yield site


@pytest.mark.slow
def test_kills_of_an_actor_and_the_service_leave_no_trace(served, machines, token, tmp_path):
    """A capture goes on in another actor, over PostgreSQL and a bucket, and that one goes on without its service."""
    if not machines.nodes():
        machines.add_node()
    with served(Placed(settings=service_on(machines, token))) as site:
        assert_capture_outlives(site, [partial(kill_busy_actor, machines), EVERYWHERE["service"]], tmp_path)


@pytest.mark.slow
def test_checkpoints_travel_to_a_node_that_does_not_see_the_data_root(site, cache, undisturbed):
    """Those of a trial's arms too: the node keeps each by its content, and the arrays are the same."""
    (site.server.root / MARK).write_text("the mark of another folder")
    with Reader(site) as reader:
        asked = Asked(site, reader)
        ids = [asked(), asked("arms")]
        assert_all_ended_alike(site, asked, undisturbed)
    capture, arms = (job.info.resolved for job in site.jobs(ids))
    named = {capture.checkpoint_id, *(one.id for one in arms.checkpoints)}
    assert len(named) == 3
    assert named <= {one.name for one in (cache / "attnscope" / "ray" / "checkpoints").iterdir()}


@pytest.mark.slow
def test_kills_of_everything_leave_no_trace_on_a_cluster(site, placed, undisturbed):
    """Worker, node and service are killed, database and bucket start again; all jobs end equal to the bit."""
    assert_nothing_shows(site, undisturbed, [*placed.kills.values(), EVERYWHERE["service"]] * KILLS)
