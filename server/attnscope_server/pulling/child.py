"""The process of a worker that computes: kept warm between jobs. Its reports go on to the service, or to the stream.

Knows no HTTP and no claims; `attnscope_server.pulling.worker` gives it jobs.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass

import structlog

from attnscope_server.pulling.means import Means
from attnscope_server.pulling.reporting import Reporter
from attnscope_server.pulling.streaming import Stream
from attnscope_server.running.local_worker import Attempt, LocalWorker
from attnscope_server.running.messages import (
    Advanced,
    Alive,
    AnyJobReport,
    Cancel,
    Died,
    GivenBack,
    Interrupted,
    Renewed,
    Run,
    Stop,
    Succeeded,
)

log = structlog.get_logger("attnscope.pulling")


@dataclass
class Child:
    """The process of one worker that computes."""

    means: Means
    ending: Callable[[], bool]
    """True where the worker was told to end."""
    reporter: Reporter | None = None
    """The reports of the attempt that the worker has; None between jobs."""
    stream: Stream | None = None
    """The sender of its commits; None where the process writes them in their place."""
    _process: LocalWorker | None = None
    _cancelled: Attempt | None = None
    """The attempt that was told to stop."""

    def hand_over(self, order: Run) -> None:
        """Give the process a job; start it where there is none."""
        if self._process is None or not self._process.run(order):
            self._process = LocalWorker(self.means.command, self.means.niceness, self._heard, order)
        if self.ending():  # told to end while the process was started
            self._process.send(Stop())

    def obey(self, order: Renewed | Cancel) -> None:
        """Pass an order of the service on."""
        process = self._process
        if process is None:
            return
        attempt = Attempt(order.job, order.attempt)
        if isinstance(order, Renewed):
            process.send(order)
        elif process.attempt == attempt != self._cancelled:  # every answer repeats it
            self._cancelled = attempt
            process.cancel(attempt, self.means.cancel_grace, self.means.kill_grace)

    def lost(self, reason: str) -> None:
        """End the process: its attempt belongs to this worker no more."""
        log.warning("the attempt is not this worker's any more", detail=reason)
        self.drop()

    def drop(self) -> None:
        """End the process at once, where it has a job."""
        process = self._process
        if process is not None and process.attempt is not None:
            self._process = None  # the next job gets a process that does nothing else
            process.kill()

    def give_back(self) -> None:
        """Tell the process to stop its job, and end it where it does not in time; wait for nothing.

        A process that is done may have commits that are still on their way: what has not arrived is computed again.
        """
        process = self._process
        if process is not None and process.attempt is not None:
            process.send(Stop())
            timer = threading.Timer(self.means.stop_grace, process.kill)
            timer.daemon = True
            timer.start()
        elif self.stream is not None and self.reporter is not None:
            self.reporter.give_back()

    def end(self) -> None:
        """End the process in order, or after the time for that at once."""
        process, self._process = self._process, None
        if process is not None:
            process.send(Stop())
            if not process.wait(self.means.stop_grace):
                process.kill()

    def _heard(self, report: AnyJobReport | Alive) -> None:
        """Pass a report of the process on; its death while the worker ends is the worker's doing."""
        reporter, stream = self.reporter, self.stream
        if reporter is None or not reporter.concerns(report):
            return
        if stream is not None and isinstance(report, (Advanced, Succeeded, GivenBack)):
            stream.hear(report)
            return
        if isinstance(report, Died) and self.ending():
            report = Interrupted(job=report.job, attempt=report.attempt)
        reporter.hear(report)
