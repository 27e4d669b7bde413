"""A prepared data root without a service, and jobs in its database."""

from __future__ import annotations

import json
from contextlib import nullcontext
from pathlib import Path
from uuid import UUID, uuid4

import pytest
import torch

from attnscope_model.checkpoints.registry import CheckpointRegistry
from attnscope_server.records.job_store import JobStore
from attnscope_server.records.listing import Cut, JobFilter
from attnscope_server.root.data_root import open_database, prepare
from attnscope_server.settings import Settings
from attnscope_storage.wire import JobState
from reading_here import reading_here
from submitted import RESOLVED, SPEC

GOLDEN = Path(__file__).resolve().parents[1] / "golden"


@pytest.fixture(scope="session")
def registry(tmp_path_factory) -> CheckpointRegistry:
    """Return a registry with both reference checkpoints, named by their mask; not to be changed."""
    torch.set_num_threads(1)
    registry = CheckpointRegistry(tmp_path_factory.mktemp("registry"))
    with reading_here():
        registry.add(GOLDEN / "ckpt-causal.pt", causal=True, name="causal")
        registry.add(GOLDEN / "ckpt-noncausal.pt", causal=False, name="noncausal")
    return registry


@pytest.fixture
def where(tmp_path):
    """Return the settings of a prepared data root."""
    settings = Settings(data_root=tmp_path / "root", durable=False, worker_command=("false",))
    prepare(settings)
    return settings


@pytest.fixture
def database(where):
    """Return its job database."""
    opened = open_database(where)
    yield opened
    opened.close()


@pytest.fixture
def jobs(database):
    """Return its jobs."""
    return JobStore(database)


@pytest.fixture
def submitted():
    """Return a function that queues a job."""

    def queue(jobs, owner="me", name=None):
        return jobs.submit(name or uuid4(), owner, SPEC, lambda *_: RESOLVED, queue_limit=10)[0]

    return queue


@pytest.fixture
def ended(submitted):
    """Return a function that queues a job and lets it succeed."""

    def succeed(jobs):
        job = submitted(jobs)
        jobs.claim()
        return jobs.move(job.id, JobState.SUCCEEDED)

    return succeed


@pytest.fixture
def listed():
    """Return a function that gives the ids of an owner's jobs, as a list shows them."""

    def ids(jobs, owner="me") -> list[UUID]:
        cut = Cut(jobs=50, bytes=2**30)
        found, _ = jobs.list(JobFilter(owner), cut, lambda _, job: job, lambda _: nullcontext())
        return [UUID(json.loads(job)["id"]) for job in found]

    return ids
