"""The parts of a running service, and the signal of a change to a long poll."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field

from attnscope_env.presets.listing import Listings
from attnscope_model.checkpoints.registry import CheckpointRegistry
from attnscope_server.errors import ProblemError, refusal
from attnscope_server.planning import Planner
from attnscope_server.pulling.receiving import Arrivals
from attnscope_server.records.attempt_tokens import AttemptTokens
from attnscope_server.records.job_store import JobStore
from attnscope_server.records.keys import KeyStore
from attnscope_server.replaying.answers import Replays
from attnscope_server.root.captures import Captures
from attnscope_server.root.housekeeping import Housekeeping
from attnscope_server.running.supervising.supervisor import Supervisor
from attnscope_server.settings import Settings
from attnscope_storage.wire import Problem, ProblemCode, problem


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


class SliceSlots:
    """Lets so many in at once and so many wait; more are refused. For one event loop."""

    def __init__(self, at_once: int, waiting: int) -> None:
        self._places = asyncio.Semaphore(at_once)
        self._limit = waiting
        self.waiting = 0

    @asynccontextmanager
    async def turn(self) -> AsyncIterator[None]:
        """Wait for a place, and hold it.

        Raises
        ------
        ProblemError
            too-many-requests where as many wait already.
        """
        if self.waiting >= self._limit:
            detail = f"{self.waiting} reads wait already: try again soon"
            raise refusal(ProblemCode.TOO_MANY_REQUESTS, detail, limit=self._limit, requested=self.waiting + 1)
        self.waiting += 1
        try:
            await self._places.acquire()
        finally:
            self.waiting -= 1
        try:
            yield
        finally:
            self._places.release()


class InFlight:
    """A budget of memory: bytes of answers that are made, or made and not yet sent. For any thread.

    Parameters
    ----------
    limit
        Bytes over which no further answer is begun.
    holding
        Words for what holds them.
    """

    def __init__(self, limit: int, holding: str = "other answers are made or wait for their readers") -> None:
        self.limit, self._holding = limit, holding
        self._held = 0
        self._lock = threading.Lock()

    @property
    def held(self) -> int:
        """Bytes that are held now."""
        return self._held

    @property
    def full(self) -> bool:
        """True where further large answers have to wait."""
        return self._held >= self.limit

    def refused(self, more: int = 0) -> Problem:
        """Return the problem of an answer for which there is no room."""
        detail = f"{self._held} bytes of {self._holding}: try again soon"
        return problem(ProblemCode.TOO_MANY_REQUESTS, detail, limit=self.limit, requested=self._held + more)

    @contextmanager
    def hold(self, count: int) -> Iterator[None]:
        """Count bytes while the context lasts."""
        self._add(count)
        try:
            yield
        finally:
            self._add(-count)

    @contextmanager
    def reserve(self, count: int) -> Iterator[None]:
        """Count bytes that an answer is going to take; one that is alone may take more than the limit.

        Raises
        ------
        ProblemError
            too-many-requests where other answers leave no room.
        """
        with self._lock:
            if self._held and self._held + count > self.limit:
                raise ProblemError(self.refused(count))
            self._held += count
        try:
            yield
        finally:
            self._add(-count)

    def _add(self, count: int) -> None:
        with self._lock:
            self._held += count


class LongPolls:
    """Counts the polls that each owner has open. For one event loop."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._held: Counter[str] = Counter()

    @property
    def held(self) -> int:
        """Polls of all owners that are held."""
        return self._held.total()

    @contextmanager
    def hold(self, owner: str, *, counted: bool) -> Iterator[None]:
        """Count one more poll of an owner while the context lasts.

        Raises
        ------
        ProblemError
            too-many-requests where the owner has as many open already.
        """
        if not counted:
            yield
            return
        held = self._held[owner]
        if held >= self._limit:
            detail = f"{held} polls of yours are held already: wait for some"
            raise refusal(ProblemCode.TOO_MANY_REQUESTS, detail, limit=self._limit, requested=held + 1)
        self._held[owner] += 1
        try:
            yield
        finally:
            self._held[owner] -= 1
            if not self._held[owner]:
                del self._held[owner]


@dataclass
class State:
    """The parts of one running service."""

    settings: Settings
    jobs: JobStore
    keys: KeyStore
    tokens: AttemptTokens
    registry: CheckpointRegistry
    captures: Captures
    arrivals: Arrivals
    supervisor: Supervisor
    changes: Changes
    replays: Replays
    listings: Listings
    planner: Planner
    slices: SliceSlots
    polls: LongPolls
    sending: InFlight
    arriving: InFlight
    housekeeping: Housekeeping
    ready: bool = False
    stopping: bool = field(default=False)
