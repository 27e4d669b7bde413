"""A worker that asks a service on another machine for jobs, and runs them in a child as the service itself would.

It sends every request itself and listens nowhere. The child is `attnscope_server.running.worker`, kept warm between
jobs. Where the service is away, the child stops writing when its lease cannot be counted on any more.
"""

from __future__ import annotations

import secrets
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import IO, Final

import structlog

from attnscope_server.failures import problem_of
from attnscope_server.pulling.child import Child
from attnscope_server.pulling.connection import Connection
from attnscope_server.pulling.errors import AwayError, OverError, RefusedError, UnservedError
from attnscope_server.pulling.means import Means
from attnscope_server.pulling.messages import Assignment, Farewell, Offer
from attnscope_server.pulling.persisting import until_answered
from attnscope_server.pulling.reporting import Reporter
from attnscope_server.pulling.streaming import Stream, order_here
from attnscope_server.running.messages import Cancelled, Died, Failed, Interrupted, Run
from attnscope_storage import __version__
from attnscope_storage.errors import AttnscopeError

log = structlog.get_logger("attnscope.pulling")

CLAIM_SECONDS: Final = 25.0
"""Seconds that a request for a job waits at the service."""

LONGEST_PAUSE: Final = 15.0
"""Seconds before the worker asks again where the service does not answer, at most."""

REDUCE: Final = "memory ran out while the checkpoint was fetched"


class _DrainedError(Exception):
    """The worker was told to end while it waited for a job."""


@dataclass
class PullWorker:
    """One worker, for one device."""

    connection: Connection
    means: Means
    session: str = field(default_factory=lambda: secrets.token_hex(16))
    _ending: bool = False
    """True where the worker was told to end; a plain value, because a signal's handler may take no lock."""
    _told: threading.Event = field(default_factory=threading.Event)
    """Set soon after `_ending`, for whoever waits."""
    _interruptible: bool = False
    """True while the thread that serves may be interrupted by a signal."""
    _child: Child = field(init=False)

    def __post_init__(self) -> None:
        self._child = Child(self.means, lambda: self._ending)

    def serve(self) -> None:
        """Run jobs until told to end; a job that runs then goes back to the queue.

        Raises
        ------
        RefusedError
            The service refuses this worker.
        """
        self.means.cache.sweep()
        log.info("worker asks for jobs", name=self.means.name, device=self.means.hardware.name)
        idle_since = time.monotonic()
        try:
            while not self._ending:
                assignment = self._claimed()
                if assignment is not None:
                    self._attempt(assignment)
                    idle_since = time.monotonic()
                elif self._idle_for(idle_since):
                    log.info("no job came for long; the worker ends")
                    break
        except _DrainedError:
            pass
        finally:
            self._leave()

    def drain(self) -> None:
        """End soon: take no more jobs, and give back the one that runs. From another thread, or a signal's handler."""
        self._ending = True
        self._told.set()
        reporter = self._child.reporter
        log.info("worker drains")
        if reporter is None:
            self._say_goodbye()  # ends a request that waits for a job
        else:
            reporter.wake()
        self._child.give_back()

    def on_signal(self, *_: object) -> None:
        """Drain; for the thread that serves, which may wait for a job at this moment."""
        self._ending = True
        # The handler may have interrupted whoever holds a lock, so another thread does what takes one.
        threading.Thread(target=self.drain, name="drain", daemon=True).start()
        if self._interruptible:
            self._interruptible = False
            raise _DrainedError

    def _idle_for(self, since: float) -> bool:
        limit = self.means.idle_seconds
        return limit is not None and time.monotonic() - since > limit

    def _claimed(self) -> Assignment | None:
        """Ask for a job; None where none came, or the service did not answer."""
        limit = self.means.idle_seconds
        offer = Offer(
            session=self.session,
            name=self.means.name,
            version=__version__,
            device=self.means.hardware.device,
            hardware=self.means.hardware.name,
            stores="streamed" if self.means.stores is None else "reached",
            wait=CLAIM_SECONDS if limit is None else min(CLAIM_SECONDS, limit),
        )
        self._interruptible = True
        pause = 1.0
        try:
            while not self._ending:
                try:
                    return self.connection.claim(offer)
                except AwayError as error:
                    log.warning("the service gives no job", detail=error.message, again_in=pause)
                    self._told.wait(pause)
                    pause = min(LONGEST_PAUSE, 2 * pause)
            return None
        finally:
            self._interruptible = False

    def _attempt(self, assignment: Assignment) -> None:
        """Run an attempt at a job to its end, and tell it."""
        order = assignment.order
        with structlog.contextvars.bound_contextvars(job=str(order.job), attempt=order.attempt):
            log.info("job taken")
            reporter = Reporter(self.connection, assignment, self._child.obey, self._child.lost)
            self._child.reporter = reporter
            reporter.start()
            try:
                self._run(assignment, reporter)
                reporter.wait_over()
            finally:
                self._child.reporter = None
            log.info("job over", reason=reporter.reason)

    def _run(self, assignment: Assignment, reporter: Reporter) -> None:
        order, about = assignment.order, {"job": assignment.order.job, "attempt": assignment.order.attempt}
        if (wrong := self.means.unreached(order)) is not None:
            reporter.hear(Interrupted(**about))
            reporter.wait_over()
            raise RefusedError(wrong)
        try:
            with ExitStack() as held:
                for one in assignment.checkpoints:
                    held.enter_context(self.means.cache.held(one, partial(self._fetch, assignment, reporter, one.id)))
                written = held.enter_context(self._writing(assignment, reporter))
                reporter.wait_renewed(lambda: self._ending)
                given = self._here(written, reporter)
                reporter.handed_over()
                self._child.hand_over(given)
                reporter.wait_over()
        except (OverError, RefusedError, UnservedError) as error:
            log.info("the attempt ends before it has begun", detail=error.message)
            lost: Interrupted | Died = Interrupted(**about)
            if not isinstance(error, OverError):  # it counts, or the job would go round for ever
                lost = Died(**about, detail=f"its worker did not get what it needs to begin: {error.message}")
            reporter.hear(Cancelled(**about) if reporter.to_cancel else lost)
        except (AttnscopeError, MemoryError) as error:
            log.exception("the checkpoint could not be fetched")
            problem = problem_of(error, where="in the worker, while the checkpoint was fetched", reduce=REDUCE)
            reporter.hear(Failed(**about, problem=problem))
        except OSError:
            reporter.hear(Interrupted(**about))
            reporter.wait_over()
            raise

    @contextmanager
    def _writing(self, assignment: Assignment, reporter: Reporter) -> Iterator[Run]:
        """Yield the order with the place where the child writes; where it is no place of the service's, send from it.

        Raises
        ------
        OverError, RefusedError, UnservedError
            As `Stream.prepare`.
        """
        if self.means.stores is not None:
            yield assignment.order.model_copy(update={"stores": self.means.stores})
            return
        with self.means.cache.scratch.held(self.session) as folder:
            stream = Stream(self.connection, assignment, reporter, folder, self._child.drop)
            try:
                beside = stream.prepare(lambda: self._stopped(reporter))
                self._child.stream = stream
                yield order_here(assignment.order, folder, beside.earlier)
            finally:
                self._child.stream = None
                stream.close()

    def _fetch(
        self, assignment: Assignment, reporter: Reporter, checkpoint: str, name: str, into: IO[bytes], most: int
    ) -> None:
        """Fetch a file of a checkpoint, from its beginning again where the service went away.

        Raises
        ------
        OverError, UnservedError
            The attempt is over, or the worker ends; the service answers reports, and does not give the file.
        """
        stopped = partial(self._stopped, reporter)

        def fetch() -> None:
            into.seek(0)
            into.truncate()
            self.connection.fetch(assignment.token, f"checkpoints/{checkpoint}/{name}", into, most, stopped)

        until_answered(fetch, stopped, reporter)

    def _stopped(self, reporter: Reporter) -> bool:
        """Return True where what is being fetched is not needed any more; asked with every piece that arrives."""
        reporter.moves()
        return self._ending or reporter.over or reporter.to_cancel

    def _here(self, order: Run, reporter: Reporter) -> Run:
        """Return the order with the places, the device and the clock of this machine."""
        own = {
            "data_root": self.means.cache.root,
            "device": self.means.hardware.device,
            "threads": self.means.threads,
            "asked_at": reporter.renewed_at,
        }
        return order.model_copy(update=own)

    def _leave(self) -> None:
        """End the child, and say goodbye."""
        self._child.end()
        self._say_goodbye()

    def _say_goodbye(self) -> None:
        try:
            self.connection.end(Farewell(session=self.session, name=self.means.name))
        except (AwayError, RefusedError) as error:
            log.warning("the service did not hear that this worker ends", detail=error.message)
