"""The job that everybody in a simulated fleet asks for, the databases that it is queued in, and processor time."""

from __future__ import annotations

import importlib
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final
from uuid import UUID

import psutil

from attnscope_server.records.database import Database
from attnscope_server.records.job_store import JobStore
from attnscope_storage.wire import CaptureSpec, ResolvedCapture

postgresql: Any = importlib.import_module("tests.support.postgresql")
"""The tests' PostgreSQL server."""

SPEC: Final = CaptureSpec(checkpoint="AD-toy", steps=600)
RESOLVED: Final = ResolvedCapture(
    checkpoint_id="c" * 64,
    checkpoint_name="AD-toy@1",
    environment_id="attnscope/Darkroom-v0",
    preset="darkroom-reference",
    horizon=20,
    tasks=(),
    held_out=None,
    envs=64,
    steps=600,
    map_steps=(),
    row_envs=tuple(range(64)),
    row_layers=tuple(range(4)),
    row_heads=tuple(range(4)),
)
"""The meaning of each job; its JSON has the length of a usual capture's."""


@dataclass(frozen=True)
class Engine:
    """A database engine that answers."""

    name: str
    fresh: Callable[[], Database]
    """Opens a new database without jobs."""
    process: int | None = None
    """The server's process; None where the service itself is the server."""

    def processor_seconds(self) -> float:
        """Return what this process and the server's have taken so far."""
        return time.process_time() + (0.0 if self.process is None else _taken(psutil.Process(self.process)))


def _taken(process: psutil.Process) -> float:
    """Return the processor seconds of a server, and of the connections that it serves in processes of their own."""
    total = 0.0
    for one in (process, *process.children(recursive=True)):
        try:
            times = one.cpu_times()
        except psutil.NoSuchProcess:
            continue
        total += times.user + times.system
    return total


def queue(store: JobStore, name: UUID, owner: str) -> None:
    """Queue a job."""
    store.submit(name, owner, SPEC, lambda *_: RESOLVED, queue_limit=10**6)


@contextmanager
def engines(*, durable: bool = False) -> Iterator[list[Engine]]:
    """Give SQLite, and PostgreSQL where its programs are installed."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        numbers = iter(range(1000))
        found = [Engine("SQLite", lambda: Database.open(folder / f"{next(numbers)}.sqlite3", durable=durable))]
        if shutil.which("initdb") or list(Path("/usr/lib/postgresql").glob("*/bin/initdb")):
            place = Path(tempfile.mkdtemp(prefix="attnscope-pg-"))
            stack.callback(shutil.rmtree, place)
            place.chmod(0o755)
            server = stack.enter_context(postgresql.serving(place))
            process = int((place / "data" / "postmaster.pid").read_text(encoding="utf-8").split()[0])
            found.append(Engine("PostgreSQL", lambda: Database.connect(server.fresh()), process))
        yield found
