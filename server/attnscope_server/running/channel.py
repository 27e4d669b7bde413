"""A worker's end of its connection to the service: orders in, reports and signs of life out.

`Channel` is the part that every connection shares; `Pipes` is the connection of a local process.
"""

from __future__ import annotations

import os
import queue
import threading
from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from typing import BinaryIO, Final
from uuid import UUID

import structlog

from attnscope_server.logs import end_logs
from attnscope_server.running.lease import Lease, lasting_clock
from attnscope_server.running.messages import ORDER, Alive, Cancel, Order, Renewed, Report, Run, Stop

log = structlog.get_logger("attnscope.worker")

ALIVE_SECONDS: Final = 5.0
"""From one sign of life to the next, before an order says otherwise."""

AttemptKey = tuple[UUID, int]
"""A job, and the number of its try."""


@dataclass(kw_only=True)
class Channel(ABC):
    """The connection of one worker: any thread may report, and the worker takes the orders one by one."""

    orders: queue.SimpleQueue[Run | Stop] = field(default_factory=queue.SimpleQueue)
    cancelled: set[AttemptKey] = field(default_factory=set)
    """Attempts told to stop, also one that is told so before it is taken."""
    stopping: threading.Event = field(default_factory=threading.Event)
    alive_seconds: float = ALIVE_SECONDS
    leases: dict[AttemptKey, Lease] = field(default_factory=dict)
    """Leases of the attempts that were ordered and have not ended; none where the runner has no leases."""
    running: AttemptKey | None = None
    """The attempt that the worker has taken."""

    @abstractmethod
    def report(self, report: Report) -> None:
        """Report to the service."""

    def take(self, order: Order) -> None:
        """Act on an order, or queue it for the worker."""
        match order:
            case Run():
                self.alive_seconds = order.alive_seconds
                if order.lease_seconds is not None:
                    begun = lasting_clock() if order.asked_at is None else order.asked_at
                    self.leases[order.job, order.attempt] = Lease(order.lease_seconds, begun)
                self.orders.put(order)
            case Cancel():
                self.cancelled.add((order.job, order.attempt))
            case Renewed():
                lease = self.leases.get((order.job, order.attempt))
                if lease is not None:
                    lease.renew(order.said_at)
            case Stop():
                self.stopping.set()
                self.orders.put(order)

    def may_write(self, attempt: AttemptKey) -> bool:
        """Return True where an attempt has no lease, or one that is alive."""
        lease = self.leases.get(attempt)
        return lease is None or lease.alive()

    def sign_of_life(self) -> Alive:
        """Return the sign of life of this moment.

        An attempt that waits for its worker is alive too: its lease is shorter than torch may need to be loaded.
        """
        attempt = self.running or next(iter(tuple(self.leases)), None)
        if attempt is None:
            return Alive()
        said_at = lasting_clock() if attempt in self.leases else None
        return Alive(job=attempt[0], attempt=attempt[1], said_at=said_at)

    def live(self) -> None:
        """Say from time to time that the process lives, whatever its job does; a full pipe ends with the service."""
        while not self.stopping.wait(self.alive_seconds):
            try:
                self.report(self.sign_of_life())
            except OSError:
                return
            except Exception:  # a worker without signs of life is ended, however well it works
                log.exception("a sign of life could not be given")


@dataclass
class Pipes(Channel):
    """The two pipes of a local process: a thread reads orders."""

    commands: BinaryIO
    reports: BinaryIO
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def report(self, report: Report) -> None:
        """Report to the service."""
        with self._lock:
            self.reports.write(report.line)
            self.reports.flush()

    def listen(self) -> None:
        """Read orders until the service is gone, then end the process at once."""
        try:
            for line in self.commands:
                self.take(ORDER.validate_json(line))
        except Exception:
            log.exception("an order was not understood; this worker ends")
            end_logs()
            os._exit(1)  # an order that is lost would leave its job running for ever
        os._exit(0)  # whatever is not committed is dropped, as after a kill
