"""A real service on a real socket, in a fresh data root, with the shipped checkpoint and torch on one thread."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from uuid import UUID

import httpx
import pytest

import stores
from attnscope.connecting.connection import Connection
from attnscope.connecting.transport import Transport
from attnscope.service import Service
from attnscope_model.checkpoints.registry import CheckpointRegistry
from attnscope_server.capturing.resolving import resolve
from attnscope_server.records.database import Database
from attnscope_server.records.job_store import JobStore
from attnscope_server.records.keys import ALL_SCOPES, Scope
from attnscope_server.root.captures import Captures
from attnscope_server.root.data_root import prepare
from attnscope_server.serving import Running, serve_background
from attnscope_server.settings import Settings
from attnscope_storage.wire import CaptureSpec, JobState, MapsChoice, TaskChoice
from buckets import bucket_server
from databases import postgresql
from server_process import ServerProcess

__all__ = ["bucket_server", "postgresql"]

LISTENS = "import sys; [line for line in sys.stdin]"
"""Program of a worker that takes every job and never reports."""


def settings(root: Path, **changes) -> Settings:
    """Return settings of a small service."""
    return Settings(**({"data_root": root, "port": 0, "announce": False, "threads": 1, "durable": False} | changes))


@pytest.fixture(scope="module")
def service(tmp_path_factory) -> Iterator[Running]:
    """Return a running service."""
    with serve_background(settings(tmp_path_factory.mktemp("service"))) as running:
        yield running


@pytest.fixture(scope="module")
def http(service) -> Iterator[httpx.Client]:
    """Return a bare HTTP client with the key."""
    with httpx.Client(base_url=service.url, headers={"Authorization": f"Bearer {service.key}"}, timeout=60) as client:
        yield client


@pytest.fixture
def client(service) -> Iterator[Service]:
    """Return a client of the running service."""
    with Service(Transport(Connection(service.url, service.key, "a test"))) as connected:
        yield connected


@dataclass(frozen=True)
class Furnished:
    """A running service with one finished capture, made without a worker; what is submitted stays with a deaf one."""

    running: Running
    job: str
    """Id of the finished job, of the owner `local`, 40 steps of one environment."""
    http: httpx.Client
    """A client without a key."""

    @property
    def url(self) -> str:
        """Its address."""
        return self.running.url

    def key(self, owner: str, *scopes: Scope, **options) -> dict[str, str]:
        """Return the header of a new key; every scope where none is named."""
        return {"Authorization": f"Bearer {self.running.state.keys.create(owner, scopes or ALL_SCOPES, **options)}"}

    def worker_key(self) -> dict[str, str]:
        """Return the header of a new key for workers."""
        return {"Authorization": f"Bearer {self.running.state.keys.create_worker()}"}


def finished_job(where: Settings, name: UUID, owner: str = "local") -> None:
    """Enter a succeeded job with its capture into a data root that no service holds."""
    import torch  # noqa: PLC0415 - seconds that most tests do without

    from attnscope_model.checkpoints.native import load_policy  # noqa: PLC0415 - as above
    from attnscope_server.capturing.job import CaptureOrder, run_capture  # noqa: PLC0415 - as above

    prepare(where)
    registry = CheckpointRegistry(where.checkpoints_folder)
    registry.add_shipped()
    info = registry.get("AD-darkroom-seed42@1782")
    spec = CaptureSpec(checkpoint=info.id, steps=40, tasks=TaskChoice(goals=((5, 4),)), maps=MapsChoice(steps=(9,)))
    database = Database.open(where.database_path, durable=False)
    jobs = JobStore(database)
    stored, _ = jobs.submit(name, owner, spec, lambda asked, _: resolve(asked, registry), queue_limit=10)
    jobs.claim()
    order = CaptureOrder(
        str(stored.name), owner, spec, stored.resolved, Captures(where.data_root).path(stored.id), durable=False
    )
    torch.set_num_threads(1)
    run_capture(order, load_policy(registry.folder(info.id), torch.device("cpu")), info, torch.device("cpu"))
    jobs.move(stored.id, JobState.SUCCEEDED)
    database.close()


@pytest.fixture(scope="module")
def furnished(tmp_path_factory) -> Iterator[Furnished]:
    """Return a service with a finished capture, whose worker only listens."""
    root, deaf = tmp_path_factory.mktemp("furnished"), (sys.executable, "-c", LISTENS)
    # Random requests let the capture expire; on a slow machine it would be gone before the last of them.
    where = settings(root, worker_command=deaf, housekeeping_seconds=3600, worker_start_seconds=3600)
    name = UUID("6f0c6f60-3f6e-4a53-9d4e-0d4f4b7d2a11")
    finished_job(where, name)
    with serve_background(where) as running, httpx.Client(timeout=60) as http:
        yield Furnished(running, str(name), http)


@pytest.fixture
def server(tmp_path) -> Iterator[ServerProcess]:
    """Return a service in a process of its own, not started yet."""
    root = tmp_path / "root"
    root.mkdir()
    process = ServerProcess(root)
    yield process
    process.stop()


@pytest.fixture
def differing() -> Callable[[Path, Path], list[str]]:
    """Return a function that names the arrays of two stores that are not bit-equal."""
    return stores.differing


@pytest.fixture
def second_service(tmp_path):
    """Return a function that serves with other settings."""

    @contextmanager
    def serve(**changes) -> Iterator[Running]:
        with serve_background(settings(tmp_path / "second", **changes)) as running:
            yield running

    return serve


@pytest.fixture(scope="session")
def service_settings(tmp_path_factory):
    """Return a function that gives settings of a service in a fresh data root."""

    def fresh(**changes) -> Settings:
        return settings(tmp_path_factory.mktemp("root") / "data", **changes)

    return fresh


@pytest.fixture(scope="session")
def enter_finished_job():
    """Return the function that enters a finished job into a data root that no service holds."""
    return finished_job
