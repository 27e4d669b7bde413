"""A worker's end of its two pipes to the service: orders in, reports and signs of life out."""

from __future__ import annotations

import os
import queue
import threading
from dataclasses import dataclass, field
from typing import BinaryIO, Final
from uuid import UUID

import structlog

from attnscope_server.logs import end_logs
from attnscope_server.running.messages import ORDER, Alive, Cancel, Report, Run, Stop

log = structlog.get_logger("attnscope.worker")

ALIVE_SECONDS: Final = 5.0
"""From one sign of life to the next, before an order says otherwise."""


@dataclass
class Channel:
    """The two pipes to the service: a thread reads orders, any thread may report."""

    commands: BinaryIO
    reports: BinaryIO
    orders: queue.SimpleQueue[Run | Stop] = field(default_factory=queue.SimpleQueue)
    cancelled: set[tuple[UUID, int]] = field(default_factory=set)
    """Attempts told to stop, also one that is told so before it is taken."""
    stopping: threading.Event = field(default_factory=threading.Event)
    alive_seconds: float = ALIVE_SECONDS
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
                match order := ORDER.validate_json(line):
                    case Run():
                        self.alive_seconds = order.alive_seconds
                        self.orders.put(order)
                    case Cancel():
                        self.cancelled.add((order.job, order.attempt))
                    case Stop():
                        self.stopping.set()
                        self.orders.put(order)
        except Exception:
            log.exception("an order was not understood; this worker ends")
            end_logs()
            os._exit(1)  # an order that is lost would leave its job running for ever
        os._exit(0)  # whatever is not committed is dropped, as after a kill

    def live(self) -> None:
        """Say from time to time that the process lives, whatever its job does; a full pipe ends with the service."""
        while not self.stopping.wait(self.alive_seconds):
            try:
                self.report(Alive())
            except OSError:
                return
            except Exception:  # a worker without signs of life is ended, however well it works
                log.exception("a sign of life could not be given")
