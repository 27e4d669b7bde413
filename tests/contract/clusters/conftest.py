"""A Ray cluster with two nodes, and a service whose jobs run there."""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np
import pytest

from attnscope_server.root.paths import capture_path
from attnscope_storage.errors import CaptureNotFoundError
from attnscope_storage.layout.bucket import StorePath
from attnscope_storage.reading.reader import CaptureReader
from ray_cluster import ray_cluster, service_on, token_environment

WITHIN = 240.0
"""Seconds in which everything comes about that a test waits for."""


@pytest.fixture(scope="module")
def token(tmp_path_factory):
    """Return the environment variables of a process that has the token."""
    return token_environment(tmp_path_factory.mktemp("token"))


@pytest.fixture(scope="module")
def machines(token, tmp_path_factory):
    """Return a cluster; a test may lose its nodes."""
    with ray_cluster(token | {"XDG_CACHE_HOME": str(tmp_path_factory.mktemp("cache"))}, nodes=0) as running:
        yield running


@pytest.fixture
def cluster(machines):
    """Return a cluster with two nodes."""
    while len(machines.nodes()) < 2:
        machines.add_node()
    return machines


@pytest.fixture
def on_cluster(cluster, token):
    """Return the environment variables of a service whose jobs run on the cluster."""
    return service_on(cluster, token)


@pytest.fixture
def far(server, on_cluster):
    """Return a service whose jobs run on the cluster, not started yet."""
    server.more = on_cluster
    return server


def wait_until(condition: Callable[[], object], seconds: float = WITHIN) -> None:
    """Return once `condition` holds."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not come to that in time"
        time.sleep(0.05)


@pytest.fixture
def until():
    """Return the function that waits."""
    return wait_until


@pytest.fixture
def ended():
    """Return a function that waits for the end of a job, and returns it."""

    def wait(job):
        wait_until(lambda: job.refresh(wait=1.0).state.final)
        return job

    return wait


@pytest.fixture
def committed():
    """Return a function that gives the steps that a capture has committed, and sees no hole in them."""

    def steps(place: StorePath, job) -> int:
        try:
            reader = CaptureReader.open(capture_path(place, str(job.id)))
        except CaptureNotFoundError:
            return 0
        entropy = reader.array("stats/entropy")[:]
        assert len(entropy) == reader.steps_committed
        assert np.isfinite(entropy).all()
        return reader.steps_committed

    return steps
