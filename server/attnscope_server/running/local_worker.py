"""One worker process on this machine: its pipes, the two threads that serve them, and its end.

Orders are written by a thread of their own, so that a process that reads nothing holds up nobody.
"""

from __future__ import annotations

import contextlib
import os
import queue
import signal
import subprocess
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final
from uuid import UUID

import structlog
from pydantic import ValidationError

from attnscope_server.running.environment import computing
from attnscope_server.running.feeding import feed
from attnscope_server.running.messages import (
    ENDINGS,
    REPORT,
    Alive,
    AnyJobReport,
    Cancel,
    Died,
    Order,
    Ready,
    Run,
    Stop,
)

log = structlog.get_logger("attnscope.workers")

LINE_BYTES: Final = 16 * 2**20
"""Bytes of one report, at most; the largest name a failure and a placement, in some kilobytes."""


@dataclass(frozen=True)
class Attempt:
    """A job's try."""

    job: UUID
    number: int


class LocalWorker:
    """A worker process that has been started.

    Parameters
    ----------
    command
        Starts the process.
    niceness
        How far the process stands back behind the service.
    hear
        Takes each report about the attempt that the process has, and its signs of life; never raises.
    first
        The first job, which is reported to its end even if the process ends at once.
    """

    def __init__(
        self, command: tuple[str, ...], niceness: int, hear: Callable[[AnyJobReport | Alive], None], first: Run
    ) -> None:
        self._hear = hear
        self._orders: queue.SimpleQueue[Order | None] = queue.SimpleQueue()
        self._lock = threading.Lock()
        self._attempt: Attempt | None = Attempt(first.job, first.attempt)
        self._orders.put(first)
        self.gone = False
        """True where the end of the process was seen: it takes no more orders."""
        self._process = subprocess.Popen(  # noqa: S603 - the operator's own command
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=computing(os.environ),
            start_new_session=True,  # a terminal's Ctrl-C reaches the service, which stops its workers in order
        )
        with contextlib.suppress(OSError):
            nice = min(19, os.getpriority(os.PRIO_PROCESS, 0) + niceness)
            os.setpriority(os.PRIO_PROCESS, self._process.pid, nice)
        self._threads = [
            threading.Thread(target=target, name=f"worker-{self._process.pid}-{target.__name__}", daemon=True)
            for target in (self._listen, self._write_orders)
        ]
        try:
            for thread in self._threads:
                thread.start()
        except RuntimeError:  # no more threads: nobody would hear this process, nor tell it anything
            self._attempt = None
            self._orders.put(None)
            self.kill()
            self._process.wait()
            for pipe in (self._process.stdin, self._process.stdout):
                if pipe is not None:
                    pipe.close()
            raise
        log.info("worker started", process=self._process.pid)

    @property
    def attempt(self) -> Attempt | None:
        """The attempt that the process was given and has not ended."""
        return self._attempt

    @property
    def deaf(self) -> bool:
        """True where the process lives and a thread that serves it does not."""
        return not self.gone and self._process.poll() is None and not all(one.is_alive() for one in self._threads)

    def run(self, order: Run) -> bool:
        """Give the process a job; False where the process has ended, and the job is not reported."""
        with self._lock:
            if self.gone or self._process.poll() is not None:
                return False
            self._attempt = Attempt(order.job, order.attempt)
        self._orders.put(order)
        return True

    def send(self, order: Order) -> None:
        """Send an order; one to a process that is gone is dropped."""
        self._orders.put(order)

    def leave(self, seconds: float) -> None:
        """Let the idle process end by itself; kill it where it has not after so many seconds."""
        self.send(Stop())
        timer = threading.Timer(seconds, self.kill)
        timer.daemon = True
        timer.start()

    def cancel(self, attempt: Attempt, first: float, second: float) -> None:
        """Set the flag of a job; after `first` seconds send SIGTERM, after `second` more SIGKILL."""
        self.send(Cancel(job=attempt.job, attempt=attempt.number))
        for delay, way in ((first, signal.SIGTERM), (first + second, signal.SIGKILL)):
            timer = threading.Timer(delay, self._end_if_still_on, (attempt, way))
            timer.daemon = True
            timer.start()

    def kill(self) -> None:
        """End the process and its children at once; a stopped process too."""
        self._signal(signal.SIGKILL)

    def wait(self, seconds: float) -> bool:
        """Return whether the process ended within so many seconds."""
        try:
            self._process.wait(seconds)
        except subprocess.TimeoutExpired:
            return False
        return True

    def _signal(self, way: signal.Signals) -> None:
        """Send a signal to the process's whole session: a child of it would keep the pipe open."""
        with contextlib.suppress(ProcessLookupError, PermissionError):
            if self._process.poll() is None:
                os.killpg(self._process.pid, way)

    def _end_if_still_on(self, attempt: Attempt, way: signal.Signals) -> None:
        if self._attempt == attempt:
            self._signal(way)

    def _write_orders(self) -> None:
        feed(self._process.stdin, self._orders.get)

    def _listen(self) -> None:
        assert self._process.stdout is not None  # noqa: S101 - it was asked for
        try:
            while line := self._process.stdout.readline(LINE_BYTES):
                if len(line) == LINE_BYTES:
                    log.error("a worker's report has no end", process=self._process.pid)
                    self.kill()
                    break
                self._take(line)
        except Exception:  # whatever it was: a process that nobody hears must not go on, and its end is told below
            log.exception("a worker could not be read")
            self.kill()
        code = self._process.wait()
        self._orders.put(None)
        with contextlib.suppress(OSError):
            self._process.stdout.close()
        log.info("worker ended", process=self._process.pid, code=code)
        with self._lock:
            self.gone = True
            left, self._attempt = self._attempt, None
        if left is not None:
            self._hear(Died(job=left.job, attempt=left.number, code=code))

    def _take(self, line: bytes) -> None:
        try:
            report = REPORT.validate_json(line)
        except ValidationError:
            log.warning("a worker said something that is no message", process=self._process.pid)
            return
        if isinstance(report, Ready):
            return
        if isinstance(report, ENDINGS):
            with self._lock:
                if self._attempt == Attempt(report.job, report.attempt):
                    self._attempt = None
        self._hear(report)
