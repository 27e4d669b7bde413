"""Reports of one attempt on their way to the service, in order, again where it does not answer.

Reports of progress that wait are one report. Signs of life are the child's own; before the child has its order, the
worker gives them itself, because a checkpoint may take long to fetch.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Final

import structlog

from attnscope_server.errors import ServiceError
from attnscope_server.pulling.connection import Connection
from attnscope_server.pulling.errors import AwayError, OverError, RefusedError
from attnscope_server.pulling.messages import MOST_REPORTS, Assignment, Told
from attnscope_server.running.lease import lasting_clock
from attnscope_server.running.messages import ENDINGS, Advanced, Alive, Cancel, Interrupted, Renewed, Taken

log = structlog.get_logger("attnscope.pulling")

TOLD_EVERY: Final = 1.0
"""Seconds between two reports of progress."""

MOVED_EVERY: Final = 60.0
"""Seconds between two reports of a job whose checkpoint or earlier commits are being fetched."""

STARTS_WITHIN: Final = 120.0
"""Seconds in which the child must take its order; after them the worker gives no signs of life in its place."""

FIRST_WAIT: Final = 0.25
LONGEST_WAIT: Final = 5.0
"""Seconds before a request is tried again: the first time, and at most; nor longer than from one sign of life to the
next, so that a service that starts anew hears of a short lease in time."""

PATIENCE: Final = 2.0
"""Leases for which a service that is away is waited for, from its last answer on; it has given the job away by then."""


class Reporter:
    """The reports about one attempt.

    Parameters
    ----------
    connection
        To the service.
    assignment
        The attempt.
    obey
        Takes each order of the service; called by the reporter's thread.
    lost
        Called once, with the reason, where the attempt is not this worker's any more.
    clock
        Clock of this machine, in seconds; it runs on while the machine is suspended, as leases do.
    """

    def __init__(
        self,
        connection: Connection,
        assignment: Assignment,
        obey: Callable[[Renewed | Cancel], None],
        lost: Callable[[str], None],
        clock: Callable[[], float] = lasting_clock,
    ) -> None:
        order = assignment.order
        self._connection, self._token = connection, assignment.token
        self._about = {"job": order.job, "attempt": order.attempt}
        self._alive_seconds = order.alive_seconds
        self.patience = PATIENCE * (order.lease_seconds or 0.0)
        """Seconds for which a service that does not answer is waited for."""
        self.clock = clock
        self._obey, self._lost = obey, lost
        self._changed = threading.Condition()
        self._waiting: list[Told] = []
        self._own_signs_until: float | None = None
        self._child_took = False
        self._told_taken = False
        self._signed = 0.0
        self._moved = time.monotonic()
        self._sent = 0.0
        self.renewed_at: float | None = None
        """The moment of this machine's clock from which the lease counts; None before it was renewed here."""
        self.to_cancel = False
        """True where the service said that the attempt is to stop."""
        self.over = False
        """True where nothing more is told."""
        self.reason: str | None = None
        """Why the attempt is not this worker's any more; None where it is, or has ended in order."""
        self._thread = threading.Thread(target=self._run, name="reporter", daemon=True)

    def start(self) -> None:
        """Begin with a sign of life."""
        self._thread.start()

    def concerns(self, report: Told) -> bool:
        """Return True where a report is about this attempt; a child that was killed may still be read."""
        return (report.job, report.attempt) == (self._about["job"], self._about["attempt"])

    def hear(self, report: Told) -> None:
        """Take a report about this attempt, and drop any other; callable from any thread."""
        if not self.concerns(report):
            return
        with self._changed:
            if isinstance(report, Taken):
                self._child_took = True
            kind = type(report)
            if kind in {Alive, Advanced}:  # a newer one says all that an older one says
                self._waiting = [one for one in self._waiting if type(one) is not kind]
            self._waiting.append(report)
            self._changed.notify_all()

    def give_back(self) -> None:
        """Let the job go back to the queue, to go on after the last commit that arrived."""
        self.hear(Interrupted(**self._about))

    def moves(self) -> None:
        """Tell from time to time that what the job needs arrives: one that needs long for it does not hang."""
        now = time.monotonic()
        if now - self._moved >= MOVED_EVERY:
            self._moved = now
            self.hear(Advanced(**self._about, phase="loading", steps_done=0, steps_committed=0, bytes_written=0))

    def handed_over(self) -> None:
        """Note that the child has been given its order."""
        with self._changed:
            self._own_signs_until = time.monotonic() + STARTS_WITHIN

    def alone(self) -> None:
        """Note that the child is done, and that the worker still has something to do: it gives the signs of life."""
        with self._changed:
            self._child_took, self._own_signs_until = False, None
            self._changed.notify_all()

    def wait_told(self) -> bool:
        """Wait until the service knows where the attempt runs; False where the attempt is over."""
        with self._changed:
            self._changed.wait_for(lambda: self._told_taken or self.over)
            return not self.over

    def wait_renewed(self, stopped: Callable[[], bool]) -> None:
        """Wait until the service has renewed the lease at this worker's word.

        Raises
        ------
        OverError
            The attempt was lost meanwhile, or `stopped()`.
        """
        with self._changed:
            self._changed.wait_for(lambda: self.renewed_at is not None or self.over or stopped())
            if self.over or stopped():
                raise OverError(self.reason or "the worker was told to end")

    def wake(self) -> None:
        """Let those who wait look again."""
        with self._changed:
            self._changed.notify_all()

    def wait_over(self, seconds: float | None = None) -> None:
        """Wait until the end of the attempt is told, or the attempt is lost; at most so many seconds."""
        with self._changed:
            self._changed.wait_for(lambda: self.over, seconds)

    def _run(self) -> None:
        failed, answered_at = 0, self.clock()
        while not self.over:
            batch = self._next()
            try:
                orders = self._connection.report(self._token, batch).orders
            except AwayError as error:
                failed += 1
                if self.clock() - answered_at > self.patience:
                    self._end(f"the service is away for {self.patience:g} s, and has given the job away by now")
                    return
                self._again(batch, failed, error)
                continue
            except (OverError, RefusedError) as error:
                self._end(error.message)
                return
            failed, answered_at = 0, self.clock()
            self._told_taken |= any(isinstance(one, Taken) for one in batch)
            for order in orders:
                if isinstance(order, Renewed):
                    self.renewed_at = max(order.said_at, self.renewed_at or order.said_at)
                else:
                    self.to_cancel = True
                self._obey(order)
            if any(isinstance(one, ENDINGS) for one in batch):
                self._end(None)
            else:
                self.wake()

    def _next(self) -> list[Told]:
        """Wait for reports that are due, and return them."""
        with self._changed:
            while (wait := self._due_in()) > 0:
                self._changed.wait(wait)
            if self._own_sign_due() <= 0:
                self._waiting.append(Alive(**self._about, said_at=self.clock()))
            now = time.monotonic()
            batch, self._waiting = self._waiting[:MOST_REPORTS], self._waiting[MOST_REPORTS:]
            self._sent = now
            if any(isinstance(one, Alive) for one in batch):
                self._signed = now
            return batch

    def _due_in(self) -> float:
        """Return the seconds until something is to be sent."""
        if any(not isinstance(one, Advanced) for one in self._waiting):
            return 0.0
        progress = self._sent + TOLD_EVERY - time.monotonic() if self._waiting else self._alive_seconds
        return min(progress, self._own_sign_due())

    def _own_sign_due(self) -> float:
        """Return the seconds until this worker gives a sign of life itself."""
        now = time.monotonic()
        if self._child_took or (self._own_signs_until is not None and now > self._own_signs_until):
            return self._alive_seconds
        return self._signed + self._alive_seconds - now

    def _again(self, batch: list[Told], failed: int, error: ServiceError) -> None:
        wait = min(LONGEST_WAIT, self._alive_seconds, FIRST_WAIT * 2 ** (failed - 1))
        log.warning("the service does not take reports", detail=error.message, again_in=wait)
        with self._changed:
            newer = {type(one) for one in self._waiting}
            kept = [one for one in batch if type(one) not in newer & {Alive, Advanced}]
            self._waiting = [*kept, *self._waiting]
            self._changed.wait_for(lambda: self.over, wait)

    def _end(self, reason: str | None) -> None:
        with self._changed:
            self.over, self.reason = True, reason
            self._changed.notify_all()
        if reason is not None:
            self._lost(reason)
