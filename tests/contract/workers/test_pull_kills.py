"""Workers that ask, over PostgreSQL and a bucket, and kills of everything: jobs end with the bits of a disk's."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4

import numpy as np
import pytest

import workload
from buckets import bucket_server
from databases import postgresql
from killed_jobs import assert_nothing_shows, undisturbed
from kills import EVERYWHERE, Placed, Site, insist, site_of
from worker_processes import Fleet, everybody, wait_until

__all__ = ["bucket_server", "postgresql", "undisturbed"]

pytestmark = pytest.mark.slow

KILLS = int(os.environ.get("ATTNSCOPE_KILLS", "1"))
"""Kills of each sort; `make kills` asks for ten."""

SETTINGS = {
    "ATTNSCOPE_SERVER_RUNNERS": "pull",
    "ATTNSCOPE_SERVER_ALIVE_SECONDS": "1",
    "ATTNSCOPE_SERVER_LEASE_SECONDS": "20",
}


class Lent:
    """Three workers of a service: one sends its commits to the service, two write into the bucket themselves."""

    def __init__(self, folder: Path) -> None:
        self._folder, self._chance = folder, np.random.default_rng(8)
        self.fleet: Fleet | None = None
        self.workers: dict[str, subprocess.Popen[bytes]] = {}
        self._lost: set[str] = set()
        self._further: dict[str, tuple[str, ...]] = {}

    @contextmanager
    def beside(self, site: Site) -> Iterator[None]:
        """Run the workers while the context lasts."""
        self.fleet = Fleet(self._folder, site.server.url, worker_key(site))
        self._further = {"sends": (), "writes": ("--stores", site.place), "writes-too": ("--stores", site.place)}
        try:
            for name in self._further:
                self._start(name)
            yield
        finally:
            self.fleet.end()

    def kill(self, site: Site) -> None:
        """Kill -9 a worker that has a job, with its child, and start another one under its name."""
        wait_until(lambda: self._busy(site), "no worker has a job")
        slot = str(self._chance.choice(self._busy(site)))
        name = slot.partition(".")[0]
        self._lost.add(slot)
        everybody(self.workers[name], signal.SIGKILL)
        self.workers[name].wait()
        self._start(name)

    def _busy(self, site: Site) -> list[str]:
        """Return the slots that have a job, but for those of killed workers, whose leases are not over yet."""
        slots = insist(lambda: site.client.capabilities()).placement_slots  # noqa: PLW0108 - the client may be anew
        return sorted({slot.name for slot in slots if slot.busy_with is not None} - self._lost)

    def _start(self, name: str) -> None:
        self.workers[name] = self.fleet.start(name, *self._further[name])


def worker_key(site: Site) -> str:
    """Make a key for workers, as an operator does beside the running service."""
    command = [sys.executable, "-c", "from attnscope_server.cli import main; main()", "key", "worker", "--every-owner"]
    environment = os.environ | site.server.more | {"ATTNSCOPE_SERVER_DATA_ROOT": str(site.server.root)}
    return subprocess.run(command, env=environment, check=True, capture_output=True, text=True).stdout.strip()


@pytest.fixture
def lent(tmp_path) -> Lent:
    """Return the workers, not started yet."""
    return Lent(tmp_path)


@pytest.fixture
def site(lent, postgresql, bucket_server, tmp_path, monkeypatch) -> Iterator[Site]:
    """Return a running service over both servers, and its workers."""
    root = tmp_path / f"root-{uuid4().hex[:8]}"
    workload.add_checkpoints(root / "checkpoints", tmp_path)
    placed = Placed(settings=SETTINGS, beside=lent.beside)
    with site_of(placed, root, postgresql, bucket_server, monkeypatch.setenv) as site:
        yield site


def test_kills_of_everything_leave_no_trace_under_workers_that_ask(site, lent, undisturbed):
    """Worker and service are killed, database and bucket start again; all jobs end equal to the bit."""
    kills: list[Callable[[Site], None]] = [lent.kill, EVERYWHERE["service"]]
    assert_nothing_shows(site, undisturbed, kills * KILLS)
