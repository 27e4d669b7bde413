"""What a running service holds, and how a long poll hears that something changed."""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import dataclass, field

from attnscope_env.listing import Listings
from attnscope_model.registry import CheckpointRegistry
from attnscope_server.captures import Captures
from attnscope_server.job_store import JobStore
from attnscope_server.keys import KeyStore
from attnscope_server.replays import Replays
from attnscope_server.settings import Settings
from attnscope_server.supervisor import Supervisor


class Changes:
    """Wakes everybody who waits whenever any job changes; threads announce, coroutines wait."""

    def __init__(self) -> None:
        self._loop: asyncio.AbstractEventLoop | None = None
        self._event = asyncio.Event()

    def bind(self) -> None:
        """Take the running loop as the one that waits."""
        self._loop = asyncio.get_running_loop()

    def announce(self) -> None:
        """Wake the waiting; callable from any thread."""
        if self._loop is not None:
            with contextlib.suppress(RuntimeError):  # the loop is closed: nobody waits
                self._loop.call_soon_threadsafe(self._fire)

    async def wait(self, seconds: float) -> None:
        """Return at the next change, at the latest after `seconds`."""
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._event.wait(), seconds)

    def _fire(self) -> None:
        self._event.set()
        self._event = asyncio.Event()


@dataclass
class State:
    """The parts of one running service."""

    settings: Settings
    jobs: JobStore
    keys: KeyStore
    registry: CheckpointRegistry
    captures: Captures
    supervisor: Supervisor
    changes: Changes
    replays: Replays
    slices: asyncio.Semaphore
    listings: Listings
    ready: bool = False
    stopping: bool = field(default=False)
