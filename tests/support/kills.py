"""A service over PostgreSQL and a bucket, of which parts are killed while jobs run, whichever runner places them.

A runner joins by a `Placed`: the settings of its service, the programs beside it, and the kills that it wants.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self, TypeVar
from uuid import UUID

import numpy as np
import psutil

from attnscope.errors import BusyError, ConnectionFailedError
from attnscope.job import JobHandle
from attnscope.service import Service
from attnscope_server.root.paths import capture_path
from attnscope_storage.errors import CaptureNotFoundError
from attnscope_storage.layout.bucket import BucketPath
from attnscope_storage.reading.reader import CaptureReader
from bucket_server import BucketServer
from postgresql import Server
from server_process import ServerProcess

ResultT = TypeVar("ResultT")

PATIENCE = 300.0
"""Seconds until a step that must come is given up."""

LOOKS_EVERY = 0.3
"""Seconds from one look at what jobs have committed to the next: more often, looking takes the processor from them."""

READ_AT_ONCE = 4
"""Arrays that the reader reads whole at each look, drawn anew."""


class NothingRunsError(Exception):
    """The kill of a worker finds none that has a job."""


@dataclass
class Site:
    """A service in a process of its own, with its database and its bucket."""

    server: ServerProcess
    database: Server
    bucket: BucketServer
    place: str
    """Address of its stores."""
    reading: threading.Lock = field(default_factory=threading.Lock)
    """Held by whoever reads, and by whoever takes the bucket away."""
    client: Service | None = None

    def start(self) -> None:
        """Start the service where it was before."""
        port = int(self.server.url.rpartition(":")[2]) if self.server.url else 0
        self.client = self.server.start(port)

    def store(self, job: UUID | str) -> BucketPath:
        """Return the place of a job's store."""
        return capture_path(BucketPath(self.place), str(job))

    def jobs(self, ids: Sequence[UUID]) -> list[JobHandle]:
        """Return these jobs as they are now, once the service answers."""
        return [insist(lambda job=job: self.client.job(job)) for job in ids]


@dataclass(frozen=True)
class Placed:
    """A runner under test."""

    settings: Mapping[str, str] = field(default_factory=dict)
    """Environment variables of the service."""
    beside: Callable[[Site], AbstractContextManager[None]] = lambda _: nullcontext()
    """Programs that run beside the service, from its first start to its last end."""
    kills: Mapping[str, Callable[[Site], None]] = field(default_factory=dict)
    """Kills of its parts, by name; what they take away comes back by itself, or they bring it back."""


def insist(call: Callable[[], ResultT]) -> ResultT:
    """Return what a call to the service returns, once it is there again and answers."""
    deadline = time.monotonic() + PATIENCE
    while True:
        try:
            return call()
        except (ConnectionFailedError, BusyError):
            assert time.monotonic() < deadline, "the service did not come back"
            time.sleep(0.1)


def kill_local_worker(site: Site) -> None:
    """Kill -9 the service's own worker processes."""
    site.server.worker(PATIENCE)
    for child in psutil.Process(site.server.process.pid).children():
        if "attnscope_server.running.worker" in " ".join(child.cmdline()):
            child.kill()


def kill_service(site: Site) -> None:
    """Kill -9 the service, and start it again on its port."""
    site.server.kill()
    site.start()


def restart_database(site: Site) -> None:
    """Kill the database's server in the middle of whatever it does, and start it again."""
    site.database.restart()


def restart_bucket(site: Site) -> None:
    """Kill -9 the bucket's server, and start it again; nobody else reads meanwhile."""
    with site.reading:
        site.bucket.kill()
        site.bucket.start()


PROCESS = Placed(kills={"worker": kill_local_worker})
"""The default runner: workers are processes of the service."""

EVERYWHERE: Mapping[str, Callable[[Site], None]] = {
    "service": kill_service,
    "database": restart_database,
    "bucket": restart_bucket,
}
"""Kills that concern every runner."""


@contextmanager
def site_of(
    placed: Placed, root: Path, database: Server, bucket: BucketServer, environment: Callable[[str, str], None]
) -> Iterator[Site]:
    """Run a service over these servers while the context lasts; `environment` sets variables of this process too."""
    for name, value in bucket.environment.items():
        environment(name, value)
    place = f"s3://attnscope/{root.name}"
    more = {"ATTNSCOPE_SERVER_BUCKET": place, "ATTNSCOPE_SERVER_DATABASE_URL": database.fresh()}
    site = Site(ServerProcess(root, more=bucket.environment | more | placed.settings), database, bucket, place)
    try:
        site.start()
        with placed.beside(site):
            yield site
    finally:
        site.server.stop()


class Reader:
    """Reads what jobs commit, again and again, on a thread; a hole, or a value that is none, is kept."""

    def __init__(self, site: Site, every: float = LOOKS_EVERY) -> None:
        self.found: list[str] = []
        self.looks, self._every = 0, every
        self._site, self._jobs = site, []  # type: tuple[Site, list[UUID]]
        self._over, self._chance = threading.Event(), np.random.default_rng(5)
        self._thread = threading.Thread(target=self._read_on, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def watch(self, job: UUID) -> None:
        """Read this job's store too."""
        self._jobs.append(job)

    def _read_on(self) -> None:
        while not self._over.wait(self._every):
            for job in tuple(self._jobs):
                with self._site.reading:
                    try:
                        self._look(job)
                    except Exception as error:  # noqa: BLE001 - whatever a reader meets is what the test is about
                        self.found.append(f"{job}: {type(error).__name__}: {error}")

    def _look(self, job: UUID) -> None:
        try:
            reader = CaptureReader.open(self._site.store(job))
        except CaptureNotFoundError:
            return
        names = list(reader.names())
        for name in self._chance.permutation(names)[:READ_AT_ONCE]:
            values = reader.array(str(name))[:]
            if name == "stats/entropy" and not (len(values) == reader.steps_committed and np.isfinite(values).all()):
                self.found.append(f"{job}: {name} has a hole")
        self.looks += 1


def moved(jobs: Sequence[JobHandle]) -> int:
    """Return a number that grows with each commit and each end of these jobs."""
    return sum(job.info.progress.steps_committed + job.state.final for job in jobs)


def kill_on(
    site: Site, ids: list[UUID], kills: Sequence[Callable[[Site], None]], again: Callable[[], UUID], seed: int
) -> int:
    """Make each kill at a random moment while jobs run; return how many were made.

    Between two kills something is committed, so that no job fails for having been interrupted too often.

    Parameters
    ----------
    again
        Submits one more job where all have ended before the kills have been made.
    """
    chance, made = np.random.default_rng(seed), 0
    for kill in kills:
        before, deadline = moved(site.jobs(ids)), time.monotonic() + PATIENCE
        while not (_moved_on(site, ids, before, again) and _done(kill, site, chance.uniform(0, 0.3))):
            assert time.monotonic() < deadline, "nothing is committed any more"
            time.sleep(LOOKS_EVERY)
        made += 1
    return made


def _moved_on(site: Site, ids: list[UUID], before: int, again: Callable[[], UUID]) -> bool:
    """Return True if a job runs and something was committed; submit one more job where none is left."""
    jobs = site.jobs(ids)
    if all(job.state.final for job in jobs):
        ids.append(insist(again))
        return False
    return moved(jobs) > before


def _done(kill: Callable[[Site], None], site: Site, after: float) -> bool:
    """Make a kill after so many seconds; return False where the job that it wanted has ended meanwhile."""
    time.sleep(after)
    try:
        kill(site)
    except NothingRunsError:
        return False
    return True


def wait_for(site: Site, ids: Sequence[UUID]) -> list[JobHandle]:
    """Return the jobs once all have ended."""
    deadline = time.monotonic() + PATIENCE
    while not all(job.state.final for job in site.jobs(ids)):
        assert time.monotonic() < deadline, "a job did not end"
        time.sleep(LOOKS_EVERY)
    return site.jobs(ids)
