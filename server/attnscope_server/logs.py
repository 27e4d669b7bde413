"""Structured logs to standard error: JSON for machines, coloured lines for a terminal.

A line is handed to a thread of its own. A terminal that was stopped, a pager, a full disk or a reader that is gone then
holds up no request and ends no thread: lines that cannot be written are counted and dropped.
"""

from __future__ import annotations

import atexit
import logging
import queue
import sys
import threading
import time
from typing import Final, TextIO

import structlog

MOST_LINES: Final = 10_000
"""Lines that wait for their reader; further ones are dropped."""

END_SECONDS: Final = 1.0
"""Time that waiting lines have at the end of the process."""


class LogLines:
    """A text stream for log lines that neither waits nor raises.

    Parameters
    ----------
    stream
        Where the lines end up.
    most
        Lines that may wait.
    """

    def __init__(self, stream: TextIO, most: int = MOST_LINES) -> None:
        self._stream = stream
        self._waiting: queue.Queue[str] = queue.Queue(most)
        self._lost = 0
        self._thread = threading.Thread(target=self._drain, name="log", daemon=True)
        self._thread.start()

    def write(self, text: str) -> int:
        """Queue a text; drop it where too much waits already."""
        try:
            self._waiting.put_nowait(text)
        except queue.Full:
            self._lost += 1
        return len(text)

    def flush(self) -> None:
        """Do nothing: lines are written as soon as they can be."""

    def end(self, seconds: float = END_SECONDS) -> None:
        """Wait until what waits is written, for so many seconds at most."""
        deadline = time.monotonic() + seconds
        while self._waiting.unfinished_tasks and self._thread.is_alive() and time.monotonic() < deadline:
            time.sleep(0.005)

    def _drain(self) -> None:
        while True:
            text = self._waiting.get()
            lost = self._lost
            try:
                if lost:
                    self._stream.write(f"{lost} lines of this log were lost: nobody took them\n")
                self._stream.write(text)
                self._stream.flush()
                self._lost -= lost
            except (OSError, ValueError):  # the reader is gone, the disk is full, the stream is closed
                self._lost += 1
            self._waiting.task_done()


_OPEN: Final[list[LogLines]] = []
"""The logs of this process."""


def lines_of(stream: TextIO) -> LogLines:
    """Return a log's lines over a stream; what waits at the end of the process is still written."""
    _OPEN.append(LogLines(stream))
    return _OPEN[-1]


@atexit.register
def end_logs() -> None:
    """Wait a little until the waiting lines of every log are written; also for who leaves by `os._exit`."""
    for lines in _OPEN:
        lines.end()


def configure(form: str = "auto", level: str = "info") -> None:
    """Set up logging for a service process; keys never reach a log, since nothing passes them."""
    pretty = sys.stderr.isatty() if form == "auto" else form == "console"
    renderer: structlog.typing.Processor = (
        structlog.dev.ConsoleRenderer() if pretty else structlog.processors.JSONRenderer()
    )
    processors: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso"),
    ]
    if not pretty:
        processors.append(structlog.processors.format_exc_info)
    structlog.configure(
        processors=[*processors, renderer],
        wrapper_class=structlog.make_filtering_bound_logger(getattr(logging, level.upper())),
        logger_factory=structlog.WriteLoggerFactory(file=lines_of(sys.stderr)),  # type: ignore[arg-type]  # writes alone
    )
