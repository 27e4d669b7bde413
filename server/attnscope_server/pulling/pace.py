"""The time that a request of a worker may take, and an end to one that takes longer.

A read that waits 20 s for a byte has a limit of its own. It ends no answer that comes byte by byte, so each request
also has one as a whole: a time for its head and a small body, and a slowest pace for a file.
"""

from __future__ import annotations

import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from threading import Timer
from typing import Any, Final
from weakref import ref

import httpx

CONNECTED: Final = frozenset({"connection.connect_tcp.complete", "connection.start_tls.complete"})
"""Events of httpcore after which a connection has another socket."""


@dataclass(frozen=True)
class Pace:
    """The slowest that a service may be."""

    least: float = 60.0
    """Seconds that each request is given."""
    slowest: float = 10_000.0
    """Bytes a second that a body moves at, beyond that time."""
    answer_bytes: int = 16 * 2**20
    """Bytes of an answer that is a message, at most."""

    def seconds(self, size: int) -> float:
        """Return the time that a body of so many bytes is given."""
        return self.least + size / self.slowest


class Line:
    """An HTTP client of one thread, which has one connection at a time.

    Parameters
    ----------
    client
        As `httpx.Client`.
    clock
        Seconds that only rise.
    """

    def __init__(self, client: httpx.Client, clock: Callable[[], float] = time.monotonic) -> None:
        self.client, self.clock = client, clock
        self._socket: ref[socket.socket] | None = None

    def note(self, event: str, told: dict[str, Any]) -> None:
        """Take note of an event of httpcore, as its ``trace`` tells it."""
        if event in CONNECTED:
            found = told["return_value"].get_extra_info("socket")
            self._socket = ref(found) if isinstance(found, socket.socket) else None

    @contextmanager
    def cut_after(self, seconds: float) -> Iterator[Timer]:
        """Cut the connection off after so many seconds; whoever cancels the timer takes the time into its own hands."""
        timer = Timer(seconds, self._cut)
        timer.daemon = True
        timer.start()
        try:
            yield timer
        finally:
            timer.cancel()

    def _cut(self) -> None:
        connected = None if self._socket is None else self._socket()
        if connected is not None:
            with suppress(OSError):  # it ended by itself
                connected.shutdown(socket.SHUT_RDWR)
