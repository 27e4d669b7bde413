"""A slowest pace of answers, so that one that comes byte by byte ends.

A read that waits for a byte has a limit of its own. It ends no answer of which a byte arrives now and then, so every
answer also has one as a whole, head and body: the time of one read, and a second more for each `SLOWEST` bytes.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final, Protocol

import httpx

SLOWEST: Final = 1_000.0
"""Bytes a second at which an answer comes at least, once the time of one read is over.

A slow line that many downloads share is faster than that.
"""


class Stream(Protocol):
    """A connection's bytes, as httpcore has them."""

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        """Return the bytes that arrive."""
        ...

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        """Send bytes."""
        ...


class Paced:
    """The reads and writes of a stream that carries one request after the other.

    Parameters
    ----------
    stream
        The connection's bytes.
    clock
        Seconds that only rise.
    """

    def __init__(self, stream: Stream, clock: Callable[[], float] = time.monotonic) -> None:
        self._read, self._write, self._clock = stream.read, stream.write, clock
        self._begun, self._count = clock(), 0

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        """Send bytes of a request; its answer's time begins after the last of them."""
        self._write(buffer, timeout)
        self._begun, self._count = self._clock(), 0

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        """Return bytes of an answer.

        Raises
        ------
        httpx.ReadTimeout
            The whole answer has come more slowly than `SLOWEST`.
        """
        if timeout is None:
            return self._read(max_bytes, timeout)
        taken = self._clock() - self._begun
        left = timeout + self._count / SLOWEST - taken
        if left <= 0:
            raise httpx.ReadTimeout(f"the answer comes too slowly: {self._count} bytes in {taken:.0f} s")
        found = self._read(max_bytes, min(timeout, left))
        self._count += len(found)
        return found
