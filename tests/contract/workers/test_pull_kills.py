"""Workers that ask, over PostgreSQL and a bucket, and kills of everything: jobs end with the bits of a disk's."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, closing, contextmanager
from pathlib import Path
from uuid import uuid4

import numpy as np
import pytest

import workload
from attnscope_server.pulling.cache import CheckpointCache
from attnscope_server.records.database import Database
from attnscope_server.records.keys import KeyStore
from killed_jobs import assert_capture_outlives, assert_nothing_shows, undisturbed
from kills import EVERYWHERE, NothingRunsError, Placed, Site, insist, site_of
from worker_processes import Fleet, everybody

__all__ = ["undisturbed"]

KILLS = int(os.environ.get("ATTNSCOPE_KILLS", "1"))
"""Kills of each sort; `make kills` asks for ten."""

WORKERS: Mapping[str, bool] = {"sends": False, "writes": True, "writes-too": True}
"""Workers by name, and whether they write into the bucket themselves; the first sends its commits to the service."""


class Workers:
    """Worker processes beside a service.

    Parameters
    ----------
    furnished
        True where they have the service's checkpoints from the beginning; else they fetch them.
    """

    def __init__(self, folder: Path, names: Sequence[str], *, furnished: bool = False) -> None:
        self._folder, self._names, self._chance = folder, names, np.random.default_rng(8)
        self._furnished = furnished
        self.fleet: Fleet | None = None
        self._started: dict[str, subprocess.Popen[bytes]] = {}
        self._lost: set[str] = set()
        self._site: Site | None = None
        self.key: str | None = None

    @contextmanager
    def beside(self, site: Site) -> Iterator[None]:
        """Run the workers while the context lasts."""
        self._site, self.key = site, worker_key(site)
        if self._furnished:
            shutil.copytree(site.server.root / "checkpoints", self._folder / "cache" / "checkpoints")
        self.fleet = Fleet(self._folder, site.server.url, self.key, site.bucket.worker_environment)
        try:
            for name in self._names:
                self._start(name)
            yield
        finally:
            self.fleet.end()

    def kill(self, site: Site) -> None:
        """Kill -9 a worker that has a job, with its child, and start another one under its name."""
        self._start(self.lose(site))

    def lose(self, site: Site) -> str:
        """Kill -9 a worker that has a job, with its child; return its name.

        Raises
        ------
        NothingRunsError
            No worker has one.
        """
        if not (busy := self._busy(site)):
            raise NothingRunsError
        slot = str(self._chance.choice(busy))
        name = slot.partition(".")[0]
        self._lost.add(slot)
        everybody(self._started[name], signal.SIGKILL)
        self._started[name].wait()
        return name

    def _busy(self, site: Site) -> list[str]:
        """Return the slots that have a job, but for those of killed workers, whose leases are not over yet."""
        slots = insist(lambda: site.client.capabilities()).placement_slots  # noqa: PLW0108 - the client may be anew
        return sorted({slot.name for slot in slots if slot.busy_with is not None} - self._lost)

    def _start(self, name: str) -> None:
        further = ("--stores", self._site.place) if WORKERS[name] else ()
        self._started[name] = self.fleet.start(name, *further)


def worker_key(site: Site) -> str:
    """Make a key for workers beside the running service, in its database, as `attnscope-server key worker` does."""
    database = Database.connect(site.server.more["ATTNSCOPE_SERVER_DATABASE_URL"])
    with closing(database):
        return KeyStore(database).create_worker()


@pytest.fixture
def served(postgresql, bucket_server, tmp_path, monkeypatch) -> Callable[..., AbstractContextManager[Site]]:
    """Return a function that runs a service over both servers, and workers beside it."""

    def serve(workers: Workers, lease: int) -> AbstractContextManager[Site]:
        settings = {
            "ATTNSCOPE_SERVER_RUNNERS": "pull",
            "ATTNSCOPE_SERVER_ALIVE_SECONDS": "1",
            "ATTNSCOPE_SERVER_LEASE_SECONDS": str(lease),
        }
        placed = Placed(settings=settings, beside=workers.beside)
        root = tmp_path / f"root-{uuid4().hex[:8]}"
        return site_of(placed, root, postgresql, bucket_server, monkeypatch.setenv)

    return serve


def test_one_kill_of_each_sort_leaves_no_trace_under_workers_that_ask(served, lent, tmp_path):
    """The worker of a capture dies, then the service, and both servers start again; its arrays are those of a disk.

    The first worker writes into the bucket, the second one sends its commits to the service.
    """
    first, cache = Workers(tmp_path, ["writes"], furnished=True), CheckpointCache(tmp_path / "cache", 2**30)
    with served(first, lease=15) as site, ExitStack() as lends:

        def lose_first(site: Site) -> None:
            first.lose(site)
            lends.enter_context(lent(site.server, key=first.key, name="sends", stores=None, cache=cache))

        assert_capture_outlives(site, [lose_first, *EVERYWHERE.values()], tmp_path)


@pytest.mark.slow
def test_kills_of_everything_leave_no_trace_under_workers_that_ask(served, tmp_path, undisturbed):
    """Worker and service are killed, database and bucket start again; all jobs end equal to the bit."""
    three = Workers(tmp_path, list(WORKERS))
    kills: list[Callable[[Site], None]] = [three.kill, EVERYWHERE["service"]]
    with served(three, lease=20) as site:
        workload.add_checkpoints(site.server.root / "checkpoints", tmp_path)
        assert_nothing_shows(site, undisturbed, kills * KILLS)
